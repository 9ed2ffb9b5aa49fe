package dispatch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/wire"
)

// fakeHost is a dispatch script written in Go.
type fakeHost struct {
	decide func(env map[string]string, c *ScriptCall) (ScriptAnswer, error)

	stopping atomic.Int32  // calls of Stopping
	hang     chan struct{} // Stopping waits for it
	isolated bool          // it is in the dispatch helper
	mu       sync.Mutex
	stops    map[*ScriptCall]chan struct{}
}

func (h *fakeHost) Version() string { return "3.99.0" }
func (h *fakeHost) Probe()          {}

func (h *fakeHost) Stopping() {
	h.stopping.Add(1)
	if h.hang != nil {
		<-h.hang
	}
}

func (h *fakeHost) Import(string, string) {}

func (h *fakeHost) LoadErrors() []wire.LoadError { return nil }

func (h *fakeHost) ServeEmbedded(int) ([]int, error) {
	return nil, &ScriptError{Message: "not here"}
}

func (h *fakeHost) stop(c *ScriptCall) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stops == nil {
		h.stops = map[*ScriptCall]chan struct{}{}
	}
	if h.stops[c] == nil {
		h.stops[c] = make(chan struct{})
	}
	return h.stops[c]
}

func (h *fakeHost) Evaluate(c *ScriptCall) (ScriptAnswer, error) {
	return h.decide(pairMap(c.Params), c)
}

func (h *fakeHost) Interrupt(c *ScriptCall) { close(h.stop(c)) }

// dispatching runs a router with groups web and admin and a dispatch script.
func dispatching(t *testing.T, h *fakeHost, change func(*wire.RouterConfig)) *running {
	t.Helper()
	dir := shortDir(t)
	handle := func(q *fakeRequest) {
		q.body()
		q.reply(strings.Join([]string{map[int]string{100: "web", 200: "admin"}[q.pid], q.env["WSGID_APPLICATION_GROUP"], q.env["WSGID_CALLABLE"]}, "|"))
	}
	web, admin := newFakeGroup(t, dir, "web", handle), newFakeGroup(t, dir, "admin", handle)
	web.start(100, 2)
	admin.start(200, 2)
	config := baseConfig(wire.Group{Name: "web", Socket: web.socket}, wire.Group{Name: "admin", Socket: admin.socket})
	config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
	config.DispatchScripts = []wire.Script{{Path: "/etc/d.py", Concurrency: 2, Timeout: time.Minute, OnLoadError: wire.LoadErrorLastGood}}
	config.Mounts[0].DispatchScript = "/etc/d.py"
	if change != nil {
		change(config)
	}
	if h.isolated {
		config.HelperSocket = filepath.Join(dir, "helper.sock")
		serveCalls(t, config.HelperSocket, h, os.Getuid())
	}
	r := startRouter(t, config, func(wire.Embedded) (ScriptHost, error) { return h, nil })
	r.process("web", 100, 2, wire.ProcessReady)
	r.process("admin", 200, 2, wire.ProcessReady)
	if h.isolated {
		r.helper(&wire.HelperState{Ready: true, PID: 300, Python: h.Version()})
	}
	return r
}

// everywhere runs a test with scripts evaluated in the router and in the helper.
func everywhere(t *testing.T, test func(t *testing.T, h *fakeHost)) {
	for name, isolated := range map[string]bool{"none": false, "process": true} {
		t.Run("isolation="+name, func(t *testing.T) { test(t, &fakeHost{isolated: isolated}) })
	}
}

func text(s string) Override { return Override{Set: true, Value: s} }

func TestDispatchScriptDecides(t *testing.T) { everywhere(t, testDispatchScriptDecides) }

func testDispatchScriptDecides(t *testing.T, h *fakeHost) {
	h.decide = func(env map[string]string, c *ScriptCall) (d ScriptAnswer, err error) {
		if env["WSGID_SCRIPT"] != "" || env["SCRIPT_FILENAME"] != "/srv/site.wsgi" || c.RequestID == "" {
			t.Errorf("environ %v", env)
		}
		switch env["PATH_INFO"] {
		case "/admin":
			d.ProcessGroup = text("admin")
		case "/app":
			d.ApplicationGroup, d.CallableObject = text("other"), text("handler")
		case "/env":
			d.ProcessGroup, d.ApplicationGroup = text("%{ENV:HTTP_X_GROUP}"), text("%{RESOURCE}")
		case "/unknown":
			d.ProcessGroup = text("nobody")
		case "/raise":
			err = &ScriptError{Kind: ScriptRaised, Script: c.Script, Function: "process_group", Line: 7, Message: "ValueError: no", Traceback: "Traceback"}
		case "/value":
			err = &ScriptError{Kind: ScriptValue, Script: c.Script, Function: "process_group", Value: "42", Message: "wrong type"}
		case "/load":
			err = &ScriptError{Kind: ScriptLoad, Script: c.Script, Message: "SyntaxError"}
		case "/old":
			d.LoadError = "SyntaxError: later"
		}
		return d, err
	}
	r := dispatching(t, h, nil)
	f := r.front()
	for path, want := range map[string]string{"/": "web||application", "/admin": "admin||application", "/app": "web|other|handler",
		"/env": "admin|site.test||application", "/old": "web||application"} {
		a := r.mustGet(f, path, "HTTP_X_GROUP", "admin", "SERVER_NAME", "site.test")
		if a.body != want {
			t.Errorf("%s: %+v, want %q", path, a, want)
		}
	}
	if s := r.query(); s.Scripts[0].Calls != 5 || (s.Python == "") != h.isolated {
		t.Errorf("status %+v", s)
	}
	for path, code := range map[string]string{"/unknown": "WSGID-1006", "/raise": "WSGID-1017", "/value": "WSGID-1018", "/load": "WSGID-1019"} {
		a := r.mustGet(f, path)
		if a.status() != "500 Internal Server Error" || !strings.Contains(a.header, code) || !strings.Contains(a.body, code) {
			t.Errorf("%s: %+v", path, a)
		}
	}
	r.wantLog("process_group=nobody", "line=7", "ValueError: no", "value=42", "SyntaxError: later")
}

func TestDispatchScriptThatCannotLoadIsStatic(t *testing.T) {
	everywhere(t, testDispatchScriptThatCannotLoadIsStatic)
}

func testDispatchScriptThatCannotLoadIsStatic(t *testing.T, h *fakeHost) {
	h.decide = func(map[string]string, *ScriptCall) (ScriptAnswer, error) {
		return ScriptAnswer{}, &ScriptError{Kind: ScriptLoad, Message: "SyntaxError"}
	}
	r := dispatching(t, h, func(c *wire.RouterConfig) { c.DispatchScripts[0].OnLoadError = wire.LoadErrorStatic })
	if a := r.mustGet(r.front(), "/"); a.body != "web||application" {
		t.Errorf("%+v", a)
	}
	if s := r.query(); s.Scripts[0].LoadError != "SyntaxError" {
		t.Errorf("status %+v", s)
	}
}

func TestDispatchScriptIsInterrupted(t *testing.T) { everywhere(t, testDispatchScriptIsInterrupted) }

func testDispatchScriptIsInterrupted(t *testing.T, h *fakeHost) {
	h.decide = func(_ map[string]string, c *ScriptCall) (ScriptAnswer, error) {
		<-h.stop(c)
		return ScriptAnswer{}, &ScriptError{Kind: ScriptInterrupted, Script: c.Script, Message: "timed out"}
	}
	r := dispatching(t, h, func(c *wire.RouterConfig) { c.DispatchScripts[0].Timeout = 50 * time.Millisecond })
	a := r.mustGet(r.front(), "/")
	if a.status() != "504 Gateway Timeout" || !strings.Contains(a.header, "WSGID-1020") {
		t.Errorf("%+v", a)
	}
}

func TestDispatchCallThatDoesNotComeBackIsWrittenOff(t *testing.T) {
	everywhere(t, testDispatchCallThatDoesNotComeBackIsWrittenOff)
}

func testDispatchCallThatDoesNotComeBackIsWrittenOff(t *testing.T, h *fakeHost) {
	t.Parallel()
	release := make(chan struct{})
	returned := make(chan struct{})
	h.decide = func(env map[string]string, _ *ScriptCall) (ScriptAnswer, error) {
		if env["PATH_INFO"] == "/stuck" {
			defer close(returned)
			<-release
		}
		return ScriptAnswer{}, nil
	}
	r := dispatching(t, h, func(c *wire.RouterConfig) {
		c.DispatchScripts[0].Timeout, c.DispatchScripts[0].Concurrency = 2*time.Second, 3
	})
	f := r.front()
	a := r.mustGet(f, "/stuck")
	if a.status() != "504 Gateway Timeout" || !strings.Contains(a.header, "WSGID-1020") {
		t.Errorf("%+v", a)
	}
	if a := r.mustGet(r.front(), "/"); a.body != "web||application" {
		t.Errorf("another request: %+v", a)
	}
	r.await("the call is lost, nothing is in flight", func(s *wire.RouterStatus) bool {
		return s.InFlight == 0 && s.Scripts[0].Lost == 1 && s.Scripts[0].Running == 0
	})
	close(release)
	<-returned
	r.await("coming back", func(s *wire.RouterStatus) bool { return s.InFlight == 0 && s.Scripts[0].Lost == 0 })
}

// Each context has its own script, or none; what one costs, the others do not pay.
func TestDispatchScriptOfTheMount(t *testing.T) {
	release := make(chan struct{})
	h := &fakeHost{}
	h.decide = func(env map[string]string, c *ScriptCall) (a ScriptAnswer, err error) {
		if env["PATH_INFO"] == "/stuck" {
			<-release
		}
		a.CallableObject = text(strings.TrimSuffix(strings.TrimPrefix(c.Script, "/etc/"), ".py"))
		if c.Script == "/etc/broken.py" {
			return ScriptAnswer{}, &ScriptError{Kind: ScriptLoad, Script: c.Script, Message: "SyntaxError"}
		}
		return a, nil
	}
	r := dispatching(t, h, func(c *wire.RouterConfig) {
		for _, name := range []string{"other", "broken"} {
			m := fileMount("/"+name, "/srv/site.wsgi", "web")
			m.DispatchScript = "/etc/" + name + ".py"
			c.Mounts = append([]wire.Mount{m}, c.Mounts...)
			c.DispatchScripts = append(c.DispatchScripts, wire.Script{Path: m.DispatchScript, Concurrency: 1, Timeout: time.Minute})
		}
		c.Mounts = append([]wire.Mount{fileMount("/none", "/srv/site.wsgi", "web")}, c.Mounts...)
	})
	stuck := r.front()
	stuck.begin("/other/stuck") // the only call that this script may have inside Python
	r.await("the call", func(s *wire.RouterStatus) bool { return s.Scripts[1].Running == 1 })
	f := r.front()
	for path, want := range map[string]string{"/": "web||d", "/none": "web||application"} {
		if a := r.mustGet(f, path); a.body != want {
			t.Errorf("%s: %+v, want %q", path, a, want)
		}
	}
	if a := r.mustGet(f, "/broken"); !strings.Contains(a.header, "WSGID-1019") {
		t.Errorf("%+v", a)
	}
	close(release)
	if a, err := stuck.read(); err != nil || a.body != "web||other" {
		t.Errorf("%+v, %v", a, err)
	}
	got := r.query().Scripts
	want := []wire.ScriptStatus{
		{Kind: "dispatch script", Path: "/etc/d.py", Calls: 1}, {Kind: "dispatch script", Path: "/etc/other.py", Calls: 1},
		{Kind: "dispatch script", Path: "/etc/broken.py", Calls: 1, LoadError: "SyntaxError"},
	}
	for i := range got { // what came back is counted; how long it took is the machine's affair
		if n, failed := got[i].Latency.Total(), got[i].Failed; n != 1 || failed == 1 != (want[i].LoadError != "") {
			t.Errorf("%s: %d calls were timed, %d failed", got[i].Path, n, failed)
		}
		got[i].Latency, got[i].Failed = histogram.Counts{}, 0
	}
	if !slices.Equal(got, want) {
		t.Errorf("status %+v, want %+v", got, want)
	}
}
