package dispatch

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/wire"
)

// accessPipe is a pipe: the end to read, and the descriptor of the other, which
// whoever is given it closes.
func accessPipe(t testing.TB) (read *os.File, fd int) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	if fd, err = unix.FcntlInt(write.Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	return read, fd
}

// TestAccessFile: lines arrive in order, soon after they were said, and all of them
// when the router ends.
func TestAccessFile(t *testing.T) {
	read, fd := accessPipe(t)
	f, err := openAccessFile(wire.AccessFile{Path: "/x/log", FD: fd}, hclog.NewNullLogger(), func(string, uint64) { t.Error("lines are lost") })
	if err != nil {
		t.Fatal(err)
	}
	f.add([]byte("first\n"))
	in := bufio.NewReader(read)
	if line, err := in.ReadString('\n'); line != "first\n" {
		t.Errorf("%q %v", line, err)
	}
	all := make(chan string)
	go func() {
		rest, _ := io.ReadAll(in)
		all <- string(rest)
	}()
	var want strings.Builder
	for n := range 20000 {
		line := fmt.Sprintf("line %d\n", n)
		want.WriteString(line)
		f.add([]byte(line))
	}
	f.close()
	f.add([]byte("too late\n"))
	if got := <-all; got != want.String() {
		t.Errorf("%d bytes, want %d", len(got), want.Len())
	}
}

// TestAccessFileFull: a supervisor that does not read holds up nobody. Each line
// arrives whole or is counted, and the log tells of them once.
func TestAccessFileFull(t *testing.T) {
	read, fd := accessPipe(t)
	var lost atomic.Uint64
	log := &syncBuffer{}
	f, err := openAccessFile(wire.AccessFile{Path: "/x/log", FD: fd}, hclog.New(&hclog.LoggerOptions{Output: log}), func(path string, lines uint64) {
		if path != "/x/log" {
			t.Error(path)
		}
		lost.Add(lines)
	})
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 999) + "\n")
	const lines = 3 * accessLimit / 1000
	for range lines {
		f.add(line)
	}
	f.add(make([]byte, wire.MaxAccessLine+1))
	in := bufio.NewReader(read)
	got := uint64(0)
	for deadline := time.Now().Add(longWait); got+lost.Load() < lines+1; {
		if err := read.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		text, err := in.ReadSlice('\n')
		switch {
		case err == nil && bytes.Equal(text, line):
			got++
		case len(text) > 0: // none was begun that was not written
			t.Fatalf("%.100q %v", text, err)
		case time.Now().After(deadline):
			t.Fatalf("%d lines came, %d are lost, of %d", got, lost.Load(), lines+1)
		}
	}
	if lost.Load() < lines/2 || got < accessLimit/1000 {
		t.Errorf("%d lines came, %d are lost", got, lost.Load())
	}
	for deadline := time.Now().Add(longWait); strings.Count(log.String(), "\n") == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, fmt.Sprintf("access_log=/x/log lines=%d", lost.Load())) {
		t.Errorf("%s", text)
	}
	f.close()
}

// TestAccessFileStuck: a router that ends waits but a moment for a supervisor that
// does not read, and says what it has thrown away.
func TestAccessFileStuck(t *testing.T) {
	_, fd := accessPipe(t)
	var lost atomic.Uint64
	f, err := openAccessFile(wire.AccessFile{FD: fd}, hclog.NewNullLogger(), func(_ string, lines uint64) { lost.Add(lines) })
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 999) + "\n")
	for range 1000 {
		f.add(line)
	}
	f.close()
	if n := lost.Load(); n < 700 || n > 1000 {
		t.Errorf("%d lines are lost", n)
	}
}
