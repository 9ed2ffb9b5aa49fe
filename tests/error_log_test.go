package tests

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// sayer writes the query into the log.
const sayer = `
def application(environ, start_response):
    environ["wsgi.errors"].write(environ["QUERY_STRING"] + "\n")
    start_response("200 OK", [])
    return [b""]
`

// awaitLine waits for a line of the log of wsgid.
func awaitLine(t *testing.T, d *harness.Wsgid, text string) {
	t.Helper()
	d.Log.Await(t, text, func(r harness.Record) bool { return strings.Contains(r.Line, text) })
}

// TestErrorLog: what a group writes goes to its file, what wsgid says of it does
// not, and a file that is moved away is made anew.
func TestErrorLog(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/say.py", sayer)
	w.Write("logs/there", "")
	line := func(name string) string { return option("error_log", w.Path("logs/"+name)) }
	w.Configure(group("one", "#64001", 1, 2, line("one.log")) + group("two", "#64002", 1, 2, line("one.log")) + group("three", "#64003", 1, 2) +
		group("four", "#64003", 1, 2, line("no/such/directory.log")) +
		mount("/one", "apps/say.py", option("process_group", "one")) + mount("/two", "apps/say.py", option("process_group", "two")) +
		mount("/three", "apps/say.py", option("process_group", "three")) + mount("/four", "apps/say.py", option("process_group", "four")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	say := func(group, text string) {
		t.Helper()
		if got := apache.Get("/" + group + "?" + text); got.Status != 200 {
			t.Fatalf("%d: %s", got.Status, got.Body)
		}
	}
	holds := func(name, text string) {
		t.Helper()
		harness.Eventually(t, text+" in "+name, func() error {
			content, err := os.ReadFile(w.Path("logs/" + name))
			if err != nil {
				return err
			}
			if !strings.Contains(string(content), text) {
				return errors.New(string(content))
			}
			return nil
		})
	}
	for _, group := range []string{"one", "two", "three", "four"} {
		say(group, "first-of-"+group)
	}
	holds("one.log", "first-of-one")
	holds("one.log", "first-of-two")
	awaitLine(t, d, "first-of-three")
	awaitLine(t, d, "first-of-four")
	awaitLine(t, d, "error_log cannot be opened")
	awaitLine(t, d, "process ready")
	for _, r := range d.Log.Records() {
		if strings.Contains(r.Line, "first-of-one") || strings.Contains(r.Line, "first-of-two") {
			t.Errorf("the log of wsgid has what belongs into the file: %s", r.Line)
		}
	}
	if info, err := os.Stat(w.Path("logs/one.log")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := os.Rename(w.Path("logs/one.log"), w.Path("logs/old.log")); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "a new file", func() error {
		say("one", "after-the-move")
		_, err := os.Stat(w.Path("logs/one.log"))
		return err
	})
	holds("one.log", "after-the-move")
	d.NoteDescriptors()
}

// TestErrorLogRefused: no symbolic link is followed, and only files are written.
func TestErrorLogRefused(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/say.py", sayer)
	target := w.Write("target.log", "")
	if err := os.Symlink(target, w.Path("link.log")); err != nil {
		t.Fatal(err)
	}
	w.Configure(group("one", "#64001", 1, 2, option("error_log", w.Path("link.log"))) + mount("/", "apps/say.py"))
	d := w.Start(harness.Options{})
	w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass}).Get("/?text")
	awaitLine(t, d, "it is a symbolic link")
	if content, err := os.ReadFile(target); err != nil || len(content) > 0 {
		t.Errorf("written through the link: %q %v", content, err)
	}
	w.Configure(group("one", "#64001", 1, 2, option("error_log", "/dev/null")) + mount("/", "apps/say.py"))
	if code, _, errs := w.CLI("check", "--config", w.Path("wsgid.hcl")); code != 1 || !strings.Contains(errs, "error_log /dev/null is no regular file") {
		t.Errorf("%d: %s", code, errs)
	}
}
