package dispatch

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// httpRouter runs a router with an HTTP listener.
func httpRouter(t *testing.T, change func(*wire.RouterConfig), handle func(*fakeRequest)) (*running, string) {
	t.Helper()
	var config *wire.RouterConfig
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		config = c
		c.Listeners = []wire.Listener{{Kind: wire.ListenHTTP, HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second}}
		if change != nil {
			change(c)
		}
	}, handle, 2)
	return r, config.Listeners[0].Address
}

func httpClient(t *testing.T) *http.Client {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestHTTPFront(t *testing.T) {
	_, address := httpRouter(t, nil, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		b, _ := q.body()
		switch q.env["PATH_INFO"] {
		case "/post":
			q.reply(sum(b) + " " + q.env["CONTENT_LENGTH"] + " " + q.env["CONTENT_TYPE"])
		case "/cut":
			out := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\npart"))
			q.w.Write(protocol.AppendEndRequest(out, 1, truncated, protocol.RequestComplete))
		default:
			out := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 201 Made\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n"))
			out = protocol.AppendStream(out, protocol.Stdout, 1, []byte(strings.Join([]string{q.env["PATH_INFO"], q.env["REQUEST_URI"],
				q.env["QUERY_STRING"], q.env["HTTP_X_H"], q.env["HTTP_COOKIE"], q.env["HTTP_X_U"], q.env["HTTP_PROXY"], q.env["REMOTE_ADDR"]}, "|")))
			q.w.Write(protocol.AppendEndRequest(out, 1, 0, protocol.RequestComplete))
		}
	})
	client := httpClient(t)
	req, _ := http.NewRequest("GET", "http://"+address+"/a%20b//c?q=%20", nil)
	req.Header = http.Header{"X-H": {"1", "2"}, "Cookie": {"a=1", "b=2"}, "X_U": {"spoof"}, "Proxy": {"evil"}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if got, want := string(body), "/a b/c|/a%20b//c?q=%20|q=%20|1, 2|a=1; b=2|||127.0.0.1"; got != want || resp.StatusCode != 201 ||
		len(resp.Header["X-A"]) != 2 || resp.Header["Content-Type"] != nil || resp.Close {
		t.Errorf("%d %v %q, want %q", resp.StatusCode, resp.Header, got, want)
	}
	for _, n := range []int{10, 100000, 3 << 20} {
		for _, chunked := range []bool{false, true} {
			b := bigBody(n)
			var reader io.Reader = bytes.NewReader(b)
			if chunked {
				reader = io.MultiReader(reader)
			}
			resp, err := client.Post("http://"+address+"/post", "text/x", reader)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if !strings.HasPrefix(string(got), sum(b)+" ") || !strings.HasSuffix(string(got), " text/x") {
				t.Errorf("%d bytes, chunked %v: %q", n, chunked, got)
			}
		}
	}
	if resp, err = client.Get("http://" + address + "/cut"); err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a truncated response looks whole")
	}
}

func TestHTTPFrontStreams(t *testing.T) {
	step := make(chan struct{})
	_, address := httpRouter(t, nil, func(q *fakeRequest) {
		q.body()
		q.w.Write(protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\none\n")))
		<-step
		q.w.Write(protocol.AppendEndRequest(protocol.AppendStream(nil, protocol.Stdout, 1, []byte("two\n")), 1, 0, protocol.RequestComplete))
	})
	resp, err := httpClient(t).Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	if line, _ := in.ReadString('\n'); line != "one\n" {
		t.Errorf("first %q", line)
	}
	close(step)
	if rest, _ := io.ReadAll(in); string(rest) != "two\n" {
		t.Errorf("rest %q", rest)
	}
}

func TestHTTPRefusalAndShortBody(t *testing.T) {
	_, address := httpRouter(t, func(c *wire.RouterConfig) { c.Mounts[0].Prefix = "/app" }, echoPath)
	resp, err := httpClient(t).Get("http://" + address + "/other")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 404 || resp.Header.Get("X-WSGID-Error") != "WSGID-1003" || !strings.Contains(string(body), "WSGID-1003") {
		t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	c.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	if strings.Contains(string(answer), "200 OK") {
		t.Errorf("a short body ran: %q", answer)
	}
}

func TestStaticFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.css", ".hidden", "sub/b.js", "sub/.git/config", "sub/index.html"} {
		mustWrite(t, filepath.Join(dir, name))
	}
	if err := os.WriteFile(filepath.Join(dir, "a.css"), []byte("body {}"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustLink(t, "/etc/passwd", filepath.Join(dir, "link"))
	_, address := httpRouter(t, func(c *wire.RouterConfig) {
		c.Listeners[0].Static = []wire.Static{{Prefix: "/static/", Dir: dir}}
	}, echoPath)
	client := httpClient(t)
	for path, want := range map[string]int{
		"/static/a.css": 200, "/static/sub/b.js": 200, "/static/": 404, "/static/sub": 404, "/static/sub/": 404, "/static/.hidden": 404,
		"/static/sub/.git/config": 404, "/static/link": 404, "/static/missing": 404, "/static/sub/../a.css": 200, "/static": 200,
		"/static/%2e%2e/x": 200, "/static/..%2f..%2fetc/passwd": 200, // these two are the application's
	} {
		resp, err := client.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || strings.Contains(string(body), "root:") {
			t.Errorf("%s: %d %q, want %d", path, resp.StatusCode, body, want)
		}
	}
	resp, err := client.Post("http://"+address+"/static/a.css", "text/x", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

// TestHTTPConnections: a connection counts from its beginning to its end, also while no
// request is on it.
func TestHTTPConnections(t *testing.T) {
	r, address := httpRouter(t, nil, func(q *fakeRequest) { q.reply("ok") })
	connections := func(n int) {
		t.Helper()
		r.await("connections", func(s *wire.RouterStatus) bool { return s.Connections == n })
	}
	connections(0)
	quiet, used := dialHTTP(t, address), dialHTTP(t, address)
	connections(2)
	if _, err := io.WriteString(used, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(used), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%+v %v", resp, err)
	}
	connections(2)
	quiet.Close()
	connections(1)
	used.Close()
	connections(0)
}
