package dispatch

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
)

// guard is a wire.Auth prepared for requests: who may use a context.
type guard struct {
	wire.Auth
	user, group, access *script // nil: none
	overridable         uint64  // of askingSettings: those in AllowOverride, one bit each
}

// newGuard prepares a; nil where it asks for nothing.
func (r *Router) newGuard(a *wire.Auth) (*guard, error) {
	if a == nil {
		return nil, nil
	}
	g := &guard{Auth: *a, overridable: askingMask(a.AllowOverride)}
	for _, s := range []struct {
		to   **script
		kind string
		path string
	}{{&g.user, "user", a.UserScript}, {&g.group, "group", a.GroupScript}, {&g.access, "access", a.AccessScript}} {
		if s.path == "" {
			continue
		}
		if *s.to = r.guards[s.kind+" "+s.path]; *s.to == nil {
			return nil, fmt.Errorf("%s script %s is not declared", s.kind, s.path)
		}
	}
	return g, nil
}

// authKinds are the kinds of scripts by what wire calls them.
var authKinds = map[string]ScriptKind{"user": KindPassword, "group": KindGroups, "access": KindAccess}

// placeGuards gives every context its guard.
func (r *Router) placeGuards() (err error) {
	place := func(to **guard, a *wire.Auth, where string) {
		if g, e := r.newGuard(a); e != nil {
			err = fmt.Errorf("%s: %w", where, e)
		} else {
			*to = g
		}
	}
	place(&r.guard, r.config.Auth, "router")
	for _, m := range r.allMounts() {
		place(&m.guard, m.Auth, "mount "+m.Prefix)
	}
	if r.hosts != nil {
		for _, h := range r.hosts.hosts {
			place(&h.guard, h.auth, "virtual host")
		}
	}
	return err
}

// enforces reports whether the router lets a request through to an application
// only when the guard agrees. Else only a front server asks it.
func (g *guard) enforces() bool { return g != nil && (g.Type != "" || g.access != nil) }

// enforce stands between a request and its application: wrong credentials get
// no further, and the application is told whose the right ones are.
// credentials is the Authorization header.
func (x *exchange) enforce(g *guard, credentials []byte) (*refusal, outcome) {
	r, o := x.askAccess(g)
	if r != nil || o != answered || g.Type == "" {
		return r, o
	}
	x.env.remove("REDIRECT_REMOTE_USER")
	user, r, o := x.authenticate(g, credentials)
	if r != nil || o != answered {
		return r, o
	}
	if r, o := x.permit(g, user); r != nil || o != answered {
		return r, o
	}
	x.env.set("REMOTE_USER", user)
	x.env.set("AUTH_TYPE", []byte(g.scheme()))
	return nil, answered
}

// scheme is Type as AUTH_TYPE and Authorization have it.
func (g *guard) scheme() string {
	if g.Type == "digest" {
		return "Digest"
	}
	return "Basic"
}

// authenticate finds out who sends the credentials of an Authorization header.
func (x *exchange) authenticate(g *guard, credentials []byte) (user []byte, r *refusal, o outcome) {
	x.hintCredentials(len(credentials) > 0)
	if len(credentials) == 0 {
		return nil, x.challenge(g, false), answered
	}
	if g.Type == "digest" {
		return x.authenticateDigest(g, credentials)
	}
	user, password, ok := basicCredentials(credentials)
	if !ok {
		return nil, x.challenge(g, false, "reason", "no usable Basic credentials"), answered
	}
	return x.checkPassword(g, user, password)
}

// hintAfter is how many requests without credentials make it likely that Apache
// holds them back. A browser sends one before it asks its user.
const hintAfter = 5

// hintCredentials says once what is probably missing when Apache never hands
// credentials over.
func (x *exchange) hintCredentials(there bool) {
	n := &x.listener.withoutCredentials
	switch {
	case n.Load() < 0 || x.listener.Kind == wire.ListenHTTP:
	case there:
		n.Store(math.MinInt32 / 2)
	default:
		software, _ := x.env.lookup("SERVER_SOFTWARE")
		if bytes.HasPrefix(software, []byte("Apache")) && n.Add(1) == hintAfter {
			x.router.log.Warn("no request that is asked for a password has an Authorization header; Apache passes it on only with CGIPassAuth On",
				"listener", x.listener.Address, "uri", string(x.env.requestURI))
		}
	}
}

// checkPassword asks the user script, and clears password when it has answered.
func (x *exchange) checkPassword(g *guard, user, password []byte) ([]byte, *refusal, outcome) {
	a, r, o := x.ask(g.user, &ScriptCall{Kind: KindPassword, First: user, Second: password})
	if o == left {
		return nil, nil, left // whoever is caught in the call may still read it
	}
	clear(password)
	switch {
	case r != nil || o != answered:
		return nil, r, o
	case a.Verdict != VerdictGranted:
		return nil, x.challenge(g, false, "user", string(user), "reason", "check_password denies"), answered
	case a.Text == "":
		return user, nil, answered
	case !saneUser([]byte(a.Text)):
		return nil, refuse(errcode.AuthFailed, "script", g.UserScript, "function", "check_password",
			"error", "the name has control characters"), answered
	}
	return []byte(a.Text), nil, answered
}

func (x *exchange) authenticateDigest(g *guard, credentials []byte) ([]byte, *refusal, outcome) {
	c, ok := parseDigest(credentials)
	if !ok || !c.plausible(g.Name, x.env.requestURI) {
		return nil, x.challenge(g, false, "reason", "no usable Digest credentials"), answered
	}
	if !x.router.nonces.fresh(c.nonce, g.Name, time.Now()) {
		return nil, x.challenge(g, true), answered
	}
	a, r, o := x.ask(g.user, &ScriptCall{Kind: KindRealmHash, First: []byte(c.user), Second: []byte(g.Name)})
	switch {
	case r != nil || o != answered:
		return nil, r, o
	case a.Verdict != VerdictGranted || !c.proves(a.Text, string(x.env.method)):
		return nil, x.challenge(g, false, "user", c.user, "reason", "the digest is not that of the user's password"), answered
	}
	return []byte(c.user), nil, answered
}

// permit decides whether the user is one of those that the context requires.
// Groups are asked for once, and only if nothing else lets the user in.
func (x *exchange) permit(g *guard, user []byte) (*refusal, outcome) {
	var groups []string
	for _, need := range g.Require {
		if need.ValidUser || containsBytes(need.Users, user) {
			return nil, answered
		}
		groups = append(groups, need.Groups...)
	}
	if len(g.Require) == 0 {
		return nil, answered
	}
	if len(groups) > 0 && g.group == nil {
		return refuse(errcode.NothingToAuthorize, "path", string(x.path), "reason", "no auth_group_script"), answered
	}
	if len(groups) > 0 {
		a, r, o := x.ask(g.group, &ScriptCall{Kind: KindGroups, First: user})
		if r != nil || o != answered {
			return x.challenged(g, r), o
		}
		if overlap(a.Groups, groups) {
			return nil, answered
		}
	}
	return x.challenged(g, refuse(errcode.NotPermitted, "user", string(user))), answered
}

func containsBytes(names []string, name []byte) bool {
	for _, n := range names {
		if n == string(name) {
			return true
		}
	}
	return false
}

// overlap compares the names of groups as mod_wsgi does: without regard to case,
// which is that of ASCII only.
func overlap(have, want []string) bool {
	for _, h := range have {
		for _, w := range want {
			if asciiLower(h) == asciiLower(w) {
				return true
			}
		}
	}
	return false
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// askAccess asks the access script about the host that the request comes from.
func (x *exchange) askAccess(g *guard) (*refusal, outcome) {
	if g.access == nil {
		return nil, answered
	}
	host := x.env.remoteHost
	if len(host) == 0 {
		host = x.env.remoteAddr
	}
	a, r, o := x.ask(g.access, &ScriptCall{Kind: KindAccess, First: host})
	if r != nil || o != answered || a.Verdict == VerdictGranted || a.Verdict == VerdictUnknown {
		return r, o
	}
	return refuse(errcode.AccessDenied, "script", g.AccessScript, "host", string(host)), answered
}

// ask puts a question to a script, with the reduced environ of mod_wsgi
// behaviour 5.2.
func (x *exchange) ask(s *script, c *ScriptCall) (ScriptAnswer, *refusal, outcome) {
	x.out = x.appendAuthEnviron(x.out[:0])
	c.Params = x.out
	a, r, o := s.evaluate(x, "", c)
	if o == answered {
		x.out = x.out[:0]
	}
	return a, r, o
}

// challenge refuses a request whose credentials are missing or wrong and says
// which are wanted. stale: they only come too late.
func (x *exchange) challenge(g *guard, stale bool, args ...any) *refusal {
	r := x.challenged(g, refuse(errcode.Unauthenticated, args...))
	r.quiet = len(args) == 0 // every client begins like that
	if stale {
		r.more = strings.TrimSuffix(r.more, "\r\n") + ", stale=true\r\n"
	}
	return r
}

// challenged adds what a client needs to try again to a 401.
func (x *exchange) challenged(g *guard, r *refusal) *refusal {
	if r == nil || r.status != 401 {
		return r
	}
	switch {
	case g.Name == "":
	case g.Type != "digest": // Apache, which may be asking, can do no other
		r.more = "WWW-Authenticate: Basic realm=" + quoted(g.Name) + "\r\n"
	default:
		r.more = "WWW-Authenticate: Digest realm=" + quoted(g.Name) + ", nonce=" +
			quoted(x.router.nonces.make(g.Name, time.Now())) + ", algorithm=MD5, qop=\"auth\"\r\n"
	}
	return r
}
