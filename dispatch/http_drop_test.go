package dispatch

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
)

// A request that is answered before its body has been read: what is left of
// the body is dropped, the connection goes on, and net/http does not panic.
func TestHTTPDropsUnreadBodies(t *testing.T) {
	r, address := httpRouter(t, func(c *wire.RouterConfig) { c.Mounts[0].MaxBodyBytes = 1000 }, func(q *fakeRequest) {
		q.accept()
		q.reply("early")
	})
	c := dialHTTP(t, address)
	in := bufio.NewReader(c)
	ask := func(head, body string, status int) {
		t.Helper()
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\n"+head+"\r\n\r\n"+body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != status {
			t.Fatalf("%s: %d %v", head, resp.StatusCode, err)
		}
	}
	for range 20 {
		ask("Content-Length: 1001", strings.Repeat("x", 1001), 413)
		ask("Content-Length: 100000", strings.Repeat("z", 100000), 413) // more than net/http has read ahead
		ask("Content-Length: 10", "0123456789", 200)
		ask("Content-Length: 0", "", 200)
		ask("Transfer-Encoding: chunked", "7d0\r\n"+strings.Repeat("y", 2000)+"\r\n0\r\n\r\n", 413)
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			t.Fatalf("after a chunked body: %q %v", rest, err)
		}
		c = dialHTTP(t, address)
		in = bufio.NewReader(c)
	}
	if log := r.log.String(); strings.Contains(log, "panic") {
		t.Errorf("%s", log)
	}
}

// A client that has its early answer and keeps the rest of the body back loses
// its connection, and that rest is no new request.
func TestHTTPUnreadBodyThatDoesNotCome(t *testing.T) {
	for name, limit := range map[string]int64{"answered early": 1000, "408": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			requests := make(chan string, 10)
			_, address := httpRouter(t, func(c *wire.RouterConfig) {
				c.Mounts[0].MaxBodyBytes = limit
				c.Listeners[0].BodyTimeout, c.Listeners[0].IdleTimeout = 200*time.Millisecond, time.Hour
			}, func(q *fakeRequest) {
				requests <- q.env["REQUEST_URI"]
				q.body()
				q.reply("ran")
			})
			c := dialHTTP(t, address)
			if _, err := io.WriteString(c, "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\nhalf"); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(c)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode == 200 {
				t.Fatalf("%+v %v", resp, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(in); errors.Is(err, os.ErrDeadlineExceeded) || len(rest) > 0 {
				t.Errorf("the connection is not closed: %q %v", rest, err)
			}
			if len(requests) != 0 {
				t.Errorf("%s ran", <-requests)
			}
		})
	}
}
