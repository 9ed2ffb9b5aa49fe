package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// said is what apps/say.py says, and whether that way to the log knows which
// request it belongs to.
var said = []struct {
	text    string
	request bool
}{
	{"said by print", true},
	{"said on sys.stderr", true},
	{"said on wsgi.errors", true},
	{"said by logging", true},
	{"said on /dev/stderr", false},
	{"said on descriptor 2", false},
	{"said by a subprocess", false},
	{"never ended by a line end", true},
}

func sayWorld(t *testing.T) *harness.World {
	w := newWorld(t)
	w.App("say.py")
	return w
}

const sayGroups = "daemon_process \"talk\" {\n  processes = 1\n  threads = 2\n  user = \"#64001\"\n}\n" +
	"script_alias \"/\" {\n  target = \"{{.Dir}}/apps/say.py\"\n  application_group = \"inner\"\n}\n"

// TestLogsJSON: every way to the log arrives once, as one event, with group,
// pid, application and request id.
func TestLogsJSON(t *testing.T) {
	w := sayWorld(t)
	w.Configure(sayGroups)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pid := wsgid.AwaitReady("talk").PIDs("talk")[0]
	response := apache.Get("/")
	if response.Status != 200 || response.Text() == "" {
		t.Fatalf("%d %s", response.Status, response.Body)
	}
	id := response.Text()
	for _, way := range said {
		record := wsgid.Log.Await(t, way.text, harness.Containing(way.text))
		if record.Fields == nil {
			t.Errorf("no JSON: %s", record.Line)
			continue
		}
		if record.Text("group") != "talk" || record.Text("pid") != fmt.Sprint(pid) {
			t.Errorf("group and pid of %s", record.Line)
		}
		if way.request && (record.Text("request") != id || record.Text("application") != "inner") {
			t.Errorf("request %s and application inner are missing in %s", id, record.Line)
		}
		if got := len(wsgid.Log.Find(harness.Containing(way.text))); got != 1 {
			t.Errorf("%q is in the log %d times", way.text, got)
		}
		if strings.Contains(record.Message()+record.Text("message"), "\n") {
			t.Errorf("a line end in %s", record.Line)
		}
	}
	response = apache.Get("/raise")
	wantError(t, response, 500, "WSGID-1105")
	record := wsgid.Log.Await(t, "the traceback", harness.Containing("LookupError"))
	for _, text := range []string{"Traceback (most recent call last)", "in application", "in inner", "with a line end in its message", "say.py", "WSGID-1105"} {
		if !strings.Contains(record.Line, text) {
			t.Errorf("the event of the traceback lacks %q: %s", text, record.Line)
		}
	}
	if record.Text("group") != "talk" || record.Text("request") == "" || record.Level() != "error" {
		t.Errorf("group, request, level of %s", record.Line)
	}
	if !strings.Contains(response.Text(), record.Text("request")) {
		t.Errorf("the error page does not name request %s: %s", record.Text("request"), response.Body)
	}
}

// TestLogsText: the same for people, and no control byte of an application
// reaches the terminal.
func TestLogsText(t *testing.T) {
	w := sayWorld(t)
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n}\n"+
		"log {\n  level = \"debug\"\n}\n"+sayGroups))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pid := wsgid.AwaitReady("talk").PIDs("talk")[0]
	id := apache.Get("/").Text()
	for _, way := range said {
		record := wsgid.Log.Await(t, way.text, harness.Containing(way.text))
		for _, text := range []string{"group=talk", fmt.Sprintf("pid=%d", pid)} {
			if !strings.Contains(record.Line, text) {
				t.Errorf("%s is missing in %s", text, record.Line)
			}
		}
		if way.request && !strings.Contains(record.Line, "request="+id) {
			t.Errorf("request=%s is missing in %s", id, record.Line)
		}
	}
	wsgid.Log.Await(t, "control bytes", harness.Containing("control"))
	wantError(t, apache.Get("/raise"), 500, "WSGID-1105")
	wsgid.Log.Await(t, "the traceback", harness.Containing("LookupError"))
	for _, record := range wsgid.Log.Records() {
		if strings.ContainsAny(record.Line, "\x1b\x07\r") {
			t.Errorf("a control byte in %q", record.Line)
		}
	}
}

// TestLogFile: log { destination = … } takes everything.
func TestLogFile(t *testing.T) {
	w := sayWorld(t)
	path := w.Path("wsgid.log")
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n}\n"+
		"log {\n  format = \"json\"\n  destination = \"{{.Dir}}/wsgid.log\"\n}\n"+sayGroups))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := apache.Get("/"); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	harness.Eventually(t, "the file holds what was said", func() error {
		content := awaitFile(t, path)
		for _, way := range said {
			if !strings.Contains(content, way.text) {
				return fmt.Errorf("%q is missing in the file", way.text)
			}
		}
		return nil
	})
}
