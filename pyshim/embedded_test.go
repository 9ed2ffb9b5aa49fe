package pyshim_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/pyshim"
)

func fcgiRecord(kind byte, content []byte) []byte {
	b := []byte{1, kind, 0, 1, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(b[4:], uint16(len(content)))
	return append(b, content...)
}

// embeddedRequest sends a GET and returns STDOUT.
func embeddedRequest(t *testing.T, f *os.File, nameValues ...string) string {
	t.Helper()
	request := fcgiRecord(1, []byte{0, 1, 1, 0, 0, 0, 0, 0})
	request = append(request, fcgiRecord(4, pairs(append([]string{"REQUEST_METHOD", "GET", "SERVER_PROTOCOL", "HTTP/1.1",
		"REQUEST_URI", "/", "SCRIPT_NAME", "", "PATH_INFO", "/", "SERVER_NAME", "x", "SERVER_PORT", "80"}, nameValues...)...))...)
	request = append(request, fcgiRecord(4, nil)...)
	request = append(request, fcgiRecord(5, nil)...)
	if _, err := f.Write(request); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for {
		header := make([]byte, 8)
		if _, err := io.ReadFull(f, header); err != nil {
			t.Fatalf("%v after %q", err, out.String())
		}
		content := make([]byte, int(binary.BigEndian.Uint16(header[4:]))+int(header[6]))
		if _, err := io.ReadFull(f, content); err != nil {
			t.Fatal(err)
		}
		switch header[1] {
		case 3:
			return out.String()
		case 6:
			out.Write(content[:len(content)-int(header[6])])
		}
	}
}

func TestServeEmbedded(t *testing.T) {
	h := host(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "app.wsgi")
	app := func(version string) string {
		return "import os\ndef application(environ, start_response):\n    body = ('%s|%d|%s|" + version +
			"' % (environ['mod_wsgi.process_group'], os.getpid(), environ['mod_wsgi.application_group'])).encode()\n" +
			"    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])\n    return [body]\n"
	}
	replaceScript(t, script, app("one"))
	if _, err := h.ServeEmbedded(pyshim.EmbeddedOptions{}); err == nil {
		t.Error("no threads accepted")
	}
	fds, err := h.ServeEmbedded(pyshim.EmbeddedOptions{Threads: 2, Scripts: []pyshim.ScriptRule{{Path: dir, Directory: true}}})
	if err != nil || len(fds) != 2 {
		t.Fatalf("%v %v", fds, err)
	}
	var files []*os.File
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "embedded")
		if err := f.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		defer func() { _ = f.Close() }()
	}
	for _, f := range files {
		for _, group := range []string{"", "sub"} {
			out := embeddedRequest(t, f, "WSGID_SCRIPT", script, "WSGID_APPLICATION_GROUP", group, "WSGID_CALLABLE", "application", "WSGID_REQUEST_ID", "r1")
			if !strings.HasPrefix(out, "Status: 200") || !strings.Contains(out, "|"+group+"|one") {
				t.Errorf("group %q: %q", group, out)
			}
		}
	}
	// a change is imported in place, by the request that sees it
	replaceScript(t, script, app("two"))
	out := embeddedRequest(t, files[1], "WSGID_SCRIPT", script, "WSGID_APPLICATION_GROUP", "sub", "WSGID_CALLABLE", "application", "WSGID_REQUEST_ID", "r2")
	if !strings.Contains(out, "|sub|two") {
		t.Errorf("after the change: %q", out)
	}
	if out := embeddedRequest(t, files[0], "WSGID_SCRIPT", "/etc/passwd", "WSGID_APPLICATION_GROUP", "", "WSGID_CALLABLE", "application", "WSGID_REQUEST_ID", "r4"); !strings.Contains(out, "WSGID-1101") {
		t.Errorf("forbidden script: %q", out)
	}
}

// TestServeEmbeddedFork: a forked child that comes back from the application
// does not answer in its parent's name. In a process of its own: CPython 3.11
// can hang in the child of a process that has sub-interpreters.
func TestServeEmbeddedFork(t *testing.T) {
	const alone = "WSGID_TEST_EMBEDDED_FORK"
	if os.Getenv(alone) == "" {
		self := exec.Command(os.Args[0], "-test.run=^TestServeEmbeddedFork$")
		self.Env = append(os.Environ(), alone+"=1")
		if out, err := self.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	h := host(t)
	script := filepath.Join(t.TempDir(), "fork.wsgi")
	replaceScript(t, script, "import os\ndef application(environ, start_response):\n    pid = os.fork()\n"+
		"    start_response('200 OK', [])\n    if pid == 0:\n        return [b'child']\n    return [b'parent %d' % os.waitpid(pid, 0)[1]]\n")
	fds, err := h.ServeEmbedded(pyshim.EmbeddedOptions{Threads: 1, Scripts: []pyshim.ScriptRule{{Path: script}}})
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[0]), "embedded")
	defer func() { _ = f.Close() }()
	if err := f.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		out := embeddedRequest(t, f, "WSGID_SCRIPT", script, "WSGID_APPLICATION_GROUP", "", "WSGID_CALLABLE", "application", "WSGID_REQUEST_ID", "r")
		if !strings.HasSuffix(out, "\r\n\r\nparent 0") {
			t.Errorf("%q", out)
		}
	}
}

// TestAddEmbedded: a thread that has ended is replaced by one with its number,
// one whose application still runs by one with another; the metrics know all.
func TestAddEmbedded(t *testing.T) {
	h := host(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "app.wsgi")
	gate := filepath.Join(dir, "gate")
	replaceScript(t, script, `
import json, os, time
import mod_wsgi
mod_wsgi.start_recording_metrics()
def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        open(environ["QUERY_STRING"], "w").close()
        while os.path.exists(environ["QUERY_STRING"]):
            time.sleep(0.001)
    metrics = mod_wsgi.request_metrics()
    start_response("200 OK", [])
    return [json.dumps([environ["mod_wsgi.thread_id"], environ["wsgi.multithread"], mod_wsgi.process_metrics()["active_requests"],
        len(metrics["request_threads_completed"]), metrics["request_threads_maximum"], sum(metrics["request_threads_completed"])]).encode()]
`)
	ends := func(fds []int, err error) []*os.File {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var files []*os.File
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "embedded")
			if err := f.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			files = append(files, f)
		}
		return files
	}
	ask := func(f *os.File, id string) string {
		t.Helper()
		_, body, _ := strings.Cut(embeddedRequest(t, f, "WSGID_SCRIPT", script, "WSGID_APPLICATION_GROUP", "add", "WSGID_CALLABLE", "application",
			"WSGID_REQUEST_ID", id), "\r\n\r\n")
		return body
	}
	threads := ends(h.ServeEmbedded(pyshim.EmbeddedOptions{Threads: 2, Scripts: []pyshim.ScriptRule{{Path: script}}}))
	if got := ask(threads[0], "r1"); got != "[1, true, 1, 2, 2, 0]" {
		t.Errorf("the first request: %s", got)
	}
	// The client of thread 2 goes; its application does not notice.
	params := pairs("REQUEST_METHOD", "GET", "PATH_INFO", "/wait", "QUERY_STRING", gate, "WSGID_SCRIPT", script,
		"WSGID_APPLICATION_GROUP", "add", "WSGID_CALLABLE", "application")
	begin := append(fcgiRecord(1, []byte{0, 1, 1, 0, 0, 0, 0, 0}), append(fcgiRecord(4, params), fcgiRecord(4, nil)...)...)
	if _, err := threads[1].Write(begin); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(gate); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the application does not run")
		}
	}
	if err := threads[1].Close(); err != nil {
		t.Fatal(err)
	}
	third := ends(h.AddEmbedded(1))[0]
	if got := ask(third, "r2"); got != "[3, true, 2, 3, 2, 1]" {
		t.Errorf("beside a lost thread: %s", got)
	}
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	// Once the lost thread has ended its number is free again.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		next := ends(h.AddEmbedded(1))[0]
		got := ask(next, "r3")
		if strings.HasPrefix(got, "[2, true, 1, ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the number of the lost thread stays taken: %s", got)
		}
		_ = next.Close()
	}
}
