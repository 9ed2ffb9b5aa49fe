package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// outcomes ends requests in every way that an application can.
const outcomes = `
import os, sys, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("302 Found" if path == "/moved" else "200 OK", [("Content-Type", "text/plain")] + ([("Location", "/x")] if path == "/moved" else []))
    if path == "/raise":
        raise LookupError("raised")
    if path == "/cut":
        def cut():
            yield b"part"
            raise LookupError("cut")
        return cut()
    if path == "/die":
        os._exit(3)
    if path == "/large":
        return [b"x" * 1000000]
    return [] if path == "/moved" else [b"okay"]
`

// uniqueID is what docs/access-log.md has for Apache, with the paths of this machine.
func uniqueID(t *testing.T) string {
	page := readFile(t, "../docs/access-log.md")
	_, rest, _ := strings.Cut(page, "```apache\n")
	snippet, _, found := strings.Cut(rest, "```")
	if !found || !strings.Contains(snippet, "mod_unique_id") {
		t.Fatal("there is no snippet")
	}
	return strings.NewReplacer("modules/", "/usr/lib/apache2/modules/", "logs/", "{{.Dir}}/httpd/").Replace(snippet)
}

// accessLine takes a line of that format apart: client, user, time, request line,
// status, bytes, referer, agent, id.
var accessLine = regexp.MustCompile(`^(\S+) - (\S+) \[([^]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\S+) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)" (\S+)$`)

// loggedLine waits for the line of a file that has the text.
func loggedLine(t *testing.T, path, text string) (found string) {
	t.Helper()
	harness.Eventually(t, text+" is in "+path, func() error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, text) {
				found = strings.TrimSuffix(line, "\n")
				return nil
			}
		}
		return fmt.Errorf("it has %d bytes: %.500s", len(content), content)
	})
	return found
}

// TestAccessLog: wsgid says of each request what Apache says, and more; one id leads
// through all logs, the page of an error, and wsgid requests.
func TestAccessLog(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/outcomes.py", outcomes)
	w.App("gate.py")
	openDirectory(t, w, "open")
	web := freeAddress(t)
	w.Configure("access_log {\n  path = \"{{.Dir}}/access.log\"\n  format = \"%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\" %{UNIQUE_ID}e\"\n  suppress_paths = [\"/ping\"]\n}\n" +
		"access_log {\n  path = \"{{.Dir}}/access.json\"\n  format = \"json\"\n}\n" +
		"virtual_host \"own.example\" {\n  access_log {\n    path = \"{{.Dir}}/own.log\"\n    format = \"common\"\n  }\n}\n" +
		"listen \"http\" {\n  address = \"" + web + "\"\n  request_id_header = \"X-Request-Id\"\n}\n" +
		group("web", "#64001", 2, 2) + mount("/gate", "apps/gate.py", option("process_group", "web")) +
		mount("/embedded", "apps/outcomes.py", option("process_group", "%{GLOBAL}")) +
		mount("/app", "apps/outcomes.py", option("process_group", "web"), option("application_group", "inner")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: uniqueID(t) + harness.ProxyPass})
	wsgid.AwaitReady("web")
	headers := []string{`User-Agent: a "quoted" \ agent`, "Referer: http://example.com/\xfc", "Connection: close"} // else Apache waits before it lets the client see a cut
	type outcome struct {
		Request, URI, End, Code, Group, Application, Mount, Script, Listener, Host, Client string
		Status, Bytes, PID                                                                 int
		Duration, Wait                                                                     float64
		UserAgent                                                                          string `json:"user_agent"`
	}
	told := func(text string) (o outcome) {
		t.Helper()
		if err := json.Unmarshal([]byte(loggedLine(t, w.Path("access.json"), text)), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, tt := range []struct {
		method, path string
		want         outcome
	}{
		{"GET", "/app/ok?x=%22", outcome{Status: 200, Bytes: 4, End: "complete", Group: "web"}},
		{"GET", "/embedded/", outcome{Status: 200, Bytes: 4, End: "complete", Group: "%{GLOBAL}"}},
		{"GET", "/app/moved", outcome{Status: 302, End: "complete", Group: "web"}},
		{"GET", "/app/large", outcome{Status: 200, Bytes: 1000000, End: "complete", Group: "web"}},
		{"GET", "/app/raise", outcome{Status: 500, Bytes: -1, End: "complete", Group: "web", Code: "WSGID-1105"}},
		{"POST", "/app/die", outcome{Status: 502, Bytes: -1, End: "complete", Group: "web", Code: "WSGID-1015"}},
		{"GET", "/nowhere", outcome{Status: 404, Bytes: -1, End: "complete", Code: "WSGID-1003"}},
		{"GET", "/app/cut", outcome{Status: 200, Bytes: 4, End: "truncated", Group: "web"}},
	} {
		response := apache.Do(tt.method, tt.path, nil, headers...)
		got := told(`"uri":"` + strings.ReplaceAll(tt.path, `"`, `\"`))
		if tt.want.Bytes < 0 {
			tt.want.Bytes = len(response.Body)
		}
		if got.Status != tt.want.Status || got.Bytes != tt.want.Bytes || got.End != tt.want.End || got.Group != tt.want.Group || got.Code != tt.want.Code {
			t.Errorf("%s: %+v, want %+v", tt.path, got, tt.want)
		}
		if got.Group == "web" && (got.Application != "inner" || got.PID == 0 || got.Mount != "/app" || got.Script != w.Path("apps/outcomes.py")) ||
			got.Client != "127.0.0.1" || got.Listener != w.Socket || got.Duration <= 0 || got.UserAgent != `a "quoted" \ agent` {
			t.Errorf("%s: %+v", tt.path, got)
		}
		ours, theirs := loggedLine(t, w.Path("access.log"), got.Request), loggedLine(t, w.Path("httpd/access.log"), got.Request)
		first, second := accessLine.FindStringSubmatch(ours), accessLine.FindStringSubmatch(theirs)
		if first == nil || second == nil {
			t.Fatalf("%q and %q", ours, theirs)
		}
		for i := range first {
			if i == 0 || i == 3 { // the second may have changed
				continue
			}
			if first[i] != second[i] {
				t.Errorf("%s, field %d: %s, Apache says %s", tt.path, i, first[i], second[i])
			}
		}
		if tt.want.Code != "" && !strings.Contains(response.Text(), got.Request) {
			t.Errorf("%s: the page does not name %s: %s", tt.path, got.Request, response.Body)
		}
		if tt.path == "/app/raise" {
			record := wsgid.Log.Await(t, "the traceback", harness.Containing("LookupError: raised"))
			if record.Text("request") != got.Request {
				t.Errorf("%s, want %s", record.Line, got.Request)
			}
		}
	}
	accessOfHosts(t, w, apache, web)
	accessOfRunning(t, w, apache)
}

// accessOfHosts: a virtual host's log stands for the others; an id that the client
// of the HTTP listener has sent is taken over.
func accessOfHosts(t *testing.T, w *harness.World, apache *harness.Apache, web string) {
	t.Helper()
	wantStatus(t, "the host", apache.Get("/app/hosted", "Host: own.example"), 200)
	if line := loggedLine(t, w.Path("own.log"), "/app/hosted"); !strings.HasSuffix(line, `"GET /app/hosted HTTP/1.1" 200 4`) {
		t.Errorf("%s", line)
	}
	wantStatus(t, "an id", harness.NewClient(t, "http://"+web).Get("/app/mine", "X-Request-Id: of-my-own"), 200)
	if line := loggedLine(t, w.Path("access.json"), "/app/mine"); !strings.Contains(line, `"request":"of-my-own"`) {
		t.Errorf("%s", line)
	}
	if content := readFile(t, w.Path("access.json")); strings.Contains(content, "/app/hosted") {
		t.Errorf("%s", content)
	}
}

// accessOfRunning: the id of wsgid requests is that of the line; a file that was moved
// away is made anew.
func accessOfRunning(t *testing.T, w *harness.World, apache *harness.Apache) {
	t.Helper()
	done := make(chan *harness.Response, 1)
	go func() {
		response, _ := apache.Try(t.Context(), "GET", fmt.Sprintf("/gate/held?started=%s&gate=%s", w.Path("open/started"), w.Path("open/gate")), nil)
		done <- response
	}()
	awaitFile(t, w.Path("open/started"))
	_, out, _ := w.CLI("requests", "--json", "--control", w.Control)
	if err := os.Rename(w.Path("access.log"), w.Path("moved.log")); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the file is there again", func() error {
		wantStatus(t, "a request", apache.Get("/app/again"), 200)
		_, err := os.Stat(w.Path("access.log"))
		return err
	})
	w.Write("open/gate", "")
	if response := <-done; response == nil || response.Status != 200 {
		t.Fatalf("%+v", response)
	}
	line := loggedLine(t, w.Path("access.log"), "/gate/held")
	if id := accessLine.FindStringSubmatch(line)[9]; !strings.Contains(out, `"`+id+`"`) {
		t.Errorf("%s is not in %s", id, out)
	}
	if old := readFile(t, w.Path("moved.log")); !strings.HasSuffix(old, "\n") || strings.Contains(old, "/gate/held") {
		t.Errorf("%s", old)
	}
}

// TestAccessLogLosesNothing: over reloads under load, while the supervisor is stopped,
// and at the end of wsgid, each request has its line. Where there is no room for so
// many, requests go on, and it is told how many lines are missing.
func TestAccessLogLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure("access_log {\n  path = \"{{.Dir}}/access.log\"\n  format = \"%U%q %s\"\n}\naccess_log {\n  path = \"{{.Dir}}/long.log\"\n  format = \"%{User-Agent}i\"\n}\n" +
		group("web", "#64001", 2, 3) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	const clients, requests = 6, 300
	ask := func(agent string, meanwhile func()) {
		t.Helper()
		var wait sync.WaitGroup
		for client := range clients {
			wait.Go(func() {
				for n := range requests {
					if response, err := apache.Try(t.Context(), "GET", fmt.Sprintf("/?%d-%d", client, n), nil, "User-Agent: "+agent); err != nil || response.Status != 200 {
						t.Errorf("%v %v", response, err)
						return
					}
				}
			})
		}
		meanwhile()
		wait.Wait()
	}
	ask("short", func() {
		for range 3 {
			if status, _, stderr := reload(w); status != 0 {
				t.Error(stderr)
			}
		}
	})
	if err := syscall.Kill(wsgid.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = syscall.Kill(wsgid.PID, syscall.SIGCONT) }
	defer goOn()
	ask(strings.Repeat("long", 2000), func() {}) // far more than pipe and router hold
	goOn()
	harness.Eventually(t, "all lines are there, or counted", func() error {
		_, text := controlClient(t, w)("/metrics")
		lost := samples(t, text)[`wsgid_access_log_lost_lines_total{destination="`+w.Path("long.log")+`"}`]
		there := strings.Count(readFile(t, w.Path("long.log")), "\n")
		if lost < requests || there+int(lost) != 2*clients*requests {
			return fmt.Errorf("%d are there, %v are lost", there, lost)
		}
		return nil
	})
	awaitLine(t, wsgid, "access log lines are missing: the supervisor has not read them in time")
	wsgid.Stop()
	counts := map[string]int{}
	for line := range strings.Lines(readFile(t, w.Path("access.log"))) {
		counts[line]++
	}
	for client := range clients {
		for n := range requests {
			if line := fmt.Sprintf("/?%d-%d 200\n", client, n); counts[line] != 2 {
				t.Errorf("%d times %s", counts[line], line)
			}
		}
	}
	if len(counts) != clients*requests {
		t.Errorf("%d lines", len(counts))
	}
}

// TestAccessLogDiskFull: with no byte left for it requests go on, and it is told how
// many lines are missing.
func TestAccessLogDiskFull(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	disk := openDirectory(t, w, "disk")
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16k,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	w.Configure("access_log {\n  path = \"{{.Dir}}/disk/access.log\"\n  format = \"json\"\n}\n" + group("web", "#64001", 1, 3) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	lost := func() float64 {
		_, text := controlClient(t, w)("/metrics")
		return samples(t, text)[`wsgid_access_log_lost_lines_total{destination="`+disk+`/access.log"}`]
	}
	harness.Eventually(t, "lines are lost", func() error {
		wantStatus(t, "a request", apache.Get("/"), 200)
		if lost() == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})
	awaitLine(t, wsgid, "access log cannot be written, its lines are lost")
	if _, out, _ := w.CLI("status", "--control", w.Control); !strings.Contains(out, " lost, ") {
		t.Errorf("%s", out)
	}
	if err := os.Truncate(disk+"/access.log", 0); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "a request", apache.Get("/afterwards"), 200)
	loggedLine(t, disk+"/access.log", "/afterwards")
	awaitLine(t, wsgid, "access log lines are missing")
}
