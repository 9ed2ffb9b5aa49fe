package supervisor

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/wire"
)

// accessPipes makes a pipe for each access log: what a router writes into it, whole
// lines, is appended to the file.
func accessPipes(logs []*accessLog) (ours, theirs []*os.File, err error) {
	for range logs {
		read, write, err := os.Pipe()
		if err != nil {
			closeAll(append(ours, theirs...))
			return nil, nil, fmt.Errorf("access log pipe: %w", err)
		}
		ours, theirs = append(ours, read), append(theirs, write)
		// Else the usual size holds as well.
		_, _ = unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, accessPipeSize)
	}
	return ours, theirs, nil
}

// accessPipeSize lets routers go on while the supervisor is busy elsewhere.
const accessPipeSize = 256 << 10

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// startAccessPump copies what arrives in the pipe, until it ends.
func startAccessPump(pipe *os.File, to *accessLog) *logPump {
	p := &logPump{raw: pipe, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer pipe.Close()
		if cut := copyLines(pipe, to); cut > 0 {
			to.count(cut)
		}
	}()
	return p
}

// pumpAccess starts the pumps of a router.
func (s *session) pumpAccess(logs []*accessLog, all *pumps) []*logPump {
	var started []*logPump
	for i, pipe := range s.access {
		p := startAccessPump(pipe, logs[i])
		all.add(p)
		started = append(started, p)
	}
	return started
}

// copyLines copies whole lines, until the end. It returns how many it has cut or left
// out: what is longer than any line can be, and one whose end never came.
func copyLines(from io.Reader, to io.Writer) (cut uint64) {
	buf := make([]byte, 64<<10)
	held, skipping := 0, false
	for {
		n, err := from.Read(buf[held:])
		held += n
		if skipping {
			end := bytes.IndexByte(buf[:held], '\n')
			if skipping = end < 0; skipping {
				held = 0
			} else {
				held = copy(buf, buf[end+1:held])
			}
		}
		if end := bytes.LastIndexByte(buf[:held], '\n'); end >= 0 {
			_, _ = to.Write(buf[:end+1]) // never fails (logwriter)
			held = copy(buf, buf[end+1:held])
		}
		switch {
		case err != nil && held > 0:
			return cut + 1
		case err != nil: // it has ended, or wsgid has
			return cut
		case held < len(buf):
		case len(buf) < wire.MaxAccessLine:
			buf = append(buf, make([]byte, len(buf))...)
		default:
			held, skipping = 0, true
			cut++
		}
	}
}
