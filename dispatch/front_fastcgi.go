package dispatch

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

const (
	// idleBuffer is what a kept connection holds while it waits: a usual
	// request fits, and thousands of connections cost little.
	idleBuffer = 4 << 10
	// lingerBytes and lingerTime bound how long an unread body is dropped
	// after an early answer. Closing at once would make the front server throw
	// away what it has of the answer.
	lingerBytes = 64 << 20
	lingerTime  = 5 * time.Second
	// lasting is how many requests make a connection one that is kept: it is
	// worth some work then.
	lasting = 16
	// keepScratch is the largest scratch buffer that outlives its request.
	keepScratch = 8 << 10
)

// fastcgiFront is a connection of a front server that speaks FastCGI. It
// serves one request after the other.
type fastcgiFront struct {
	x      exchange
	conn   net.Conn
	sc     *protocol.ServerConn
	req    *protocol.Request
	reqID  atomic.Uint32 // that of req, for the housekeeper
	direct *directConn   // conn as it is read and written, or nil
	served uint          // requests
	small  []byte        // the idle buffer while a borrowed one is in use
	large  any           // the borrowed one
	lender *sync.Pool    // of large
	limits protocol.Limits
}

// timedConn tells the exchange when bytes arrive, which is all that the
// housekeeper's timeouts need: no deadline is set for any read.
type timedConn struct {
	net.Conn
	x *exchange
}

// Read reads and notes when.
func (c timedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		switch c.x.phase.Load() {
		case phaseIdle:
			c.x.arrive()
		case phaseBody:
			c.x.since.Store(c.x.router.clock())
		}
	}
	return n, err
}

// CloseWrite ends our direction of the connection.
func (c timedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// arrive marks the first byte of a request.
func (x *exchange) arrive() {
	x.enter(phaseHead)
	x.inflight = true
	x.router.keeper.begin()
}

// depart marks that nothing of the request is left.
func (x *exchange) depart() {
	if x.inflight {
		x.inflight = false
		x.router.keeper.end()
	}
	x.enter(phaseIdle)
}

func (f *fastcgiFront) patience(limit time.Duration) {
	if limit == 0 {
		limit = f.x.listener.BodyTimeout
	}
	if f.direct != nil {
		f.direct.patience = limit
	}
}

func newFastCGIFront(r *Router, l *listener, conn net.Conn) *fastcgiFront {
	f := &fastcgiFront{conn: conn}
	fast := direct(conn)
	if f.direct, _ = fast.(*directConn); f.direct != nil {
		f.direct.patience = l.BodyTimeout
	}
	f.x.router, f.x.listener, f.x.front = r, l, f
	f.limits = protocol.Limits{Total: r.config.Limits.MaxHeaderBytes}
	f.sc = protocol.NewServerConn(timedConn{fast, &f.x}, protocol.Config{
		BufferSize:      idleBuffer,
		AllowAuthorizer: l.Authorizer,
		Limits:          f.limits,
		IdleTimeout:     r.config.Limits.IdleTimeout,
		MaxConns:        r.config.Limits.MaxConnections,
		MaxReqs:         r.config.Limits.MaxConnections,
		Dropped:         f.x.depart,
	})
	return f
}

// run serves the connection until it ends.
func (f *fastcgiFront) run() {
	r := f.x.router
	defer f.close()
	f.x.enter(phaseIdle)
	for {
		req, err := f.sc.ReadRequest()
		if errors.Is(err, protocol.ErrReleased) {
			r.passOn(f.x.listener, f.conn)
			return
		}
		if err != nil && req == nil {
			f.logEnd(err)
			return
		}
		f.req = req
		f.reqID.Store(uint32(req.ID))
		f.x.role = req.Role
		var o outcome
		if err != nil {
			o = f.reject(err)
		} else {
			o = f.x.serve(req.Params, f.limits)
		}
		if o == left {
			return
		}
		f.x.logAccess(o, o != broken && req.KeepConn && err == nil)
		r.requests.Add(1)
		if o == broken {
			if f.x.killedBy() == notKilled {
				f.finish()
			}
			return
		}
		if !req.KeepConn || err != nil {
			f.finish()
			return
		}
		f.rest()
		if r.stopping.Load() && len(f.x.body) == 0 && !f.pending() {
			return
		}
	}
}

// reject answers PARAMS that are too large or malformed.
func (f *fastcgiFront) reject(err error) outcome {
	f.x.begin()
	f.x.env.reset()
	f.x.identify()
	code := errcode.MalformedParams
	if errors.Is(err, protocol.ErrTooLarge) {
		code = errcode.HeaderTooLarge
	}
	o := f.x.refuse(refuse(code, "peer", peerName(f.conn)))
	f.x.endSpan(o)
	return o
}

// rest makes the connection small and ready for the next request.
func (f *fastcgiFront) rest() {
	f.x.setReading(false)
	f.sc.Finish()
	f.giveBack()
	if cap(f.x.body) > keepScratch {
		f.x.body = nil
	}
	if cap(f.x.out) > keepScratch {
		f.x.out = nil
	}
	f.x.depart()
	if f.served++; f.served == lasting && f.direct != nil {
		f.direct.quiet()
	}
}

// giveBack returns a borrowed read buffer.
func (f *fastcgiFront) giveBack() {
	if f.large == nil {
		return
	}
	if _, ok := f.sc.UseBuffer(f.small); !ok {
		return // the next request's body is in it already: keep it for that
	}
	f.lender.Put(f.large)
	f.large, f.small = nil, nil
}

// pending reports whether bytes of another request have arrived.
func (f *fastcgiFront) pending() bool { return f.x.phase.Load() != phaseIdle || readable(f.conn) }

// finish ends a connection that serves no further request, though the front
// server may be sending still: its kind, or a response that breaks off.
func (f *fastcgiFront) finish() {
	if f.sc.BodyDone() {
		return
	}
	f.sc.Finish()
	f.sc.Linger(lingerBytes, lingerTime)
}

func (f *fastcgiFront) close() {
	f.conn.Close()
	f.giveBack()
	f.x.depart()
}

func (f *fastcgiFront) logEnd(err error) {
	log := f.x.router.log
	switch {
	case errors.Is(err, io.EOF):
	case errors.Is(err, protocol.ErrHTTP) && f.x.listener.sawHTTP.Swap(true):
		log.Debug("front server speaks http", "listener", f.x.listener.Address, "peer", peerName(f.conn))
	case errors.Is(err, protocol.ErrHTTP):
		log.Warn("somebody speaks http to a fastcgi listener; further cases are logged at level debug",
			"listener", f.x.listener.Address, "peer", peerName(f.conn))
	case errors.Is(err, protocol.ErrInterrupted) && f.x.killedBy() == headTimeout:
		log.Warn("request parameters did not arrive in time", "listener", f.x.listener.Address, "peer", peerName(f.conn))
	case errors.Is(err, protocol.ErrInterrupted), errors.Is(err, protocol.ErrIdleTimeout):
	case errors.Is(err, protocol.ErrUnknownRole):
		log.Warn("front server asks for a role that is not served here; for authentication the listener needs authorizer = true",
			"listener", f.x.listener.Address, "peer", peerName(f.conn))
	case errors.Is(err, protocol.ErrProtocol):
		log.Warn("front server broke the protocol", "listener", f.x.listener.Address, "peer", peerName(f.conn), "error", err)
	default:
		log.Debug("front connection ended", "listener", f.x.listener.Address, "error", err)
	}
}

func (f *fastcgiFront) nextBody() ([]byte, error) { return f.sc.NextStdin() }
func (f *fastcgiFront) bodyReady() bool           { return f.sc.StdinReady() }
func (f *fastcgiFront) id() uint16                { return f.req.ID }
func (f *fastcgiFront) interrupt()                { f.sc.Interrupt() }

// bodyComing borrows a large read buffer for a body that does not fit the
// small one. PARAMS stay in the small one, which is kept meanwhile.
func (f *fastcgiFront) bodyComing(n int64) {
	if f.large != nil || (n >= 0 && n < idleBuffer) {
		return
	}
	var large any
	var buf []byte
	if f.lender = &buffers; n >= 0 && n <= bufferSize {
		b := buffers.Get().(*[bufferSize]byte)
		large, buf = b, b[:]
	} else {
		f.lender = &bodyBuffers
		b := bodyBuffers.Get().(*[bodyBuffer]byte)
		large, buf = b, b[:]
	}
	small, ok := f.sc.UseBuffer(buf)
	if !ok {
		f.lender.Put(large)
		return
	}
	if len(small) > idleBuffer {
		small = make([]byte, idleBuffer) // had grown for PARAMS, which still use it
	}
	f.large, f.small = large, small
}

func (f *fastcgiFront) forward(records []byte, whole, last bool) error {
	var err error
	switch {
	case last:
		_, err = f.sc.WriteEnd(records)
	case whole:
		_, err = f.sc.Write(records)
	default:
		_, err = f.sc.WritePart(records)
	}
	return err
}

// splice passes on records that head begins and the next n bytes of a worker
// complete.
func (f *fastcgiFront) splice(from *directConn, p *pipe, head []byte, n int) error {
	return f.sc.WriteBy(func() error { return f.direct.spliceFrom(from, p, head, n) })
}

// aborted answers ABORT_REQUEST (FastCGI 1.0 section 5.4).
func (f *fastcgiFront) aborted() error {
	_, err := f.sc.WriteEnd(protocol.AppendEndRequest(nil, f.req.ID, 0, protocol.RequestComplete))
	return err
}

func (f *fastcgiFront) answer(header, body string) error {
	b := protocol.AppendStream(nil, protocol.Stdout, f.req.ID, []byte(header+body))
	b = protocol.AppendStreamEnd(b, protocol.Stdout, f.req.ID)
	b = protocol.AppendEndRequest(b, f.req.ID, 0, protocol.RequestComplete)
	_, err := f.sc.WriteEnd(b)
	return err
}

// hurry bounds what is still written: the housekeeper must not wait long for it.
func (f *fastcgiFront) hurry() {
	if deadline := time.Now().Add(hurryFor); f.direct != nil {
		f.direct.hurry(deadline)
	} else {
		_ = f.conn.SetWriteDeadline(deadline)
	}
}

// abandon ends the connection while its goroutine is caught in Python.
func (f *fastcgiFront) abandon() { f.conn.Close() }

// gone looks for ABORT_REQUEST only while nobody reads: inside a body any
// bytes may come.
func (f *fastcgiFront) gone() killReason {
	f.x.mu.Lock()
	reading := f.x.reading
	f.x.mu.Unlock()
	id := uint16(f.reqID.Load())
	if reading {
		id = 0
	}
	return hungUp(f.conn, id)
}
