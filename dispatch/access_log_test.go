package dispatch

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// accessReader reads what a router writes into an access log.
type accessReader struct {
	t  *testing.T
	in *bufio.Reader
}

// addAccessLog has the router of a configuration write into a pipe.
func addAccessLog(t *testing.T, c *wire.RouterConfig, format string, suppress ...string) (wire.AccessLog, *accessReader) {
	t.Helper()
	read, fd := accessPipe(t)
	if err := read.SetReadDeadline(time.Now().Add(longWait)); err != nil {
		t.Fatal(err)
	}
	c.AccessFiles = append(c.AccessFiles, wire.AccessFile{Path: "/log/" + strconv.Itoa(fd), FD: fd})
	return wire.AccessLog{File: len(c.AccessFiles) - 1, Format: format, SuppressPaths: suppress}, &accessReader{t, bufio.NewReader(read)}
}

// want reads the next line.
func (r *accessReader) want(want string) {
	r.t.Helper()
	line, err := r.in.ReadString('\n')
	if line != want+"\n" {
		r.t.Errorf("%q %v, want %q", line, err, want)
	}
}

const outcomeFormat = `%r %s %B %X %{wsgid:code}x %{wsgid:end}x %{wsgid:group}x %P`

// TestAccessLog: each request has a line that says how it ended.
func TestAccessLog(t *testing.T) {
	var log *accessReader
	body := bigBody(300000)
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		var l wire.AccessLog
		l, log = addAccessLog(t, c, outcomeFormat, "/ping")
		c.AccessLogs = []wire.AccessLog{l}
		c.Mounts[0].MaxBodyBytes = 10
		c.Groups[0].QueueLength = 1
	}, func(q *fakeRequest) {
		q.body()
		switch q.env["REQUEST_URI"] {
		case "/ok", "/ping", "/ping?x":
			q.reply("okay")
		case "/large":
			q.w.Write(stdout([]byte("Status: 201 Created\r\n")))
			q.w.Write(stdout(append([]byte("X: y\r\n\r\n"), body[:1000]...)))
			q.w.Write(append(records(body[1000:], 7, 65528, 8), endRequest()...))
		case "/wide": // the head is in a large record
			q.w.Write(append(records(append([]byte("Status: 202 x\r\nX: "+strings.Repeat("x", 40000)+"\r\n\r\n"), body[:60000]...), 0, 65535), endRequest()...))
		case "/cut":
			b := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\npart"))
			q.w.Write(protocol.AppendEndRequest(b, 1, truncated, protocol.RequestComplete))
		case "/die":
			q.w.Close()
		case "/noise":
			b := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\na"))
			b = protocol.AppendStream(b, protocol.Stderr, 1, []byte("not counted"))
			b = protocol.AppendStream(b, protocol.Stdout, 1, []byte("b"))
			q.w.Write(append(b, endRequest()...))
		case "/wait":
			q.w.Read(make([]byte, 1)) // until the router closes
		}
	}, 2)
	f := r.front()
	f.SetDeadline(time.Now().Add(longWait))
	ask := func(uri, method, want string) {
		t.Helper()
		f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", method, "REQUEST_URI", uri, "PATH_INFO", uri, "SERVER_PROTOCOL", "HTTP/1.1"))
		a, err := f.read()
		if err != nil || !a.ended {
			f = r.front()
			f.SetDeadline(time.Now().Add(longWait))
		}
		log.want(method + " " + uri + " HTTP/1.1 " + strings.ReplaceAll(want, "LEN", strconv.Itoa(len(a.body))))
	}
	refused := func(request []byte, want string) {
		t.Helper()
		f.send(request)
		a, err := f.read()
		if err != nil || len(a.body) < 100 {
			t.Errorf("%+v %v", a, err)
		}
		log.want(strings.ReplaceAll(want, "LEN", strconv.Itoa(len(a.body))))
	}
	ask("/ok", "GET", "200 4 + - complete web 100")
	ask("/ok", "HEAD", "200 4 + - complete web 100") // what the worker sent: the front server drops it
	ask("/large", "GET", "201 300000 + - complete web 100")
	ask("/wide", "GET", "202 60000 + - complete web 100")
	ask("/noise", "GET", "200 2 + - complete web 100")
	ask("/cut", "GET", "200 4 X - truncated web 100")
	r.mustGet(f, "/ping", "REQUEST_URI", "/ping") // has no line, which the next one shows
	f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", "GET", "REQUEST_URI", "/ping?x", "PATH_INFO", "/ping", "QUERY_STRING", "x"))
	f.read()
	log.want("GET /ping?x 200 4 + - complete web 100")
	refused(postBytes([]byte("more than ten bytes"), "19"), "POST /post 413 LEN + WSGID-1009 complete - -")

	f.Write(requestBytes(1, 0, nil, "REQUEST_METHOD", "GET", "REQUEST_URI", "/ok")) // no kept connection
	f.read()
	log.want("GET /ok 200 4 - - complete web 100")
	f = r.front()
	f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", "GET", "REQUEST_URI", "/wait"))
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	f.Close()
	log.want("GET /wait 499 0 X - aborted web 100")
	f = r.front()
	f.SetDeadline(time.Now().Add(longWait))
	ask("/die", "GET", "502 LEN + WSGID-1016 complete web 100")
	refused(requestBytes(1, 1, nil, "REQUEST_METHOD", "GET", "X", strings.Repeat("x", 70<<10)), "- 431 LEN - WSGID-1002 complete - -")
}

// TestAccessLogQuestions: a front server that asks who is let in logs the request
// itself.
func TestAccessLogQuestions(t *testing.T) {
	var log *accessReader
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		var l wire.AccessLog
		l, log = addAccessLog(t, c, "%U")
		c.AccessLogs = []wire.AccessLog{l}
		c.Listeners = []wire.Listener{{Kind: wire.ListenUnix, Authorizer: true, TrustFrontServer: true}}
	}, echoPath, 1)
	f := r.front()
	r.mustGet(f, "/asked", "WSGID_AUTH_REQUEST", "1")
	f.send(protocol.AppendRequest(nil, 1, protocol.Authorizer, 1, pairsOf("REQUEST_METHOD", "GET", "REQUEST_URI", "/asked"), nil))
	f.read()
	r.mustGet(f, "/served")
	log.want("/served")
}

// TestAccessLogOfHosts: the logs of a virtual host stand for the global ones.
func TestAccessLogOfHosts(t *testing.T) {
	var first, second, other *accessReader
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		var logs [3]wire.AccessLog
		logs[0], first = addAccessLog(t, c, "%v %U")
		logs[1], second = addAccessLog(t, c, "%U")
		logs[2], other = addAccessLog(t, c, "other %v %U")
		c.AccessLogs = logs[:2]
		c.VirtualHosts = []wire.VirtualHost{
			{ServerName: "own.example", Names: []string{"own.example"}, AccessLogs: logs[2:]},
			{ServerName: "plain.example", Names: []string{"plain.example"}},
		}
	}, echoPath, 1)
	f := r.front()
	for _, host := range []string{"own.example", "plain.example", "nobody.example", "no host"} {
		r.mustGet(f, "/"+host[:2], "HTTP_HOST", host, "SERVER_NAME", "front.example", "REQUEST_URI", "/"+host[:2])
	}
	other.want("other own.example /ow")
	first.want("plain.example /pl")
	first.want("front.example /no")
	first.want("front.example /no")
	second.want("/pl")
}

// TestRequestIDHeader: an id from a header counts where the listener says so, and
// only a sane one.
func TestRequestIDHeader(t *testing.T) {
	var log *accessReader
	var config *wire.RouterConfig
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		var l wire.AccessLog
		l, log = addAccessLog(t, c, "%L")
		c.AccessLogs = []wire.AccessLog{l}
		c.Listeners = []wire.Listener{{Kind: wire.ListenUnix, RequestIDHeader: "HTTP_X_REQUEST_ID"}, {Kind: wire.ListenTCP}}
		config = c
	}, func(q *fakeRequest) {
		q.body()
		q.reply(q.env["WSGID_REQUEST_ID"])
	}, 1)
	for i, want := range []string{"theirs", "unique"} {
		f := dialFront(t, string(config.Listeners[i].Kind), config.Listeners[i].Address)
		if a := r.mustGet(f, "/", "HTTP_X_REQUEST_ID", "theirs", "UNIQUE_ID", "unique"); a.body != want {
			t.Errorf("%s, want %s", a.body, want)
		}
		log.want(want)
	}
	f := r.front()
	for _, id := range []string{"", "a b", "a\nb", strings.Repeat("x", 64), "a, b"} {
		if a := r.mustGet(f, "/", "HTTP_X_REQUEST_ID", id, "UNIQUE_ID", "unique"); a.body != "unique" {
			t.Errorf("%q: %s", id, a.body)
		}
		log.want("unique")
	}
}

// TestAccessLogHTTP: over HTTP the log tells what the client gets, static files too.
func TestAccessLogHTTP(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.css"), []byte("body {}"), 0o644); err != nil {
		t.Fatal(err)
	}
	var log *accessReader
	_, address := httpRouter(t, func(c *wire.RouterConfig) {
		var l wire.AccessLog
		l, log = addAccessLog(t, c, `%r %U %s %B %X %{wsgid:group}x "%{User-Agent}i"`)
		c.AccessLogs = []wire.AccessLog{l}
		c.Listeners[0].Static = []wire.Static{{Prefix: "/static/", Dir: dir}}
	}, func(q *fakeRequest) {
		q.body()
		q.reply("okay")
	})
	client := httpClient(t)
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/a%22", "/a\\\" 200 4 + web"}, {"HEAD", "/", "/ 200 0 + web"},
		{"GET", "/static/a.css?v", "/static/a.css 200 7 + -"}, {"HEAD", "/static/a.css", "/static/a.css 200 0 + -"},
		{"GET", "/static/none", "/static/none 404 19 + -"}, {"POST", "/static/a.css", "/static/a.css 405 19 + -"},
	} {
		request, err := http.NewRequest(tt.method, "http://"+address+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("User-Agent", `a "b"`)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		log.want(tt.method + " " + tt.path + " HTTP/1.1 " + tt.want + ` "a \"b\""`)
	}
}

// TestAccessLogTimes: the line tells where the time went, also of a request whose
// script does not come back.
func TestAccessLogTimes(t *testing.T) {
	t.Parallel()
	release, returned := make(chan struct{}), make(chan struct{})
	h := &fakeHost{decide: func(env map[string]string, _ *ScriptCall) (a ScriptAnswer, err error) {
		switch env["PATH_INFO"] {
		case "/stuck":
			defer close(returned)
			<-release
		case "/slow":
			time.Sleep(20 * time.Millisecond)
			a.ProcessGroup = text("nothing")
		}
		return a, nil
	}}
	var log *accessReader
	r := dispatching(t, h, func(c *wire.RouterConfig) {
		var l wire.AccessLog
		l, log = addAccessLog(t, c, "%U %s %{wsgid:duration}x %{wsgid:wait}x %{wsgid:dispatch}x %{wsgid:code}x %X")
		c.AccessLogs = []wire.AccessLog{l}
		c.DispatchScripts[0].Timeout, c.DispatchScripts[0].Concurrency = time.Second, 3
		c.Groups = append(c.Groups, wire.Group{Name: "nothing", Socket: "/nowhere", QueueLength: 1, QueueTimeout: 30 * time.Millisecond})
	})
	f := r.front()
	for _, tt := range []struct {
		path, status, code, end string
		wait, dispatch          float64 // at least
	}{
		{"/slow", "504", "WSGID-1013", "+", 0.03, 0.02}, {"/", "200", "-", "+", 0, 0}, {"/stuck", "504", "WSGID-1020", "-", 0, 2},
	} {
		r.mustGet(f, tt.path)
		line, err := log.in.ReadString('\n')
		fields := strings.Fields(line)
		if err != nil || len(fields) != 7 || fields[0] != tt.path || fields[1] != tt.status || fields[5] != tt.code || fields[6] != tt.end {
			t.Fatalf("%q %v, want %v", line, err, tt)
		}
		var seconds [3]float64
		for i := range seconds {
			if seconds[i], err = strconv.ParseFloat(fields[2+i], 64); err != nil {
				t.Error(err)
			}
		}
		if seconds[1] < tt.wait || seconds[2] < tt.dispatch || seconds[0] < seconds[1]+seconds[2] {
			t.Errorf("%q, want %v", line, tt)
		}
	}
	close(release)
	<-returned
	r.await("coming back", func(s *wire.RouterStatus) bool { return s.InFlight == 0 && s.Scripts[0].Lost == 0 })
}
