package dispatch

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/wire"
)

// The web server's configuration chooses among the declared scripts, and
// nothing that comes over the wire is ever loaded.
func TestDispatchScriptOfTheWebServer(t *testing.T) {
	h := &fakeHost{decide: func(_ map[string]string, c *ScriptCall) (a ScriptAnswer, _ error) {
		if c.Script != "/etc/d.py" && c.Script != "/etc/other.py" {
			t.Errorf("%s was evaluated", c.Script)
		}
		a.CallableObject = text(c.Script)
		return a, nil
	}}
	r := dispatching(t, h, func(c *wire.RouterConfig) {
		c.Listeners = []wire.Listener{{Kind: wire.ListenUnix, TrustFrontServer: true}}
		c.DispatchScripts = append(c.DispatchScripts, wire.Script{Path: "/etc/other.py", Concurrency: 1})
		open, plain := fileMount("/open", "/srv/site.wsgi", "web"), fileMount("/plain", "/srv/site.wsgi", "web")
		open.DispatchScript, open.AllowOverride = "/etc/d.py", []string{"dispatch_script"}
		plain.AllowOverride = open.AllowOverride
		c.Mounts = append([]wire.Mount{open, plain}, c.Mounts...)
	})
	f := r.front()
	for _, c := range []struct{ path, value, want string }{
		{"/open", "", "web||/etc/d.py"}, {"/open", "/etc/other.py", "web||/etc/other.py"}, {"/open", "none", "web||application"},
		{"/open", "/etc/passwd", "WSGID-1031"}, {"/open", "/etc/../etc/d.py", "WSGID-1031"}, {"/open", "other.py", "WSGID-1031"},
		{"/plain", "", "web||application"}, {"/plain", "/etc/d.py", "web||/etc/d.py"},
		{"/", "/etc/other.py", "WSGID-1032"}, {"/", "", "web||/etc/d.py"},
	} {
		got := r.mustGet(f, c.path, "WSGID_DISPATCH_SCRIPT", c.value)
		if got.body != c.want && !strings.Contains(got.header, "X-WSGID-Error: "+c.want) {
			t.Errorf("%s with %q: %s%s, want %s", c.path, c.value, got.header, got.body, c.want)
		}
	}
	r.wantLog("parameter=WSGID_DISPATCH_SCRIPT value=/etc/passwd", "no dispatch_script block declares it")
}
