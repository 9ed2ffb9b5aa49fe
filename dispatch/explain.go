package dispatch

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// findings are what a made-up request leaves on its way, which is that of a real
// one up to the point where a thread would be looked for.
type findings struct {
	overlaid         *mount // what exchange.overlay is a copy of
	static, decision *choice
	call             *ScriptCall
	answer           *ScriptAnswer
	refusal          *refusal
}

// explainFront is the front of a made-up request: its answer is the explanation.
type explainFront struct {
	x        exchange
	question uint64
	body     int64 // bytes that are still to come
}

// explain sends a made-up request on its way and answers when it has arrived.
func (r *Router) explain(id uint64, q *wire.Question) {
	params, length, err := madeUpParams(q, r.config.Version)
	if err != nil {
		r.send(&wire.Message{Type: wire.TypeExplained, ID: id, Error: err.Error()})
		return
	}
	f := &explainFront{question: id, body: length}
	x := &f.x
	x.router, x.listener, x.front, x.findings = r, &listener{Listener: q.Listener}, f, &findings{}
	x.arrive()
	go func() { // not waited for: a script may never come back
		refused, o := x.read(params, protocol.Limits{Total: r.config.Limits.MaxHeaderBytes}), answered
		if refused == nil {
			refused, o = x.prepare()
		}
		switch {
		case o == left: // the housekeeper has answered
			return
		case refused != nil:
			x.refuse(refused)
		default:
			f.tell()
		}
		x.depart()
	}()
}

// madeUpParams makes the parameters that a front server would send, and says how
// long the body is.
func madeUpParams(q *wire.Question, version string) (params []byte, body int64, err error) {
	target, err := url.ParseRequestURI(q.URI)
	if err != nil {
		return nil, 0, fmt.Errorf("the uri is no request target: %w", err)
	}
	header := http.Header{}
	length := int64(0)
	transfer := ""
	for _, h := range q.Headers {
		switch http.CanonicalHeaderKey(h.Name) {
		case "Content-Length":
			header.Set(h.Name, h.Value) // also one that is no number
			length, _ = strconv.ParseInt(h.Value, 10, 64)
		case "Transfer-Encoding":
			transfer, length = h.Value, max(length, 0)
		default:
			header.Add(h.Name, h.Value)
		}
	}
	port := "80"
	if _, p, err := net.SplitHostPort(q.Host); err == nil {
		port = p
	}
	ctx := context.WithValue(context.Background(), http.LocalAddrContextKey, madeUpAddress(net.JoinHostPort("127.0.0.1", port)))
	req := (&http.Request{
		Method: q.Method, URL: target, RequestURI: q.URI, Host: q.Host, Proto: "HTTP/1.1",
		Header: header, ContentLength: length, RemoteAddr: "127.0.0.1:1",
	}).WithContext(ctx)
	params = appendHTTPParams(nil, req, version)
	if given := header.Get("Content-Length"); given != "" {
		params = protocol.AppendPair(params, "CONTENT_LENGTH", given)
	}
	if transfer != "" {
		params = protocol.AppendPair(params, "HTTP_TRANSFER_ENCODING", transfer)
	}
	for _, p := range q.Parameters {
		params = protocol.AppendPair(params, p.Name, p.Value)
	}
	return params, max(length, 0), nil
}

// madeUpAddress is the address that a made-up request came to.
type madeUpAddress string

// Network is that of every front server's clients.
func (a madeUpAddress) Network() string { return "tcp" }

// String is host and port.
func (a madeUpAddress) String() string { return string(a) }

// tell sends the explanation. It is called once: by the goroutine of the
// request, or by the housekeeper for one that is caught in a script.
func (f *explainFront) tell() {
	f.x.router.send(&wire.Message{Type: wire.TypeExplained, ID: f.question, Explanation: f.x.explanation()})
}

// explanation collects what has become of the request.
func (x *exchange) explanation() *wire.Explanation {
	t := x.findings
	w := &wire.Explanation{RequestID: string(x.requestID), Path: shown(x.path), Host: -1, Tried: []wire.MountIndex{}}
	if t.refusal != nil {
		w.Refusal = refusalOf(t.refusal)
	}
	x.explainMount(w)
	if x.target.mount == nil {
		return w
	}
	w.Script, w.ScriptName, w.PathInfo = shown(x.target.script), shown(x.target.scriptName), shown(x.target.pathInfo)
	if x.target.mount == x.overlay {
		for _, p := range x.env.settings {
			if isMark(p.name) {
				continue
			}
			if option := strings.ToLower(strings.TrimPrefix(string(p.name), settingPrefix)); len(p.value) > 0 && !slices.Contains(w.Overridden, option) {
				w.Overridden = append(w.Overridden, option)
			}
		}
	}
	if len(x.out) <= headLen {
		return w // refused before
	}
	w.Environ = environOf(x.out[headLen:])
	if t.call != nil {
		w.Dispatch = dispatchReport(x.target.mount.script, t)
	}
	if t.static == nil { // a route that needs no request
		c := &choice{x.route.group.config.Name, x.route.application, x.route.callable}
		t.static, t.decision = c, c
	}
	w.Static, w.Decision = wireChoice(t.static), wireChoice(t.decision)
	return w
}

// explainMount says which mounts were tried, by trying them again.
func (x *exchange) explainMount(w *wire.Explanation) {
	mounts, own := x.router.mounts, 0
	if r := x.findings.refusal; r != nil && (r.code == errcode.MalformedParams || r.code == errcode.HeaderTooLarge || r.code == errcode.BadHost) {
		return
	}
	if x.host != nil {
		w.Host = slices.Index(x.router.hosts.hosts, x.host)
		mounts, own = x.host.mounts, x.host.own
	}
	name := func(i int) wire.MountIndex {
		if i < own {
			return wire.MountIndex{Host: w.Host, Index: i}
		}
		return wire.MountIndex{Host: -1, Index: i - own}
	}
	chosen := x.target.mount
	if chosen != nil && chosen == x.overlay {
		chosen = x.findings.overlaid
	}
	taken := -1
	if !x.mappedBefore(mounts, chosen) {
		taken = slices.IndexFunc(mounts, func(m *mount) bool { return m.takes(x.path) })
		for i, m := range mounts {
			if !m.Root && m.Handler == "" { // these have no URL
				w.Tried = append(w.Tried, name(i))
			}
			if i == taken {
				break
			}
		}
	}
	if chosen != nil && (taken < 0 || mounts[taken] != chosen) {
		taken, w.ByFront = slices.Index(mounts, chosen), true
	}
	if taken >= 0 {
		at := name(taken)
		w.Mount = &at
	}
}

// mappedBefore says whether the web server's own mapping came before the URL.
func (x *exchange) mappedBefore(mounts mountTable, chosen *mount) bool {
	if chosen != nil {
		return chosen.Root || chosen.Handler != ""
	}
	if !x.listener.TrustFrontServer {
		return false
	}
	root, _ := mounts.rootOf(&x.env, x.path)
	return root != nil || x.env.mark(handlerParameter) != ""
}

// takes says whether the table stops at this mount.
func (m *mount) takes(path []byte) bool {
	if m.pattern == nil {
		return m.match(path)
	}
	at, r := m.search(path)
	return at != nil || r != nil
}

func refusalOf(r *refusal) *wire.Refusal {
	w := &wire.Refusal{Code: r.code.String(), Status: r.status, Title: r.title}
	for i := 0; i+1 < len(r.args); i += 2 {
		w.Details = append(w.Details, wire.NameValue{Name: fmt.Sprint(r.args[i]), Value: escape.Text(fmt.Sprint(r.args[i+1]))})
	}
	return w
}

func wireChoice(c *choice) *wire.Choice {
	if c == nil {
		return nil
	}
	return &wire.Choice{ProcessGroup: shown(c.group), ApplicationGroup: shown(c.application), CallableObject: shown(c.callable)}
}

func dispatchReport(s *script, t *findings) *wire.DispatchReport {
	w := &wire.DispatchReport{Script: s.config.Path, ApplicationGroup: shown(t.call.ApplicationGroup)}
	if e := s.loadError.Load(); e != nil {
		w.LoadError = *e
	}
	if t.answer != nil {
		returned := func(o Override) *string {
			if !o.Set {
				return nil
			}
			text := shown(o.Value)
			return &text
		}
		w.Returned = &wire.Returned{
			ProcessGroup: returned(t.answer.ProcessGroup), ApplicationGroup: returned(t.answer.ApplicationGroup),
			CallableObject: returned(t.answer.CallableObject),
		}
	}
	return w
}

// shown makes a text, which need not be UTF-8, fit for JSON.
func shown[T string | []byte](text T) string { return escape.Line(string(text)) }

// environOf reads the variables of the application.
func environOf(pairs []byte) []wire.NameValue {
	var all []wire.NameValue
	for p := protocol.NewPairs(pairs, protocol.Limits{}); ; {
		name, value, ok := p.Next()
		if !ok {
			return all
		}
		if !strings.HasPrefix(string(name), "mod_wsgi.") { // those of a script that is still running
			all = append(all, wire.NameValue{Name: shown(name), Value: shown(value)})
		}
	}
}

func (f *explainFront) answer(string, string) error {
	f.tell()
	return nil
}

func (f *explainFront) nextBody() ([]byte, error) {
	n := min(f.body, bulk)
	if n == 0 {
		return nil, io.EOF
	}
	f.body -= n
	return make([]byte, n), nil
}

func (f *explainFront) bodyReady() bool                  { return true }
func (f *explainFront) bodyComing(int64)                 {}
func (f *explainFront) forward([]byte, bool, bool) error { return nil }
func (f *explainFront) aborted() error                   { return nil }
func (f *explainFront) id() uint16                       { return 1 }
func (f *explainFront) hurry()                           {}
func (f *explainFront) patience(time.Duration)           {}
func (f *explainFront) interrupt()                       {}
func (f *explainFront) gone() killReason                 { return notKilled }
