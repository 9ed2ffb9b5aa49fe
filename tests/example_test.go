package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// exampleDispatch decides by REQUEST_URI, as the example does. For /who it
// also tells, by the name of the interpreter, which process it ran in.
const exampleDispatch = `
import os

def process_group(environ):
    uri = environ["REQUEST_URI"]
    if uri.startswith("/admin/"):
        return "admin"
    if uri.startswith("/api/"):
        return "api"
    return "web"

def application_group(environ):
    if environ["REQUEST_URI"].startswith("/who"):
        return "pid %d uid %d" % (os.getpid(), os.getuid())
`

// example writes the three groups of the example and its dispatch script.
func example(w *harness.World) {
	w.T.Helper()
	harness.NeedRoot(w.T)
	w.App("environ.py")
	w.Write("dispatch.py", exampleDispatch)
	who := accounts()
	w.Configure(group("admin", who["admin"].name, 2, 15) + group("api", who["api"].name, 4, 15) +
		group("web", who["web"].name, 4, 15) + `
dispatch_script "{{.Dir}}/dispatch.py" {}
` + mount("/", "apps/environ.py", option("process_group", "web")))
}

// TestExample is the example of the README behind Apache: every URL prefix is
// answered by a process of its group that runs as the group's user.
func TestExample(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"ProxyPass": harness.ProxyPass,
		"SetHandler": `Alias "/" "{{.Dir}}/apps/environ.py/"` + "\n" + harness.HandlerProxy +
			"<Directory {{.Dir}}/apps>\n  " + harness.Handler + "\n</Directory>\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			example(w)
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: config})
			who := accounts()
			status := wsgid.AwaitReady("admin", "api", "web")
			for prefix, group := range map[string]string{"/admin/": "admin", "/api/": "api", "/shop/": "web", "/": "web"} {
				for range rounds(6, 60) {
					v := look(t, apache.Get(prefix+"x"))
					if v.env("mod_wsgi.process_group") != group {
						t.Fatalf("%s answered by group %s", prefix, v.env("mod_wsgi.process_group"))
					}
					if uid := who[group].uid; v.UID != uid || v.EUID != uid || harness.UID(v.PID) != uid {
						t.Fatalf("group %s runs as %d/%d/%d, want %d", group, v.UID, v.EUID, harness.UID(v.PID), uid)
					}
					if pids := status.PIDs(group); !slices.Contains(pids, v.PID) {
						t.Fatalf("pid %d is not one of group %s: %v", v.PID, group, pids)
					}
					if got := v.env("SCRIPT_NAME") + "|" + v.env("PATH_INFO"); got != "|"+prefix+"x" {
						t.Fatalf("SCRIPT_NAME|PATH_INFO is %q", got)
					}
				}
			}
			for group, processes := range map[string]int{"admin": 2, "api": 4, "web": 4} {
				if got := len(status.PIDs(group)); got != processes {
					t.Errorf("group %s has %d processes, want %d", group, got, processes)
				}
			}
			v := look(t, apache.Get("/who"))
			want := fmt.Sprintf("pid %d uid %d", status.RouterPID, routerUID(t))
			if got := v.env("mod_wsgi.application_group"); got != want || v.PID == status.RouterPID {
				t.Errorf("the dispatch script ran in %q, want the router, %q", got, want)
			}
			if harness.UID(status.RouterPID) != routerUID(t) {
				t.Errorf("the router runs as %d", harness.UID(status.RouterPID))
			}
		})
	}
}

// TestDispatchScriptChanges: an edit takes effect on the next request, None
// leaves the static decision, an exception is a 500 with script, line and error
// in the log.
func TestDispatchScriptChanges(t *testing.T) {
	w := newWorld(t)
	example(w)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	groupOf := func(path string) string {
		return look(t, apache.Get(path)).env("mod_wsgi.process_group")
	}
	if got := groupOf("/admin/"); got != "admin" {
		t.Fatalf("at first /admin/ goes to %s", got)
	}
	for number := range rounds(5, 50) {
		want := []string{"api", "web", "admin"}[number%3]
		w.Write("dispatch.py", fmt.Sprintf("def process_group(environ):\n    return %q\n", want))
		if got := groupOf("/admin/"); got != want {
			t.Fatalf("edit %d: the next request goes to %s, want %s", number, got, want)
		}
	}
	w.Write("dispatch.py", "def process_group(environ):\n    return None\n")
	if got := groupOf("/admin/"); got != "web" {
		t.Fatalf("None: group %s, want the static one", got)
	}
	router := wsgid.Status().RouterPID
	mark := wsgid.Log.Mark()
	script := w.Write("dispatch.py", "def process_group(environ):\n    wanted = {}\n    return wanted['nobody']\n")
	wantError(t, apache.Get("/admin/"), 500, "WSGID-1017")
	record := wsgid.Log.AwaitFrom(t, mark, "the exception of the dispatch script", harness.Containing("WSGID-1017"))
	for _, text := range []string{script, "KeyError", "nobody"} {
		if !strings.Contains(record.Line, text) {
			t.Errorf("the log line does not name %q: %s", text, record.Line)
		}
	}
	if !strings.Contains(record.Line, "line 3") && record.Text("line") != "3" {
		t.Errorf("the log line does not name line 3: %s", record.Line)
	}
	if record.Level() != "error" {
		t.Errorf("logged at level %s", record.Level())
	}
	w.Write("dispatch.py", exampleDispatch)
	if got := groupOf("/api/"); got != "api" {
		t.Fatalf("mended: group %s", got)
	}
	if now := wsgid.Status().RouterPID; now != router {
		t.Errorf("the router was replaced: %d, now %d", router, now)
	}
}
