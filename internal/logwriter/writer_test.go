package logwriter

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a reader that takes nothing until it is opened, and a disk of some size.
type gate struct {
	entered chan struct{} // one element a write that has begun
	passed  chan struct{} // and that has ended
	open    chan struct{}

	mu   sync.Mutex
	text strings.Builder
	left int // bytes until it is full; negative: there is no limit
}

var errFull = errors.New("no space left")

func newGate(opened bool, left int) *gate {
	g := &gate{entered: make(chan struct{}, 1<<12), passed: make(chan struct{}, 1<<12), open: make(chan struct{}), left: left}
	if opened {
		close(g.open)
	}
	return g
}

func (g *gate) Write(b []byte) (int, error) {
	g.entered <- struct{}{}
	defer func() { g.passed <- struct{}{} }()
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(b)
	if g.left >= 0 {
		n = min(n, g.left)
		g.left -= n
	}
	g.text.Write(b[:n])
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func (g *gate) resize(left int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = left
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

func lostLine(n uint64) []byte { return fmt.Appendf(nil, "%d lost\n", n) }

func say(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); n != len(text) || err != nil {
		t.Fatalf("%d %v", n, err)
	}
}

// TestStalled: a reader that takes nothing costs one patience, and then only the
// lines for which there is no room; it is told how many, in their place.
func TestStalled(t *testing.T) {
	out := newGate(false, -1)
	w := New(out, Options{Limit: 10, Patience: time.Millisecond, Lost: lostLine})
	say(t, w, "first\n")
	<-out.entered // it is under way and no longer waits
	say(t, w, "one\n")
	say(t, w, "two\n")
	for range 3 {
		say(t, w, "dropped\n")
	}
	say(t, w, "x\n") // would find room, but not its place
	close(out.open)
	<-out.entered // what waited
	<-out.entered // what was lost
	say(t, w, "last\n")
	w.Close()
	if got, want := out.String(), "first\none\ntwo\n4 lost\nlast\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFlood: a reader that is only slower loses nothing, whether it gets lines one
// by one or as much as is written at once.
func TestFlood(t *testing.T) {
	for _, limit := range []int{10, 3 * chunk} {
		out := newGate(true, -1)
		w := New(out, Options{Limit: limit, Patience: time.Hour, Lost: lostLine})
		var want strings.Builder
		for number := range 2000 {
			line := fmt.Sprintf("line %d %s\n", number, strings.Repeat("x", number))
			want.WriteString(line)
			say(t, w, line)
		}
		w.Close()
		if got := out.String(); got != want.String() {
			t.Errorf("%d bytes, want %d", len(got), want.Len())
		}
	}
}

// TestFull: a disk that is full is reported once; what was lost is told when
// there is room again, behind the line that was cut.
func TestFull(t *testing.T) {
	out := newGate(true, 9)
	var failures []error
	w := New(out, Options{Lost: lostLine, Failed: func(err error) { failures = append(failures, err) }})
	for _, line := range []string{"good\n", "is cut\n", "is lost\n", "too\n"} {
		say(t, w, line)
		<-out.passed
	}
	out.resize(-1)
	say(t, w, "good again\n")
	w.Close()
	if got, want := out.String(), "good\nis c\n3 lost\ngood again\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(failures) != 1 || !errors.Is(failures[0], errFull) {
		t.Errorf("reported %v", failures)
	}
}

// TestClosed: closing twice, and writing afterwards, are harmless; so is a
// reader that never takes anything.
func TestClosed(t *testing.T) {
	out := newGate(false, -1)
	w := New(out, Options{})
	say(t, w, "never read\n")
	w.Close()
	w.Close()
	say(t, w, "too late\n")
	close(out.open)
	<-w.done
	if got := out.String(); got != "never read\n" {
		t.Errorf("%q", got)
	}
}

// TestKeepsUp: a reader that keeps up gets lines out of memory that is used again.
func TestKeepsUp(t *testing.T) {
	w := New(io.Discard, Options{})
	defer w.Close()
	line, sent := []byte(strings.Repeat("x", 999)+"\n"), uint64(0)
	if allocations := testing.AllocsPerRun(100, func() {
		for range 40 {
			w.Write(line) // never fails
		}
		for sent += 40; w.Stats().Lines < sent; {
			runtime.Gosched()
		}
	}); allocations > 1 {
		t.Errorf("%v allocations for 40 lines", allocations)
	}
}
