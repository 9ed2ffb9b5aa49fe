package tests

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestAcceptanceInput: acceptance statements 11 to 18 of mod_wsgi behaviour 12.
// /handshake holds nothing of a body back, so that every one waits for the
// worker's word; /plain has neither reloading nor a limit for the queue.
func TestAcceptanceInput(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_input.py")
	w.Configure(group("only", "#64001", 1, 5) + group("unlimited", "#64002", 1, 5, "queue_timeout = 0") +
		mount("/handshake", "apps/acceptance_input.py", option("process_group", "only"), "request_buffer = 0") +
		mount("/plain", "apps/acceptance_input.py", option("process_group", "unlimited"), "script_reloading = false") +
		mount("/length", "apps/acceptance_input.py", option("process_group", "only"), "chunked_request = false") +
		mount("/app", "apps/acceptance_input.py", option("process_group", "only")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	send := func(url, body string, chunked bool) *harness.Response {
		var reader io.Reader = strings.NewReader(body)
		if chunked {
			reader = hideLength{reader}
		}
		return apache.Do("POST", url, reader, "Content-Type: application/octet-stream")
	}
	read := func(t *testing.T, way, body string, chunked bool, want ...string) {
		t.Helper()
		response := send("/app/"+way, body, chunked)
		got := []string{}
		if response.Status != 200 {
			t.Fatalf("%s: %d %.500s", way, response.Status, response.Body)
		}
		response.JSON(t, &got)
		if d := cmp.Diff(append([]string{}, want...), got); d != "" {
			t.Errorf("%s of %q: %s", way, body, d)
		}
	}
	statements := map[string]func(*testing.T, bool){
		"11": func(t *testing.T, chunked bool) {
			read(t, "read", "the whole body", chunked, "the whole body", "", "", "")
			read(t, "read", "", chunked, "", "", "", "")
		},
		"12": func(t *testing.T, chunked bool) {
			read(t, "split", "abcdefghij", chunked, "abcd", "efg", "hij", "")
			read(t, "seven", strings.Repeat("0123456", 3)+"78", chunked, "0123456", "0123456", "0123456", "78")
			read(t, "seven", "0123456", chunked, "0123456")
		},
		"13": func(t *testing.T, chunked bool) { read(t, "nothing", "all", chunked, "", "", "all") },
		"14": func(t *testing.T, chunked bool) {
			read(t, "lines", "one\ntwo\n", chunked, "one\n", "two\n")
			read(t, "lines", "one\n\nthree", chunked, "one\n", "\n", "three")
		},
		"15": func(t *testing.T, chunked bool) {
			read(t, "five", "ab\n123456789\nend", chunked, "ab\n", "12345", "6789\n", "end")
		},
		"16": func(t *testing.T, chunked bool) {
			read(t, "readlines", "one\ntwo\nthree", chunked, "one\n", "two\n", "three")
			read(t, "readlines", "", chunked)
			read(t, "first", "one\ntwo\nthree", chunked, "one\n", "|", "two\n", "three")
			read(t, "iterate", "one\ntwo\nthree", chunked, "one\n", "two\n", "three")
			read(t, "close", "open", chunked, "closed", "open")
		},
	}
	for name, statement := range statements {
		t.Run(name, func(t *testing.T) { statement(t, false) })
		t.Run("17/"+name, func(t *testing.T) { statement(t, true) })
	}
	t.Run("18", func(t *testing.T) {
		source := rand.NewChaCha8([32]byte{18})
		for _, size := range []int{0, 1, 11, 1024, 8192, 65536} {
			body := make([]byte, size)
			if _, err := source.Read(body); err != nil {
				t.Fatal(err)
			}
			for _, url := range []string{"/app", "/handshake", "/plain"} {
				for _, chunked := range []bool{false, true} {
					response := send(url+"/echo", string(body), chunked)
					if response.Status != 200 || !bytes.Equal(response.Body, body) {
						t.Errorf("%d bytes to %s, chunked %v: %d, %d bytes", size, url, chunked, response.Status, len(response.Body))
					}
				}
			}
		}
	})
	t.Run("client gone", func(t *testing.T) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", apache.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /app/broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n%s", strings.Repeat("x", 150000)); err != nil {
			t.Fatal(err)
		}
		wsgid.Log.Await(t, "the application reading", harness.Containing("reading"))
		conn.Close()
		wsgid.Log.Await(t, "the failed read", harness.Containing("read failed: mod_wsgi request data read error: "))
	})
	// What Apache has whole before it connects has a length; beyond that a
	// chunked body stays one.
	t.Run("chunked_request", func(t *testing.T) {
		long := strings.Repeat("x", 200000)
		wantError(t, send("/length/echo", long, true), 411, "WSGID-1008")
		if got := send("/length/echo", long, false); got.Status != 200 || got.Text() != long {
			t.Errorf("%d bytes with their length: %d", len(long), got.Status)
		}
		// In one write, the last chunk too: Apache takes what is there.
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", apache.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(harness.Patience)))
		if _, err := io.WriteString(conn, "POST /length/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.Contains(answer, []byte("short")) {
			t.Errorf("5 bytes in chunks: %q %v", answer, err)
		}
	})
}

// TestValidated: wsgiref.validate finds nothing in requests through Apache.
func TestValidated(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_validated.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/acceptance_validated.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, tt := range []struct{ method, url, body, want string }{
		{"GET", "/", "", "begin  end"}, {"POST", "/", "data", "begin data end"}, {"HEAD", "/", "", ""}, {"PUT", "/", "x", "begin x end"},
		{"GET", "/stream", "", "end"}, {"POST", "/stream", "one\ntwo\n", "one\ntwo\nend"}, {"HEAD", "/stream", "", ""},
	} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader
			if tt.body != "" {
				body = strings.NewReader(tt.body)
				if chunked {
					body = hideLength{body}
				}
			}
			got := apache.Do(tt.method, tt.url, body, "Content-Type: text/plain")
			if got.Status != 200 || got.Text() != tt.want || got.Truncated != nil || got.Header.Get("X-Kind") == "" {
				t.Errorf("%s %s: %d %q", tt.method, tt.url, got.Status, got.Body)
			}
		}
	}
	for _, r := range wsgid.Log.Find(func(r harness.Record) bool {
		return strings.Contains(r.Line, "AssertionError") || strings.Contains(r.Line, "Warning") || strings.Contains(r.Line, "Traceback")
	}) {
		t.Error(fmt.Sprint("in the log: ", r.Line))
	}
}
