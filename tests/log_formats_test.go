package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// formatted logs as JSON, by a formatter and by print, and below the usual level.
const formatted = `
import json, logging, os, sys
class Formatter(logging.Formatter):
    def format(self, record):
        return json.dumps({"levelname": record.levelname, "message": record.getMessage(), "user": {"id": 2 ** 64}, "group": "mine"})
handler = logging.StreamHandler()
handler.setFormatter(Formatter())
log = logging.getLogger("shop.cart")
log.addHandler(handler)
log.setLevel(logging.DEBUG)
log.propagate = False
def application(environ, start_response):
    if environ["QUERY_STRING"] == "long":
        sys.stderr.write("e" * 300000 + "\n")
        os.write(2, b"d" * 300000 + b"\n")
        for piece in ["p" * 100] * 3000 + ["\n"]:
            sys.stderr.write(piece)
        for line in ["Traceback (most recent call last):"] + ['  File "x", line %d, in f' % n for n in range(9000)] + ["ValueError: at last"]:
            sys.stderr.write(line + "\n")
    sys.stderr.write("\nbelow it, by Windows\r\n\n")
    log.debug("in detail")
    log.warning("nearly empty")
    print('{"said": "by print", "n": 1.50}')
    start_response("200 OK", [])
    return [b""]
`

// TestLogFormats: JSON of applications is the event where the log is JSON, and stands
// in the file of a group as it is where that is raw; a group has a level of its own.
func TestLogFormats(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/say.py", formatted)
	w.Write("logs/there", "")
	configure := func(format, level string) {
		w.Configure(group("merged", "#64001", 1, 2) +
			group("raw", "#64001", 1, 2, option("log_format", "raw"), option("log_level", "info"), option("error_log", w.Path("logs/raw.log"))) +
			group("people", "#64001", 1, 2, option("log_format", format), option("log_level", level), option("error_log", w.Path("logs/text.log"))) +
			mount("/merged", "apps/say.py", option("process_group", "merged")) + mount("/raw", "apps/say.py", option("process_group", "raw")) +
			mount("/people", "apps/say.py", option("process_group", "people")))
	}
	configure("text", "info")
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, name := range []string{"merged", "raw", "people"} {
		wantStatus(t, name, apache.Get("/"+name), 200)
	}
	r := d.Log.Await(t, "a record", harness.Containing("nearly empty"))
	if r.Level() != "warn" || r.Message() != "nearly empty" || r.Text("logger") != "shop.cart" || !strings.Contains(r.Text("place"), "say.py:22") ||
		r.Text("group") != "merged" || r.Text("app.group") != "mine" || r.Text("request") == "" || !strings.Contains(r.Line, `"user":{"id":18446744073709551616}`) {
		t.Errorf("%s", r.Line)
	}
	if r := d.Log.Await(t, "a line", harness.Containing("by print")); r.Text("said") != "by print" || !strings.Contains(r.Line, `"n":1.50`) {
		t.Errorf("%s", r.Line)
	}
	d.Log.Await(t, "a record of debug", harness.Containing("in detail"))
	awaitText(t, w, "logs/raw.log", `{"said": "by print", "n": 1.50}`)
	want := "\nbelow it, by Windows\r\n\n" + `{"levelname": "WARNING", "message": "nearly empty", "user": {"id": 18446744073709551616}, "group": "mine"}
{"said": "by print", "n": 1.50}
`
	if content, err := os.ReadFile(w.Path("logs/raw.log")); err != nil || string(content) != want {
		t.Errorf("%q %v", content, err)
	}
	awaitText(t, w, "logs/text.log", `wsgid.worker: {"levelname": "WARNING", "message": "nearly empty"`)
	mark := d.Log.Mark()
	wantStatus(t, "long lines", apache.Get("/merged?long"), 200)
	for _, c := range []string{"e", "d", "p"} {
		r := d.Log.AwaitFrom(t, mark, "a long line", harness.Containing(strings.Repeat(c, 1000)))
		if r.Message() != strings.Repeat(c, 300000) {
			t.Errorf("a long line of %d bytes", len(r.Message()))
		}
	}
	if text := d.Log.AwaitFrom(t, mark, "a long traceback", harness.Containing("ValueError: at last")).Message(); !strings.HasPrefix(text, "Traceback (most") || strings.Count(text, "\n") != 9001 {
		t.Errorf("%d lines of a traceback, %.100s", strings.Count(text, "\n"), text)
	}
	if content, err := os.ReadFile(w.Path("logs/text.log")); err != nil || strings.Contains(string(content), "in detail") {
		t.Errorf("a group logs what is below its level: %s %v", content, err)
	}
	configure("json", "debug")
	if code, _, errs := w.CLI("reload", "--control", w.Control); code != 0 {
		t.Fatal(errs)
	}
	wantStatus(t, "after a reload", apache.Get("/people"), 200)
	awaitText(t, w, "logs/text.log", `"@level":"debug","@message":"in detail"`)
}
