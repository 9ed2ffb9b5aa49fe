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
		if way.request && (!strings.Contains(record.Line, "request="+id) || !strings.Contains(record.Line, "application=inner")) {
			t.Errorf("request=%s or application=inner is missing in %s", id, record.Line)
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

// TestTracebacks: a traceback is one event, whichever way it takes, and knows
// what every other event knows; in a text log its further lines are marked as such.
func TestTracebacks(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			w := sayWorld(t)
			w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n}\n"+
				"log {\n  format = \""+format+"\"\n}\n"+sayGroups))
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			pid := wsgid.AwaitReady("talk").PIDs("talk")[0]
			id := apache.Get("/tracebacks").Text()
			wsgid.Log.Await(t, "the end of the raw one", harness.Containing("LookupError on descriptor 2"))
			wsgid.Log.Await(t, "the last thing said", harness.Containing("never ended by a line end"))
			events := eventsOf(wsgid.Log.Records(), format)
			for _, way := range []struct {
				ending, level string
				request       bool
			}{
				{"\nLookupError: a traceback", "error", true}, {"\nLookupError by print: a traceback", "info", true}, {"\nLookupError on descriptor 2: a traceback", "error", false},
			} {
				found := 0
				for _, event := range events {
					if !strings.Contains(event.text, way.ending) {
						continue
					}
					found++
					for _, line := range []string{"Traceback (most recent call last):\n", "in tracebacks\n", "in inner\n"} {
						if strings.Count(event.text, line) != 1 {
							t.Errorf("%q is in the event %d times: %q", line, strings.Count(event.text, line), event.text)
						}
					}
					if event.level != way.level || event.group != "talk" || event.pid != fmt.Sprint(pid) {
						t.Errorf("level, group and pid of %+v", event)
					}
					if way.request && (event.request != id || event.application != "inner") {
						t.Errorf("request and application of %+v, want %s and inner", event, id)
					}
				}
				// logging and sys.stderr say the same.
				if want := map[bool]int{true: 2, false: 1}[way.ending == "\nLookupError: a traceback"]; found != want {
					t.Errorf("%d events end in %q, want %d", found, way.ending, want)
				}
			}
		})
	}
}

// event is one event of a log in either format.
type event struct{ text, level, group, pid, application, request string }

// eventsOf puts the lines of a text log together: what begins with the mark
// belongs to the line before it.
func eventsOf(records []harness.Record, format string) (events []event) {
	if format == "json" {
		for _, r := range records {
			events = append(events, event{r.Message(), r.Level(), r.Text("group"), r.Text("pid"), r.Text("application"), r.Text("request")})
		}
		return events
	}
	const mark = "  | "
	for number := 0; number < len(records); {
		line := records[number].Line
		text := line
		for number++; number < len(records) && strings.HasPrefix(records[number].Line, mark); number++ {
			line = records[number].Line
			text += "\n" + strings.TrimPrefix(line, mark)
		}
		e := event{text: text}
		for _, level := range []string{"INFO", "WARN", "ERROR"} {
			if strings.Contains(text, " ["+level+"] ") {
				e.level = strings.ToLower(level)
			}
		}
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			switch name {
			case "group":
				e.group = value
			case "pid":
				e.pid = value
			case "application":
				e.application = value
			case "request":
				e.request = value
			}
		}
		events = append(events, e)
	}
	return events
}

// TestRouterLogs: a dispatch script and an embedded application say as much in
// the log as one in a process of its own does, and it is as well marked.
func TestRouterLogs(t *testing.T) {
	w := sayWorld(t)
	w.Write("dispatch.py", "import logging, sys\ndef process_group(environ):\n    print('decided by print')\n    sys.stderr.write('decided on sys.stderr\\n')\n"+
		"    environ['wsgi.errors'].write('decided on wsgi.errors\\n')\n    logging.warning('decided by logging')\n    return '%{GLOBAL}'\n")
	w.Configure("dispatch_script \"{{.Dir}}/dispatch.py\" {\n  application_group = \"decides\"\n}\n" + sayGroups)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	id := apache.Get("/").Text()
	router := fmt.Sprint(wsgid.Status().RouterPID)
	check := func(text, application string, request bool) {
		t.Helper()
		record := wsgid.Log.Await(t, text, harness.Containing(text))
		if record.Text("pid") != router || request && (record.Text("request") != id || record.Text("application") != application || record.Text("group") != "%{GLOBAL}") {
			t.Errorf("pid %s, group, application %s or request %s is missing in %s", router, application, id, record.Line)
		}
		if got := len(wsgid.Log.Find(harness.Containing(text))); got != 1 {
			t.Errorf("%q is in the log %d times", text, got)
		}
	}
	for _, text := range []string{"decided by print", "decided on sys.stderr", "decided on wsgi.errors", "decided by logging"} {
		check(text, "decides", true)
	}
	for _, way := range said {
		check(way.text, "inner", way.request)
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
