package pyshim_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestWorkerStartResponse checks what start_response takes and refuses.
func TestWorkerStartResponse(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	for _, tc := range []struct{ args, want string }{
		{`"200 OK", []`, "accepted"},
		{`"200", []`, "accepted"},
		{`"200 ", []`, "accepted"},
		{`"599 Caf\xe9", []`, "accepted"},
		{`200, []`, "TypeError"},
		{`b"200 OK", []`, "TypeError"},
		{`"20 OK", []`, "ValueError"},
		{`"2000 OK", []`, "ValueError"},
		{`"200OK", []`, "ValueError"},
		{`"", []`, "ValueError"},
		{`"200 a\r\nX: y", []`, "ValueError"},
		{`"200 \u20ac", []`, "UnicodeEncodeError"},
		{`"100 Continue", []`, "ValueError"},
		{`"199 x", []`, "ValueError"},
		{`"600 x", []`, "ValueError"},
		{`"200 OK", ()`, "TypeError"},
		{`"200 OK", None`, "TypeError"},
		{`"200 OK", [["a", "b"]]`, "TypeError"},
		{`"200 OK", [("a",)]`, "ValueError"},
		{`"200 OK", [("a", "b", "c")]`, "ValueError"},
		{`"200 OK", [("a", 1)]`, "TypeError"},
		{`"200 OK", [(1, "b")]`, "TypeError"},
		{`"200 OK", [("a", b"b")]`, "TypeError"},
		{`"200 OK", [("", "b")]`, "ValueError"},
		{`"200 OK", [("a b", "b")]`, "ValueError"},
		{`"200 OK", [("a:", "b")]`, "ValueError"},
		{`"200 OK", [("a\n", "b")]`, "ValueError"},
		{`"200 OK", [("\xe9", "b")]`, "ValueError"},
		{`"200 OK", [("a", "b\nc")]`, "ValueError"},
		{`"200 OK", [("a", "b\rc")]`, "ValueError"},
		{`"200 OK", [("a", "b\x00")]`, "ValueError"},
		{`"200 OK", [("a", "b\tc\xe9")]`, "accepted"},
		{`"200 OK", [("a", "\u20ac")]`, "UnicodeEncodeError"},
		{`"200 OK", [("a", "\ud800")]`, "UnicodeEncodeError"},
		{`"200 OK", [("a", "x" * 8180)]`, "accepted"},
		{`"200 OK", [("a", "x" * 9000)]`, "ValueError"},
	} {
		r := c.do(script(t, "responses.py", "check", "QUERY_STRING="+tc.args), nil)
		if string(r.body) != tc.want {
			t.Errorf("start_response(%s): %s, want %s", tc.args, r.body, tc.want)
		}
	}
}

// TestWorkerResponses checks status, headers and body of what an application gives.
func TestWorkerResponses(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	const ok = `"200 OK"`
	type want struct {
		status, raw, body string // raw: substring of the header block; "!x": must not be there
		cut               bool
		code              string
	}
	for _, tc := range []struct {
		query string
		want
	}{
		{ok + `, [], [b"a", b"b"]`, want{status: "200 OK", body: "ab"}},
		{ok + `, [], (b"a", b"", b"b")`, want{status: "200 OK", body: "ab"}},
		{ok + `, [], []`, want{status: "200 OK"}},
		{ok + `, [], iter([b"a", b"b"])`, want{status: "200 OK", body: "ab"}},
		{ok + `, [], {b"a": 1}`, want{status: "200 OK", body: "a"}},
		{ok + `, [], "text"`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [], b"bytes"`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [], ["text"]`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [], [b"a", "text"]`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [], iter([b"a", "text"])`, want{status: "200 OK", cut: true}},
		{ok + `, [], [bytearray(b"a")]`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [], 5`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [("Content-Length", "3")], [b"abc"]`, want{status: "200 OK", raw: "Content-Length: 3", body: "abc"}},
		{ok + `, [("Content-Length", "2")], [b"abc", b"d"]`, want{status: "200 OK", raw: "Content-Length: 2", body: "ab"}},
		{ok + `, [("Content-Length", "0")], [b"abc"]`, want{status: "200 OK", raw: "Content-Length: 0"}},
		{ok + `, [("Content-Length", "9")], [b"abc"]`, want{status: "200 OK", cut: true}},
		{ok + `, [("Content-Length", "9")], []`, want{status: "200 OK", cut: true}},
		{ok + `, [("Content-Length", "5"), ("content-length", "3")], [b"abc"]`, want{status: "200 OK", raw: "Content-Length: 3", body: "abc"}},
		{ok + `, [("Content-Length", "abc")], [b"abc"]`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [("Content-Length", "-1")], [b"abc"]`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [("Content-Length", "")], []`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{ok + `, [("Content-Length", "99999999999999999999")], []`, want{status: "500 Internal Server Error", code: "WSGID-1106"}},
		{`"204 No Content", [], [b"abc"]`, want{status: "204 No Content"}},
		{`"304 Not Modified", [("Content-Length", "5")], [b"abc"]`, want{status: "304 Not Modified"}},
		{`"200", [], [b"abc"]`, want{status: "200", body: "abc"}},
		{ok + `, [("Transfer-Encoding", "chunked"), ("X-Kept", "1")], [b"a"]`, want{status: "200 OK", raw: "X-Kept: 1", body: "a"}},
		{ok + `, [("Content-Type", "a/b"), ("content-type", "c/d")], [b"a"]`, want{status: "200 OK", raw: "content-type: c/d", body: "a"}},
		{ok + `, [("Set-Cookie", "a"), ("Set-Cookie", "b")], [b"a"]`, want{status: "200 OK", raw: "Set-Cookie: a\r\nSet-Cookie: b", body: "a"}},
	} {
		r := c.do(script(t, "responses.py", "evaluated", "QUERY_STRING="+tc.query), nil)
		if r.status != tc.status || !strings.HasPrefix(r.raw, "Status: ") {
			t.Errorf("%s: status %q in %q", tc.query, r.status, r.raw)
		}
		if (r.appStatus == truncated) != tc.cut || r.protocol != 0 {
			t.Errorf("%s: appStatus %x protocolStatus %d", tc.query, r.appStatus, r.protocol)
		}
		if r.get("X-WSGID-Error") != tc.code {
			t.Errorf("%s: code %q", tc.query, r.get("X-WSGID-Error"))
		}
		if !strings.Contains(r.raw, tc.raw) {
			t.Errorf("%s: headers %q lack %q", tc.query, r.raw, tc.raw)
		}
		if tc.code == "" && !tc.cut && string(r.body) != tc.body {
			t.Errorf("%s: body %q, want %q", tc.query, r.body, tc.body)
		}
		if tc.code != "" && (!bytes.Contains(r.body, []byte(tc.code)) || !bytes.Contains(r.body, []byte("req-1"))) {
			t.Errorf("%s: error page %q", tc.query, r.body)
		}
	}
	for _, name := range []string{"Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Proxy-Authenticate", "Proxy-X", "Status"} {
		r := c.do(script(t, "responses.py", "evaluated", "QUERY_STRING="+fmt.Sprintf(`"200 OK", [(%q, "418 x"), (%q, "y")], [b"a"]`, name, strings.ToLower(name))), nil)
		if r.raw != "Status: 200 OK" {
			t.Errorf("header %s is passed on: %q", name, r.raw)
		}
	}
}

// TestWorkerCalls checks exceptions, write, close and HEAD.
func TestWorkerCalls(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	for _, tc := range []struct {
		callable, query, status, body, code string
		cut                                 bool
	}{
		{callable: "not_started", status: "500 Internal Server Error", code: "WSGID-1106"},
		{callable: "returns_none", status: "500 Internal Server Error", code: "WSGID-1106"},
		{callable: "keywords", status: "500 Internal Server Error", code: "WSGID-1105"},
		{callable: "raises", status: "500 Internal Server Error", code: "WSGID-1105"},
		{callable: "raises_after_start", status: "500 Internal Server Error", code: "WSGID-1105"},
		{callable: "exits", status: "500 Internal Server Error", code: "WSGID-1115"},
		{callable: "raises_first", status: "500 Internal Server Error", code: "WSGID-1105"},
		{callable: "raises_later", status: "200 OK", body: "first", cut: true},
		{callable: "twice", status: "200 OK", body: "second"},
		{callable: "twice_after", status: "200 OK", body: "out RuntimeError KeyError"},
		{callable: "replaced", status: "500 replaced", body: "replaced"},
		{callable: "exc_info_type", status: "200 OK", body: "RuntimeError"},
		{callable: "writes", status: "200 OK", body: "aTbc"},
		{callable: "missing", status: "500 Internal Server Error", code: "WSGID-1104"},
		{callable: "CLOSED", status: "500 Internal Server Error", code: "WSGID-1105"},
		{callable: "closing", query: `[b"a", b"b"], None`, status: "200 OK", body: "ab"},
		{callable: "closed", status: "200 OK", body: "1"},
		{callable: "closing", query: `[b"a", ValueError("x")], None`, status: "200 OK", body: "a", cut: true},
		{callable: "closed", status: "200 OK", body: "1"},
		{callable: "closing", query: `[ValueError("x")], None`, status: "500 Internal Server Error", code: "WSGID-1105"},
		{callable: "closed", status: "200 OK", body: "1"},
		{callable: "closing", query: `[b"a"], ValueError("in close")`, status: "200 OK", body: "a"},
		{callable: "closed", status: "200 OK", body: "1"},
		{callable: "closing", query: `["no bytes"], None`, status: "500 Internal Server Error", code: "WSGID-1106"},
		{callable: "closed", status: "200 OK", body: "1"},
		{callable: "pipe", status: "200 OK", body: "in memory"},
	} {
		r := c.do(script(t, "responses.py", tc.callable, "QUERY_STRING="+tc.query), nil)
		if r.status != tc.status || r.get("X-WSGID-Error") != tc.code || (r.appStatus == truncated) != tc.cut ||
			(tc.code == "" && string(r.body) != tc.body) {
			t.Errorf("%s %s: %q %q %x", tc.callable, tc.query, r.raw, r.body, r.appStatus)
		}
	}
	if got := w.record("in close"); !strings.HasPrefix(got["message"], "close() of") {
		t.Error(got)
	}
	r := c.do(script(t, "responses.py", "head_count", "REQUEST_METHOD=HEAD"), nil)
	if r.get("Content-Length") != "6" || len(r.body) != 0 || r.appStatus != 0 {
		t.Errorf("HEAD: %+v", r)
	}
	if r := c.do(script(t, "responses.py", "closed"), nil); string(r.body) != "1" {
		t.Errorf("close() after HEAD: %s", r.body)
	}
	if r := c.do(script(t, "responses.py", "raises", "REQUEST_METHOD=HEAD"), nil); len(r.body) != 0 || r.status[:3] != "500" {
		t.Errorf("HEAD of an error: %+v", r)
	}
}

// TestWorkerStreaming: a chunk of a generator is a record of its own at once;
// a list leaves as one.
func TestWorkerStreaming(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	r := c.do(script(t, "hello.py", "streamed"), nil)
	if len(r.chunks) != 2 || !strings.HasSuffix(string(r.chunks[0]), "\r\n\r\none") || string(r.chunks[1]) != "two" {
		t.Errorf("chunks %q", r.chunks)
	}
	r = c.do(script(t, "hello.py", "application"), nil)
	if len(r.chunks) != 1 {
		t.Errorf("chunks %q", r.chunks)
	}
	pattern := make([]byte, 1000)
	for i := range pattern {
		pattern[i] = byte(i * 31 % 251)
	}
	for _, size := range []int{1000, 16000, 17000, 65000, 66000, 131000, 1000000, 10000000} {
		r := c.do(script(t, "responses.py", "large", fmt.Sprint("QUERY_STRING=", size)), nil)
		if !bytes.Equal(r.body, bytes.Repeat(pattern, size/1000)) || r.appStatus != 0 {
			t.Errorf("%d bytes: got %d", size, len(r.body))
		}
	}
	var want []byte
	for i := range 60 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, i*977%40000)...)
	}
	if r := c.do(script(t, "responses.py", "pieces", "QUERY_STRING=60"), nil); !bytes.Equal(r.body, want) {
		t.Errorf("pieces: %d bytes, want %d", len(r.body), len(want))
	}
	file := strings.Repeat("0123456789", 20000)[7:]
	r = c.do(script(t, "responses.py", "file", "QUERY_STRING=[]"), nil)
	if string(r.body) != file || r.get("Content-Length") != "199993" {
		t.Errorf("file: %d bytes, %q", len(r.body), r.raw)
	}
	r = c.do(script(t, "responses.py", "file", `QUERY_STRING=[("Content-Length", "5")]`), nil)
	if string(r.body) != file[:5] || r.get("Content-Length") != "5" {
		t.Errorf("file: %q, %q", r.body, r.raw)
	}
}

// TestWorkerClientGone: the application's iterable is closed, write raises.
func TestWorkerClientGone(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1})
	for _, callable := range []string{"endless", "endless_write"} {
		c := w.dial()
		c.Write(request(script(t, "responses.py", callable), nil, true))
		if _, _, err := c.readRecord(); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	c := w.dial()
	c.SetDeadline(time.Now().Add(patience))
	if r := c.do(script(t, "responses.py", "closed"), nil); string(r.body) != "1" && string(r.body) != "2" {
		t.Errorf("close() was called %s times", r.body)
	}
}
