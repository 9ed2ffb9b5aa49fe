package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
)

// explain puts a question and gives the answer.
func (r *running) explain(q wire.Question) *wire.Message {
	r.t.Helper()
	if q.Method == "" {
		q.Method = "GET"
	}
	r.send(&wire.Message{Type: wire.TypeExplain, ID: 7, Question: &q})
	select {
	case m := <-r.explained:
		if m.ID != 7 {
			r.t.Errorf("the answer is to question %d", m.ID)
		}
		return m
	case <-time.After(longWait):
		r.t.Fatal("no answer")
		return nil
	}
}

func parameters(nameValues ...string) []wire.NameValue {
	var all []wire.NameValue
	for i := 0; i < len(nameValues); i += 2 {
		all = append(all, wire.NameValue{Name: nameValues[i], Value: nameValues[i+1]})
	}
	return all
}

func TestExplain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	h := &fakeHost{decide: func(env map[string]string, c *ScriptCall) (a ScriptAnswer, err error) {
		switch env["PATH_INFO"] {
		case "/stuck":
			<-release
		case "/raise":
			err = &ScriptError{Kind: ScriptRaised, Script: c.Script, Function: "process_group", Line: 7, Message: "ValueError: \x1b"}
		default:
			a.ProcessGroup, a.CallableObject = text("%{ENV:GROUP}"), text("caf\xe9")
		}
		return a, err
	}}
	r := dispatching(t, h, func(c *wire.RouterConfig) {
		c.DispatchScripts[0].Timeout, c.DispatchScripts[0].Concurrency = 2*time.Second, 3
		plain, small, pattern := fileMount("/plain", "/srv/plain.wsgi", "web"), fileMount("/small", "/srv/small.wsgi", "web"), fileMount("^/p(.)", "/srv/pattern", "web")
		small.MaxBodyBytes, small.AllowOverride = 10, []string{"callable_object"}
		pattern.Match = true
		c.Mounts = append([]wire.Mount{plain, small, pattern}, c.Mounts...)
		report := wire.Mount{Handler: "report", Target: "/srv/report.py", ProcessGroup: "web", CallableObject: "handle_request"}
		c.Mounts = append(c.Mounts, report)
		own := fileMount("/own", "/srv/own.wsgi", "web")
		c.VirtualHosts = []wire.VirtualHost{{Names: []string{"a.test"}, Mounts: []wire.Mount{own}}}
	})
	index := func(host, i int) wire.MountIndex { return wire.MountIndex{Host: host, Index: i} }
	e := r.explain(wire.Question{URI: "/x?q=1", Host: "a.test:81", Parameters: parameters("GROUP", "admin")}).Explanation
	if e.Path != "/x" || e.Host != 0 || len(e.Tried) != 5 || e.Tried[0] != index(0, 0) || e.Tried[1] != index(-1, 0) || *e.Mount != index(-1, 3) || e.ByFront {
		t.Errorf("mapping %+v", e)
	}
	if *e.Static != (wire.Choice{ProcessGroup: "web", CallableObject: "application"}) || *e.Decision != (wire.Choice{ProcessGroup: "admin", CallableObject: `caf\xe9`}) || e.Refusal != nil {
		t.Errorf("decision %+v, %+v, %+v", e.Static, e.Decision, e.Refusal)
	}
	if d := e.Dispatch; d == nil || d.Script != "/etc/d.py" || *d.Returned.ProcessGroup != "%{ENV:GROUP}" || d.Returned.ApplicationGroup != nil || *d.Returned.CallableObject != `caf\xe9` {
		t.Errorf("script %+v", e.Dispatch)
	}
	if e.Script != "/srv/site.wsgi" || e.ScriptName != "" || e.PathInfo != "/x" {
		t.Errorf("target %+v", e)
	}
	env := map[string]string{}
	for _, p := range e.Environ {
		env[p.Name] = p.Value
	}
	for name, want := range map[string]string{"QUERY_STRING": "q=1", "HTTP_HOST": "a.test:81", "SERVER_NAME": "a.test", "SERVER_PORT": "81", "GROUP": "admin", "REQUEST_METHOD": "GET"} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}

	refused := func(q wire.Question, code string) *wire.Explanation {
		t.Helper()
		e := r.explain(q).Explanation
		if e == nil || e.Refusal == nil || e.Refusal.Code != code {
			t.Fatalf("%+v: %+v, want %s", q, e, code)
		}
		return e
	}
	if e := refused(wire.Question{URI: "/nobody"}, "WSGID-1006"); e.Decision.ProcessGroup != "%{ENV:GROUP}" {
		t.Errorf("%+v", e.Decision)
	}
	if e := refused(wire.Question{URI: "/raise"}, "WSGID-1017"); e.Dispatch.Returned != nil || e.Static == nil || e.Decision != nil || !strings.Contains(e.Refusal.Details[3].Value, `\x1b`) {
		t.Errorf("%+v", e)
	}
	if e := refused(wire.Question{URI: "/stuck"}, "WSGID-1020"); e.Dispatch == nil || e.Static == nil || e.Decision != nil {
		t.Errorf("%+v", e)
	}
	length := parameters("Content-Length", "11")
	if e := refused(wire.Question{URI: "/small", Method: "POST", Headers: length}, "WSGID-1009"); *e.Mount != index(-1, 1) || e.Static != nil || e.Environ != nil {
		t.Errorf("%+v", e)
	}
	refused(wire.Question{URI: "/small", Headers: parameters("Content-Length", "x")}, "WSGID-1007")
	refused(wire.Question{URI: "/small", Headers: parameters("Transfer-Encoding", "gzip")}, "WSGID-1010")
	if e := refused(wire.Question{URI: "/x", Host: "a b"}, "WSGID-1027"); len(e.Tried) != 0 {
		t.Errorf("%+v", e)
	}
	if e := r.explain(wire.Question{URI: "/plain/large", Method: "POST", Headers: parameters("Content-Length", "1000000")}).Explanation; e.Refusal != nil || e.Decision.ProcessGroup != "web" || e.Dispatch != nil {
		t.Errorf("%+v", e)
	}
	if e := r.explain(wire.Question{URI: "/px"}).Explanation; *e.Mount != index(-1, 2) || e.Script != "/srv/pattern" {
		t.Errorf("%+v", e)
	}
	trusted := wire.Listener{TrustFrontServer: true}
	setting := parameters("WSGID_CALLABLE_OBJECT", "other")
	if e := r.explain(wire.Question{URI: "/small", Parameters: setting, Listener: trusted}).Explanation; e.Decision.CallableObject != "other" || len(e.Overridden) != 1 || e.Overridden[0] != "callable_object" {
		t.Errorf("%+v", e)
	}
	if e := r.explain(wire.Question{URI: "/small", Parameters: setting}).Explanation; e.Decision.CallableObject != "application" || e.Overridden != nil {
		t.Errorf("%+v", e)
	}
	handled := parameters("WSGID_HANDLER", "report", "SCRIPT_FILENAME", "/srv/docs/page.report")
	if e := r.explain(wire.Question{URI: "/page.report", Parameters: handled, Listener: trusted}).Explanation; e.Refusal != nil || len(e.Tried) != 0 ||
		*e.Mount != index(-1, 4) || !e.ByFront || e.Script != "/srv/report.py" || e.Decision.CallableObject != "handle_request" {
		t.Errorf("%+v", e)
	}
	if m := r.explain(wire.Question{URI: "no path"}); m.Explanation != nil || m.Error == "" {
		t.Errorf("%+v", m)
	}
}
