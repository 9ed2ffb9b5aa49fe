package protocol

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is what a ServerConn needs of a net.Conn.
type Conn interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Config is what a ServerConn must know of its listener. The zero value is a
// Responder-only connection with default limits and no timeouts.
type Config struct {
	// BufferSize in bytes of the read buffer; 0 means DefaultBuffer.
	BufferSize int
	// Limits of PARAMS.
	Limits Limits
	// EarlyBody is how many bytes of STDIN may come before PARAMS is closed;
	// 0 means 64 KiB.
	EarlyBody int
	// AllowAuthorizer serves the Authorizer role too. Filter is never served.
	AllowAuthorizer bool
	// IdleTimeout from the call of ReadRequest, or the last record that was no
	// request, to the first byte of the next record; 0 waits for ever.
	IdleTimeout time.Duration
	// HeaderTimeout from the first byte of BEGIN_REQUEST to the end of PARAMS;
	// 0 waits for ever.
	HeaderTimeout time.Duration
	// BodyTimeout is the longest wait of NextStdin for more; 0 waits for ever.
	BodyTimeout time.Duration
	// WriteTimeout for one call of Write; 0 waits for ever.
	WriteTimeout time.Duration
	// Dropped, if set, is called by ReadRequest after a record that did not
	// begin a request: a management record, or what is left of an ended one.
	Dropped func()
	// MaxConns and MaxReqs are the answers to GET_VALUES; a zero one is left out.
	MaxConns, MaxReqs int
}

// Request is the request that is active on a ServerConn. It belongs to the
// connection: it and its slices are valid until the next ReadRequest.
type Request struct {
	ID       uint16
	Role     Role
	Flags    byte
	KeepConn bool
	// Params is the whole PARAMS stream, checked against the limits.
	Params []byte
	// PairCount is the number of pairs in Params.
	PairCount int

	limits Limits
}

// Pairs iterates over Params.
func (r *Request) Pairs() Pairs { return NewPairs(r.Params, r.limits) }

// ServerConn is the application's side of one connection from a web server: a
// state machine that serves one request at a time, as all known web servers
// want it (FCGI_MPXS_CONNS is 0). It sets the deadlines of its connection;
// nobody else may.
//
// One goroutine at a time may be in a reading method: ReadRequest, NextStdin,
// Watch, Linger. Write, WriteEnd and Interrupt may be called from any
// goroutine meanwhile. The order for one request is
//
//	ReadRequest, NextStdin..., [Watch], Write..., WriteEnd, Finish
//
// where a reading goroutine that is still in Watch or NextStdin when WriteEnd
// is called must be stopped by Interrupt and waited for before Finish.
type ServerConn struct {
	conn Conn
	cfg  Config
	rd   Reader
	req  Request

	// State of the active request, owned by the reading side.
	state        requestState
	paramsClosed bool
	stdinClosed  bool
	inStdin      bool   // the current record is STDIN of the active request
	early        []byte // STDIN that came before PARAMS was closed
	earlySent    bool
	params       []byte // PARAMS that came in more than one record
	paramsInBuf  bool   // req.Params points into the read buffer
	ended        atomic.Bool

	timing timing

	writeMu   sync.Mutex // for the three below, and whole records on the wire
	out       []byte     // scratch for our own answers
	midRecord bool       // the caller is in the middle of a record
	held      []byte     // answers that wait for its end
}

// requestState says whether an id is active on the connection.
type requestState uint8

const (
	stateIdle    requestState = iota // between requests
	stateParams                      // BEGIN_REQUEST seen, PARAMS open
	stateRunning                     // handed to the caller
)

const defaultEarlyBody = 64 << 10

// keepParams is the capacity of the PARAMS buffer that outlives a request.
const keepParams = 64 << 10

// NewServerConn returns the state machine for conn. It neither closes conn nor
// reads from it yet.
func NewServerConn(conn Conn, cfg Config) *ServerConn {
	if cfg.EarlyBody <= 0 {
		cfg.EarlyBody = defaultEarlyBody
	}
	cfg.Limits = cfg.Limits.withDefaults()
	s := &ServerConn{conn: conn, cfg: cfg}
	s.rd.Reset((*timedReader)(s), cfg.BufferSize)
	return s
}

// ReadRequest waits for the next request and returns it once its PARAMS are
// complete and sound. STDIN, unless empty, is then still to be read.
//
// Errors: io.EOF if the web server closed the connection between requests, and
// one of the package's errors otherwise; all of them end the connection. With
// ErrTooLarge and ErrPairTruncated the request is returned as well: it shall be
// answered (see RejectStatus) before the connection is closed.
func (s *ServerConn) ReadRequest() (*Request, error) {
	s.reset()
	for {
		h, err := s.rd.Next()
		if err != nil {
			return nil, s.readError(err)
		}
		done, err := s.handle(h)
		if err == nil && done {
			s.req.PairCount, err = CheckPairs(s.req.Params, s.cfg.Limits)
		}
		switch {
		case err == nil && !done:
			if s.state == stateIdle && s.timing.phase != phaseIdle {
				s.timing.enter(phaseIdle) // what had begun to arrive was no request
			}
			if s.state == stateIdle && s.cfg.Dropped != nil {
				s.cfg.Dropped()
			}
		case err == nil:
			s.state = stateRunning
			s.timing.enter(phaseBody)
			return &s.req, nil
		case RejectStatus(err) != 0:
			s.state = stateRunning
			s.timing.enter(phaseBody)
			s.req.KeepConn = false
			return &s.req, err
		default:
			return nil, err
		}
	}
}

// NextStdin returns the next piece of the request's body, never an empty one,
// waiting for at most one Read if none is buffered. It returns io.EOF only
// after the empty STDIN record (for an Authorizer: always); ErrAborted if the
// web server went away or sent ErrAbortRecord. The slice is valid until the next call of
// a reading method.
func (s *ServerConn) NextStdin() ([]byte, error) {
	if s.state != stateRunning {
		return nil, ErrEnded
	}
	if len(s.early) > 0 && !s.earlySent {
		s.earlySent = true
		return s.early, nil
	}
	for {
		if s.inStdin {
			c, err := s.rd.Chunk()
			if err != nil {
				return nil, s.readError(err)
			}
			if len(c) > 0 {
				return c, nil
			}
			s.inStdin = false
		}
		if s.stdinClosed || s.req.Role == Authorizer {
			return nil, io.EOF
		}
		h, err := s.rd.Next()
		if err != nil {
			return nil, s.readError(err)
		}
		if _, err := s.handle(h); err != nil {
			return nil, err
		}
	}
}

// ReadBody is NextStdin with the copying of an io.Reader.
func (s *ServerConn) ReadBody(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.state == stateRunning && s.inStdin && s.rd.Remaining() > 0 && s.earlyDone() {
		return s.copyChunk(p)
	}
	c, err := s.NextStdin()
	if err != nil {
		return 0, err
	}
	n := copy(p, c)
	s.giveBack(c[n:])
	return n, nil
}

// BodyDone reports whether the end of STDIN has been seen and everything
// before it was handed out.
func (s *ServerConn) BodyDone() bool {
	return s.earlyDone() && !s.inStdin && (s.stdinClosed || s.req.Role == Authorizer)
}

// StdinReady reports whether NextStdin would answer without waiting. If so, what
// NextStdin handed out before stays valid over that call.
func (s *ServerConn) StdinReady() bool {
	if s.state != stateRunning || !s.earlyDone() || s.BodyDone() {
		return true
	}
	if s.inStdin && s.rd.Remaining() > 0 {
		return len(s.rd.Buffered()) > 0
	}
	b := s.rd.Buffered()
	skip := s.rd.Remaining() + s.rd.padding
	if len(b) < skip+HeaderLen {
		return false
	}
	h, err := ParseHeader(b[skip:])
	if err != nil {
		return true
	}
	return h.Type == Stdin && h.ID == s.req.ID && (h.ContentLength == 0 || len(b) > skip+HeaderLen)
}

// Watch blocks while the request runs and drops its remaining STDIN. It
// returns ErrAborted when the web server closes the connection or
// ErrAbortRecord when it asks to stop, ErrInterrupted after Interrupt, ErrEnded
// when the next request has begun after WriteEnd, io.EOF when the connection was
// closed after WriteEnd, or ErrProtocol.
func (s *ServerConn) Watch() error {
	if s.state != stateRunning {
		return ErrEnded
	}
	s.timing.enter(phaseWatch)
	s.earlySent, s.inStdin = true, false
	for {
		h, err := s.rd.Next()
		if err != nil {
			return s.readError(err)
		}
		if _, err := s.handle(h); err != nil {
			return err
		}
		s.inStdin = false
	}
}

// Write sends b, which must consist of whole records: the answer to a
// management record of the web server may be put between two calls.
func (s *ServerConn) Write(b []byte) (int, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	return s.writeWhole(b)
}

// WritePart is Write for bytes that end inside a record: answers of our own
// wait until a following Write or WriteEnd has completed it.
func (s *ServerConn) WritePart(b []byte) (int, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	s.midRecord = true
	return s.write(b)
}

// WriteBy is Write for bytes that send brings to the connection in a way of its
// own, whole records again when it has done so.
func (s *ServerConn) WriteBy(send func() error) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.armWrite(); err != nil {
		return err
	}
	s.midRecord = true
	if err := send(); err != nil {
		return err
	}
	return s.wholeAgain()
}

// WriteEnd is Write for the bytes that end the active request: b ends with its
// END_REQUEST. From then on the id may be used again by the web server.
func (s *ServerConn) WriteEnd(b []byte) (int, error) {
	s.ended.Store(true) // before the write: the answer to it may arrive at once
	return s.Write(b)
}

// Finish makes the connection ready for the next ReadRequest. No reading
// method may be running. Unread STDIN of the ended request will be dropped.
// It also forgets an earlier Interrupt; whoever interrupts to close the
// connection must leave a mark that is checked after Finish.
func (s *ServerConn) Finish() {
	s.state = stateIdle
	s.timing.clear()
}

// Interrupt makes a blocked reading method return ErrInterrupted, and the
// following ones too unless what they need is buffered, until Finish. NextStdin
// and Watch can go on afterwards; for ReadRequest it is the end.
func (s *ServerConn) Interrupt() { s.timing.interrupt(s.conn) }

// Release makes ReadRequest return ErrReleased, now and ever after, as soon as
// the connection is between two requests and nothing of the next one has been
// read: somebody else can then go on with the socket. What is under way is not
// disturbed. It may be called from any goroutine.
func (s *ServerConn) Release() { s.timing.release(s.conn) }

// Received is the number of bytes received on the connection so far.
func (s *ServerConn) Received() int64 { return s.rd.Total() }

// Linger ends the connection's sending side and drops what still arrives until
// the end of file, limit bytes or timeout, whichever is first. Without it, a
// web server that is still sending a body sees a write error and throws the
// answer away. The caller closes the connection afterwards.
func (s *ServerConn) Linger(limit int64, timeout time.Duration) {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		if c.CloseWrite() != nil {
			return
		}
	}
	if s.conn.SetReadDeadline(time.Now().Add(timeout)) != nil {
		return
	}
	for limit > 0 {
		n, err := s.conn.Read(s.rd.buf)
		limit -= int64(n)
		if err != nil {
			return
		}
	}
}

// RejectStatus is the HTTP status for an error of ReadRequest that came with a
// request, else 0.
func RejectStatus(err error) int {
	switch {
	case errors.Is(err, ErrPairTruncated):
		return 400
	case errors.Is(err, ErrTooLarge):
		return 431
	}
	return 0
}

// AppendPlainReply appends a whole plain-text answer: STDOUT with a Status
// line first (without one Apache would report success), its end, END_REQUEST.
// extra is "" or more header lines, each ending in CR LF.
func AppendPlainReply(b []byte, id uint16, status int, reason, extra string) []byte {
	body := fmt.Sprintf("%d %s\n", status, reason)
	page := fmt.Sprintf("Status: %d %s\r\nContent-Type: text/plain\r\n%s\r\n%s", status, reason, extra, body)
	b = AppendStream(b, Stdout, id, []byte(page))
	b = AppendStreamEnd(b, Stdout, id)
	return AppendEndRequest(b, id, 0, RequestComplete)
}
