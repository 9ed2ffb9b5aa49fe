package pyshim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func post(t *testing.T, callable string, more ...string) params {
	return script(t, "body.py", callable, append([]string{"REQUEST_METHOD=POST"}, more...)...)
}

// TestWorkerInput checks wsgi.input.
func TestWorkerInput(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 3})
	c := w.dial()
	text := "abcline one\nline two\nrest\nlast 1\nlast 2\nno end"
	methods := `b''|b'abc'|b'line one\n'|b'li'|b''|b'ne two\n'|[b'rest\n']|[b'last 1\n', b'last 2\n', b'no end']|b''|b''|b''|[]|None`
	for _, more := range [][]string{nil, {fmt.Sprint("CONTENT_LENGTH=", len(text))}, {"CONTENT_LENGTH="}, {"CONTENT_LENGTH=-1"}} {
		if r := c.do(post(t, "methods", more...), []byte(text)); string(r.body) != methods {
			t.Errorf("%v: %s", more, r.body)
		}
	}
	if r := c.do(post(t, "read", "CONTENT_LENGTH=3"), []byte("abcdef")); string(r.body) != "abc" {
		t.Errorf("more than CONTENT_LENGTH: %s", r.body)
	}
	if r := c.do(post(t, "read"), nil); string(r.body) != "" {
		t.Errorf("no body: %s", r.body)
	}
	r := c.do(post(t, "error", "CONTENT_LENGTH=10"), []byte("short"))
	if parts := strings.Split(string(r.body), "|"); len(parts) != 3 ||
		!strings.HasPrefix(parts[0], "mod_wsgi request data read error: ") || !strings.Contains(parts[1], "already in error state") {
		t.Errorf("less than CONTENT_LENGTH: %s", r.body)
	}
	if r := c.do(post(t, "bad_arguments"), []byte("x")); string(r.body) != "T|T|T|T" {
		t.Errorf("bad arguments: %s", r.body)
	}
	c.do(post(t, "keep"), []byte("kept"))
	if r := c.do(post(t, "expired"), nil); string(r.body) != strings.TrimSuffix(strings.Repeat("R|", 10), "|") {
		t.Errorf("after the request: %s", r.body)
	}
	body := make([]byte, 10<<20)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	sum := sha256.Sum256(body)
	want := fmt.Sprintf("%d|%s", len(body), hex.EncodeToString(sum[:]))
	for _, callable := range []string{"digest", "digest_all"} {
		for _, more := range [][]string{nil, {fmt.Sprint("CONTENT_LENGTH=", len(body))}} {
			if r := c.do(post(t, callable, more...), body); string(r.body) != want {
				t.Errorf("%s: %s", callable, r.body)
			}
		}
	}
	lines := bytes.Repeat([]byte("a line of text\n"), 100000)
	if r := c.do(post(t, "lines"), lines); string(r.body) != fmt.Sprintf("100000|%d", len(lines)) {
		t.Errorf("lines: %s", r.body)
	}
	// An unread body is dropped, and the connection goes on.
	for range 3 {
		if r := c.do(post(t, "unread"), body[:300000]); string(r.body) != "unread" {
			t.Errorf("unread: %q", r.raw)
		}
	}
}

// TestWorkerInputRecords: padding, tiny records, records cut anywhere, foreign records.
func TestWorkerInputRecords(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	var b []byte
	b = append(b, head(post(t, "read"))...)
	for _, part := range []string{"a", "bc", "def"} {
		r := record(typeStdin, 1, []byte(part))
		r[6] = 200
		b = append(b, append(r, make([]byte, 200)...)...)
		b = append(b, record(typeStdin, 7, []byte("foreign"))...)
		b = append(b, record(55, 1, []byte("unknown"))...)
	}
	b = append(b, record(typeStdin, 1, nil)...)
	for i := range b {
		c.Write(b[i : i+1])
	}
	if r, err := c.response(); err != nil || string(r.body) != "abcdef" {
		t.Fatal(err, r)
	}
	// Everything at once, two requests in a row.
	c.Write(append(append([]byte{}, b...), b...))
	for range 2 {
		if r, err := c.response(); err != nil || string(r.body) != "abcdef" {
			t.Fatal(err, r)
		}
	}
	// The application answers without the body; what comes later is dropped.
	c.Write(append(head(post(t, "unread")), record(typeStdin, 1, []byte("first"))...))
	if r, err := c.response(); err != nil || string(r.body) != "unread" {
		t.Fatal(err, r)
	}
	c.Write(stream(typeStdin, []byte("second"), true))
	if r := c.do(post(t, "read"), []byte("x")); string(r.body) != "x" {
		t.Errorf("%q", r.body)
	}
	// ABORT_REQUEST makes reading fail, END_REQUEST comes all the same.
	c.Write(append(head(post(t, "error")), record(typeAbort, 1, nil)...))
	if r, err := c.response(); err != nil || !strings.HasPrefix(string(r.body), "mod_wsgi request data read error") {
		t.Fatal(err, r)
	}
	// A thread that still reads at the end costs the connection, not the worker.
	c.Write(head(post(t, "thread_reads")))
	c.response()
	if r := w.dial().do(post(t, "read"), []byte("again")); string(r.body) != "again" {
		t.Errorf("%q", r.body)
	}
	// The router goes away in the middle of a body.
	gone := w.dial()
	gone.Write(append(head(post(t, "error")), record(typeStdin, 1, []byte("part"))...))
	gone.Close()
	if r := w.dial().do(post(t, "read"), []byte("again")); string(r.body) != "again" {
		t.Errorf("%q", r.body)
	}
}

// TestWorkerEnviron checks every key that the server adds, and that nothing of
// one request is seen by the next.
func TestWorkerEnviron(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 2})
	c := w.dial()
	get := func(more ...string) map[string][]any {
		t.Helper()
		r := c.do(script(t, "environ.py", "application", more...), nil)
		shown := map[string][]any{}
		if err := json.Unmarshal(r.body, &shown); err != nil {
			t.Fatal(err, r.raw, string(r.body))
		}
		return shown
	}
	e := get("HTTP_X_ONE=1", "HTTPS=off")
	for key, want := range map[string]string{
		"wsgi.version": "[tuple [1 0]]", "wsgi.url_scheme": "[str http]", "wsgi.input": "[Input <nil>]",
		"wsgi.errors": "[TextIOWrapper <nil>]", "wsgi.input_terminated": "[bool true]", "wsgi.multithread": "[bool true]",
		"wsgi.multiprocess": "[bool true]", "wsgi.run_once": "[bool false]", "wsgi.file_wrapper": "[type <nil>]",
		"mod_wsgi.version": "[tuple [6 0 5]]", "mod_wsgi.process_group": "[str testgroup]",
		"mod_wsgi.application_group": "[str ]", "mod_wsgi.callable_object": "[str application]",
		"mod_wsgi.script_name": "[str /app]", "mod_wsgi.path_info": "[str /p]", "mod_wsgi.request_id": "[str req-1]",
		"mod_wsgi.server_pid": "[str 4711]", "mod_wsgi.request_start": "[float 1.70000000025e+09]",
		"mod_wsgi.queue_start": "[float 1.7000000005e+09]", "mod_wsgi.request_handler": "[str wsgi-script]",
		"mod_wsgi.handler_script": "[str ]", "SCRIPT_NAME": "[str /app]", "PATH_INFO": "[str /p]",
		"QUERY_STRING": "[str a=1]", "HTTP_X_ONE": "[str 1]",
	} {
		if got := fmt.Sprint(e[key]); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	for _, key := range []string{"mod_wsgi.daemon_start", "mod_wsgi.application_start"} {
		if len(e[key]) == 0 || e[key][0] != "float" || e[key][1].(float64) < 1.7e9 {
			t.Errorf("%s: %v", key, e[key])
		}
	}
	// The request wanted a thread in 2023.
	if got := e["wsgid.queue_time"]; len(got) == 0 || got[0] != "float" || got[1].(float64) < 1e7 ||
		got[1].(float64) > e["mod_wsgi.daemon_start"][1].(float64)-1.7e9 {
		t.Errorf("wsgid.queue_time: %v", got)
	}
	if id := fmt.Sprint(e["mod_wsgi.thread_id"]); id != "[int 1]" && id != "[int 2]" {
		t.Errorf("thread_id %s", id)
	}
	for key := range e {
		if strings.HasPrefix(key, "WSGID_") || key == "HTTPS" {
			t.Errorf("%s is in environ", key)
		}
	}
	// Another request, without it; the application changed its own copy only.
	e = get("QUERY_STRING=-", "PATH_INFO=-", "SCRIPT_NAME=-", "HTTP_X_TWO=2", "wsgi.input=x", "mod_wsgi.other=y", "WSGID_UNKNOWN=z")
	for key, want := range map[string]string{"QUERY_STRING": "[str ]", "PATH_INFO": "[str ]", "SCRIPT_NAME": "[str ]",
		"mod_wsgi.path_info": "[str ]", "HTTP_X_TWO": "[str 2]", "wsgi.input": "[Input <nil>]", "HTTP_X_ONE": "[]",
		"mod_wsgi.other": "[]", "WSGID_UNKNOWN": "[]", "changed.by.application": "[]"} {
		if got := fmt.Sprint(e[key]); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	for value, want := range map[string]string{"HTTPS=on": "https", "HTTPS=ON": "https", "HTTPS=1": "https",
		"HTTPS=true": "http", "HTTPS=On": "https", "HTTPS=10": "http", "HTTPS=off": "http", "HTTPS=": "http", "REQUEST_SCHEME=https": "https"} {
		if got := fmt.Sprint(get(value)["wsgi.url_scheme"][1]); got != want {
			t.Errorf("%s: %s", value, got)
		}
	}
	r := c.do(script(t, "environ.py", "latin", "PATH_INFO=/\xc3\xa9\xff", "HTTP_X=\x80"), nil)
	if string(r.body) != "/\xc3\xa9\xff|\x80" {
		t.Errorf("bytes: %q", r.body)
	}
	// More names than are remembered, and long values.
	for i := range 3 {
		more := []string{"HTTP_LONG=" + strings.Repeat("v", 20000+i)}
		for n := range 700 {
			more = append(more, fmt.Sprintf("HTTP_N%d_%d=%d", i, n, n))
		}
		e = get(more...)
		if len(e["HTTP_LONG"][1].(string)) != 20000+i {
			t.Error("long value")
		}
		for n := range 700 {
			if fmt.Sprint(e[fmt.Sprintf("HTTP_N%d_%d", i, n)]) != fmt.Sprintf("[str %d]", n) {
				t.Fatalf("HTTP_N%d_%d: %v", i, n, e[fmt.Sprintf("HTTP_N%d_%d", i, n)])
			}
		}
	}
	if e = get(); fmt.Sprint(e["HTTP_N0_1"]) != "[]" || fmt.Sprint(e["PATH_INFO"]) != "[str /p]" {
		t.Error("names of an earlier request are left")
	}
}
