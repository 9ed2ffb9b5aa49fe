package tests

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// beside is one Apache in front of wsgid and, below /raw, of a backend that
// misbehaves.
type beside struct {
	world  *harness.World
	wsgid  *harness.Wsgid
	apache *harness.Apache
}

// startBeside starts them. Below /flush and /raw-flush each piece is passed on.
func startBeside(t *testing.T, serve func(*backendRequest), apacheConfig, wsgidConfig string, apps ...string) *beside {
	t.Helper()
	w := newWorld(t)
	for _, app := range apps {
		w.App(app)
	}
	openDirectory(t, w, "open")
	w.Configure(wsgidConfig)
	startBackend(t, w.Path("raw.sock"), serve)
	s := &beside{world: w, wsgid: w.Start(harness.Options{})}
	s.apache = w.StartApache(harness.ApacheOptions{Config: apacheConfig + `
ProxyPass "/raw-flush" "unix:{{.Dir}}/raw.sock|fcgi://raw-flush/" flushpackets=on
ProxyPass "/raw" "unix:{{.Dir}}/raw.sock|fcgi://raw/"
ProxyPass "/flush" "unix:{{.Socket}}|fcgi://flush/" flushpackets=on
ProxyPass "/" "unix:{{.Socket}}|fcgi://plain/"
`})
	return s
}

// streamed begins a GET and returns when the head of the answer is here.
func (s *beside) streamed(t *testing.T, path string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", s.apache.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.apache.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

const plainHead = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"

func TestProxyFCGIResponses(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	large := strings.Repeat("x", 60000)
	s := startBeside(t, func(q *backendRequest) {
		switch name := q.params["SCRIPT_NAME"]; name[strings.LastIndexByte(name, '/')+1:] {
		case "length":
			q.reply(fmt.Sprintf("Status: 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(large), large))
		case "pieces":
			_ = q.send(fcgiStdout, plainHead+"first ")
			held <- struct{}{}
			<-release
			q.reply("second")
		case "stderr":
			_ = q.send(fcgiStderr, "first line\nsecond line")
			q.reply(plainHead + "said\n")
		default:
			q.reply(plainHead + "raw\n")
		}
	}, `SetEnvIf Request_URI "/trust/" ap_trust_cgilike_cl`+"\n", group("only", "#64001", 1, 3)+
		mount("/trust", "apps/download.py")+mount("/down", "apps/download.py")+mount("/flush", "apps/stream.py")+mount("/say", "apps/say.py"),
		"download.py", "stream.py", "say.py")

	t.Run("Content-Length", func(t *testing.T) {
		for _, row := range []struct{ path, length string }{
			{"/raw/length", ""}, {"/raw/trust/length", "60000"}, {"/down/?length=1&size=60000", ""}, {"/trust/?length=1&size=60000", "60000"},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				got := s.apache.Do(method, row.path, nil)
				if got.Status != 200 || got.Truncated != nil || method == "GET" && len(got.Body) != 60000 || got.Header.Get("Content-Length") != row.length {
					t.Errorf("%s %s: %d, %d bytes, Content-Length %q, want %q", method, row.path, got.Status, len(got.Body), got.Header.Get("Content-Length"), row.length)
				}
			}
		}
	})
	t.Run("small pieces", func(t *testing.T) {
		for _, row := range []struct {
			path  string
			early bool // the first byte comes before the answer has ended
		}{{"/raw/pieces", false}, {"/raw-flush/pieces", true}} {
			events := make(chan string, 2)
			got := make(chan string)
			go func() {
				var text bytes.Buffer
				defer func() { got <- text.String() }()
				response, err := s.apache.HTTP.Get(s.apache.Base + row.path)
				if err != nil {
					t.Error(err)
					return
				}
				defer response.Body.Close()
				if _, err := io.CopyN(&text, response.Body, 1); err != nil {
					t.Error(err)
				}
				events <- "first byte"
				if _, err := io.Copy(&text, response.Body); err != nil {
					t.Error(err)
				}
			}()
			<-held
			want := []string{"end", "first byte"}
			if row.early {
				want = []string{"first byte"}
			} else { // time enough to pass the first piece on, if Apache did
				for range 10 {
					s.apache.Get("/raw/other")
				}
				events <- "end"
			}
			var seen []string
			if row.early {
				seen = append(seen, <-events)
			}
			release <- struct{}{}
			if text := <-got; text != "first second" {
				t.Errorf("%s: %q", row.path, text)
			}
			for len(seen) < len(want) {
				seen = append(seen, <-events)
			}
			if fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("%s: %q, want %q", row.path, seen, want)
			}
		}
		gate := s.world.Write("gate", "")
		readStream(t, s.apache, "/flush?count=5&gate="+gate, gate, "chunk %d\n")
	})
	t.Run("stderr", func(t *testing.T) {
		want(t, s.apache.Get("/raw/stderr"), 200, "said\n")
		count := func() (lines int) {
			for line := range strings.Lines(readFile(t, s.apache.ErrorLog)) {
				if strings.Contains(line, "AH01071") {
					lines++
					if !strings.Contains(line, "proxy_fcgi:error") || !strings.Contains(line, `first line\nsecond line`) {
						t.Errorf("%q", line)
					}
				}
			}
			return lines
		}
		if n := count(); n != 1 {
			t.Errorf("a record on STDERR became %d lines", n)
		}
		for range 3 {
			if got := s.apache.Get("/say"); got.Status != 200 {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		}
		wantError(t, s.apache.Get("/say/raise"), 500, "WSGID-1105")
		for _, way := range said {
			s.wsgid.Log.Await(t, way.text, harness.Containing(way.text))
		}
		if n := count(); n != 1 {
			t.Errorf("what an application said is in Apache's log: %d lines", n)
		}
	})
}

func TestProxyFCGIFailures(t *testing.T) {
	s := startBeside(t, func(q *backendRequest) {
		switch q.params["SCRIPT_NAME"] {
		case "/raw-flush/cut": // closed in the middle of the body
			_ = q.send(fcgiStdout, plainHead+"part")
			q.keep = false
		case "/raw-flush/ended": // END_REQUEST in the middle of the body, without the end of STDOUT
			_ = q.send(fcgiStdout, plainHead+"part")
			_ = q.end(0, 0)
		case "/raw-flush/exit": // the same with the exit status of a failure
			_ = q.send(fcgiStdout, plainHead+"part")
			_ = q.end(1, 0)
		case "/raw/overloaded":
			_ = q.end(0, 2)
		case "/raw/closed": // without an answer
		}
	}, "", group("only", "#64001", 1, 1, "queue_length = 1")+group("crashing", "#64002", 3, 1)+
		mount("/flush/wrong", "apps/errors_in_application.py", option("process_group", "only"))+
		mount("/flush/stream", "apps/stream.py", option("process_group", "only"))+
		mount("/flush/crash", "apps/crash.py", option("process_group", "crashing"))+
		mount("/limited", "apps/errors_in_application.py", option("process_group", "only"), "max_body_bytes = 10")+
		mount("/gate", "apps/gate.py", option("process_group", "only")), "errors_in_application.py", "stream.py", "crash.py", "gate.py")
	log := func() string { return readFile(t, s.apache.ErrorLog) }
	// raw asks wsgid itself.
	raw := func(path string, more ...string) fcgiAnswer {
		return askRaw(t, s.world, fcgiRequest(append([]string{"REQUEST_METHOD", "GET", "SCRIPT_NAME", path}, more...)...))
	}

	t.Run("closed mid-body", func(t *testing.T) {
		// Apache sends what it has, and hangs up at the end of its KeepAliveTimeout.
		const last = "Connection: close"
		got := s.apache.Get("/raw-flush/cut", last)
		if got.Status != 200 || got.Text() != "part" || got.Truncated == nil {
			t.Errorf("%d %q %v", got.Status, got.Body, got.Truncated)
		}
		if text := log(); !strings.Contains(text, "AH01067") || !strings.Contains(text, "AH01075") {
			t.Error("Apache's log does not tell of the cut")
		}
		for _, path := range []string{"/flush/wrong/late", "/flush/crash/stream"} {
			if got := s.apache.Get(path, last); got.Status != 200 || got.Text() != "a part of the response\n" || got.Truncated == nil {
				t.Errorf("%s: %d %q %v", path, got.Status, got.Body, got.Truncated)
			}
		}
	})
	t.Run("END_REQUEST after a failure", func(t *testing.T) {
		for _, path := range []string{"/raw-flush/ended", "/raw-flush/exit"} {
			want(t, s.apache.Get(path), 200, "part") // it looks whole
		}
		for _, path := range []string{"/flush/wrong/late", "/flush/crash/stream"} {
			if a := raw(path); a.ended || a.status() != 200 || !strings.HasSuffix(a.stdout, "a part of the response\n") {
				t.Errorf("%s: %+v", path, a)
			}
		}
	})
	t.Run("overloaded", func(t *testing.T) {
		want(t, s.apache.Get("/raw/overloaded"), 200, "")
		// Every refusal of wsgid has a head of its own and a body.
		whole := func(name string, a fcgiAnswer, status int, code string) {
			t.Helper()
			if a.status() != status || !a.ended || !strings.Contains(a.stdout, "X-WSGID-Error: "+code) || !strings.Contains(a.body(), code) {
				t.Errorf("%s: %+v, want %d %s", name, a, status, code)
			}
		}
		whole("no mount", raw("/nowhere"), 404, "WSGID-1003")
		whole("length", raw("/limited", "CONTENT_LENGTH", "x"), 400, "WSGID-1007")
		whole("too long", raw("/limited", "CONTENT_LENGTH", "11"), 413, "WSGID-1009")
		whole("short", raw("/limited", "CONTENT_LENGTH", "5"), 400, "WSGID-1011")
		whole("coding", raw("/limited", "HTTP_TRANSFER_ENCODING", "gzip"), 501, "WSGID-1010")
		whole("exception", raw("/flush/wrong/raise"), 500, "WSGID-1105")
		whole("broken pair", askRaw(t, s.world, bytes.Join([][]byte{fcgiBegin(1), fcgiStream(fcgiParams, []byte{9, 9, 'x'})}, nil)), 400, "WSGID-1001")
		whole("too many", raw("/limited", "HTTP_X", large100K), 431, "WSGID-1002")
		results := make(chan *harness.Response, 2)
		url := func(name string) string {
			return fmt.Sprintf("/gate?started=%s&gate=%s", s.world.Path("open/"+name), s.world.Path("open/gate"))
		}
		for number, name := range []string{"running", "waiting"} {
			go func() {
				response, err := s.apache.Try(t.Context(), "GET", url(name), nil)
				if err != nil {
					t.Error(err)
				}
				results <- response
			}()
			s.wsgid.AwaitStatus(name, func(status harness.Status) error {
				if g := status.Group("only"); g.ThreadsBusy+g.Queued != number+1 {
					return fmt.Errorf("%d busy, %d queued", g.ThreadsBusy, g.Queued)
				}
				return nil
			})
		}
		a := raw("/gate")
		whole("queue", a, 503, "WSGID-1012")
		if !strings.Contains(a.stdout, "\r\nRetry-After: ") {
			t.Errorf("no Retry-After: %q", a.stdout)
		}
		wantError(t, s.apache.Get("/gate"), 503, "WSGID-1012")
		s.world.Write("open/gate", "")
		for range 2 {
			if got := <-results; got == nil || got.Status != 200 {
				t.Errorf("a request before the limit: %+v", got)
			}
		}
	})
	t.Run("closed before headers", func(t *testing.T) {
		if got := s.apache.Get("/raw/closed"); got.Status != 503 {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		got := s.apache.Do("POST", "/flush/crash/kill", nil)
		wantError(t, got, 502, "WSGID-1015")
		record := s.wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1015"))
		if id := record.Text("request"); id == "" || !strings.Contains(got.Text(), id) {
			t.Errorf("the body does not name request %q of the log: %s", id, got.Body)
		}
	})
}

var large100K = strings.Repeat("x", 100<<10)
