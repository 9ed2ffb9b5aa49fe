package dispatch

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

// front is the front server's side of an exchange: where the body comes from
// and the answer goes to. One goroutine at a time reads; gone and interrupt
// come from the housekeeper meanwhile.
type front interface {
	// nextBody returns the next piece of the body, or io.EOF at its end. A piece
	// is valid until a call for which bodyReady was false.
	nextBody() ([]byte, error)
	// bodyReady: nextBody would answer without waiting.
	bodyReady() bool
	// bodyComing tells that n bytes of body (-1: unknown) will be read.
	bodyComing(n int64)
	// forward passes on STDOUT records as they came; whole says that they end
	// with a record, last that it is END_REQUEST.
	forward(records []byte, whole, last bool) error
	// aborted acknowledges that the client aborted the request, so that the
	// connection can be used again. It fails where that is not possible.
	aborted() error
	// answer sends a whole response of the router itself.
	answer(header, body string) error
	// id is the request id that the front server uses in records.
	id() uint16
	// patience bounds how long each write of the answer may wait until the other
	// side takes something; 0: by the listener's body_timeout.
	patience(limit time.Duration)
	// hurry makes writes fail that cannot be done soon.
	hurry()
	// interrupt ends a waiting nextBody.
	interrupt()
	// gone asks, without waiting, whether the client gave up, and how.
	gone() killReason
}

// killReason says why somebody else ended an exchange.
type killReason uint32

const (
	notKilled     killReason = iota
	clientGone               // the front server closed the connection
	clientAborted            // ABORT_REQUEST came
	bodyOver                 // the streamed body exceeds max_body_bytes
	bodyCut                  // the streamed body ended before its length
	headTimeout              // PARAMS took longer than header_timeout
	bodyTimeout              // no STDIN for body_timeout
	bodyTooLarge             // a streamed body went over max_body_bytes
	graceOver                // the router stops and has waited long enough
	writtenOff               // the dispatch script did not come back; answered by the watchdog
	scriptTimeout            // the dispatch script is past its deadline and was interrupted
)

// phase is what an exchange is doing, for the housekeeper.
type phase = uint32

const (
	phaseIdle    phase = iota
	phaseHead          // PARAMS are arriving
	phaseBody          // the first part of the body is arriving
	phaseScript        // the dispatch script runs
	phaseWaiting       // for a thread
	phaseRunning       // at a worker
)

// outcome is what shall become of the front connection.
type outcome uint8

const (
	answered outcome = iota // a whole response was sent
	finished                // there is no response, but the connection can go on
	broken                  // close without END_REQUEST: the client shall see a cut
	left                    // somebody else has the connection now, touch nothing
)

// exchange is one request and its answer. A FastCGI connection keeps one and
// uses it again.
type exchange struct {
	router   *Router
	listener *listener
	front    front

	env       environ
	path      []byte // normalised URL path
	hostName  []byte // of the virtual host, as it is compared
	host      *virtualHost
	out       []byte // what goes to the worker
	body      []byte // the part of the body read before a thread is taken
	bodyRead  int64  // bytes of the body taken from the front so far
	bodyEnded bool   // the end of the body has been seen
	idBuf     [64]byte
	requestID []byte
	role      protocol.Role // of FastCGI; 0 over HTTP
	target    target
	overlay   *mount // target.mount where the web server's configuration sets options; used again
	route     route
	findings  *findings // of a made-up request (explain.go), else nil
	span      *span     // of a distributed trace (tracing.go), else nil
	start     time.Time
	inflight  bool

	account account // of what becomes of it
	line    []byte  // of it

	queueStart time.Time // when it was ready for a thread
	ticket     uint64    // its place among those that want one; 0: not asked yet

	phase atomic.Uint32
	since atomic.Int64 // Router.clock: start of the phase, or last progress
	// answering is since when (Router.clock) a write of the answer to the front is
	// under way, or 0; kept while an upload runs.
	answering atomic.Int64
	ended     atomic.Bool // END_REQUEST is on its way to the front

	mu      sync.Mutex // the fields below, against kill
	killed  killReason
	worker  *workerConn
	upload  *upload
	cancel  chan struct{} // closed by kill while waiting
	reading bool          // a nextBody may be waiting
}

func (x *exchange) enter(p phase) {
	x.since.Store(x.router.clock())
	x.phase.Store(p)
}

// kill ends what the exchange is doing; the first reason counts.
func (x *exchange) kill(why killReason) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.killed != notKilled {
		return
	}
	x.killed = why
	if x.worker != nil {
		x.worker.interrupt()
	}
	if x.cancel != nil {
		close(x.cancel)
		x.cancel = nil
	}
	if x.reading || why == headTimeout {
		x.front.interrupt()
	}
}

func (x *exchange) killedBy() killReason {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.killed
}

// setReading marks that the front is being read, and can be interrupted.
func (x *exchange) setReading(on bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reading = on
	return x.killed == notKilled
}

func (x *exchange) setWorker(w *workerConn) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if w != nil && x.killed != notKilled {
		return false
	}
	x.worker = w
	return true
}

// begin makes x ready for a request whose PARAMS are complete.
func (x *exchange) begin() {
	x.start, x.ticket = time.Now(), 0
	x.body, x.bodyRead, x.bodyEnded = x.body[:0], 0, false
	x.path, x.out = x.path[:0], x.out[:0]
	x.target, x.route, x.host, x.account = target{}, route{}, nil, account{}
	x.ended.Store(false)
	x.mu.Lock()
	x.killed, x.worker, x.cancel = notKilled, nil, nil
	x.mu.Unlock()
}

// serve answers the request whose PARAMS are given, whatever happens.
func (x *exchange) serve(params []byte, limits protocol.Limits) outcome {
	o := x.respond(params, limits)
	if o != left { // else whoever has answered has ended it
		x.endSpan(o)
	}
	return o
}

func (x *exchange) respond(params []byte, limits protocol.Limits) outcome {
	if r := x.read(params, limits); r != nil {
		return x.refuse(r)
	}
	if x.env.authRequest || x.role == protocol.Authorizer {
		return x.authorize()
	}
	r, o := x.prepare()
	if r != nil {
		return x.refuse(r)
	}
	if o != answered {
		return o
	}
	return x.forwardRequest()
}

// read takes in PARAMS.
func (x *exchange) read(params []byte, limits protocol.Limits) *refusal {
	x.begin()
	err := x.env.parse(params, limits)
	x.identify()
	if err != nil {
		code := errcode.MalformedParams
		if errors.Is(err, protocol.ErrTooLarge) {
			code = errcode.HeaderTooLarge
		}
		return refuse(code)
	}
	return nil
}

// prepare does everything that needs no thread: mapping, body, settings.
func (x *exchange) prepare() (*refusal, outcome) {
	if x.listener.NoResponder {
		return refuse(errcode.AuthorizerOnly, "listener", x.listener.Address, "reason", "the listener has responder = false"), answered
	}
	x.path = x.env.urlPath(x.path)
	if bytes.IndexByte(x.path, 0) >= 0 {
		return refuse(errcode.MalformedParams, "reason", "NUL in the path"), answered
	}
	mounts, r := x.chooseHost()
	if r != nil {
		return r, answered
	}
	if x.target, r = x.mapRequest(mounts); r != nil {
		return r, answered
	}
	if len(x.env.settings) > 0 {
		if r := x.applySettings(); r != nil {
			return r, answered
		}
	}
	if r := x.env.checkBody(); r != nil {
		return r, answered
	}
	credentials := x.env.credentials()
	if x.target.mount.adjusts {
		if r := x.target.mount.adjust(&x.env, x.target.pathInfo); r != nil {
			return r, answered
		}
	}
	if g := x.target.mount.guard; g.enforces() {
		r, o := x.enforce(g, credentials)
		if o != left && x.target.mount.DropAuthorization {
			clear(credentials) // nobody needs them any more
		}
		if r != nil || o != answered {
			return r, o
		}
	}
	if r, o := x.collectBody(); r != nil || o != answered {
		return r, o
	}
	return x.decide()
}

// identify takes the ids of the request and of its trace that a proxy or the front
// server has given it, or makes some.
func (x *exchange) identify() {
	x.beginTrace()
	if header := x.listener.RequestIDHeader; header != "" {
		if id, _ := x.env.lookup(header); saneID(id) {
			x.requestID = append(x.idBuf[:0], id...)
			return
		}
	}
	if saneID(x.env.uniqueID) {
		x.requestID = append(x.idBuf[:0], x.env.uniqueID...)
		return
	}
	b := append(x.idBuf[:0], x.router.idPrefix...)
	x.requestID = strconv.AppendUint(b, x.router.nextID.Add(1), 36)
}

// collectBody reads the body up to request_buffer: a slow client holds no
// thread, and a refused request can be sent to another worker.
func (x *exchange) collectBody() (*refusal, outcome) {
	m := x.target.mount
	length := x.env.length
	if m.MaxBodyBytes > 0 && length > m.MaxBodyBytes {
		return refuse(errcode.BodyTooLarge, "content_length", length, "limit", m.MaxBodyBytes), answered
	}
	if length == 0 {
		x.bodyEnded = true
		if !x.front.bodyReady() {
			return nil, answered
		}
	}
	limit := max(1, m.RequestBuffer) // at 0, the first piece tells whether there is a body
	x.setReading(true)
	defer x.setReading(false)
	for first := true; ; first = false {
		if !x.front.bodyReady() {
			x.enter(phaseBody)
		}
		if x.bodyRead >= limit && x.bodyRead != length {
			return nil, answered // the rest is streamed
		}
		piece, err := x.front.nextBody()
		if errors.Is(err, io.EOF) {
			x.bodyEnded = true
			break
		}
		if err != nil {
			return x.bodyError(err)
		}
		if first && (length < 0 || length > int64(len(piece))) {
			x.front.bodyComing(length)
		}
		if length >= 0 && x.bodyRead+int64(len(piece)) >= length {
			x.body = append(x.body, piece[:length-x.bodyRead]...)
			x.bodyRead, x.bodyEnded = length, true
			if x.front.bodyReady() {
				continue // usually the closing record, else excess to be dropped
			}
			return nil, answered
		}
		x.body = append(x.body, piece...)
		x.bodyRead += int64(len(piece))
		if m.MaxBodyBytes > 0 && x.bodyRead > m.MaxBodyBytes {
			return refuse(errcode.BodyTooLarge, "limit", m.MaxBodyBytes), answered
		}
	}
	if length >= 0 && x.bodyRead < length {
		return refuse(errcode.ShortBody, "content_length", length, "received", x.bodyRead), answered
	}
	if length < 0 && x.bodyRead > 0 {
		// As Apache does with what it has read beforehand: the length is known now.
		x.env.length = x.bodyRead
	}
	return nil, answered
}

// bodyError says what a failed read of the body means for the client.
func (x *exchange) bodyError(err error) (*refusal, outcome) {
	switch x.killedBy() {
	case bodyTimeout:
		return refuse(errcode.BodyTimeout, "received", x.bodyRead), answered
	case graceOver:
		return refuse(errcode.RouterStopping), answered
	}
	x.router.log.Debug("front server gave up while sending the body", x.named("error", err)...)
	if errors.Is(err, protocol.ErrAbortRecord) {
		return nil, x.aborted()
	}
	return nil, broken
}

// aborted ends a request that the client aborted.
func (x *exchange) aborted() outcome {
	if x.front.aborted() != nil {
		return broken
	}
	return finished
}

// refuse answers the request with r and logs it.
func (x *exchange) refuse(r *refusal) outcome {
	if x.findings != nil {
		x.findings.refusal = r
	}
	x.logRefusal(r)
	if r.status >= 500 {
		x.router.errors.Add(1)
	}
	return x.sendPage(r)
}

func (x *exchange) logRefusal(r *refusal) {
	if !x.router.log.IsInfo() && r.level() < x.router.log.GetLevel() {
		return
	}
	x.tell(r.level(), r.title, append([]any{"code", r.code.String(), "status", r.status,
		"method", string(x.env.method), "uri", string(x.env.requestURI), "client", string(x.env.remoteAddr),
		"listener", x.listener.Address}, r.args...)...)
}

// tell logs what concerns the request; the supervisor puts it into the error_log of
// its virtual host as well.
func (x *exchange) tell(level hclog.Level, message string, args ...any) {
	args = x.named(args...)
	if key := x.errorLog(); key != "" {
		args = append(args, "error_log", key)
	}
	x.router.log.Log(level, message, args...)
}
