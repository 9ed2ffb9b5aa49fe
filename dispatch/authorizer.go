package dispatch

import (
	"bytes"

	"github.com/wsgid/wsgid/internal/errcode"
)

// authorize answers a front server that asks whether a request may go on: in
// the Authorizer role of FastCGI (mod_authnz_fcgi, lighttpd), or as a request
// that WSGID_AUTH_REQUEST marks (nginx's auth_request, Caddy's forward_auth).
// No application runs, and no body is waited for: Apache does not even end it.
func (x *exchange) authorize() outcome {
	g, r := x.authorizing()
	if r != nil {
		return x.refuse(r)
	}
	user, r, o := x.judgeRequest(g)
	switch {
	case o != answered:
		return o
	case r != nil:
		return x.refuse(r)
	}
	if x.front.answer(x.granted(g, user), "") != nil {
		return broken
	}
	return answered
}

// authorizing finds the context of the request by its URL, as the client wrote
// it: SCRIPT_NAME is absent, or says where the front server's question is put.
func (x *exchange) authorizing() (*guard, *refusal) {
	if !x.listener.Authorizer { // an application's page would look like a yes
		return nil, refuse(errcode.NothingToAuthorize, "reason", "the listener has no authorizer = true")
	}
	x.env.scriptName, x.env.pathInfo = nil, nil
	if x.env.authRequest || x.asksAccess() { // the question has no query of its own
		_, x.env.queryString, _ = bytes.Cut(x.env.requestURI, []byte("?"))
	}
	x.path = x.env.urlPath(x.path)
	mounts, r := x.chooseHost()
	if r != nil {
		return nil, r
	}
	var m *mount
	var found target
	if x.listener.TrustFrontServer {
		m, _ = mounts.rootOf(&x.env, x.path) // comes before the URL, see mapRequest
	}
	if m == nil {
		m, found, r = mounts.mapped(x.path)
	}
	if m == nil { // perhaps one by the file that the front server has found
		found, r = mounts.fromFront(&x.env, x.path)
		m = found.mount
	} else if r != nil && r.status >= 500 {
		return nil, r
	}
	x.target = target{scriptName: x.path}
	if r == nil && found.mount != nil {
		x.target = found
	}
	g := x.router.guard
	switch {
	case m != nil:
		g = m.guard
		if m.proxies != nil {
			m.proxies.apply(&x.env)
		}
	case x.host != nil:
		g = x.host.guard
	}
	if len(x.env.settings) > 0 {
		if g, r = x.askingContext(g); r != nil {
			return nil, r
		}
	}
	if g == nil {
		return nil, refuse(errcode.NothingToAuthorize, "path", string(x.path))
	}
	return g, nil
}

// judgeRequest decides; user is empty where nobody had to say who he is.
//
// FCGI_APACHE_ROLE says which half mod_authnz_fcgi is after. It calls for the
// password alone, as AUTHENTICATOR, also on behalf of a provider that it takes
// for the whole answer (AuthnzFcgiCheckAuthnProvider with an authnz provider):
// so whoever does not meet require is refused there as well. With
// separate_questions it has a provider for each, as mod_wsgi has hooks.
func (x *exchange) judgeRequest(g *guard) (user []byte, r *refusal, o outcome) {
	e := &x.env
	asksRequire, separate := string(e.apacheRole) == "AUTHORIZER", x.listener.SeparateQuestions && len(e.apacheRole) > 0
	switch {
	case x.asksAccess() && g.access == nil:
		return nil, refuse(errcode.NothingToAuthorize, "path", string(x.path), "reason", "no access_script"), answered
	case x.asksAccess():
		r, o = x.askAccess(g)
		return nil, r, o
	case !separate:
		if r, o := x.askAccess(g); r != nil || o != answered {
			return nil, r, o
		}
	}
	switch {
	case asksRequire:
		if len(g.Require) == 0 {
			return nil, refuse(errcode.NothingToAuthorize, "path", string(x.path), "reason", "no require"), answered
		}
		if user, _ = e.lookup("REMOTE_USER"); !saneUser(user) {
			return nil, x.challenge(g, false), answered
		}
	case e.remotePassword != nil && g.user != nil:
		name, _ := e.lookup("REMOTE_USER")
		if !saneUser(name) {
			return nil, x.challenge(g, false), answered
		}
		user, r, o = x.checkPassword(g, name, e.remotePassword)
	case e.remotePassword == nil && g.user == nil && g.access != nil && len(g.Require) == 0 && g.Type == "":
		return nil, nil, answered // who may come was all there was to ask
	case g.user == nil:
		return nil, refuse(errcode.NothingToAuthorize, "path", string(x.path), "reason", "no auth_user_script"), answered
	case len(e.apacheRole) > 0: // Apache has said what it wants, or wants nothing of the kind
		r := refuse(errcode.Unauthenticated)
		r.quiet = true
		return nil, r, answered
	case g.Type == "":
		return nil, refuse(errcode.NothingToAuthorize, "path", string(x.path), "reason", "no auth_type"), answered
	default:
		user, r, o = x.authenticate(g, e.credentials())
	}
	if r == nil && o == answered && (asksRequire || !separate) {
		r, o = x.permit(g, user)
	}
	return user, r, o
}

// asksAccess: Apache asks one thing at a time, and here whether the request may
// come at all: without the password that it has when it asks about a user.
func (x *exchange) asksAccess() bool {
	return x.listener.SeparateQuestions && string(x.env.apacheRole) == "AUTHENTICATOR" && x.env.remotePassword == nil
}

// granted is the answer to a request that may go on. Apache hands every other
// header of it to the client.
func (x *exchange) granted(g *guard, user []byte) string {
	switch {
	case x.env.authRequest && len(user) > 0:
		return "Status: 200 OK\r\nContent-Length: 0\r\nRemote-User: " + string(user) + "\r\n\r\n"
	case x.env.authRequest:
		return "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"
	case len(user) == 0:
		return "Status: 200 OK\r\n\r\n"
	}
	h := "Status: 200 OK\r\nVariable-REMOTE_USER: " + string(user) + "\r\n"
	if len(x.env.apacheRole) == 0 && x.env.remotePassword == nil { // not Apache, which knows it
		h += "Variable-AUTH_TYPE: " + g.scheme() + "\r\n"
	}
	return h + "\r\n"
}
