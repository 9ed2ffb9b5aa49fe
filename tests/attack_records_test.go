package tests

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// readAll reads until the peer hangs up; a reset is one way to do it.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	got, err := io.ReadAll(conn)
	if isTimeout(err) {
		t.Errorf("the connection is still open after %.300q", got)
	}
	return string(got)
}

// TestAttackRecords: streams of records as no web server sends them. Those that
// mean a request all the same get their answer.
func TestAttackRecords(t *testing.T) {
	a := startAttacked(t, "")
	pairs := fcgiPairs("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/app")
	params, end := fcgiStream(fcgiParams, pairs), fcgi(fcgiStdin, 1, nil)
	padded := func(kind byte, content []byte) []byte {
		record := append(fcgi(kind, 1, content), bytes.Repeat([]byte{0xff}, 255)...)
		record[6], record[7] = 255, 0xff
		return record
	}
	var single []byte
	for _, b := range pairs {
		single = append(single, padded(fcgiParams, []byte{b})...)
	}
	repeat := func(record []byte, times int) []byte { return bytes.Repeat(record, times) }
	post := fcgiStream(fcgiParams, append(slices.Clone(pairs), fcgiPairs("CONTENT_LENGTH", "3")...))
	for _, row := range []struct {
		name   string
		sent   [][]byte
		status int // 0: hung up on without an answer
	}{
		{"parameters byte by byte, padded", [][]byte{fcgiBegin(1), single, fcgi(fcgiParams, 1, nil), end}, 200},
		{"everything padded", [][]byte{padded(beginRequest, []byte{0, 1, 0, 0, 0, 0, 0, 0}), padded(fcgiParams, pairs), padded(fcgiParams, nil), padded(fcgiStdin, nil)}, 200},
		{"unknown flags and reserved bytes", [][]byte{fcgi(beginRequest, 1, []byte{0, 1, 0xfe, 1, 2, 3, 4, 5}), params, end}, 200},
		{"records of no request before", [][]byte{repeat(fcgi(fcgiStdin, 1, []byte("x")), 100), repeat(fcgi(2, 1, nil), 100), repeat(fcgi(fcgiParams, 7, pairs), 100), fcgiBegin(1), params, end}, 200},
		{"records of another request between", [][]byte{fcgiBegin(1), repeat(fcgi(fcgiParams, 2, []byte{9}), 100), params, repeat(fcgi(fcgiStdin, 65535, []byte("x")), 100), end}, 200},
		{"unknown records between", [][]byte{fcgiBegin(1), repeat(fcgi(200, 1, []byte("x")), 100), params, repeat(fcgi(0, 1, nil), 100), end}, 200},
		{"answers as requests", [][]byte{fcgiBegin(1), fcgi(fcgiStdout, 1, []byte("Status: 200\r\n\r\n")), fcgi(fcgiStderr, 1, []byte("x")), fcgi(endRequest, 1, make([]byte, 8)), params, end}, 200},
		{"data", [][]byte{fcgiBegin(1), params, repeat(fcgi(8, 1, []byte("x")), 100), end}, 200},
		{"questions between", [][]byte{repeat(fcgi(9, 0, fcgiPair("FCGI_MAX_REQS", "")), 100), fcgiBegin(1), repeat(fcgi(9, 0, []byte{9}), 100), params, end}, 200},
		{"unknown questions", [][]byte{repeat(fcgi(99, 0, nil), 100), fcgiBegin(1), params, end}, 200},
		{"questions of a request", [][]byte{repeat(fcgi(9, 1, fcgiPair("FCGI_MAX_REQS", "")), 100), fcgiBegin(1), params, end}, 200},
		{"body before the parameters", [][]byte{fcgiBegin(1), fcgi(fcgiStdin, 1, []byte("abc")), post, end}, 200},
		{"body longer than its length", [][]byte{fcgiBegin(1), post, fcgi(fcgiStdin, 1, bytes.Repeat([]byte("x"), 60000)), end}, 200},
		{"body shorter than its length", [][]byte{fcgiBegin(1), post, fcgi(fcgiStdin, 1, []byte("x")), end}, 400},
		{"thousands of empty records of other requests", [][]byte{fcgiBegin(1), params, repeat(fcgi(fcgiStdin, 9, nil), 20000), end}, 200},
		{"parameters after their end", [][]byte{fcgiBegin(1), params, params}, 0},
		{"begin within the parameters", [][]byte{fcgiBegin(1), fcgi(fcgiParams, 1, pairs), fcgiBegin(1)}, 0},
		{"begin too long", [][]byte{fcgi(beginRequest, 1, make([]byte, 9))}, 0},
		{"begin with nothing", [][]byte{fcgi(beginRequest, 1, nil)}, 0},
		{"version 0", [][]byte{{0, 1, 0, 1, 0, 8, 0, 0}}, 0},
		{"version 255", [][]byte{fcgiBegin(1), {255, 4, 0, 1, 0, 0, 0, 0}}, 0},
	} {
		answer := askRaw(t, a.World, slices.Concat(row.sent...))
		a.harmless(t, row.name, answer.stdout)
		if answer.status() != row.status || answer.ended != (row.status != 0) {
			t.Errorf("%s: %.300q %v, want %d", row.name, answer.stdout, answer.err, row.status)
		}
		a.unharmed(t)
	}
	// Roles that nobody asked wsgid to play.
	for _, role := range []byte{0, 3, 4, 255} {
		conn := dial(t, a.World)
		if _, err := conn.Write(slices.Concat(fcgiBegin(role), params, end)); err != nil {
			t.Fatal(err)
		}
		record, err := readRecord(conn)
		if err != nil || record.kind != endRequest || record.content[4] != 3 {
			t.Errorf("role %d: %+v %v, want UNKNOWN_ROLE", role, record, err)
		}
	}
	a.unharmed(t)
}

// TestAttackMutations: requests with bytes changed, left out and repeated.
func TestAttackMutations(t *testing.T) {
	a := startAttacked(t, "")
	body := bytes.Repeat([]byte("body "), 300)
	valid := slices.Concat(fcgiBegin(1), fcgiStream(fcgiParams, fcgiPairs("REQUEST_METHOD", "POST", "REQUEST_URI", "/app/x?q=1", "SCRIPT_NAME", "/app", "PATH_INFO", "/x", "QUERY_STRING", "q=1",
		"CONTENT_LENGTH", fmt.Sprint(len(body)), "CONTENT_TYPE", "text/plain", "SCRIPT_FILENAME", "proxy:fcgi://x/"+a.Path("apps/environ.py"), "HTTP_HOST", "x", "HTTP_COOKIE", strings.Repeat("c=1; ", 40),
		"SERVER_NAME", "x", "SERVER_PORT", "80", "REMOTE_ADDR", "127.0.0.1", "UNIQUE_ID", "id")), fcgi(fcgiStdin, 1, body), fcgi(fcgiStdin, 1, nil))
	source := rand.New(rand.NewPCG(3, 4))
	for round := range rounds(1500, 20000) {
		sent := slices.Clone(valid)
		for range 1 + source.IntN(4) {
			at, length := source.IntN(len(sent)), 1+source.IntN(16)
			switch end := min(at+length, len(sent)); source.IntN(5) {
			case 0:
				sent[at] = byte(source.Uint32())
			case 1:
				sent[at] ^= 1 << source.IntN(8)
			case 2:
				sent = slices.Delete(sent, at, end)
			case 3:
				sent = slices.Insert(sent, at, slices.Clone(sent[at:end])...)
			case 4:
				copy(sent[at:end], bytes.Repeat([]byte{[]byte{0, 0xff, 0x80, 1}[source.IntN(4)]}, length))
			}
			if len(sent) == 0 {
				sent = []byte{0}
			}
		}
		conn := dial(t, a.World)
		go func() {
			_, _ = conn.Write(sent)               // it may be hung up on meanwhile
			_ = conn.(*net.UnixConn).CloseWrite() // and so a half request ends
		}()
		a.harmless(t, fmt.Sprint("round ", round), readAll(t, conn))
		conn.Close()
	}
	a.unharmed(t)
}

// TestAttackStalls: peers that stop in the middle of a body or of an answer,
// more of them than there are threads, give the threads back.
func TestAttackStalls(t *testing.T) {
	w := newWorld(t)
	w.App("download.py")
	w.App("body_hash.py")
	web := freeAddress(t)
	const hasty = "  header_timeout = \"1s\"\n  body_timeout = \"1s\"\n"
	w.Configure("listen \"unix\" {\n  path = \"{{.Dir}}/run/hasty.sock\"\n" + hasty + "}\nlisten \"http\" {\n  address = \"" + web + "\"\n" + hasty + "}\n" +
		group("only", "#64001", 1, 3, `socket_timeout = "2s"`) + mount("/down", "apps/download.py") + mount("/", "apps/body_hash.py"))
	wsgid := w.Start(harness.Options{})
	before := wsgid.AwaitReady("only")
	w.Socket = w.Path("run/hasty.sock")
	const endless = "size=1000000000"
	part := string(payload(300_000))
	for name, sent := range map[string]string{
		"FastCGI, an answer that nobody reads": string(fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/down", "QUERY_STRING", endless)),
		"FastCGI, 300 kB that nobody reads":    string(fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/down", "QUERY_STRING", "size=300000")),
		"FastCGI, 600 kB that nobody reads":    string(fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/down", "QUERY_STRING", "size=600000")),
		"FastCGI, a streamed body that stops": string(slices.Concat(fcgiBegin(1), fcgiStream(fcgiParams, fcgiPairs("REQUEST_METHOD", "POST", "SCRIPT_NAME", "/x", "CONTENT_LENGTH", "1000000", "QUERY_STRING", "by=read")),
			fcgi(fcgiStdin, 1, []byte(part[:60000])), fcgi(fcgiStdin, 1, []byte(part[:60000])), fcgi(fcgiStdin, 1, []byte(part[:60000])))),
		"HTTP, an answer that nobody reads":  "GET /down?" + endless + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP, a streamed body that stops":   "POST /?by=read HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + part,
		"HTTP, a chunked body that stops":    "POST /?by=read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n" + part,
		"HTTP, a head that stops":            "GET / HTTP/1.1\r\nHost: x\r\nX: y",
		"FastCGI, parameters that stop":      string(fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/x")[:30]),
		"FastCGI, nothing but a first byte":  "\x01",
		"HTTP, nothing but a first byte":     "G",
		"HTTP, requests without reading any": strings.Repeat("GET /down?"+endless+" HTTP/1.1\r\nHost: x\r\n\r\n", 100),
	} {
		t.Run(name, func(t *testing.T) {
			const peers = 8
			began := wsgid.AwaitIdle().Router.Requests
			var conns []net.Conn
			for range peers {
				network, address := "tcp", web
				if strings.HasPrefix(name, "FastCGI") {
					network, address = "unix", w.Socket
				}
				conn, err := net.Dial(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
				go func() { _, _ = io.WriteString(conn, sent) }() // until it is hung up on
			}
			if strings.Contains(name, "read") {
				wsgid.AwaitStatus("all requests have come", func(s harness.Status) error {
					if came := s.Router.Requests - began + uint64(s.Router.InFlight); came < peers {
						return fmt.Errorf("%d", came)
					}
					return nil
				})
			} else {
				for _, conn := range conns {
					readAll(t, conn)
				}
			}
			wsgid.AwaitStatus("all are hung up on", func(s harness.Status) error {
				if s.Router.Connections != 0 || s.Router.InFlight != 0 || s.Group("only").ThreadsBusy != 0 || s.Group("only").Queued != 0 {
					return fmt.Errorf("%d connections, %d in flight, %d busy, %d queued", s.Router.Connections, s.Router.InFlight, s.Group("only").ThreadsBusy, s.Group("only").Queued)
				}
				return nil
			})
			if answer := askRaw(t, w, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/x", "QUERY_STRING", "by=read")); answer.status() != 200 {
				t.Errorf("an ordinary request: %+v", answer)
			}
			for _, conn := range conns {
				conn.Close()
			}
		})
	}
	if after := wsgid.AwaitIdle(); after.RouterPID != before.RouterPID || !slices.Equal(after.PIDs("only"), before.PIDs("only")) {
		t.Errorf("router %d and workers %v, at first %d and %v", after.RouterPID, after.PIDs("only"), before.RouterPID, before.PIDs("only"))
	}
}
