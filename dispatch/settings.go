package dispatch

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

// route is the decision about one request: where it runs and as what.
type route struct {
	group       *group
	application string
	callable    string
	// internal is the part of the WSGID_ pairs that the route fixes; only a
	// route that holds for a whole mount has it ready.
	internal []byte
}

// newRoute builds a route with its pairs.
func newRoute(g *group, application, callable string, m *mount) *route {
	r := &route{group: g, application: application, callable: callable}
	r.internal = appendRoute(nil, r, m)
	return r
}

func appendRoute(b []byte, r *route, m *mount) []byte {
	b = protocol.AppendPair(b, "WSGID_APPLICATION_GROUP", r.application)
	b = protocol.AppendPair(b, "WSGID_CALLABLE", r.callable)
	b = protocol.AppendPair(b, "WSGID_ROUTER_PID", strconv.Itoa(os.Getpid()))
	if !m.ScriptReloading {
		b = protocol.AppendPair(b, "WSGID_RELOADING", "0")
	}
	if m.Handler != "" {
		b = protocol.AppendPair(b, "WSGID_HANDLER", m.Handler)
	}
	if m.IgnoreActivity {
		b = protocol.AppendPair(b, "WSGID_IGNORE_ACTIVITY", "1")
	}
	if m.ErrorOverride {
		b = protocol.AppendPair(b, "WSGID_ERROR_OVERRIDE", "1")
	}
	if len(m.ErrorDocuments) > 0 {
		b = protocol.AppendPair(b, "WSGID_NO_PAGE", "1")
	}
	return b
}

// allMounts are the mounts of all hosts and the global ones.
func (r *Router) allMounts() mountTable {
	all := slices.Clone(r.mounts)
	if r.hosts != nil {
		for _, h := range r.hosts.hosts {
			all = append(all, h.mounts[:h.own]...)
		}
	}
	return all
}

// fixRoutes gives the mounts their scripts, and prepares those whose settings
// need no request, which is what the request path then uses as it is.
func (r *Router) fixRoutes() error {
	for _, m := range r.allMounts() {
		r.roots = r.roots || m.Root
		if m.DispatchScript != "" {
			if m.script = r.dispatchers[m.DispatchScript]; m.script == nil {
				return fmt.Errorf("mount %s: dispatch script %s is not declared", m.title, m.DispatchScript)
			}
		}
		name, ok1 := constant(m.ProcessGroup, processGroupValue)
		app, ok2 := constant(m.ApplicationGroup, applicationGroupValue)
		callable, ok3 := constant(m.CallableObject, callableValue)
		g := r.groups[name]
		if ok1 && ok2 && ok3 && g != nil && m.permits(name) && (name != "" || !r.config.Embedded.Restricted) {
			m.fixed = newRoute(g, app, callable, m)
		}
	}
	return nil
}

// choice is a decision about a request, expanded.
type choice struct {
	group, application, callable string
}

// decide fills x.route and writes the application's variables to x.out:
// configuration, then the dispatch script, each value by itself.
func (x *exchange) decide() (*refusal, outcome) {
	m := x.target.mount
	if m.script != nil {
		x.env.modWSGIHTTPS()
	}
	x.out = x.appendHead(x.out)
	if m.fixed != nil && m.script == nil {
		x.route = *m.fixed
		return nil, answered
	}
	e, name := &x.env, x.resourceName()
	c := choice{
		group:       e.expand(m.ProcessGroup, processGroupValue, name),
		application: e.expand(m.ApplicationGroup, applicationGroupValue, name),
		callable:    e.expand(m.CallableObject, callableValue, name),
	}
	if x.findings != nil {
		x.findings.static = &choice{c.group, c.application, c.callable}
	}
	if m.script != nil {
		if r, o := x.askScript(&c); r != nil || o != answered {
			return r, o
		}
	}
	return x.routeTo(c), answered
}

// resourceName is SCRIPT_NAME as expansions show it (mod_wsgi behaviour 4.2).
func (x *exchange) resourceName() []byte {
	if x.router.config.FoldCase {
		return lowerASCII(x.target.scriptName)
	}
	return x.target.scriptName
}

// askScript lets the dispatch script of the mount change what the configuration
// chose.
func (x *exchange) askScript(c *choice) (*refusal, outcome) {
	s, e, name := x.target.mount.script, &x.env, x.resourceName()
	variables := len(x.out)
	x.out = x.appendScriptPairs(x.out)
	call := &ScriptCall{Params: x.out[headLen:]}
	if x.findings != nil {
		x.findings.call = call
	}
	d, r, o := s.evaluate(x, c.application, call)
	if r != nil || o != answered {
		return r, o
	}
	x.out = x.out[:variables]
	if x.findings != nil {
		x.findings.answer = &d
	}
	if d.ProcessGroup.Set {
		static := c.group
		c.group = e.expand(d.ProcessGroup.Value, processGroupValue, name)
		e.set("mod_wsgi.process_group", []byte(c.group)) // for an expansion of the next
		if m := x.target.mount; c.group == "" && static != "" && !m.scriptMayEmbed(x.router) {
			return refuse(errcode.GroupForbidden, "process_group", "%{GLOBAL}", "mount", m.title,
				"dispatch_script", s.config.Path, "reason", "restrict_process does not name it"), answered
		}
	}
	if d.ApplicationGroup.Set {
		c.application = e.expand(d.ApplicationGroup.Value, applicationGroupValue, name)
		e.set("mod_wsgi.application_group", []byte(c.application))
	}
	if d.CallableObject.Set {
		if d.CallableObject.Value == "" {
			return refuse(errcode.DispatchValue, "script", s.config.Path, "function", "callable_object", "value", ""), answered
		}
		c.callable = e.expand(d.CallableObject.Value, callableValue, name)
	}
	return nil, answered
}

// routeTo makes the route of a choice that is permitted.
func (x *exchange) routeTo(c choice) *refusal {
	m := x.target.mount
	if x.findings != nil {
		x.findings.decision = &choice{c.group, c.application, c.callable}
	}
	if !m.permits(c.group) {
		return refuse(errcode.GroupForbidden, "process_group", c.group, "mount", m.title,
			"restrict_process", strings.Join(m.RestrictProcess, " "))
	}
	if c.group == "" && x.router.config.Embedded.Restricted {
		return refuse(errcode.EmbeddedForbidden, "mount", m.title, "script", x.target.script)
	}
	g := x.router.groups[c.group]
	if g == nil {
		args := []any{"process_group", c.group, "mount", m.title}
		if m.script != nil {
			args = append(args, "dispatch_script", m.script.config.Path)
		}
		return refuse(errcode.UnknownGroup, args...)
	}
	if f := m.fixed; f != nil && f.group == g && f.application == c.application && f.callable == c.callable {
		x.route = *f
		return nil
	}
	x.route = route{group: g, application: c.application, callable: c.callable}
	return nil
}

// permits says whether the process group may serve the mount's requests.
func (m *mount) permits(group string) bool {
	return len(m.RestrictProcess) == 0 || slices.Contains(m.RestrictProcess, group)
}

// scriptMayEmbed says whether a script may bring the mount's requests into this
// process. One that is kept out of it must not bring its tenant's application
// in, unless restrict_process names the group.
func (m *mount) scriptMayEmbed(r *Router) bool {
	return !r.config.KeepScriptsOut || slices.Contains(m.RestrictProcess, "")
}

// headLen is BEGIN_REQUEST and the header of the first PARAMS record.
const headLen = 2*protocol.HeaderLen + protocol.HeaderLen

// appendHead begins the request to the worker: room for the header of PARAMS,
// then the application's variables.
func (x *exchange) appendHead(b []byte) []byte {
	b = protocol.AppendBeginRequest(b, 1, protocol.Responder, protocol.FlagKeepConn)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	return x.env.appendTo(x.appendTraceparent(b), &x.target)
}

// finishHead adds wsgid's own pairs and the record headers. What comes after
// PARAMS is left to the caller.
func (x *exchange) finishHead(wantAccept bool) {
	b := x.out
	b = protocol.AppendPair(b, "WSGID_SCRIPT", x.target.script)
	if x.route.internal != nil {
		b = append(b, x.route.internal...)
	} else {
		b = appendRoute(b, &x.route, x.target.mount)
	}
	b = append(b, x.env.own...)
	if x.env.shownScriptName != nil {
		b = protocol.AppendPair(b, "WSGID_MAPPED_NAME", x.target.scriptName) // mod_wsgi.script_name, before the proxy's word
	}
	b = protocol.AppendPair(b, "WSGID_REQUEST_ID", x.requestID)
	if x.span != nil {
		b = protocol.AppendPair(b, "WSGID_TRACE", x.span.trace())
	}
	if key := x.errorLog(); key != "" {
		b = protocol.AppendPair(b, "WSGID_ERROR_LOG", key)
	}
	var digits [20]byte
	b = protocol.AppendPair(b, "WSGID_REQUEST_START", strconv.AppendInt(digits[:0], x.start.UnixMicro(), 10))
	b = protocol.AppendPair(b, "WSGID_QUEUE_START", strconv.AppendInt(digits[:0], x.queueStart.UnixMicro(), 10))
	if wantAccept {
		b = protocol.AppendPair(b, "WSGID_WANT_ACCEPT", "1")
	}
	pairs := len(b) - headLen
	if pairs <= protocol.MaxContent {
		protocol.PutHeader(b[headLen-protocol.HeaderLen:], protocol.Params, 1, pairs, 0)
	} else {
		all := append([]byte(nil), b[headLen:]...)
		b = protocol.AppendStream(b[:headLen-protocol.HeaderLen], protocol.Params, 1, all)
	}
	x.out = protocol.AppendStreamEnd(b, protocol.Params, 1)
}
