package dispatch

import (
	"net"

	"github.com/wsgid/wsgid/protocol"
)

// maxParts bounds the pieces of one write to a worker: a body buffer full of
// Apache's records of 8 KiB, and their new headers.
const maxParts = 64

// stdin is a part of a body on its way to a worker: the front server's small
// records as few large ones, which let the worker receive straight into the
// application's buffer. Headers are made here, the content lies where it was
// read and is gathered by the write.
type stdin struct {
	parts   net.Buffers
	heads   [maxParts][protocol.HeaderLen]byte
	used    int // heads
	content int // of the last record
	room    [maxParts][]byte
}

// reset empties s.
func (s *stdin) reset() { s.parts, s.used, s.content = s.room[:0], 0, 0 }

// full reports whether the next piece may not find room.
func (s *stdin) full() bool { return len(s.parts) > maxParts-5 }

// add appends a piece of at most 64 KiB, which takes four parts at most.
func (s *stdin) add(piece []byte) {
	for len(piece) > 0 {
		n := min(len(piece), protocol.MaxContent)
		if s.used == 0 || s.content+n > protocol.MaxContent {
			s.parts = append(s.parts, s.heads[s.used][:])
			s.used++
			s.content = 0
		}
		s.content += n
		s.parts = append(s.parts, piece[:n])
		piece = piece[n:]
		protocol.PutHeader(s.heads[s.used-1][:], protocol.Stdin, 1, s.content, 0)
	}
}

// end appends the record that ends the body.
func (s *stdin) end() {
	s.parts = append(s.parts, s.heads[s.used][:])
	protocol.PutHeader(s.heads[s.used][:], protocol.Stdin, 1, 0, 0)
	s.used++
}
