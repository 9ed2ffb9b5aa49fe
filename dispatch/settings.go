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
func newRoute(g *group, application, callable string, reloading bool) *route {
	r := &route{group: g, application: application, callable: callable}
	r.internal = appendRoute(nil, r, reloading)
	return r
}

func appendRoute(b []byte, r *route, reloading bool) []byte {
	b = protocol.AppendPair(b, "WSGID_APPLICATION_GROUP", r.application)
	b = protocol.AppendPair(b, "WSGID_CALLABLE", r.callable)
	b = protocol.AppendPair(b, "WSGID_ROUTER_PID", strconv.Itoa(os.Getpid()))
	if !reloading {
		b = protocol.AppendPair(b, "WSGID_RELOADING", "0")
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
		if m.DispatchScript != "" {
			if m.script = r.dispatchers[m.DispatchScript]; m.script == nil {
				return fmt.Errorf("mount %s: dispatch script %s is not declared", m.Prefix, m.DispatchScript)
			}
		}
		name, ok1 := constant(m.ProcessGroup, processGroupValue)
		app, ok2 := constant(m.ApplicationGroup, applicationGroupValue)
		callable, ok3 := constant(m.CallableObject, callableValue)
		g := r.groups[name]
		if ok1 && ok2 && ok3 && g != nil && m.permits(name) && (name != "" || !r.config.Embedded.Restricted) {
			m.fixed = newRoute(g, app, callable, m.ScriptReloading)
		}
	}
	return nil
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
	e, name := &x.env, x.target.scriptName
	group := e.expand(m.ProcessGroup, processGroupValue, name)
	application := e.expand(m.ApplicationGroup, applicationGroupValue, name)
	callable := e.expand(m.CallableObject, callableValue, name)
	if m.script != nil {
		variables := len(x.out)
		x.out = x.appendScriptPairs(x.out)
		d, r, o := m.script.evaluate(x, application, &ScriptCall{Params: x.out[headLen:]})
		if r != nil || o != answered {
			return r, o
		}
		x.out = x.out[:variables]
		if d.ProcessGroup.Set {
			group = e.expand(d.ProcessGroup.Value, processGroupValue, name)
			e.set("mod_wsgi.process_group", []byte(group)) // for an expansion of the next
		}
		if d.ApplicationGroup.Set {
			application = e.expand(d.ApplicationGroup.Value, applicationGroupValue, name)
			e.set("mod_wsgi.application_group", []byte(application))
		}
		if d.CallableObject.Set {
			if d.CallableObject.Value == "" {
				return refuse(errcode.DispatchValue, "script", m.script.config.Path,
					"function", "callable_object", "value", ""), answered
			}
			callable = e.expand(d.CallableObject.Value, callableValue, name)
		}
	}
	if !m.permits(group) {
		return refuse(errcode.GroupForbidden, "process_group", group, "mount", m.Prefix,
			"restrict_process", strings.Join(m.RestrictProcess, " ")), answered
	}
	if group == "" && x.router.config.Embedded.Restricted {
		return refuse(errcode.EmbeddedForbidden, "mount", m.Prefix, "script", x.target.script), answered
	}
	g := x.router.groups[group]
	if g == nil {
		args := []any{"process_group", group, "mount", m.Prefix}
		if m.script != nil {
			args = append(args, "dispatch_script", m.script.config.Path)
		}
		return refuse(errcode.UnknownGroup, args...), answered
	}
	if f := m.fixed; f != nil && f.group == g && f.application == application && f.callable == callable {
		x.route = *f
		return nil, answered
	}
	x.route = route{group: g, application: application, callable: callable}
	return nil, answered
}

// permits says whether the process group may serve the mount's requests.
func (m *mount) permits(group string) bool {
	return len(m.RestrictProcess) == 0 || slices.Contains(m.RestrictProcess, group)
}

// headLen is BEGIN_REQUEST and the header of the first PARAMS record.
const headLen = 2*protocol.HeaderLen + protocol.HeaderLen

// appendHead begins the request to the worker: room for the header of PARAMS,
// then the application's variables.
func (x *exchange) appendHead(b []byte) []byte {
	b = protocol.AppendBeginRequest(b, 1, protocol.Responder, protocol.FlagKeepConn)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	return x.env.appendTo(b, &x.target)
}

// finishHead adds wsgid's own pairs and the record headers. What comes after
// PARAMS is left to the caller.
func (x *exchange) finishHead(wantAccept bool) {
	b := x.out
	b = protocol.AppendPair(b, "WSGID_SCRIPT", x.target.script)
	if x.route.internal != nil {
		b = append(b, x.route.internal...)
	} else {
		b = appendRoute(b, &x.route, x.target.mount.ScriptReloading)
	}
	b = append(b, x.env.own...)
	b = protocol.AppendPair(b, "WSGID_REQUEST_ID", x.requestID)
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
