package tests

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
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

// awaitText waits until a file below the world's directory has the text.
func awaitText(t *testing.T, w *harness.World, name, text string) {
	t.Helper()
	harness.Eventually(t, text+" in "+name, func() error {
		content, err := os.ReadFile(w.Path(name))
		if err != nil {
			return err
		}
		if !strings.Contains(string(content), text) {
			return errors.New(string(content))
		}
		return nil
	})
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
	holds := func(name, text string) { t.Helper(); awaitText(t, w, "logs/"+name, text) }
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

// TestErrorLogOfHost: what is written while a request of a virtual host is served
// goes to its file, unless the group has its own; all else to that of log.
func TestErrorLogOfHost(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/say.py", `
import os, sys, threading

def application(environ, start_response):
    how, _, text = environ["QUERY_STRING"].partition("=")
    if how == "stderr":
        print(text, file=sys.stderr)
    elif how == "raise":
        raise ValueError(text)
    elif how == "thread":
        t = threading.Thread(target=lambda: print(text, flush=True))
        t.start()
        t.join()
    elif how == "raw":
        os.write(2, text.encode() + b"\n")
    elif how == "key":
        text = "key:" + environ.get("WSGID_ERROR_LOG", "")
    start_response("200 OK", [])
    return [text.encode()]
`)
	w.Write("dispatch.py", `
def process_group(environ):
    if environ["SCRIPT_NAME"] == "/dispatched":
        print(environ["QUERY_STRING"], flush=True)
    return None
`)
	w.Write("logs/there", "")
	file := func(name string) string { return option("error_log", w.Path("logs/"+name)) }
	configure := func(forA string) {
		say := func(prefix, group string, options ...string) string {
			return mount(prefix, "apps/say.py", append(options, option("process_group", group), option("application_group", "%{GLOBAL}"))...)
		}
		w.Write("wsgid.hcl", w.Expand(`
listen "unix" {
  path = "{{.Socket}}"
}
control {
  path = "{{.Control}}"
}
log {
  format = "json"
  level  = "debug"
  `+file("rest.log")+`
}
dispatch_script "{{.Dir}}/dispatch.py" {}
`+group("one", "#64001", 1, 2)+group("own", "#64002", 1, 2, file("own.log"))+
			say("/one", "one")+say("/own", "own")+say("/embedded", "%{GLOBAL}")+
			say("/dispatched", "one")+
			mount("/none", "apps/say.py", option("process_group", "%{ENV:nothing}"))+
			host("a.test", file(forA))+host("b.test")))
	}
	configure("a.log")
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, c := range []struct{ url, host, log string }{
		{"/one?stderr=", "a.test", "a.log"},
		{"/one?raise=", "a.test", "a.log"},
		{"/one?thread=", "a.test", "rest.log"},
		{"/one?raw=", "a.test", "rest.log"},
		{"/one?stderr=", "b.test", "rest.log"},
		{"/one?stderr=", "c.test", "rest.log"},
		{"/own?stderr=", "a.test", "own.log"},
		{"/own?raise=", "b.test", "own.log"},
		{"/own?thread=", "a.test", "own.log"},
		{"/embedded?stderr=", "a.test", "a.log"},
		{"/embedded?raise=", "a.test", "a.log"},
		{"/embedded?thread=", "a.test", "rest.log"},
		{"/embedded?stderr=", "b.test", "rest.log"},
		{"/dispatched?", "a.test", "a.log"},
		{"/dispatched?", "b.test", "rest.log"},
		{"/none?", "a.test", "a.log"},
	} {
		text := strings.Trim(strings.NewReplacer("/", "-", ".", "-", "?", "-", "=", "-").Replace(c.url+c.host), "-")
		apache.Get(c.url+text, "Host: "+c.host)
		awaitText(t, w, "logs/"+c.log, text)
		for _, other := range []string{"a.log", "own.log", "rest.log"} {
			if content, err := os.ReadFile(w.Path("logs/" + other)); err == nil && other != c.log && strings.Contains(string(content), text) {
				t.Errorf("%s of %s is in %s as well: %s", c.url, c.host, other, content)
			}
		}
	}
	awaitLine(t, d, "none-a-test") // what wsgid finds stands in its own log, too
	if got := apache.Get("/one?key", "Host: a.test"); got.Status != 200 || string(got.Body) != "key:" {
		t.Errorf("the application sees the key: %d %s", got.Status, got.Body)
	}
	configure("second.log")
	if code, _, errs := w.CLI("reload", "--control", w.Control); code != 0 {
		t.Fatal(errs)
	}
	harness.Eventually(t, "the new file", func() error { // a kept connection is handed over a moment after the command
		apache.Get("/one?stderr=after-the-reload", "Host: a.test")
		content, err := os.ReadFile(w.Path("logs/second.log"))
		if err == nil && !strings.Contains(string(content), "after-the-reload") {
			return errors.New(string(content))
		}
		return err
	})
	for _, r := range d.Log.Records() {
		if strings.Contains(r.Line, "-a-test") && !strings.Contains(r.Line, "none-a-test") {
			t.Errorf("the log of wsgid has what belongs into a file: %s", r.Line)
		}
	}
	d.NoteDescriptors()
}

// TestReopenLogs: after the command, or SIGUSR1, nothing is written to files that were
// moved away; new ones belong to whom the old ones do. What cannot be opened anew is
// said, and written on.
func TestReopenLogs(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.Write("apps/say.py", sayer)
	w.Write("logs/there", "")
	log, moved, access := w.Path("logs/one.log"), w.Path("logs/old.log"), w.Path("logs/access.log")
	w.Configure(fmt.Sprintf("access_log {\n  path = %q\n}\n", access) + group("one", "#64001", 1, 2, option("error_log", log)) + mount("/", "apps/say.py"))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if err := errors.Join(os.Chown(log, 64001, 64002), os.Chmod(log, 0o604), os.Rename(log, moved), os.Remove(access)); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := w.CLI("reopen-logs", "--control", w.Control); code != 0 {
		t.Fatalf("%d %s", code, stderr)
	}
	info, err := os.Stat(log)
	if _, missing := os.Stat(access); err != nil || missing != nil {
		t.Fatal(err, missing)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 64001 || owner.Gid != 64002 || info.Mode().Perm() != 0o604 {
		t.Errorf("%d:%d %v", owner.Uid, owner.Gid, info.Mode())
	}
	apache.Get("/?after-the-command")
	awaitText(t, w, "logs/one.log", "after-the-command")
	if err := os.Rename(log, moved); err != nil {
		t.Fatal(err)
	}
	mark := d.Log.Mark()
	if err := syscall.Kill(d.PID, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	d.Log.AwaitFrom(t, mark, "the end", harness.Containing("logs opened anew"))
	if _, err := os.Stat(log); err != nil {
		t.Error(err)
	}
	if err := os.Rename(w.Path("logs"), w.Path("gone")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := w.CLI("reopen-logs", "--control", w.Control); code != 1 || !strings.Contains(stderr, log) {
		t.Errorf("%d %s", code, stderr)
	}
	awaitLine(t, d, "logs cannot be opened anew")
	apache.Get("/?there-is-no-directory")
	awaitText(t, w, "gone/one.log", "there-is-no-directory")
	if code, _, stderr := w.CLIAs(64001, "reopen-logs", "--control", w.Control); code == 0 {
		t.Errorf("a stranger may: %s", stderr)
	}
}
