package dispatch

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/wsgid/wsgid/protocol"
)

// fakeRequest is one request as a fake worker got it.
type fakeRequest struct {
	env  map[string]string
	w    *fakeConn
	pid  int
	want bool // WSGID_WANT_ACCEPT
}

// fakeConn is a worker's end of a connection.
type fakeConn struct {
	net.Conn
	rd *protocol.Reader
}

// body reads STDIN to its end; false: the connection ended first.
func (r *fakeRequest) body() ([]byte, bool) {
	var b []byte
	for {
		h, err := r.w.rd.Next()
		if err != nil {
			return b, false
		}
		if h.Type != protocol.Stdin {
			continue
		}
		c, err := r.w.rd.Content()
		if err != nil {
			return b, false
		}
		if len(c) == 0 {
			return b, true
		}
		b = append(b, c...)
	}
}

func (r *fakeRequest) accept() { r.w.Write(protocol.AppendStreamEnd(nil, protocol.Stderr, 1)) }

func (r *fakeRequest) reply(body string) {
	b := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"+body))
	r.w.Write(protocol.AppendEndRequest(b, 1, 0, protocol.RequestComplete))
}

func (r *fakeRequest) refuse() {
	r.w.Write(protocol.AppendEndRequest(nil, 1, 0, protocol.Overloaded))
}

// fakeGroup is a listening socket with worker processes behind it.
type fakeGroup struct {
	t      *testing.T
	socket string
	ln     *net.UnixListener
	wg     sync.WaitGroup
	handle func(*fakeRequest)

	mu    sync.Mutex
	procs map[int]*fakeProcess
}

type fakeProcess struct {
	pid   int
	dead  bool
	conns map[net.Conn]struct{}
}

// newFakeGroup listens in dir; handle runs each request.
func newFakeGroup(t *testing.T, dir, name string, handle func(*fakeRequest)) *fakeGroup {
	t.Helper()
	g := &fakeGroup{t: t, socket: filepath.Join(dir, name+".sock"), handle: handle, procs: map[int]*fakeProcess{}}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: g.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	g.ln = ln
	t.Cleanup(g.close)
	return g
}

// start adds a process with so many threads.
func (g *fakeGroup) start(pid, threads int) {
	p := &fakeProcess{pid: pid, conns: map[net.Conn]struct{}{}}
	g.mu.Lock()
	g.procs[pid] = p
	g.mu.Unlock()
	for range threads {
		g.wg.Add(1)
		go g.thread(p)
	}
}

func (g *fakeGroup) thread(p *fakeProcess) {
	defer g.wg.Done()
	for {
		c, err := g.ln.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		if p.dead {
			// A dead process accepts nothing: let another thread have it.
			g.mu.Unlock()
			c.Close()
			return
		}
		p.conns[c] = struct{}{}
		g.mu.Unlock()
		g.serve(p, &fakeConn{c, protocol.NewReader(c, 0)})
		g.mu.Lock()
		delete(p.conns, c)
		dead := p.dead
		g.mu.Unlock()
		c.Close()
		if dead {
			return
		}
	}
}

func (g *fakeGroup) serve(p *fakeProcess, c *fakeConn) {
	for {
		h, err := c.rd.Next()
		if err != nil {
			return
		}
		switch h.Type {
		case protocol.GetValues:
			pairs := protocol.AppendPair(nil, "WSGID_PID", strconv.Itoa(p.pid))
			pairs = protocol.AppendPair(pairs, "WSGID_THREAD", "1")
			c.Write(protocol.AppendGetValuesResult(nil, pairs))
		case protocol.BeginRequest:
			params, err := readParams(c.rd)
			if err != nil {
				return
			}
			env := pairMap(params)
			g.handle(&fakeRequest{env: env, w: c, pid: p.pid, want: env["WSGID_WANT_ACCEPT"] == "1"})
		}
	}
}

func readParams(rd *protocol.Reader) ([]byte, error) {
	var params []byte
	for {
		h, err := rd.Next()
		if err != nil {
			return nil, err
		}
		if h.Type != protocol.Params {
			continue
		}
		c, err := rd.Content()
		if err != nil || len(c) == 0 {
			return params, err
		}
		params = append(params, c...)
	}
}

func pairMap(b []byte) map[string]string {
	m := map[string]string{}
	p := protocol.NewPairs(b, protocol.Limits{})
	for {
		name, value, ok := p.Next()
		if !ok {
			return m
		}
		m[string(name)] = string(value)
	}
}

// kill ends a process: its connections break.
func (g *fakeGroup) kill(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.procs[pid]
	p.dead = true
	for c := range p.conns {
		c.Close()
	}
}

func (g *fakeGroup) close() {
	g.ln.Close()
	g.mu.Lock()
	for _, p := range g.procs {
		p.dead = true
		for c := range p.conns {
			c.Close()
		}
	}
	g.mu.Unlock()
	g.wg.Wait()
}

// fakeFront is a front server's connection.
type fakeFront struct {
	t *testing.T
	net.Conn
	rd *protocol.Reader
}

func dialFront(t *testing.T, network, address string) *fakeFront {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &fakeFront{t, c, protocol.NewReader(c, 0)}
}

func pairsOf(kv ...string) []byte {
	var b []byte
	for i := 0; i+1 < len(kv); i += 2 {
		b = protocol.AppendPair(b, kv[i], kv[i+1])
	}
	return b
}

// get asks for path, with more parameters, on a kept connection.
func (f *fakeFront) get(path string, more ...string) (frontReply, error) {
	kv := append([]string{"REQUEST_METHOD", "GET", "REQUEST_URI", path, "SCRIPT_NAME", "", "PATH_INFO", path}, more...)
	if _, err := f.Write(protocol.AppendRequest(nil, 1, protocol.Responder, protocol.FlagKeepConn, pairsOf(kv...), nil)); err != nil {
		return frontReply{}, err
	}
	return f.read()
}

// frontReply is an answer as a front server sees it.
type frontReply struct {
	header, body string
	ended        bool // END_REQUEST came
}

func (r frontReply) status() string {
	line, _, _ := bytes.Cut([]byte(r.header), []byte("\r\n"))
	return string(bytes.TrimPrefix(line, []byte("Status: ")))
}

// retryAfter is the value of that header; -1 without one.
func (r frontReply) retryAfter() int {
	_, rest, _ := strings.Cut(r.header, "Retry-After: ")
	value, _, _ := strings.Cut(rest, "\r\n")
	if seconds, err := strconv.Atoi(value); err == nil {
		return seconds
	}
	return -1
}

func (f *fakeFront) read() (frontReply, error) {
	var all []byte
	for {
		h, err := f.rd.Next()
		if err != nil {
			header, body, _ := bytes.Cut(all, []byte("\r\n\r\n"))
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF
			}
			return frontReply{string(header), string(body), false}, err
		}
		c, err := f.rd.Content()
		if err != nil {
			return frontReply{}, err
		}
		switch h.Type {
		case protocol.Stdout:
			all = append(all, c...)
		case protocol.EndRequest:
			header, body, _ := bytes.Cut(all, []byte("\r\n\r\n"))
			return frontReply{string(header), string(body), true}, nil
		}
	}
}
