package dispatch

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
)

func dialHTTP(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(longWait))
	t.Cleanup(func() { c.Close() })
	return c
}

func TestHTTPRawRequests(t *testing.T) {
	_, address := httpRouter(t, nil, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		b, _ := q.body()
		if q.env["PATH_INFO"] == "/early-hints" {
			q.w.Write(stdout([]byte("Status: 103 Early Hints\r\nX-A: 1\r\n\r\nbody")))
			q.w.Write(endRequest())
			return
		}
		q.reply(q.env["REQUEST_METHOD"] + " " + q.env["PATH_INFO"] + " " + sum(b))
	})
	empty := sum(nil)
	for _, tt := range []struct{ name, request, want, not string }{
		{"Content-Length and chunked", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
			"POST /a " + sum([]byte("abc")), "smuggled"},
		{"HTTP/1.0 and chunked", "POST /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
			"POST /a " + empty, "smuggled"},
		{"HTTP/1.0, Content-Length and chunked", "POST /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
			"POST /a " + sum([]byte("0\r\n")), "smuggled"},
		{"two lengths", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400 Bad Request", "200 OK"},
		{"a signed length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", "400 Bad Request", "200 OK"},
		{"another coding", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 ", "200 OK"},
		{"NUL in the path", "GET /a%00b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "400 Bad Request", "200 OK"},
		{"line feed in the path", "GET /a%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET /a\r\nX-Evil: 1 " + empty, "500"},
		{"markup in an unknown path", "GET /<script> HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200 OK", "500"},
		{"HEAD", "HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200 OK", "HEAD /a"},
		{"a status below 200", "GET /early-hints HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200 OK", "103"},
		{"a header that is too large", "GET /a HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "431 ", "200 OK"},
		{"a URL that is too long", "GET /" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", "431 ", "200 OK"},
		{"a long URL", "GET /" + strings.Repeat("x", 30<<10) + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200 OK", "431"},
		{"100-continue", "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", "417"},
		{"no host", "GET /a HTTP/1.1\r\n\r\n", "400 Bad Request", "200 OK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialHTTP(t, address)
			go io.WriteString(c, tt.request)
			var got bytes.Buffer
			io.Copy(&got, c)
			if !strings.Contains(got.String(), tt.want) || strings.Contains(got.String(), tt.not) {
				t.Errorf("%.300q", got.String())
			}
		})
	}
}

// The answer may begin while the body is still coming, and no byte of either
// is lost.
func TestHTTPEcho(t *testing.T) {
	_, address := httpRouter(t, nil, func(q *fakeRequest) {
		q.accept()
		q.w.Write(stdout([]byte("Status: 200 OK\r\n\r\n")))
		for {
			h, err := q.w.rd.Next()
			if err != nil {
				return
			}
			b, err := q.w.rd.Content()
			if err != nil {
				return
			}
			if h.ContentLength == 0 {
				break
			}
			q.w.Write(stdout(b))
		}
		q.w.Write(endRequest())
	})
	body := bigBody(3 << 20)
	c := dialHTTP(t, address)
	sent := make(chan struct{})
	more := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n")
		c.Write(body[:100000])
		<-more
		c.Write(body[100000:])
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	close(more) // the header was here before the body was whole
	got, err := io.ReadAll(resp.Body)
	<-sent
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%s %v, want %s", sum(got), err, sum(body))
	}
}

func TestHTTPTimeouts(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	_, address := httpRouter(t, func(c *wire.RouterConfig) {
		c.Listeners[0].HeaderTimeout, c.Listeners[0].BodyTimeout, c.Listeners[0].IdleTimeout = time.Second, time.Second, time.Second
	}, func(q *fakeRequest) {
		q.body()
		for { // until the router gives up
			if _, err := q.w.Write(stdout(append([]byte("Status: 200 OK\r\n\r\n"), make([]byte, 60000)...))); err != nil {
				ended <- struct{}{}
				return
			}
		}
	})
	c := dialHTTP(t, address)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost:")
	if b, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(b), "200 OK") {
		t.Errorf("half a header: %q %v", b, err)
	}
	c = dialHTTP(t, address)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	if b, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(string(b), "408 ") {
		t.Errorf("half a body: %q %v", b, err)
	}
	c = dialHTTP(t, address)
	if b, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) || len(b) > 0 {
		t.Errorf("no request: %q %v", b, err)
	}
	c = dialHTTP(t, address)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	select { // a client that reads nothing
	case <-ended:
	case <-time.After(longWait):
		t.Error("a client that takes nothing of its answer holds a thread")
	}
}

// TestHTTPResponseSocketTimeout: it counts for the requests of its group, those
// before and after it on the same connection have body_timeout.
func TestHTTPResponseSocketTimeout(t *testing.T) {
	ended := make(chan struct{}, 1)
	_, address := httpRouter(t, func(c *wire.RouterConfig) {
		c.Listeners[0].BodyTimeout = 0 // no limit
		c.Groups[0].ResponseSocketTimeout = 200 * time.Millisecond
		c.Groups = append(c.Groups, wire.Group{Name: "patient", Processes: 1, Threads: 1, QueueLength: 1, QueueTimeout: time.Millisecond})
		patient := c.Mounts[0]
		patient.Prefix, patient.ProcessGroup = "/patient", "patient"
		c.Mounts = append(c.Mounts, patient)
	}, func(q *fakeRequest) {
		q.body()
		for q.env["REQUEST_URI"] == "/endless" {
			if _, err := q.w.Write(stdout(append([]byte("Status: 200 OK\r\n\r\n"), make([]byte, 60000)...))); err != nil {
				ended <- struct{}{}
				return
			}
		}
		q.reply("short")
	})
	c := dialHTTP(t, address)
	for _, path := range []string{"/short", "/patient", "/short"} {
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(250 * time.Millisecond) // a deadline of the answer before means nothing to the next
	}
	io.WriteString(c, "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(longWait):
		t.Error("a client that takes nothing of its answer holds a thread")
	}
}

func TestStaticSpecialFiles(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(outside, "secret"))
	mustWrite(t, filepath.Join(dir, "in", "file"))
	mustLink(t, outside, filepath.Join(dir, "out"))
	mustLink(t, "in", filepath.Join(dir, "inside"))
	mustLink(t, "../"+filepath.Base(outside)+"/secret", filepath.Join(dir, "up"))
	_, address := httpRouter(t, func(c *wire.RouterConfig) {
		c.Listeners[0].Static = []wire.Static{{Prefix: "/static", Dir: dir}}
	}, func(q *fakeRequest) {
		q.body()
		q.reply("application")
	})
	for path, want := range map[string]string{
		"/static/pipe": "404", "/static/out/secret": "404", "/static/up": "404", "/static/in/file": "200", "/static/inside/file": "200",
		"/static/in%2ffile": "200", "/static/in/%2e%2e/in/file": "200", "/static/%2e%2e%2fsecret": "application",
		"/static/x%00": "404", "/static/in/file/": "404", "/staticx/in/file": "application",
	} {
		c := dialHTTP(t, address)
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		got, err := io.ReadAll(c)
		if head, body, _ := strings.Cut(string(got), "\r\n\r\n"); err != nil || !strings.Contains(head[:min(len(head), 20)]+body, want) {
			t.Errorf("%s: %q %v, want %s", path, got, err, want)
		}
	}
}

// TestHTTPInterrupt: an interrupt ends reading a body, and not the Read by which
// net/http looks whether the client is there: that would be the end of the
// connection, and of the requests that are still to come on it.
func TestHTTPInterrupt(t *testing.T) {
	ends := func() (ours *countedConn, client net.Conn) {
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		h := &httpListener{router: &Router{}, l: &listener{}, conns: map[*countedConn]struct{}{}}
		return h.track(near), far
	}
	read := func(c *countedConn, size int) <-chan error {
		done := make(chan error, 1)
		go func() { _, err := c.Read(make([]byte, size)); done <- err }()
		return done
	}
	c, _ := ends()
	body := read(c, 1000)
	c.interrupt()
	if err := <-body; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading a body: %v", err)
	}
	c, client := ends()
	watch := read(c, watchRead)
	c.interrupt()
	c.wake()
	if _, err := client.Write([]byte("x")); err != nil { // it is still there to be read
		t.Fatal(err)
	}
	if err := <-watch; err != nil {
		t.Errorf("watching the client: %v", err)
	}
	c, _ = ends()
	c.interrupt()
	watch = read(c, watchRead)
	if err := c.SetReadDeadline(past); err != nil { // net/http wants it to end
		t.Fatal(err)
	}
	if err := <-watch; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("watching the client, at the end: %v", err)
	}
}
