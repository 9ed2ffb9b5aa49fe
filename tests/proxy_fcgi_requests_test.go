package tests

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// Every fact about Apache's mod_proxy_fcgi that wsgid builds on is a subtest of
// the tests named below. Each first shows what Apache does, with a backend that
// records or misbehaves, and then that what wsgid makes of it holds behind the
// same configuration.
//
//	TestProxyFCGIPaths         ProxyPass, SetHandler on an aliased file, SetHandler
//	                           in a Location, GENERIC, nocanon, double slashes
//	TestProxyFCGIRequests      Authorization, small and large chunked uploads,
//	                           enablereuse, WebSocket upgrade
//	TestProxyFCGIResponses     Content-Length, small pieces, stderr
//	TestProxyFCGIFailures      closed mid-body, END_REQUEST after a failure,
//	                           overloaded, closed before headers
//	TestProxyFCGIListener      socket missing, balancer members set aside, and the
//	                           listener that stays open
//	TestProxyFCGIClientLeaves  backend silent, backend streams
//	TestProxyFCGIGraceful      a graceful restart during a response
//
// More about the same: TestMounts, TestRootMount, TestAuthorizationHeader,
// TestUpload, TestDownload, TestStreaming, TestLateException, TestClientGone,
// TestQueueLimits, TestKillWorker, TestKillRouter.

// twice is one Apache configuration in front of a recorder and of wsgid.
type twice struct {
	recorder     *recorder
	raw, apache  *harness.Apache
	world, other *harness.World // with wsgid, with the recorder
	wsgid        *harness.Wsgid
}

func startTwice(t *testing.T, config, wsgidConfig string) *twice {
	t.Helper()
	w := newWorld(t)
	other := harness.New(t, built)
	other.Socket = other.Path("recorder.sock")
	for _, world := range []*harness.World{w, other} {
		world.App("environ.py")
	}
	w.App("body_hash.py")
	w.App("download.py")
	w.Configure(wsgidConfig)
	s := &twice{world: w, other: other, recorder: startRecorder(t, other), wsgid: w.Start(harness.Options{})}
	s.raw = other.StartApache(harness.ApacheOptions{Config: config})
	s.apache = w.StartApache(harness.ApacheOptions{Config: config})
	return s
}

// recorded is what Apache sent for a request.
func (s *twice) recorded(t *testing.T, method, url string, body io.Reader, headers ...string) *backendRequest {
	t.Helper()
	if got := s.raw.Do(method, url, body, headers...); got.Status != 200 || got.Text() != "recorded\n" && method != "HEAD" {
		t.Fatalf("%s: %d %s", url, got.Status, got.Body)
	}
	return <-s.recorder.requests
}

func (r *backendRequest) want(t *testing.T, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := r.param(name); got != value {
			t.Errorf("Apache sends %s as %q, want %q", name, got, value)
		}
	}
}

func (v view) want(t *testing.T, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := v.env(name); got != value {
			t.Errorf("the application sees %s as %q, want %q", name, got, value)
		}
	}
}

// split are the variables that tell how a path was split.
func split(scriptName, pathInfo, uri string) map[string]string {
	return map[string]string{"SCRIPT_NAME": scriptName, "PATH_INFO": pathInfo, "REQUEST_URI": uri}
}

func TestProxyFCGIPaths(t *testing.T) {
	s := startTwice(t, `
ProxyPass "/pp" "unix:{{.Socket}}|fcgi://x/srv"
ProxyPass "/generic" "unix:{{.Socket}}|fcgi://x/srv"
ProxyPass "/nocanon" "unix:{{.Socket}}|fcgi://x/srv" nocanon
ProxyPass "/generic-nocanon" "unix:{{.Socket}}|fcgi://x/srv" nocanon
<LocationMatch "^/generic">
  ProxyFCGIBackendType GENERIC
</LocationMatch>
Alias "/handled" "{{.Dir}}/apps/environ.py"
Alias "/generic-handled" "{{.Dir}}/apps/environ.py"
<Directory "{{.Dir}}/apps">
  SetHandler "proxy:unix:{{.Socket}}|fcgi://localhost/"
</Directory>
<Location "/guessed">
  SetHandler "proxy:unix:{{.Socket}}|fcgi://localhost"
</Location>
`, group("only", "#64001", 1, 3)+
		mount("/pp", "apps/environ.py")+mount("/generic", "apps/environ.py")+mount("/generic-nocanon", "apps/environ.py")+mount("/nocanon", "apps/environ.py")+
		mount("/guessed/mounted", "apps/environ.py")+mount("/elsewhere", "apps/environ.py"))
	file := s.other.Path("apps/environ.py")
	docs := s.other.Path("httpd/docs")

	t.Run("ProxyPass", func(t *testing.T) {
		const url = "/pp/a%20b/c?q=%20"
		sent := s.recorded(t, "GET", url, nil)
		sent.want(t, split("/pp/a b/c", "<absent>", url))
		sent.want(t, map[string]string{"SCRIPT_FILENAME": "proxy:fcgi://x/srv/a%20b/c"})
		v := look(t, s.apache.Get(url))
		v.want(t, split("/pp", "/a b/c", url))
		v.want(t, map[string]string{"SCRIPT_FILENAME": s.world.Path("apps/environ.py")})
	})
	t.Run("SetHandler on an aliased file", func(t *testing.T) {
		const url = "/handled/a%20b/c?q=1"
		sent := s.recorded(t, "GET", url, nil)
		sent.want(t, split("/handled", "/a b/c", url))
		sent.want(t, map[string]string{"SCRIPT_FILENAME": "proxy:fcgi://localhost/" + file})
		v := look(t, s.apache.Get(url))
		v.want(t, split("/handled", "/a b/c", url))
		v.want(t, map[string]string{"SCRIPT_FILENAME": s.world.Path("apps/environ.py")})
	})
	t.Run("SetHandler in a Location", func(t *testing.T) {
		sent := s.recorded(t, "GET", "/guessed/mounted/x", nil)
		sent.want(t, split("/guessed", "/mounted/x", "/guessed/mounted/x"))
		sent.want(t, map[string]string{"SCRIPT_FILENAME": "proxy:fcgi://localhost" + docs + "/guessed"})
		look(t, s.apache.Get("/guessed/mounted/x")).want(t, split("/guessed/mounted", "/x", "/guessed/mounted/x"))
		// The guessed file exists, and is none that the configuration names.
		evil, err := os.ReadFile(harness.Apps() + "/evil.py")
		if err != nil {
			t.Fatal(err)
		}
		openDirectory(t, s.world, "httpd/docs")
		path := s.world.Write("httpd/docs/guessed", string(evil))
		wantError(t, s.apache.Get("/guessed/other"), 403, "WSGID-1004")
		if harness.Exists(path + ".ran") {
			t.Error("a file that Apache guessed was run")
		}
	})
	t.Run("GENERIC", func(t *testing.T) {
		sent := s.recorded(t, "GET", "/generic/a%20b", nil)
		sent.want(t, split("/generic/a b", "<absent>", "/generic/a%20b"))
		sent.want(t, map[string]string{"SCRIPT_FILENAME": "/srv/a%20b"})
		look(t, s.apache.Get("/generic/a%20b")).want(t, split("/generic", "/a b", "/generic/a%20b"))
		sent = s.recorded(t, "GET", "/generic-handled/a%20b", nil)
		sent.want(t, split("/generic-handled", "/a b", "/generic-handled/a%20b"))
		sent.want(t, map[string]string{"SCRIPT_FILENAME": "/" + file}) // the slash after the host, and the path
		v := look(t, s.apache.Get("/generic-handled/a%20b"))
		v.want(t, split("/generic-handled", "/a b", "/generic-handled/a%20b"))
		v.want(t, map[string]string{"SCRIPT_FILENAME": s.world.Path("apps/environ.py")})
	})
	t.Run("nocanon", func(t *testing.T) {
		for _, apache := range []*harness.Apache{s.raw, s.apache} {
			if got := apache.Get("/nocanon/a?q=1"); got.Status != 403 {
				t.Errorf("with a query string: %d %s", got.Status, got.Body)
			}
			if log := readFile(t, apache.ErrorLog); !strings.Contains(log, "AH10414") {
				t.Error("Apache's log does not say why")
			}
		}
		sent := s.recorded(t, "GET", "/generic-nocanon/a%2Bb?q=1", nil)
		sent.want(t, map[string]string{"SCRIPT_NAME": "/generic-nocanon/a+b", "QUERY_STRING": "q=1"})
		for _, prefix := range []string{"/nocanon", "/generic-nocanon"} {
			look(t, s.apache.Get(prefix+"/a%20b")).want(t, split(prefix, "/a b", prefix+"/a%20b"))
		}
		look(t, s.apache.Get("/generic-nocanon/a?q=1")).want(t, map[string]string{"PATH_INFO": "/a", "QUERY_STRING": "q=1"})
	})
	t.Run("double slashes", func(t *testing.T) {
		const url = "//pp//a///b//"
		s.recorded(t, "GET", url, nil).want(t, split("/pp/a/b/", "<absent>", url))
		look(t, s.apache.Get(url)).want(t, split("/pp", "/a/b/", url))
		const handled = "/handled//a///b"
		s.recorded(t, "GET", handled, nil).want(t, split("/handled", "/a/b", handled))
		look(t, s.apache.Get(handled)).want(t, split("/handled", "/a/b", handled))
	})
}

func TestProxyFCGIRequests(t *testing.T) {
	const apache = `
ProxyPass "/reuse" "unix:{{.Socket}}|fcgi://reuse/" enablereuse=on
<Location "/auth">
  CGIPassAuth On
</Location>
` + `ProxyPass "/" "unix:{{.Socket}}|fcgi://plain/"` + "\n"
	s := startTwice(t, apache, group("only", "#64001", 1, 3)+
		mount("/hash", "apps/body_hash.py")+mount("/down", "apps/download.py")+mount("/", "apps/environ.py"))

	t.Run("Authorization", func(t *testing.T) {
		const header = "Authorization: Basic eDp5"
		s.recorded(t, "GET", "/", nil, header).want(t, map[string]string{"HTTP_AUTHORIZATION": "<absent>"})
		s.recorded(t, "GET", "/auth", nil, header).want(t, map[string]string{"HTTP_AUTHORIZATION": "Basic eDp5"})
		look(t, s.apache.Get("/", header)).want(t, map[string]string{"HTTP_AUTHORIZATION": "<absent>"})
		look(t, s.apache.Get("/auth", header)).want(t, map[string]string{"HTTP_AUTHORIZATION": "Basic eDp5"})
	})
	t.Run("small chunked upload", func(t *testing.T) {
		// In one write, since Apache does not wait for what it can see at once.
		request := "POST /hash HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"7d0\r\n" + strings.Repeat("x", 2000) + "\r\n0\r\n\r\n"
		if got := rawHTTP(t, s.raw.Base, request); !strings.Contains(got, "recorded") {
			t.Errorf("%q", got)
		}
		sent := <-s.recorder.requests
		sent.want(t, map[string]string{"CONTENT_LENGTH": "2000", "HTTP_TRANSFER_ENCODING": "<absent>"})
		if sent.body != strings.Repeat("x", 2000) {
			t.Errorf("%d bytes", len(sent.body))
		}
		if got := rawHTTP(t, s.apache.Base, request); !strings.Contains(got, `"content_length": "2000"`) || !strings.Contains(got, `"length": 2000`) {
			t.Errorf("%q", got)
		}
	})
	t.Run("large chunked upload", func(t *testing.T) {
		content := payload(1 << 20)
		sent := s.recorded(t, "POST", "/", hideLength{strings.NewReader(string(content))})
		sent.want(t, map[string]string{"CONTENT_LENGTH": "<absent>", "HTTP_TRANSFER_ENCODING": "chunked"})
		if sent.body != string(content) {
			t.Errorf("%d bytes", len(sent.body))
		}
		got := upload(t, s.apache.Client, "/hash", content, true)
		if got.Announced != nil || !got.Terminated {
			t.Errorf("CONTENT_LENGTH %v, input_terminated %v", got.Announced, got.Terminated)
		}
	})
	t.Run("enablereuse", func(t *testing.T) {
		var connections []int
		for range 3 {
			sent := s.recorded(t, "GET", "/reuse", nil)
			if !sent.keep || sent.id != 1 {
				t.Errorf("keep-connection %v, id %d", sent.keep, sent.id)
			}
			connections = append(connections, sent.number)
		}
		if len(slices.Compact(connections)) != 1 {
			t.Errorf("three requests came on connections %v", connections)
		}
		if plain := s.recorded(t, "GET", "/", nil); plain.keep || plain.id != 1 {
			t.Errorf("without it: keep-connection %v, id %d", plain.keep, plain.id)
		}
		for range 3 {
			look(t, s.apache.Get("/reuse/x"))
		}
		if n := s.wsgid.AwaitIdle().Router.Connections; n != 1 {
			t.Errorf("%d connections are kept, want 1", n)
		}
		// A second id is refused and costs the first request nothing.
		second := fcgi(beginRequest, 2, []byte{0, 1, 1, 0, 0, 0, 0, 0})
		conn := dial(t, s.world)
		request := fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/reuse/x")
		if _, err := conn.Write(slices.Concat(request[:16], second, request[16:])); err != nil {
			t.Fatal(err)
		}
		refused, err := readRecord(conn)
		if err != nil || refused.kind != endRequest || refused.id != 2 || refused.content[4] != 1 {
			t.Errorf("the second id: %+v %v, want CANT_MPX_CONN", refused, err)
		}
		if first := readAnswer(conn); first.status() != 200 || !first.ended {
			t.Errorf("the first request: %+v", first)
		}
	})
	t.Run("WebSocket upgrade", func(t *testing.T) {
		upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
		s.recorded(t, "GET", "/", nil, upgrade...).want(t, map[string]string{"HTTP_UPGRADE": "websocket"})
		v := look(t, s.apache.Get("/", upgrade...)) // an ordinary answer, status 200
		v.want(t, map[string]string{"HTTP_UPGRADE": "websocket"})
	})
}
