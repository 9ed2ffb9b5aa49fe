package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// reset forgets everything about the previous request. Nothing but the bytes
// that were received already is kept from one request to the next.
func (s *ServerConn) reset() {
	s.state = stateIdle
	s.req = Request{limits: s.cfg.Limits}
	s.paramsClosed, s.stdinClosed, s.inStdin, s.earlySent, s.paramsInBuf = false, false, false, false, false
	s.early = nil
	if cap(s.params) > keepParams {
		s.params = nil
	}
	s.params = s.params[:0]
	s.rd.Unpin()
	s.ended.Store(false)
	s.timing.enter(phaseIdle)
}

// active reports whether h belongs to the request that is being served.
func (s *ServerConn) active(h Header) bool {
	return s.state != stateIdle && h.ID == s.req.ID && !s.ended.Load()
}

// handle deals with the record whose header was just read. It reports true
// when the PARAMS of a request are complete. A non-empty STDIN record of a
// running request only sets inStdin.
func (s *ServerConn) handle(h Header) (bool, error) {
	if h.Type == BeginRequest {
		return false, s.handleBegin(h)
	}
	if h.ID == 0 {
		return false, s.handleManagement(h)
	}
	if !s.active(h) {
		return false, nil // an ended or refused id: dropped by the next Next
	}
	switch h.Type {
	case Params:
		return s.handleParams(h)
	case Stdin:
		return false, s.handleStdin(h)
	case AbortRequest:
		return false, s.handleAbort()
	}
	return false, nil // DATA for a Responder, records of our side, unknown types
}

func (s *ServerConn) handleBegin(h Header) error {
	if h.ID == 0 || h.ContentLength != discreteLen {
		return ErrBadBegin
	}
	switch {
	case s.state != stateIdle && s.ended.Load():
		s.rd.Unread() // the next request: for the next ReadRequest
		return ErrEnded
	case s.active(h):
		return ErrDuplicateID
	case s.state != stateIdle:
		return s.answer(func(b []byte) []byte { return AppendEndRequest(b, h.ID, 0, CantMpxConn) })
	}
	if s.timing.phase != phaseHeader {
		s.timing.enter(phaseHeader)
	}
	c, err := s.rd.Content()
	if err != nil {
		return s.readError(err)
	}
	role, flags, err := BeginContent(c)
	if err != nil {
		return err
	}
	if role != Responder && (role != Authorizer || !s.cfg.AllowAuthorizer) {
		s.timing.enter(phaseIdle)
		err := s.answer(func(b []byte) []byte { return AppendEndRequest(b, h.ID, 0, UnknownRole) })
		if err == nil && flags&FlagKeepConn == 0 {
			err = ErrUnknownRole
		}
		return err
	}
	s.state = stateParams
	s.req.ID, s.req.Role, s.req.Flags, s.req.KeepConn = h.ID, role, flags, flags&FlagKeepConn != 0
	return nil
}

// handleParams collects PARAMS. A single record, the usual case, stays where
// it was read; a second one makes all of them move to a buffer of their own.
func (s *ServerConn) handleParams(h Header) (bool, error) {
	if s.paramsClosed {
		return false, ErrAfterEnd
	}
	if h.ContentLength == 0 {
		s.paramsClosed = true
		return true, nil
	}
	if int64(len(s.req.Params))+int64(h.ContentLength) > int64(s.cfg.Limits.Total) {
		s.req.Params = nil
		return false, ErrTooLarge
	}
	c, err := s.rd.Content()
	if err != nil {
		return false, s.readError(err)
	}
	switch {
	case len(s.req.Params) == 0:
		s.req.Params, s.paramsInBuf = c, true
		s.rd.Pin()
		return false, nil
	case s.paramsInBuf:
		s.params = append(s.params[:0], s.req.Params...)
		s.paramsInBuf = false
		s.rd.Unpin()
	}
	s.params = append(s.params, c...)
	s.req.Params = s.params
	return false, nil
}

func (s *ServerConn) handleStdin(h Header) error {
	if s.stdinClosed {
		return ErrAfterEnd
	}
	if h.ContentLength == 0 {
		s.stdinClosed = true
		return nil
	}
	if s.state == stateRunning {
		s.inStdin = true
		return nil
	}
	if len(s.early)+h.ContentLength > s.cfg.EarlyBody {
		return ErrEarlyBody
	}
	c, err := s.rd.Content()
	if err != nil {
		return s.readError(err)
	}
	s.early = append(s.early, c...)
	return nil
}

// handleAbort: before the request was handed out it is answered here.
func (s *ServerConn) handleAbort() error {
	if s.state == stateRunning {
		return ErrAbortRecord
	}
	id, keep := s.req.ID, s.req.KeepConn
	s.reset()
	if err := s.answer(func(b []byte) []byte { return AppendEndRequest(b, id, 0, RequestComplete) }); err != nil {
		return err
	}
	if !keep {
		return ErrAborted
	}
	return nil
}

// handleManagement answers a record with id 0 (FastCGI 1.0 section 4).
func (s *ServerConn) handleManagement(h Header) error {
	if s.state == stateIdle {
		s.timing.enter(phaseIdle) // it waited for something, and something came
	}
	if h.Type != GetValues {
		return s.answer(func(b []byte) []byte { return AppendUnknownType(b, h.Type) })
	}
	c, err := s.rd.Content()
	if err != nil {
		return s.readError(err)
	}
	return s.answer(func(b []byte) []byte { return s.appendValues(b, c) })
}

// appendValues answers each known name in query once; broken pairs give an
// empty result.
func (s *ServerConn) appendValues(b, query []byte) []byte {
	var pairs []byte
	seen := 0
	p := NewPairs(query, s.cfg.Limits)
	for {
		name, _, ok := p.Next()
		if !ok {
			break
		}
		for i, known := range valueNames {
			v := [...]int{0, s.cfg.MaxConns, s.cfg.MaxReqs}[i]
			if seen&(1<<i) == 0 && (i == 0 || v > 0) && bytes.Equal(name, []byte(known)) {
				seen |= 1 << i
				pairs = AppendPair(pairs, known, strconv.Itoa(v))
			}
		}
	}
	if p.Err() != nil {
		pairs = nil
	}
	return AppendGetValuesResult(b, pairs)
}

var valueNames = [...]string{"FCGI_MPXS_CONNS", "FCGI_MAX_CONNS", "FCGI_MAX_REQS"}

// answer sends one record of our own, never inside a record of the caller.
func (s *ServerConn) answer(fill func([]byte) []byte) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.midRecord {
		if len(s.held) > maxHeld {
			return ErrManagementFlood
		}
		s.held = fill(s.held)
		return nil
	}
	s.out = fill(s.out[:0])
	if _, err := s.write(s.out); err != nil {
		return fmt.Errorf("answering the web server: %w", err)
	}
	return nil
}

// maxHeld bounds the answers that wait for the end of a forwarded record. No
// web server asks for even one at such a time.
const maxHeld = 1 << 10

// writeWhole writes b, which completes the record that WritePart began, and
// then the answers that had to wait for it.
func (s *ServerConn) writeWhole(b []byte) (int, error) {
	n, err := s.write(b)
	if err != nil {
		return n, err
	}
	return n, s.wholeAgain()
}

// wholeAgain sends the answers that had to wait for the end of a record.
func (s *ServerConn) wholeAgain() error {
	s.midRecord = false
	if len(s.held) == 0 {
		return nil
	}
	_, err := s.write(s.held)
	s.held = nil
	return err
}

func (s *ServerConn) write(b []byte) (int, error) {
	if err := s.armWrite(); err != nil {
		return 0, err
	}
	return s.conn.Write(b)
}

// armWrite starts the time that a write may take.
func (s *ServerConn) armWrite() error {
	if s.cfg.WriteTimeout <= 0 {
		return nil
	}
	return s.conn.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
}

// readError gives an error of the Reader its meaning for the request.
func (s *ServerConn) readError(err error) error {
	if errors.Is(err, ErrProtocol) || errors.Is(err, ErrInterrupted) || errors.Is(err, ErrReleased) {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return s.timing.timeoutError()
	}
	ended := s.ended.Load()
	if s.state != stateIdle && !ended {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return ErrAborted
		}
		return fmt.Errorf("%w: %w", ErrAborted, err)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET) && (s.rd.Total() == 0 || ended):
		return io.EOF // health checks, and closing with our answer unread
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	}
	return fmt.Errorf("reading from the web server: %w", err)
}

// earlyDone reports whether STDIN that preceded the end of PARAMS is handed out.
func (s *ServerConn) earlyDone() bool { return s.earlySent || len(s.early) == 0 }

// copyChunk copies what is there of the current STDIN record, or waits for it.
func (s *ServerConn) copyChunk(p []byte) (int, error) {
	c, err := s.rd.Chunk()
	if err != nil {
		return 0, s.readError(err)
	}
	n := copy(p, c)
	s.giveBack(c[n:])
	return n, nil
}

// giveBack returns the unread tail of the slice that NextStdin just returned.
func (s *ServerConn) giveBack(tail []byte) {
	switch {
	case len(tail) == 0:
	case s.inStdin:
		s.rd.r -= len(tail)
		s.rd.content += len(tail)
	default:
		s.early, s.earlySent = tail, false
	}
}
