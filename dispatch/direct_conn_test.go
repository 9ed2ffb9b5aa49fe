package dispatch

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// directPair returns both ends of a unix connection, the first one direct.
func directPair(t *testing.T) (*directConn, net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		t.Cleanup(func() { ends[i].Close() })
	}
	return direct(ends[0]).(*directConn), ends[1]
}

// writeWatched reports whether the runtime's poller watches c for being writable.
func writeWatched(t *testing.T, c *directConn) bool {
	t.Helper()
	var on, found bool
	err := c.raw.Control(func(fd uintptr) {
		var event syscall.EpollEvent
		event, found = watched(strconv.Itoa(findPoller(fd)), fd)
		on = event.Events&syscall.EPOLLOUT != 0
	})
	if err != nil || !found {
		t.Fatalf("the poller does not watch the connection: %v", err)
	}
	return on
}

func TestQuietConnectionIsWatchedForReadingOnly(t *testing.T) {
	c, _ := directPair(t)
	if !writeWatched(t, c) {
		t.Fatal("the runtime does not watch for writability: interest_linux.go has no purpose")
	}
	c.quiet()
	if writeWatched(t, c) {
		t.Error("a quiet connection is watched for being writable")
	}
}

func TestQuietConnectionWaitsForWriting(t *testing.T) {
	c, peer := directPair(t)
	c.quiet()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 256<<10) // far more than a socket holds
	for range 3 {
		got := make(chan []byte)
		go func() {
			b := make([]byte, len(sent))
			_, _ = io.ReadFull(peer, b)
			got <- b
		}()
		if n, err := c.Write(sent); n != len(sent) || err != nil {
			t.Fatalf("wrote %d: %v", n, err)
		}
		if !bytes.Equal(<-got, sent) {
			t.Fatal("something else arrived")
		}
		if writeWatched(t, c) {
			t.Error("after a write that waited the connection is not quiet again")
		}
	}
}

func TestQuietConnectionWriteDeadline(t *testing.T) {
	c, peer := directPair(t)
	c.quiet()
	big := make([]byte, 4<<20)
	go func() { // once the write has begun
		_, _ = io.ReadFull(peer, make([]byte, 1))
		_ = c.SetWriteDeadline(past)
	}()
	n, err := c.Write(big)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
		t.Fatalf("wrote %d: %v", n, err)
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.CopyN(io.Discard, peer, int64(len(big)-1)) }()
	if m, err := c.Write(big[n:]); n+m != len(big) || err != nil {
		t.Fatalf("wrote %d more: %v", m, err)
	}
}

func TestAskReadsTheAnswer(t *testing.T) {
	c, peer := directPair(t)
	c.quiet()
	buf := make([]byte, 64)
	for _, size := range []int{1, 1000, 4 << 20} { // the last has to wait
		go func() {
			_, _ = io.CopyN(io.Discard, peer, int64(size))
			_, _ = peer.Write([]byte("answer"))
		}()
		w := &workerConn{directConn: c}
		sent, n, err := w.ask(make([]byte, size), buf)
		if sent != size || err != nil {
			t.Fatalf("sent %d of %d: %v", sent, size, err)
		}
		if n == 0 {
			if n, err = c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		if string(buf[:n]) != "answer" {
			t.Fatalf("read %q", buf[:n])
		}
	}
}

func TestAskOfClosedPeer(t *testing.T) {
	c, peer := directPair(t)
	peer.Close()
	sent, n, err := (&workerConn{directConn: c}).ask([]byte("request"), make([]byte, 64))
	if sent != 0 || n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("sent %d, read %d: %v", sent, n, err)
	}
}
