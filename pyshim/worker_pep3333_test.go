package pyshim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func pep(t testing.TB, callable string, more ...string) params {
	return script(t, "pep3333.py", callable, more...)
}

// TestWorkerTextStreams: wsgi.errors, sys.stdout and sys.stderr are Python's own
// text streams, on every Python.
func TestWorkerTextStreams(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, threads: 1})
			c := w.dial()
			var shown map[string][]any
			if err := json.Unmarshal(c.do(pep(t, "streams"), nil).body, &shown); err != nil {
				t.Fatal(err)
			}
			for key, want := range map[string]string{
				"types":      "[<class 'mod_wsgi.Input'> <class '_io.TextIOWrapper'> <class 'mod_wsgi.FileWrapper'>]",
				"real":       "[true true true true]",
				"attributes": "[utf-8 replace false <wsgi.errors> <stdout> <stderr> w]",
				"questions":  "[false false false true false false false true false]",
				"fileno":     "[OSError OSError]",
				"refused":    "[TypeError TypeError UnsupportedOperation TypeError]",
				"written":    "[5 6 6 5 <nil> 4 <nil>]",
			} {
				if got := fmt.Sprint(shown[key]); got != want {
					t.Errorf("%s: %s, want %s", key, got, want)
				}
			}
			for _, line := range []string{"text", "bytes", "array", "view", "l1", "l2", "€ ?", "ab"} {
				if r := w.record(line); r["message"] != line || r["source"] != "wsgi.errors" || r["request"] != "req-1" {
					t.Errorf("%q: %v", line, r)
				}
			}
			if r := c.do(pep(t, "str_into_bytes"), nil); string(r.body) != `["DeprecationWarning"]` {
				t.Errorf("text for the binary layer: %s", r.body)
			}
			w.record("third")
			if r := c.do(pep(t, "close_errors"), nil); string(r.body) != `[null, "RuntimeError"]` {
				t.Errorf("close: %s", r.body)
			}
			w.record("held")
			w.record("stdout stays open")
			for _, which := range []string{"0", "1"} {
				c.do(pep(t, "keep_errors", "QUERY_STRING="+which), nil)
				if r := c.do(pep(t, "use_kept"), nil); string(r.body) != `["RuntimeError", "RuntimeError", false, false, false]` {
					t.Errorf("stream of another request: %s", r.body)
				}
			}
			for _, r := range w.wholeLog() {
				if strings.Contains(r["message"], "stray") || r["message"] == "late" {
					t.Errorf("logged: %v", r)
				}
			}
		})
	}
}

// TestWorkerServerKeys: what the router says about listener, proxy and HEAD,
// and what the boot block says about threads and requests.
func TestWorkerServerKeys(t *testing.T) {
	get := func(c *conn, names string, more ...string) string {
		t.Helper()
		return string(c.do(pep(t, "environ_keys", append([]string{"QUERY_STRING=" + names}, more...)...), nil).body)
	}
	w := startWorker(t, workerOptions{threads: 2})
	c := w.dial()
	const listener = "mod_wsgi.listener_host&mod_wsgi.listener_port&SERVER_PORT"
	for more, want := range map[string]string{
		"SERVER_ADDR=192.0.2.5": `{"mod_wsgi.listener_host": "192.0.2.5", "mod_wsgi.listener_port": "80", "SERVER_PORT": "80"}`,
		"SERVER_PORT=81":        `{"mod_wsgi.listener_host": "", "mod_wsgi.listener_port": "81", "SERVER_PORT": "81"}`,
		"WSGID_LISTENER_PORT=8": `{"mod_wsgi.listener_host": "", "mod_wsgi.listener_port": "8", "SERVER_PORT": "80"}`,
		"SERVER_PORT=-":         `{"mod_wsgi.listener_host": "", "mod_wsgi.listener_port": "", "SERVER_PORT": "absent"}`,
	} {
		if got := get(c, listener, more); got != want {
			t.Errorf("%s: %s", more, got)
		}
	}
	if got := get(c, "mod_wsgi.mount_point&SCRIPT_NAME", "WSGID_MOUNT_POINT=/pre", "SCRIPT_NAME=/pre"); got != `{"mod_wsgi.mount_point": "/pre", "SCRIPT_NAME": "/pre"}` {
		t.Error(got)
	}
	if got := get(c, "mod_wsgi.mount_point"); got != `{"mod_wsgi.mount_point": "absent"}` {
		t.Error(got)
	}
	for _, tc := range [][3]string{
		{"WSGID_SCHEME_DECIDED=1", "HTTPS=-", "http"}, {"WSGID_SCHEME_DECIDED=1", "HTTPS=1", "https"}, {"WSGID_SCHEME_DECIDED=-", "HTTPS=-", "https"},
	} {
		if got := get(c, "wsgi.url_scheme", "REQUEST_SCHEME=https", tc[0], tc[1]); got != fmt.Sprintf(`{"wsgi.url_scheme": %q}`, tc[2]) {
			t.Errorf("%v: %s", tc, got)
		}
	}
	r := c.do(pep(t, "environ_keys", "QUERY_STRING=REQUEST_METHOD", "WSGID_HEAD=1"), nil)
	if r.status != "200 OK" || len(r.body) != 0 || r.appStatus != 0 {
		t.Errorf("HEAD that is GET for the application: %q %q", r.raw, r.body)
	}
	const kind = "wsgi.multithread&wsgi.multiprocess&wsgi.run_once"
	for _, tc := range []struct {
		threads int
		extra   []string
		want    string
	}{
		{2, []string{"maximum_requests=1"}, `{"wsgi.multithread": true, "wsgi.multiprocess": true, "wsgi.run_once": false}`},
		{1, []string{"maximum_requests=1", "multiprocess=0"}, `{"wsgi.multithread": false, "wsgi.multiprocess": false, "wsgi.run_once": true}`},
		{1, []string{"maximum_requests=2"}, `{"wsgi.multithread": false, "wsgi.multiprocess": true, "wsgi.run_once": false}`},
		{1, nil, `{"wsgi.multithread": false, "wsgi.multiprocess": true, "wsgi.run_once": false}`},
	} {
		w := startWorker(t, workerOptions{threads: tc.threads, extra: tc.extra})
		if got := get(w.dial(), kind); got != tc.want {
			t.Errorf("%d threads, %v: %s", tc.threads, tc.extra, got)
		}
	}
}

// TestWorkerGivesUp: RequestTimeout is a 504 without traceback; after output
// the response is cut.
func TestWorkerGivesUp(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	r := c.do(pep(t, "times_out", "QUERY_STRING="), nil)
	if r.status != "504 Gateway Timeout" || r.get("X-WSGID-Error") != "WSGID-1120" || r.appStatus != 0 {
		t.Errorf("%q", r.raw)
	}
	if got := w.record("RequestTimeout"); got["level"] != "info" || got["code"] != "WSGID-1120" || strings.Contains(got["message"], "Traceback") {
		t.Errorf("%v", got)
	}
	if r := c.do(pep(t, "times_out", "QUERY_STRING=1"), nil); r.status != "200 OK" || string(r.body) != "sent" || r.appStatus != truncated {
		t.Errorf("after output: %q %q %x", r.raw, r.body, r.appStatus)
	}
	c.do(script(t, "responses.py", "exits", "WSGID_REQUEST_ID=exits"), nil)
	if got := w.recordOf("exits", "SystemExit"); got["code"] != "WSGID-1115" || got["level"] != "error" {
		t.Errorf("%v", got)
	}
	for _, r := range w.wholeLog() {
		if r["request"] != "exits" && (strings.Contains(r["message"], "gave up\n") || strings.Contains(r["message"], "Traceback")) {
			t.Errorf("logged: %v", r)
		}
	}
}

// TestWorkerCommit: what commits the headers, in which order data leaves, and
// which header lines do.
func TestWorkerCommit(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	if r := c.do(pep(t, "empty_first"), nil); r.status != "200 OK" || r.get("X-Late") != "1" || string(r.body) != "body" {
		t.Errorf("start_response after empty items: %q %q", r.raw, r.body)
	}
	r := c.do(pep(t, "interleaved"), nil)
	if string(r.body) != "12345" || len(r.chunks) != 5 {
		t.Errorf("write and iterable: %q", r.chunks)
	}
	for query, want := range map[string]string{
		`"204 No Content", [("Content-Length", "0"), ("X-A", "1")], []`:                            "Status: 204 No Content\r\nX-A: 1",
		`"204 No Content", [("Content-Length", "3")], [b"abc"]`:                                    "Status: 204 No Content",
		`"304 Not Modified", [("Content-Length", "3"), ("ETag", "x")], []`:                         "Status: 304 Not Modified\r\nETag: x\r\nContent-Length: 3",
		`"302 Found", [("Location", "/a"), ("X-B", "1"), ("LOCATION", "/b")], []`:                  "Status: 302 Found\r\nX-B: 1\r\nLOCATION: /b",
		`"206 x", [("Content-Range", "a"), ("Last-Modified", "b"), ("Content-Range", "c")], []`:    "Status: 206 x\r\nLast-Modified: b\r\nContent-Range: c",
		`"200 OK", [("Link", "a"), ("Link", "b"), ("Cookie2", "c"), ("Cookie2", "d")], []`:         "Status: 200 OK\r\nLink: a\r\nLink: b\r\nCookie2: c\r\nCookie2: d",
		`"200 OK", [("WWW-Authenticate", "a"), ("WWW-Authenticate", "b"), ("X-L", "caf\xe9")], []`: "Status: 200 OK\r\nWWW-Authenticate: a\r\nWWW-Authenticate: b\r\nX-L: caf\xe9",
	} {
		if r := c.do(script(t, "responses.py", "evaluated", "QUERY_STRING="+query), nil); r.raw != want || len(r.body) != 0 || r.appStatus != 0 {
			t.Errorf("%s: %q %q", query, r.raw, r.body)
		}
	}
}

// TestWorkerFileWrapper: regular files leave without Python, everything else
// is iterated over.
func TestWorkerFileWrapper(t *testing.T) {
	for _, preload := range []string{"", withoutSendfile(t)} {
		t.Run("preload="+filepath.Base(preload), func(t *testing.T) { fileWrapper(t, preload) })
	}
}

func fileWrapper(t *testing.T, preload string) {
	o := workerOptions{threads: 2}
	if preload != "" {
		o.environment = []string{"LD_PRELOAD=" + preload}
	}
	w := startWorker(t, o)
	c := w.dial()
	pattern := make([]byte, 1000)
	for i := range pattern {
		pattern[i] = byte(i * 31 % 251)
	}
	content := func(size int) []byte { return bytes.Repeat(pattern, size/1000+1)[:size] }
	get := func(query string, more ...string) *response {
		t.Helper()
		return c.do(pep(t, "file", append([]string{"QUERY_STRING=" + query}, more...)...), nil)
	}
	for _, size := range []int{0, 1, 1000, 65528, 65536, 65537, 131056, 131057, 5000000} {
		for _, at := range []int{0, size / 3, size, size + 10} {
			r := get(fmt.Sprintf("how=plain&size=%d&at=%d", size, at))
			want := content(size)[min(at, size):]
			if !bytes.Equal(r.body, want) || r.get("Content-Length") != fmt.Sprint(len(want)) || r.appStatus != 0 || !r.stdoutEnded {
				t.Errorf("%d bytes from %d: %d bytes, %q", size, at, len(r.body), r.raw)
			}
		}
	}
	for _, tc := range []struct {
		query, body, length string
		cut                 bool
	}{
		{"how=plain&size=300000&length=200001", string(content(200001)), "200001", false},
		{"how=plain&size=1000&length=7&at=3", string(content(10)[3:]), "7", false},
		{"how=plain&size=1000&length=0", "", "0", false},
		{"how=plain&size=200000&length=200001", string(content(200000)), "200001", true},
		{"how=written&size=100", "w:" + string(content(100)), "", false},
		{"how=gzip&size=0", strings.Repeat("uncompressed ", 1000), "", false},
		{"how=overridden&size=20", string(content(10)) + "|" + string(content(20)[10:]) + "|", "", false},
		{"how=pipe&size=0", "from a pipe", "", false},
		{"how=odd&size=50&kind=float", "iterated", "", false},
		{"how=odd&size=50&kind=negative", "iterated", "", false},
		{"how=odd&size=50&kind=huge", "iterated", "", false},
		{"how=odd&size=50&kind=text", "iterated", "", false},
		{"how=odd&size=50&kind=none", "iterated", "", false},
		{"how=odd&size=50&kind=directory", "iterated", "", false},
		{"how=odd&size=50&kind=closed", "iterated", "", false},
		{"how=closing&size=70000", string(content(70000)), "70000", false},
	} {
		r := get(tc.query)
		if r.status != "200 OK" || string(r.body) != tc.body || r.get("Content-Length") != tc.length || (r.appStatus == truncated) != tc.cut {
			t.Errorf("%s: %q, %d bytes, %x", tc.query, r.raw, len(r.body), r.appStatus)
		}
	}
	w.record("closed")
	if r := get("how=plain&size=100000", "REQUEST_METHOD=HEAD"); len(r.body) != 0 || r.get("Content-Length") != "100000" || r.appStatus != 0 {
		t.Errorf("HEAD: %q, %d bytes", r.raw, len(r.body))
	}
	if r := get("how=closed&size=10"); r.get("X-WSGID-Error") != "WSGID-1105" {
		t.Errorf("a closed wrapper: %q", r.raw)
	}
	w.record("ValueError: I/O operation on closed file")
	// A client that goes away ends a response, whatever SIGPIPE does.
	for range 3 {
		gone := w.dial()
		gone.Write(request(pep(t, "file", "QUERY_STRING=how=sigpipe&size=20000000"), nil, true))
		if _, _, err := gone.readRecord(); err != nil {
			t.Fatal(err)
		}
		gone.Close()
		if r := get("how=plain&size=10"); r.status != "200 OK" {
			t.Fatalf("after a client that went away: %q", r.raw)
		}
	}
	// The file becomes shorter under the response: what was promised cannot
	// come, and the connection tells so.
	if preload == "" {
		gone := w.dial()
		gone.Write(request(pep(t, "file", "QUERY_STRING=how=shrinks&size=20000000"), nil, true))
		if _, _, err := gone.readRecord(); err != nil {
			t.Fatal(err)
		}
		if r := c.do(pep(t, "shrink"), nil); string(r.body) != `"shrunk"` {
			t.Fatalf("%q %q", r.raw, r.body)
		}
		if r, err := gone.response(); err == nil && r.appStatus != truncated {
			t.Errorf("a file that shrinks: %x after %d bytes", r.appStatus, len(r.body))
		}
	}
	if r := get("how=plain&size=10"); r.status != "200 OK" {
		t.Errorf("afterwards: %q", r.raw)
	}
}

// withoutSendfile makes a library whose sendfile does not know any file.
func withoutSendfile(t *testing.T) string {
	t.Helper()
	dir := scripts(t, map[string]string{"s.c": "#include <errno.h>\nlong sendfile(int a, int b, void *c, unsigned long d) { errno = EINVAL; return -1; }\n"})
	library := filepath.Join(dir, "no_sendfile.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", library, filepath.Join(dir, "s.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return library
}

// TestWorkerSocketTimeout: a router that sends or takes nothing ends neither
// the thread nor the chance to answer.
func TestWorkerSocketTimeout(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 3, extra: []string{"socket_timeout=150"}})
	c := w.dial()
	c.Write(append(head(pep(t, "reads_slowly", "REQUEST_METHOD=POST")), record(typeStdin, 1, []byte("a part"))...))
	r, err := c.response()
	if err != nil || r.status != "200 OK" || string(r.body) != `["mod_wsgi request data read error: The timeout specified has expired.", "mod_wsgi request data read error: Input is already in error state."]` {
		t.Fatalf("%+v %v", r, err)
	}
	// Nobody takes the response; meanwhile another connection waits for
	// nothing, for longer than the timeout.
	idle, stuck := w.dial(), w.dial()
	if r := idle.do(pep(t, "environ_keys"), nil); r.status != "200 OK" {
		t.Fatalf("%q", r.raw)
	}
	stuck.Write(request(pep(t, "writes_for_ever"), nil, true))
	w.record("nobody takes it")
	stuck.Close()
	file := w.dial() // the same for what sendfile sends
	file.Write(request(pep(t, "file", "QUERY_STRING=how=closing&size=20000000"), nil, true))
	w.record("closed")
	if sent, err := io.Copy(io.Discard, file); err != nil || sent == 0 || sent >= 20000000 {
		t.Errorf("%d bytes of the file, %v", sent, err)
	}
	if r := idle.do(pep(t, "environ_keys"), nil); r.status != "200 OK" {
		t.Errorf("afterwards: %q", r.raw)
	}
}

// TestWorkerValidated: wsgiref.validate finds nothing, whatever the method.
func TestWorkerValidated(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	for _, tc := range []struct{ method, body, want string }{
		{"GET", "", "end"}, {"POST", "one\ntwo\n", "one\ntwo\nend"}, {"HEAD", "", ""}, {"PUT", "x", "xend"},
	} {
		r := c.do(pep(t, "valid_stream", "REQUEST_METHOD="+tc.method), []byte(tc.body))
		if r.status != "200 OK" || string(r.body) != tc.want {
			t.Errorf("%s: %q %q", tc.method, r.raw, r.body)
		}
	}
}
