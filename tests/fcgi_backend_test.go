package tests

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// backend is a FastCGI server of a test, in the place of wsgid: it shows what a
// web server sends, and gives it answers that wsgid never gives.
type backend struct {
	t        testing.TB
	path     string
	serve    func(*backendRequest)
	listener net.Listener
	mutex    sync.Mutex
	conns    map[net.Conn]bool
	wait     sync.WaitGroup
}

// backendRequest is one request, read whole.
type backendRequest struct {
	conn   net.Conn
	number int // of the connection
	id     uint16
	keep   bool
	params map[string]string
	body   string
}

// startBackend listens on path; serve is called for each request, on its own
// goroutine for each connection, and ends it.
func startBackend(t testing.TB, path string, serve func(*backendRequest)) *backend {
	t.Helper()
	b := &backend{t: t, path: path, serve: serve, conns: map[net.Conn]bool{}}
	b.listen()
	t.Cleanup(b.stop)
	return b
}

func (b *backend) listen() {
	b.t.Helper()
	listener, err := net.Listen("unix", b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(b.path, 0o777); err != nil {
		b.t.Fatal(err)
	}
	b.listener = listener
	b.wait.Add(1)
	go func() {
		defer b.wait.Done()
		for number := 0; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b.mutex.Lock()
			b.conns[conn] = true
			b.mutex.Unlock()
			b.wait.Add(1)
			go b.connection(conn, number)
		}
	}()
}

// stop hangs up on everybody and removes the socket.
func (b *backend) stop() {
	b.listener.Close()
	b.mutex.Lock()
	for conn := range b.conns {
		conn.Close()
	}
	b.mutex.Unlock()
	b.wait.Wait()
}

func (b *backend) connection(conn net.Conn, number int) {
	defer b.wait.Done()
	defer func() {
		b.mutex.Lock()
		delete(b.conns, conn)
		b.mutex.Unlock()
		conn.Close()
	}()
	in := bufio.NewReader(conn)
	for {
		r, err := readRequest(in)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				b.t.Logf("backend: %v", err) // a web server that was stopped
			}
			return
		}
		r.conn, r.number = conn, number
		b.serve(r)
		if !r.keep {
			return
		}
	}
}

func readRequest(in *bufio.Reader) (*backendRequest, error) {
	r := &backendRequest{params: map[string]string{}}
	var pairs []byte
	for {
		record, err := readRecord(in)
		if err != nil {
			return nil, err
		}
		switch {
		case record.kind == beginRequest:
			r.id, r.keep = record.id, record.content[2]&1 == 1
		case record.kind == fcgiParams:
			pairs = append(pairs, record.content...)
		case record.kind == fcgiStdin && len(record.content) > 0:
			r.body += string(record.content)
		case record.kind == fcgiStdin:
			for len(pairs) > 0 {
				var lengths [2]int
				for i := range lengths {
					n := 1
					lengths[i] = int(pairs[0])
					if pairs[0] >= 128 {
						n = 4
						lengths[i] = int(pairs[0]&127)<<24 | int(pairs[1])<<16 | int(pairs[2])<<8 | int(pairs[3])
					}
					pairs = pairs[n:]
				}
				r.params[string(pairs[:lengths[0]])] = string(pairs[lengths[0] : lengths[0]+lengths[1]])
				pairs = pairs[lengths[0]+lengths[1]:]
			}
			return r, nil
		}
	}
}

// send writes one record of the answer; who hung up does not see it.
func (r *backendRequest) send(kind byte, content string) error {
	_, err := r.conn.Write(fcgi(kind, r.id, []byte(content)))
	return err
}

// end writes END_REQUEST.
func (r *backendRequest) end(appStatus, protocolStatus byte) error {
	return r.send(endRequest, string([]byte{0, 0, 0, appStatus, protocolStatus, 0, 0, 0}))
}

// reply is a whole answer as it should be.
func (r *backendRequest) reply(text string) {
	for _, err := range []error{r.send(fcgiStdout, text), r.send(fcgiStdout, ""), r.end(0, 0)} {
		if err != nil {
			return // the web server has gone
		}
	}
}

// param is a parameter; "<absent>" when it was not sent.
func (r *backendRequest) param(name string) string {
	if value, ok := r.params[name]; ok {
		return value
	}
	return "<absent>"
}

// recorder is a backend that keeps the last request and answers every one.
type recorder struct {
	*backend
	requests chan *backendRequest
}

func startRecorder(t testing.TB, w *harness.World) *recorder {
	r := &recorder{requests: make(chan *backendRequest, 100)}
	r.backend = startBackend(t, w.Socket, func(q *backendRequest) {
		r.requests <- q
		q.reply("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nrecorded\n")
	})
	return r
}
