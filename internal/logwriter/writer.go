// Package logwriter stands between a logger and where its lines go, so that
// whoever logs is never held up for long: a reader that stalls, a full disk or a
// pipe that nobody reads any more cost lines, which are counted, and nothing
// else. It must not know what the lines say.
package logwriter

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// defaultLimit is what may wait: some thousand lines.
	defaultLimit = 1 << 20
	// defaultPatience is how long a flood may be slowed down to the pace of the
	// reader. One that takes nothing for so long has stalled.
	defaultPatience = time.Second
	// chunk is written at once.
	chunk = 128 << 10
	// closing bounds the wait of Close for a reader that has stalled.
	closing = 2 * time.Second
)

// Options of a Writer; each may be left out.
type Options struct {
	// Limit of what waits, in bytes.
	Limit int
	// Patience before lines are dropped instead of waiting for room.
	Patience time.Duration
	// Failed is told once when writing begins to fail, by the goroutine that writes.
	Failed func(error)
	// Lost makes the line that stands where lines were lost.
	Lost func(lines uint64) []byte
	// Recovered is told how many were lost when writing works again, likewise.
	Recovered func(lines uint64)
}

// Writer is an io.Writer for a logger: each Write is one or more whole lines.
type Writer struct {
	out     io.Writer
	options Options
	done    chan struct{} // closed when the goroutine has ended
	wake    chan struct{} // of capacity 1: there is something to write

	mu      sync.Mutex
	room    chan struct{} // closed when something was taken; nil: nobody waits for that
	waiting []byte
	cut     bool   // waiting is the rest of what it was
	spare   []byte // what was taken last, for waiting when its write has ended
	lost    uint64 // lines that came behind all that waits
	stalled bool   // everything is dropped until nothing waits any more
	closed  bool
	stats   Stats

	// of the goroutine
	dropped uint64 // lines before what is written next
	failing bool
	midLine bool // the last write ended inside a line
}

// New starts a writer to out. Close ends it.
func New(out io.Writer, options Options) *Writer {
	if options.Limit == 0 {
		options.Limit = defaultLimit
	}
	if options.Patience == 0 {
		options.Patience = defaultPatience
	}
	w := &Writer{out: out, options: options, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go w.run()
	return w
}

// Write takes the lines, or drops and counts them. It never fails.
func (w *Writer) Write(lines []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awaitRoom(len(lines))
	if w.stalled || w.closed {
		n := countLines(lines)
		w.lost += n
		w.stats.Lost += n
		return len(lines), nil
	}
	w.waiting = append(w.waiting, lines...)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return len(lines), nil
}

// awaitRoom waits until n bytes find room; when patience is over the reader has
// stalled. It needs w.mu, and gives it up meanwhile.
func (w *Writer) awaitRoom(n int) {
	full := func() bool {
		return len(w.waiting) > 0 && len(w.waiting)+n > w.options.Limit && !w.stalled && !w.closed
	}
	if !full() {
		return
	}
	timer := time.NewTimer(w.options.Patience)
	defer timer.Stop()
	for full() {
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.mu.Unlock()
		select {
		case <-room:
			w.mu.Lock()
		case <-timer.C:
			w.mu.Lock()
			w.stalled = len(w.waiting) > 0
		}
	}
}

// Close writes what is left and ends the writer. A reader that has stalled is
// waited for only a moment: the goroutine may stay behind in its write.
func (w *Writer) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.wake)
	}
	w.mu.Unlock()
	timer := time.NewTimer(closing)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	for range w.wake {
		w.writeAll()
	}
	w.writeAll()
}

// writeAll writes until nothing waits, and tells then what was lost.
func (w *Writer) writeAll() {
	for piece := w.take(); len(piece) > 0; piece = w.take() {
		w.write(piece)
	}
	if w.dropped > 0 && !w.failing {
		w.write(nil)
	}
}

// take gives the next piece, which ends with a line, until it is called again;
// empty: nothing waits.
func (w *Writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.waiting)
	if n == 0 {
		w.dropped += w.lost
		w.lost, w.stalled = 0, false
		return nil
	}
	if n > chunk {
		n = chunk
		if end := bytes.LastIndexByte(w.waiting[:n], '\n'); end >= 0 {
			n = end + 1
		} else if end := bytes.IndexByte(w.waiting[n:], '\n'); end >= 0 {
			n += end + 1 // a long line is written as a whole: it may be one datagram
		}
	}
	piece := w.waiting[:n:n]
	if n < len(w.waiting) {
		w.waiting, w.cut = w.waiting[n:], true
	} else {
		whole := w.waiting
		w.waiting, w.spare = w.spare[:0], nil
		if !w.cut && cap(whole) <= 2*chunk { // a flood is no reason to keep its size
			w.spare = whole
		}
		w.cut = false
	}
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	return piece
}

// write writes a piece, behind what is to be said of lines that are missing
// there. Of an unfinished line the rest is given up.
func (w *Writer) write(piece []byte) {
	var data []byte
	if w.midLine {
		data = append(data, '\n')
	}
	if w.dropped > 0 && w.options.Lost != nil {
		data = append(data, w.options.Lost(w.dropped)...)
	}
	head := len(data)
	if head == 0 {
		data = piece
	} else {
		data = append(data, piece...)
	}
	n, err := w.out.Write(data)
	if err == nil {
		lost := w.dropped
		w.dropped, w.failing, w.midLine = 0, false, false
		w.count(countLines(piece), 0, nil)
		if lost > 0 && w.options.Recovered != nil {
			w.options.Recovered(lost)
		}
		return
	}
	if n > 0 {
		w.midLine = data[n-1] != '\n'
	}
	all := countLines(piece)
	if n >= head {
		w.dropped, piece = 0, data[n:]
	}
	lost := countLines(piece)
	w.dropped += lost
	w.count(all-lost, lost, err)
	if !w.failing && w.options.Failed != nil {
		w.options.Failed(err)
	}
	w.failing = true
}

// Stats are what a destination has taken since it was opened.
type Stats struct {
	Lines, Lost uint64 // written, and given up
	// Err is why the last write failed; nil: it did not.
	Err error
}

func (w *Writer) count(written, lost uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Lines += written
	w.stats.Lost += lost
	w.stats.Err = err
}

// Stats gives the counters.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

func countLines(b []byte) uint64 { return uint64(bytes.Count(b, []byte{'\n'})) }
