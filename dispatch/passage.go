package dispatch

import "errors"

const (
	// bulk is the least rest of a record that goes through a pipe: below it,
	// copying costs less.
	bulk = 16 << 10
	// ahead is how much is read beyond the end of a record in a large response,
	// so that the next header is seen before its content has been read.
	ahead = 64
	// headMax is how many bytes that were read go through the pipe in front.
	headMax = 1 << 10
	// bulkMemory is for how many records after a large one another is expected:
	// 64 KiB of an application are a record of that size and one of a few bytes.
	bulkMemory = 2
)

// passage leads from a worker to a front server past our memory, if both are
// sockets of the system and all that is sent are records.
type passage struct {
	worker *directConn
	front  *fastcgiFront
	pipe   *pipe
}

func newPassage(w *workerConn, f front) (way passage) {
	if f, ok := f.(*fastcgiFront); ok && f.direct != nil {
		way.worker, way.front = w.directConn, f
	}
	return way
}

// open reports whether there is a way. Beside an upload there is none: what
// stands still then is measured in writes (unjam).
func (y *passage) open(p *reply) bool {
	if y.front == nil || p.up != nil || p.meter.inHead() {
		return false
	}
	if y.pipe == nil {
		var err error
		if y.pipe, err = takePipe(); err != nil {
			y.front = nil // out of descriptors: copying works too
			return false
		}
	}
	return true
}

func (y *passage) close() {
	if y.pipe != nil {
		y.pipe.release()
	}
}

// pipe passes on the rest of the current record, of which nothing is left in
// the buffer.
func (p *reply) pipe() (replyEnd, bool) {
	if p.r-p.from > headMax && !p.flush(false) {
		return replyBlocked, true
	}
	head := p.buf[p.from:p.r]
	p.from = p.r
	p.midRecord = true
	p.err = p.way.front.splice(p.way.worker, p.way.pipe, head, p.content+p.padding)
	switch {
	case errors.Is(p.err, errSource):
		return replyLost, true
	case p.err != nil:
		return replyBlocked, true
	}
	p.midRecord = false
	p.meter.passed(p.content)
	p.content, p.padding = 0, 0
	p.compact()
	return 0, false
}
