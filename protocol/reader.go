package protocol

import (
	"errors"
	"io"
)

const (
	// DefaultBuffer is the size in bytes of a Reader's buffer. It holds a whole
	// ordinary request, and Apache's largest PARAMS record (16 KiB).
	DefaultBuffer = 20 << 10
	// minRead is the least free space offered to one Read. With less, what
	// follows is cut into needlessly many system calls.
	minRead = 4 << 10
	// minBuffer is the smallest buffer that makes sense.
	minBuffer = 1 << 10
)

// Reader walks the records of a byte stream inside one reusable buffer. One
// Read takes whatever has arrived; all records in it are then parsed without
// another. It copies only to move an incomplete record to the front.
//
// Every slice it returns points into that buffer and is valid until the next
// call of any method but Buffered and Ready, unless it was pinned. A Reader
// belongs to one goroutine at a time.
type Reader struct {
	src     io.Reader
	size    int
	buf     []byte
	r, w    int // unread bytes are buf[r:w]
	content int // bytes of the current record's content not yet consumed
	padding int
	err     error // of the last Read, not yet reported
	floor   int   // buf[:floor] is pinned
	total   int64 // bytes received
}

// NewReader returns a Reader with a buffer of size bytes, or DefaultBuffer if
// size is less than 1 KiB. The buffer grows for a single record that has to be
// contiguous, never beyond MaxRecord and the pinned bytes.
func NewReader(src io.Reader, size int) *Reader {
	r := &Reader{}
	r.Reset(src, size)
	return r
}

// Reset makes r read from src, forgetting all that was buffered. The buffer is
// kept if it has the right size.
func (r *Reader) Reset(src io.Reader, size int) {
	if size < minBuffer {
		size = DefaultBuffer
	}
	buf := r.buf
	if len(buf) != size {
		buf = make([]byte, size)
	}
	*r = Reader{src: src, size: size, buf: buf}
}

// Next skips what is left of the current record and returns the header of the
// next one. At the end of file between records it returns io.EOF, inside a
// record io.ErrUnexpectedEOF. An error from the source that is not an end of
// file loses nothing: the call can be repeated.
func (r *Reader) Next() (Header, error) {
	if err := r.Skip(); err != nil {
		return Header{}, err
	}
	for r.w-r.r < HeaderLen {
		if r.w > r.r && r.buf[r.r] != Version {
			return Header{}, r.versionError()
		}
		if err := r.fill(HeaderLen); err != nil {
			if errors.Is(err, io.EOF) && r.w > r.r {
				err = io.ErrUnexpectedEOF
			}
			return Header{}, err
		}
	}
	h, err := ParseHeader(r.buf[r.r:r.w])
	if err != nil {
		return Header{}, r.versionError()
	}
	r.r += HeaderLen
	r.content, r.padding = h.ContentLength, h.PaddingLength
	return h, nil
}

// versionError tells HTTP from other noise: only the first byte of a
// connection says so reliably.
func (r *Reader) versionError() error {
	c := r.buf[r.r] | 0x20
	if r.total == int64(r.w-r.r) && c >= 'a' && c <= 'z' {
		return ErrHTTP
	}
	return ErrVersion
}

// Unread takes the header that Next just returned back, so that the following
// Next returns it again. Nothing may have been called in between.
func (r *Reader) Unread() {
	r.r -= HeaderLen
	r.content, r.padding = 0, 0
}

// Content returns the unconsumed content of the current record in one piece,
// and consumes it.
func (r *Reader) Content() ([]byte, error) {
	n := r.content
	for r.w-r.r < n {
		if err := r.fill(n); err != nil {
			return nil, noEOF(err)
		}
	}
	c := r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	r.content = 0
	return c, nil
}

// Chunk returns the next piece of the current record's content, waiting for
// one Read at most; at the end of the content it returns an empty slice.
func (r *Reader) Chunk() ([]byte, error) {
	if r.content == 0 {
		return nil, nil
	}
	if r.r == r.w {
		if err := r.fill(1); err != nil {
			return nil, noEOF(err)
		}
	}
	n := min(r.content, r.w-r.r)
	c := r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	r.content -= n
	return c, nil
}

// Record returns the next record whole: header, content and padding as they
// came, to be forwarded as they are. Its content is
// raw[HeaderLen:HeaderLen+h.ContentLength].
func (r *Reader) Record() (h Header, raw []byte, err error) {
	if h, err = r.Next(); err != nil {
		return Header{}, nil, err
	}
	r.Unread()
	n := HeaderLen + h.ContentLength + h.PaddingLength
	for r.w-r.r < n {
		if err := r.fill(n); err != nil {
			return Header{}, nil, noEOF(err)
		}
	}
	raw = r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	return h, raw, nil
}

// Ready reports whether the next record is in the buffer as a whole, that is,
// whether Record would answer without a Read.
func (r *Reader) Ready() bool {
	b := r.Buffered()
	skip := r.content + r.padding
	if len(b) < skip+HeaderLen {
		return false
	}
	h, err := ParseHeader(b[skip:])
	return err != nil || len(b)-skip-HeaderLen >= h.ContentLength+h.PaddingLength
}

// Buffered returns the bytes that were received but not consumed yet.
func (r *Reader) Buffered() []byte { return r.buf[r.r:r.w] }

// Remaining is the number of unconsumed content bytes of the current record.
func (r *Reader) Remaining() int { return r.content }

// Total is the number of bytes received since Reset.
func (r *Reader) Total() int64 { return r.total }

// Skip drops what is left of the current record. The end of file within it is
// io.ErrUnexpectedEOF.
func (r *Reader) Skip() error {
	for r.content+r.padding > 0 {
		if r.r == r.w {
			if err := r.fill(1); err != nil {
				return noEOF(err)
			}
		}
		n := min(r.content, r.w-r.r)
		r.content -= n
		r.r += n
		n = min(r.padding, r.w-r.r)
		if r.content == 0 {
			r.padding -= n
			r.r += n
		}
	}
	return nil
}

// Pin keeps everything consumed so far where it is: slices into it stay valid
// until Unpin, whatever is read meanwhile.
func (r *Reader) Pin() { r.floor = r.r }

// Unpin ends Pin.
func (r *Reader) Unpin() { r.floor = 0 }

// UseBuffer makes r read into buf instead of its own buffer, which it returns:
// a connection can borrow a large one for a body and be small while it idles.
// Unread bytes move along; if they do not fit with room to read, or buf has
// less than 1 KiB, nothing changes and ok is false. Pinned bytes stay in the
// buffer that is returned, which must not be written to while they are needed.
func (r *Reader) UseBuffer(buf []byte) (old []byte, ok bool) {
	have := r.w - r.r
	if len(buf) < minBuffer || len(buf)-have < HeaderLen {
		return nil, false
	}
	old = r.buf
	copy(buf, old[r.r:r.w])
	r.buf, r.size, r.r, r.w, r.floor = buf, len(buf), 0, have, 0
	return old, true
}

// fill reads once, after making room for n contiguous unread bytes.
func (r *Reader) fill(n int) error {
	if r.err != nil {
		err := r.err
		r.err = nil
		return err
	}
	r.reserve(n)
	for range 100 {
		m, err := r.src.Read(r.buf[r.w:])
		if m < 0 || m > len(r.buf)-r.w {
			return errors.New("reader returned an impossible count")
		}
		r.w += m
		r.total += int64(m)
		if m > 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				r.err = err
			}
			return nil // an end of file will be reported again by the source
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// reserve makes room for n contiguous unread bytes and a worthwhile Read.
func (r *Reader) reserve(n int) {
	have, room := r.w-r.r, min(minRead, r.size/4)
	if have == 0 {
		if r.floor == 0 && len(r.buf) > r.size && n <= r.size {
			r.buf = make([]byte, r.size) // had grown for one large record
		}
		r.r, r.w = r.floor, r.floor
	}
	if r.r+n <= len(r.buf) && len(r.buf)-r.w >= room {
		return
	}
	to := r.floor
	if to+n > len(r.buf) || len(r.buf)-to-have < room {
		// Pinned bytes stay in the old buffer, which lives as long as somebody
		// points into it; only what is unread moves on.
		buf := make([]byte, max(r.size, n+room))
		copy(buf, r.buf[r.r:r.w])
		r.buf, r.r, r.w, r.floor = buf, 0, have, 0
		return
	}
	copy(r.buf[to:], r.buf[r.r:r.w])
	r.r, r.w = to, to+have
}

// noEOF turns an end of file inside a record into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
