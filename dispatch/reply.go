package dispatch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

// truncated is the appStatus of a response that failed half-way
// (docs/internals.md section 5).
const truncated = 0x57534731

// endLen is the length of END_REQUEST, and maxNoise how much STDERR a worker
// may send in one answer: only an empty record has a meaning.
const (
	endLen   = 8
	maxNoise = 1 << 20
)

// replyEnd says how the answer of a worker ended.
type replyEnd uint8

const (
	replyWhole     replyEnd = iota // END_REQUEST was passed on
	replyRefused                   // the worker has not run the request
	replyTruncated                 // the worker says that the response failed half-way
	replyLost                      // the connection to the worker ended
	replyBlocked                   // the front server does not take it
	replyFailed                    // the router makes the page of the error
)

var errReply = errors.New("worker broke the protocol")

// reply passes the answer of a worker on. Records are walked where they were
// read and go on as they are, since both sides speak FastCGI and use the same
// id; only STDERR is cut out and END_REQUEST looked at first.
type reply struct {
	x       *exchange
	w       *workerConn
	buf     []byte
	r, n    int  // unread bytes are buf[r:n]
	from    int  // buf[from:r] is to be passed on
	content int  // of the current record, not yet seen
	padding int  // likewise
	skip    bool // the current record is not passed on
	started bool // STDOUT has begun
	closed  bool // STDOUT has ended
	noise   int  // bytes of STDERR records
	// midRecord: what was passed on ends inside a record.
	midRecord bool
	err       error
	// failure is the code of replyFailed.
	failure errcode.Code
	// way is how the rest of a large record goes without being read here.
	way passage
	// large counts down from the last large record.
	large int
	// up is the upload that runs beside, or nil.
	up *upload
	// accepted is called when the worker says that it takes the request.
	accepted func()
}

// run reads until the request has ended. What is in the buffer already counts
// as read.
func (p *reply) run() replyEnd {
	if p.n > 0 {
		if end, done := p.walk(); done {
			return end
		}
	}
	for {
		n, err := p.w.Read(p.room())
		p.n += n
		if n > 0 {
			end, done := p.walk()
			if done {
				return end
			}
			continue
		}
		p.err = err
		return replyLost
	}
}

// room is where the next read goes.
func (p *reply) room() []byte {
	room := p.buf[p.n:]
	if p.large > 0 && p.content+p.padding+ahead < len(room) && p.way.open(p) {
		return room[:p.content+p.padding+ahead]
	}
	return room
}

// walk looks at all that has arrived. The unread rest, part of a header or of
// END_REQUEST, moves to the start of the buffer.
func (p *reply) walk() (replyEnd, bool) {
	id := p.x.front.id()
	for p.pass() {
		head := p.buf[p.r:p.n]
		if len(head) < protocol.HeaderLen {
			break
		}
		h, err := protocol.ParseHeader(head)
		if err != nil || h.ID != 1 {
			return p.violated("bad record header")
		}
		switch h.Type {
		case protocol.Stdout:
			if p.closed {
				return p.violated("STDOUT after its end")
			}
			if !p.started && h.ContentLength > 0 {
				p.started = true
				p.x.span.answers(head[protocol.HeaderLen:])
			}
			p.closed = h.ContentLength == 0
			if id != 1 {
				binary.BigEndian.PutUint16(head[2:], id)
			}
			p.skip = false
			p.r += protocol.HeaderLen
			p.content, p.padding = h.ContentLength, h.PaddingLength
			if p.large--; p.content >= bulk {
				p.large = bulkMemory
			}
		case protocol.EndRequest:
			if h.ContentLength != endLen {
				return p.violated("END_REQUEST of a wrong length")
			}
			whole := protocol.HeaderLen + h.ContentLength + h.PaddingLength
			if len(head) < whole {
				if !p.flush(false) {
					return replyBlocked, true
				}
				p.compact()
				return 0, false
			}
			return p.end(h, whole, id)
		case protocol.Stderr:
			if p.noise += protocol.HeaderLen + h.ContentLength; p.noise > maxNoise {
				return p.violated("STDERR without end")
			}
			if !p.flush(false) {
				return replyBlocked, true
			}
			if h.ContentLength == 0 && p.accepted != nil {
				p.accepted()
				p.accepted = nil
			}
			p.skip = true
			p.r += protocol.HeaderLen
			p.content, p.padding = h.ContentLength, h.PaddingLength
			p.from = p.r
		default:
			return p.violated("record of type " + h.Type.String())
		}
	}
	if p.large > 0 && p.content > 0 && !p.skip && p.way.open(p) {
		if p.content >= bulk {
			return p.pipe()
		}
		if p.r-p.from <= headMax {
			return 0, false // the rest of the record is on its way, and goes along
		}
	}
	if !p.flush(false) {
		return replyBlocked, true
	}
	p.compact()
	return 0, false
}

// pass goes over what is there of the current record, and reports whether
// another header may follow.
func (p *reply) pass() bool {
	if p.content == 0 && p.padding == 0 {
		return p.r < p.n
	}
	k := min(p.content, p.n-p.r)
	p.content -= k
	p.r += k
	if p.content == 0 {
		k = min(p.padding, p.n-p.r)
		p.padding -= k
		p.r += k
	}
	if p.skip {
		p.from = p.r
	}
	if p.content > 0 || p.padding > 0 {
		return false
	}
	p.skip = false
	return p.r < p.n
}

// end deals with END_REQUEST, which is in the buffer as a whole.
func (p *reply) end(h protocol.Header, whole int, id uint16) (replyEnd, bool) {
	content := p.buf[p.r+protocol.HeaderLen:]
	status, code, err := protocol.EndContent(content[:h.ContentLength])
	if err != nil {
		return p.violated(err.Error())
	}
	if code == protocol.Overloaded && !p.started {
		p.from = p.r
		p.r += whole
		return replyRefused, true
	}
	if status == truncated && p.started {
		if !p.flush(false) {
			return replyBlocked, true
		}
		p.r += whole
		return replyTruncated, true
	}
	if entry, known := entries[errcode.Code(status)]; known && !p.started && len(p.x.target.mount.ErrorDocuments) > 0 {
		p.failure = entry.Code
		p.from = p.r
		p.r += whole
		return replyFailed, true
	}
	switch {
	case !p.started:
		return p.violated("END_REQUEST without a response")
	case code != protocol.RequestComplete:
		return p.violated("END_REQUEST that takes back a response")
	}
	if id != 1 {
		binary.BigEndian.PutUint16(p.buf[p.r+2:], id)
	}
	p.r += whole
	if !p.flush(true) {
		return replyBlocked, true
	}
	return replyWhole, true
}

// flush passes buf[from:r] on.
func (p *reply) flush(last bool) bool {
	if p.from == p.r {
		return true
	}
	b := p.buf[p.from:p.r]
	p.from = p.r
	if last {
		// The front server may begin the next request at once, which must not
		// look like a broken body to the upload.
		p.x.ended.Store(true)
	}
	if p.up != nil {
		p.x.answering.Store(p.x.router.clock())
		defer p.x.answering.Store(0)
	}
	p.midRecord = !p.skip && (p.content > 0 || p.padding > 0)
	if err := p.x.front.forward(b, !p.midRecord, last); err != nil {
		p.midRecord = true // who knows what was sent
		p.err = err
		return false
	}
	return true
}

// violated ends the answer of a worker that cannot be believed.
func (p *reply) violated(what string) (replyEnd, bool) {
	p.err = fmt.Errorf("%w: %s", errReply, what)
	return replyLost, true
}

func (p *reply) compact() {
	p.n = copy(p.buf, p.buf[p.r:p.n])
	p.r, p.from = 0, 0
}

// clean reports whether the connection to the worker can be used again.
func (p *reply) clean() bool { return p.r == p.n }
