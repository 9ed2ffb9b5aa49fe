package pyshim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openDir is a directory for scripts that the worker's user may write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// answer is an application that answers with what an expression gives.
func answer(before, expression string) string {
	return before + "\ndef application(environ, start_response):\n    body = str(" + expression + ").encode()\n" +
		"    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])\n    return [body]\n"
}

func (c *conn) body(p params) string {
	c.t.Helper()
	r := c.do(p, nil)
	if r.protocol == overloaded {
		return "refused"
	}
	if code := r.get("X-WSGID-Error"); code != "" {
		return code
	}
	return string(r.body)
}

func (c *conn) want(p params, want string) {
	c.t.Helper()
	if got := c.body(p); got != want {
		c.t.Errorf("answered %q, want %q", got, want)
	}
}

// TestWorkerImportsOnce: what failed is not imported again in this process;
// it is told, answered at once, and tried elsewhere when it has changed.
func TestWorkerImportsOnce(t *testing.T) {
	dir := openDir(t)
	path := write(t, dir+"/app.py", "open("+fmt.Sprintf("%q", dir+"/count")+", 'a').write('x')\nraise ValueError('broken on purpose')\n")
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir}})
	c := w.dial()
	c.want(script(t, path, "application", "WSGID_APPLICATION_GROUP=sub"), "WSGID-1103")
	e := w.event("load_failed")
	if e["script"] != path || e["application"] != "sub" || !strings.HasPrefix(e["traceback"], "Traceback") || !strings.HasSuffix(e["traceback"], "ValueError: broken on purpose") {
		t.Errorf("%q", e)
	}
	for range 3 {
		c.want(script(t, path, "application", "WSGID_APPLICATION_GROUP=sub", "WSGID_REQUEST_ID=req-2"), "WSGID-1103")
	}
	if e := w.event("renew"); e["reason"] != "again" || e["script"] != path || e["application"] != "sub" {
		t.Errorf("%q", e)
	}
	if got := w.record("tried before, another process will try again"); got["request"] != "req-2" || got["code"] != "WSGID-1103" || got["script"] != path {
		t.Error(got)
	}
	if content, _ := os.ReadFile(dir + "/count"); len(content) != 1 {
		t.Errorf("imported %d times", len(content))
	}
	write(t, path, answer("", "'mended'"))
	c.want(script(t, path, "application", "WSGID_APPLICATION_GROUP=sub", "WSGID_RELOADING=0"), "WSGID-1103")
	c.want(script(t, path, "application", "WSGID_APPLICATION_GROUP=sub"), "refused")
	w.event("retire")
}

// TestWorkerBrokenScriptDisappears: then it is missing, not broken.
func TestWorkerBrokenScriptDisappears(t *testing.T) {
	dir := openDir(t)
	path := write(t, dir+"/app.py", "import nothing_of_that_name\n")
	c := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir}}).dial()
	c.want(script(t, path, "application"), "WSGID-1103")
	os.Remove(path)
	c.want(script(t, path, "application"), "WSGID-1102")
}

// TestWorkerLongTraceback: the end of it is told.
func TestWorkerLongTraceback(t *testing.T) {
	dir := openDir(t)
	path := write(t, dir+"/app.py", "raise ValueError('x' * 30000 + '\\nlast line')\n")
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir}})
	w.dial().want(script(t, path, "application"), "WSGID-1103")
	if e := w.event("load_failed"); e["script"] != path || e["traceback"] != "last line" {
		t.Errorf("%.300q", e)
	}
}

// TestWorkerChangeWithinOneTick: the time is the same, the file is not.
func TestWorkerChangeWithinOneTick(t *testing.T) {
	when := time.Unix(1700000000, 5000)
	for name, change := range map[string]func(path string){
		"size": func(path string) { write(t, path, answer("", "'newer'")) },
		"inode": func(path string) {
			write(t, path+".new", answer("", "'new'"))
			os.Rename(path+".new", path)
		},
	} {
		dir := openDir(t)
		path := write(t, dir+"/app.py", answer("", "'old'"))
		os.Chtimes(path, when, when)
		c := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir}}).dial()
		c.want(script(t, path, "application"), "old")
		c.want(script(t, path, "application"), "old")
		change(path)
		os.Chtimes(path, when, when)
		if got := c.body(script(t, path, "application")); got != "refused" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestWorkerReloadRequired: the hook of a script decides about its process.
func TestWorkerReloadRequired(t *testing.T) {
	dir := openDir(t)
	path := write(t, dir+"/app.py", answer(`
import os
asked = 0
def reload_required(path):
    global asked
    asked += 1
    assert path == __file__, path
    if os.path.exists("`+dir+`/raise"):
        raise LookupError("no idea")
    return os.path.exists("`+dir+`/reload")
`, "asked"))
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir, "preload=\t" + path}})
	c := w.dial()
	p := script(t, path, "application")
	write(t, dir+"/reload", "")
	c.want(p, "0") // the first request of a process is not asked about
	os.Remove(dir + "/reload")
	c.want(p, "1")
	c.want(script(t, path, "application", "WSGID_RELOADING=0"), "1")
	write(t, dir+"/raise", "")
	c.want(p, "2") // raising means no
	if got := w.record("LookupError: no idea"); !strings.Contains(got["message"], "Traceback") {
		t.Error(got)
	}
	os.Remove(dir + "/raise")
	write(t, dir+"/reload", "")
	c.want(p, "refused")
	if e := w.event("retire"); e["reason"] != "script_reload" || e["script"] != path {
		t.Error(e)
	}
}

// TestWorkerMtimeRemoved: a script that deletes its __mtime__ is loaded anew,
// in another process.
func TestWorkerMtimeRemoved(t *testing.T) {
	dir := openDir(t)
	path := write(t, dir+"/app.py", answer("hits = []", "hits.append(1) or globals().pop('__mtime__', None) and len(hits)"))
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir}})
	c := w.dial()
	c.want(script(t, path, "application"), "1")
	c.want(script(t, path, "application", "WSGID_RELOADING=0"), "None") // the same module
	c.want(script(t, path, "application"), "refused")
	w.event("retire")
}

// TestWorkerKeep: a changed script serves on, and is told once at once and
// then once a second.
func TestWorkerKeep(t *testing.T) {
	dir := openDir(t)
	path := write(t, dir+"/app.py", answer("", "'old'"))
	bad := write(t, dir+"/bad.py", "raise ValueError\n")
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir, "reload_on_error=keep"}})
	c := w.dial()
	p := script(t, path, "application")
	c.want(p, "old")
	for version := range 2 {
		write(t, path, answer("", fmt.Sprintf("'new %d'", version)))
		stamp := time.Unix(1700000000+int64(version), 0)
		os.Chtimes(path, stamp, stamp)
		for range 5 {
			c.want(p, "old")
		}
		if e := w.renewed(); e["reason"] != "changed" || e["script"] != path {
			t.Errorf("%q", e)
		}
	}
	for deadline := time.Now().Add(patience); ; {
		c.want(p, "old")
		select {
		case e := <-w.events:
			if e["event"] != "renew" || e["reason"] != "again" {
				t.Errorf("%q", e)
			}
		default:
			if time.Now().After(deadline) {
				t.Fatal("not told again")
			}
			time.Sleep(5 * time.Millisecond)
			continue
		}
		break
	}
	b := script(t, bad, "application")
	c.want(b, "WSGID-1103")
	w.event("load_failed")
	write(t, bad, answer("", "'mended'"))
	c.want(b, "WSGID-1103")
	if e := w.renewed(); e["reason"] != "changed" || e["script"] != bad {
		t.Errorf("%q", e)
	}
}

// TestWorkerTrial: a process on trial imports everything, and what others could
// not, and serves only when it is told to.
func TestWorkerTrial(t *testing.T) {
	dir := openDir(t)
	good := write(t, dir+"/good.py", answer("", "'good'"))
	outside := write(t, openDir(t)+"/outside.py", "import sys\nsys.stderr.write('outside was run')\n")
	options := workerOptions{wantFail: true, extra: []string{"rule.dir=" + dir, "trial=1", "preload=\t" + good,
		"retry=sub\t" + write(t, dir+"/bad.py", "import nothing_of_that_name\n"), "retry=\t" + outside}}
	w := startWorker(t, options)
	if e := w.event("load_failed"); e["application"] != "sub" || !strings.Contains(e["traceback"], "nothing_of_that_name") {
		t.Errorf("%q", e)
	}
	w.event("loaded")
	c := w.dial()
	done := make(chan string)
	go func() { done <- c.body(script(t, good, "application")) }()
	select {
	case got := <-done:
		t.Fatalf("served before it was told to: %q", got)
	case e := <-w.events:
		t.Fatalf("unexpected %q", e)
	case <-time.After(100 * time.Millisecond):
	}
	if _, err := w.status.WriteString("event\x00serve\x00"); err != nil {
		t.Fatal(err)
	}
	w.event("ready")
	if got := <-done; got != "good" {
		t.Errorf("%q", got)
	}

	refused := startWorker(t, options)
	refused.event("loaded")
	for _, r := range append(w.wholeLog(), refused.wholeLog()...) {
		if strings.Contains(r["message"], "outside was run") {
			t.Error("a script outside the table was run")
		}
	}
	orphan := startWorker(t, options)
	orphan.event("loaded")
	orphan.status.Close()
	if status := orphan.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestWorkerStopsBetweenImports: SIGTERM during the preloading ends it after
// the script that runs.
func TestWorkerStopsBetweenImports(t *testing.T) {
	dir := openDir(t)
	first := write(t, dir+"/first.py", `
import os, time
open("`+dir+`/started", "w").close()
while not os.path.exists("`+dir+`/go"):
    time.sleep(0.005)
`)
	second := write(t, dir+"/second.py", "import sys\nsys.stderr.write('second was run')\n")
	w := startWorker(t, workerOptions{wantFail: true, extra: []string{"rule.dir=" + dir, "preload=\t" + first, "preload=\t" + second}})
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first script does not run")
		}
	}
	w.signal(syscall.SIGTERM)
	write(t, dir+"/go", "")
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for e := range w.events {
		if e["event"] == "ready" {
			t.Error("it became ready")
		}
	}
	w.drained()
	for _, r := range w.log() {
		if strings.Contains(r["message"], "second was run") {
			t.Error("the second script was run")
		}
	}
}
