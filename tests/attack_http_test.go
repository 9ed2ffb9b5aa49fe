package tests

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestAttackFraming: requests whose end two servers could see in two places.
// What one of them would take for a body must not be answered as a request of
// its own. TestHTTPRawRequests in dispatch has more of them, with their bodies.
func TestAttackFraming(t *testing.T) {
	a := startAttacked(t, "")
	const smuggled = "GET /app/smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	for _, row := range []struct {
		name, head, body string
		status           int  // of the first answer; 0: hung up on without one, or 400
		next             bool // what follows is a request by every reading
	}{
		{"length", "Content-Length: 3", "abc", 200, true},
		{"length in a body", fmt.Sprintf("Content-Length: %d\r\nConnection: close", len(smuggled)), "", 200, false},
		{"two equal lengths", "Content-Length: 3\r\nContent-Length: 3", "abc", 200, true},
		{"two lengths", "Content-Length: 0\r\nContent-Length: 3", "abc", 400, false},
		{"list of lengths", "Content-Length: 3, 3", "abc", 400, false},
		{"signed", "Content-Length: +3", "abc", 400, false},
		{"negative", "Content-Length: -1", "", 400, false},
		{"hexadecimal", "Content-Length: 0x3", "abc", 400, false},
		{"huge", "Content-Length: 99999999999999999999", "abc", 400, false},
		{"length with a space", "Content-Length : 3", "abc", 400, false},
		{"underscore", "Content_Length: 3", "", 200, true},
		{"length and chunked", "Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 200, false},
		{"chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n", 200, false},
		{"chunked", "Transfer-Encoding: chunked", chunk, 200, false},
		{"chunked with a tab", "Transfer-Encoding:\tchunked", "0\r\n\r\n", 200, false},
		{"chunked with a vertical tab", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n", 0, false},
		{"chunked with a space", "Transfer-Encoding : chunked", "0\r\n\r\n", 0, false},
		{"chunked folded", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n", 200, false},
		{"chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 501, false},
		{"chunked, identity", "Transfer-Encoding: chunked, identity", "0\r\n\r\n", 501, false},
		{"identity", "Transfer-Encoding: identity\r\nContent-Length: 3", "abc", 501, false},
		{"xchunked", "Transfer-Encoding: xchunked", "0\r\n\r\n", 501, false},
		{"gzip, chunked", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n", 501, false},
		{"quoted", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n", 501, false},
		{"negative chunk", "Transfer-Encoding: chunked", "-1\r\na\r\n0\r\n\r\n", 0, false},
		{"prefixed chunk", "Transfer-Encoding: chunked", "0x1\r\na\r\n0\r\n\r\n", 0, false},
		{"huge chunk", "Transfer-Encoding: chunked", "fffffffffffffffff\r\na\r\n0\r\n\r\n", 0, false},
		{"chunk with bare line feeds", "Transfer-Encoding: chunked", "1\na\n0\n\n", 0, false},
		{"chunk extension with a line feed", "Transfer-Encoding: chunked", "1;x\na\r\na\r\n0\r\n\r\n", 0, false},
		{"chunk that goes on", "Transfer-Encoding: chunked", "1\r\nab\r\n0\r\n\r\n", 0, false},
		{"trailers", "Transfer-Encoding: chunked\r\nTrailer: Content-Length", "0\r\nContent-Length: 9\r\n\r\n", 400, false},
		{"unannounced trailers", "Transfer-Encoding: chunked", "0\r\nWsgid-Script: /x\r\nScript-Filename: /x\r\n\r\n", 200, false},
		{"folded", "X: a\r\n b", "", 200, true},
		{"header that begins with a space", "X: a\r\n\tContent-Length: 3", "", 200, true},
		{"no colon", "Nothing", "", 0, false},
		{"no name", ": x", "", 0, false},
		{"NUL in a name", "X\x00: a", "", 0, false},
		{"NUL in a value", "X: a\x00b", "", 0, false},
		{"carriage return in a value", "X: a\rContent-Length: 3", "", 0, false},
		{"expectation", "Expect: nothing\r\nContent-Length: 3", "abc", 417, false},
	} {
		got := rawHTTP(t, "http://"+a.address, "POST /app HTTP/1.1\r\nHost: x\r\n"+row.head+"\r\n\r\n"+row.body+smuggled)
		a.harmless(t, row.name, got)
		var status int
		_, _ = fmt.Sscanf(got, "HTTP/1.1 %d", &status) // 0 without an answer
		if status != row.status && (row.status != 0 || status != 400) {
			t.Errorf("%s: %.300q, want %d", row.name, got, row.status)
		}
		if next := strings.Contains(got, `"PATH_INFO": "/smuggled"`); next != row.next {
			t.Errorf("%s: the second request is answered: %v, want %v: %.2000q", row.name, next, row.next, got)
		}
	}
	for _, head := range []string{"Transfer-Encoding: chunked", "Content-Length: 3\r\nTransfer-Encoding: chunked"} {
		got := rawHTTP(t, "http://"+a.address, "POST /app HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n"+head+"\r\n\r\n0\r\n"+smuggled)
		if strings.Contains(got, `"PATH_INFO": "/smuggled"`) {
			t.Errorf("HTTP/1.0 with %q: %.2000q", head, got)
		}
	}
	a.unharmed(t)
}

// TestAttackRequestLines: first lines, Host headers and sizes that are none.
func TestAttackRequestLines(t *testing.T) {
	a := startAttacked(t, "")
	long := strings.Repeat("x", 200<<10)
	for _, request := range []string{
		"", "\r\n\r\n", "\r\n\r\n\r\nGET /app HTTP/1.1\r\nHost: x\r\n\r\n", "GET /app\r\n\r\n", "GET /app HTTP/0.9\r\n\r\n", "GET /app HTTP/1.2\r\nHost: x\r\n\r\n",
		"GET /app HTTP/2.0\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /app HTTP/11.1\r\nHost: x\r\n\r\n", "GET /app HTTP/1.1 x\r\nHost: x\r\n\r\n",
		"GET  /app HTTP/1.1\r\nHost: x\r\n\r\n", "GET\t/app HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "G\x00T /app HTTP/1.1\r\nHost: x\r\n\r\n",
		"get /app HTTP/1.1\r\nHost: x\r\n\r\n", long + " /app HTTP/1.1\r\nHost: x\r\n\r\n", "GET /" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", "GET /app?" + long + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /app HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 50000) + "\r\n", "GET /app HTTP/1.1\r\nHost: x\r\nX: " + long + "\r\n\r\n",
		"GET /app HTTP/1.1\r\nHost: x\r\n" + long + ": y\r\n\r\n", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /app HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", long,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /app HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		got := rawExchange(t, a.address, request)
		a.harmless(t, fmt.Sprintf("%.60q", request), got)
		if strings.Contains(got, "HTTP/1.1 5") && !strings.Contains(got, "HTTP/1.1 501") && !strings.Contains(got, "HTTP/1.1 505") {
			t.Errorf("%.60q: %.300q", request, got)
		}
	}
	a.unharmed(t)

	hosts := map[string]bool{ // whether a server may take it for a name
		"x": true, "x:80": true, "X.TEST": true, "x.test.": true, "[::1]": true, "[::1]:80": true, "1.2.3.4": true, "": true, "x:": true, "xn--nxasmq6b": true, "x,y": true,
		"x:99999999": true, "x:http": true, "[::1": true, "::1": true, "../../etc/passwd": false, "x/y": false, `x\y`: false, "x y": false, "x@y": false, "x?y": false, "x#y": false, "http://x": false,
		"<script>": false, "x\x00": false, "x\x01": false, "\xff": false, "é": false, "%78": true, "%{GLOBAL}": false, "{}": false, "localhost\r\nX-Injected: 1": true, long: false,
	}
	for _, front := range []struct{ name, base string }{
		{"HTTP front", "http://" + a.address},
		{"Apache", a.StartApache(harness.ApacheOptions{Config: proxyAll}).Base},
		{"nginx", a.StartNginx().Base},
		{"Caddy", a.StartCaddy().Base},
	} {
		for host, name := range hosts {
			got := rawExchange(t, strings.TrimPrefix(front.base, "http://"), "GET /app HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			what := fmt.Sprintf("%s, host %.60q", front.name, host)
			a.harmless(t, what, got)
			head, body, _ := strings.Cut(got, "\r\n\r\n")
			if strings.Contains(head, "Injected") || strings.Contains(head, " 50") && !strings.Contains(head, " 501 ") {
				t.Errorf("%s: %.300q", what, got)
			}
			if front.name == "HTTP front" && !name && strings.Contains(body, `"HTTP_HOST"`) {
				t.Errorf("%s: the application is asked: %.300q", what, head)
			}
		}
	}
	a.unharmed(t)
}

// rawExchange sends bytes and the end of input, and reads until the server hangs up.
func rawExchange(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		if _, err := conn.Write([]byte(request)); err == nil {
			_ = conn.(*net.TCPConn).CloseWrite() // it may have been hung up on
		}
	}()
	got := readAll(t, conn)
	conn.Close()
	<-written
	return got
}
