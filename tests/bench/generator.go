package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The load generator runs in a process of its own, so that its CPU time is not
// the servers', and as one thread with epoll and raw system calls, so that it
// takes as little as it can of the cores it shares with them.

// job is what a generator is told, one line of JSON on its standard input.
type job struct {
	Port        int
	Path        string
	Connections int
	Upload      int // bytes of request body; 0: GET
	Expect      int // bytes of response body
	Warm        time.Duration
	Duration    time.Duration
}

// outcome is what a generator answers, one line of JSON on its standard output.
type outcome struct {
	// Finished in time, for the rate.
	Finished int
	// Total includes those under way when the time was over, for the CPU time.
	Total    int
	Seconds  float64
	P50, P99 time.Duration
	Errors   int
	// FirstError says what the first of them was.
	FirstError string
}

// grace is how long a generator waits for requests under way at the end.
const grace = 20 * time.Second

// generate is the whole life of a generator: "ready" after the warm-up, the
// measured run when a line arrives, the outcome.
func generate(in io.Reader, out io.Writer) error {
	debug.SetGCPercent(-1)
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	var j job
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	g, err := newGenerator(j)
	if err != nil {
		return err
	}
	defer g.close()
	if err := g.run(j.Warm); err != nil {
		return err
	}
	warm := g.outcome
	g.outcome, g.latencies = outcome{}, g.latencies[:0]
	fmt.Fprintln(out, "ready")
	if _, err := lines.ReadBytes('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	if err := g.run(j.Duration); err != nil {
		return err
	}
	g.outcome.Seconds = j.Duration.Seconds()
	if warm.Errors > 0 {
		g.fail("while warming up: " + warm.FirstError)
	}
	if n := len(g.latencies); n > 0 {
		slices.Sort(g.latencies)
		g.outcome.P50 = g.latencies[n/2]
		g.outcome.P99 = g.latencies[min(n-1, n*99/100)]
	}
	return json.NewEncoder(out).Encode(g.outcome)
}

type generator struct {
	job       job
	request   []byte
	body      []byte
	buffer    []byte
	epoll     int
	clients   []client
	active    int // clients with a request under way
	deadline  time.Time
	outcome   outcome
	latencies []time.Duration
}

// client is one kept connection.
type client struct {
	fd       int
	busy     bool
	sent     int // bytes of request and body sent
	waiting  bool
	start    time.Time
	response response
}

func newGenerator(j job) (*generator, error) {
	g := &generator{
		job:       j,
		buffer:    make([]byte, 256<<10),
		body:      make([]byte, j.Upload),
		clients:   make([]client, j.Connections),
		latencies: make([]time.Duration, 0, 1<<18),
	}
	const headers = " HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"
	g.request = []byte("GET " + j.Path + headers + "\r\n")
	if j.Upload > 0 {
		g.request = fmt.Appendf(nil, "POST %s%sContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", j.Path, headers, j.Upload)
	}
	var err error
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll descriptor: %w", err)
	}
	for i := range g.clients {
		g.clients[i].fd = -1
		if err := g.connect(i); err != nil {
			g.close()
			return nil, err
		}
	}
	return g, nil
}

func (g *generator) close() {
	for i := range g.clients {
		if g.clients[i].fd >= 0 {
			unix.Close(g.clients[i].fd)
		}
	}
	unix.Close(g.epoll)
}

// connect opens client i's connection, instead of the one it may have.
func (g *generator) connect(i int) error {
	c := &g.clients[i]
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	if err = unix.Connect(fd, &unix.SockaddrInet4{Port: g.job.Port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		if err = unix.SetNonblock(fd, true); err == nil {
			if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err == nil {
				err = unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
			}
		}
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	c.fd, c.waiting = fd, false
	return nil
}

func (g *generator) fail(what string) {
	g.outcome.Errors++
	if g.outcome.FirstError == "" {
		g.outcome.FirstError = what
	}
}

// run keeps every client busy for d, and at least for one request.
func (g *generator) run(d time.Duration) error {
	g.deadline = time.Now().Add(d)
	for i := range g.clients {
		g.begin(i)
	}
	events := make([]unix.EpollEvent, 128)
	for g.active > 0 {
		n, err := epollWait(g.epoll, events, 1000)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			i := int(e.Fd)
			if !g.clients[i].busy || !g.advance(i, e.Events) {
				continue
			}
			if time.Now().Before(g.deadline) {
				g.begin(i)
			}
		}
		if n == 0 && time.Now().After(g.deadline.Add(grace)) {
			for i := range g.clients {
				if g.clients[i].busy {
					g.finish(i, errors.New("no answer"))
				}
			}
		}
	}
	return nil
}

// begin sends client i's next request.
func (g *generator) begin(i int) {
	c := &g.clients[i]
	if c.fd < 0 {
		if err := g.connect(i); err != nil {
			g.fail(err.Error())
			return
		}
	}
	c.response.reset()
	c.busy, c.sent, c.start = true, 0, time.Now()
	g.active++
	if err := g.send(i); err != nil {
		g.finish(i, err)
	}
}

// send writes as much of the request as the socket takes.
func (g *generator) send(i int) error {
	c := &g.clients[i]
	total := len(g.request) + len(g.body)
	for c.sent < total {
		part := g.request
		if c.sent < len(part) {
			part = part[c.sent:]
		} else {
			part = g.body[c.sent-len(part):]
		}
		n, err := rawWrite(c.fd, part)
		if err == unix.EAGAIN {
			break
		}
		if err != 0 {
			return fmt.Errorf("send: %w", err)
		}
		c.sent += n
	}
	if waiting := c.sent < total; waiting != c.waiting {
		c.waiting = waiting
		events := uint32(unix.EPOLLIN)
		if waiting {
			events |= unix.EPOLLOUT
		}
		if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: events, Fd: int32(i)}); err != nil {
			return fmt.Errorf("change the events: %w", err)
		}
	}
	return nil
}

// advance does what the events allow and tells whether the request is over.
func (g *generator) advance(i int, events uint32) bool {
	c := &g.clients[i]
	if events&unix.EPOLLOUT != 0 {
		if err := g.send(i); err != nil {
			return g.finish(i, err)
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return false
	}
	n, errno := rawRead(c.fd, g.buffer)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return false
	case errno != 0:
		return g.finish(i, fmt.Errorf("read: %w", errno))
	case n == 0:
		return g.finish(i, errors.New("connection closed"))
	}
	done, err := c.response.feed(g.buffer[:n])
	if err == nil && !done {
		return false
	}
	return g.finish(i, err)
}

// finish counts the request; it always returns true.
func (g *generator) finish(i int, err error) bool {
	c := &g.clients[i]
	c.busy = false
	g.active--
	now := time.Now()
	r := &c.response
	switch {
	case err != nil:
	case r.status != 200:
		err = fmt.Errorf("status %d", r.status)
	case r.size != g.job.Expect:
		err = fmt.Errorf("body of %d bytes", r.size)
	}
	if err != nil || r.closing || c.sent < len(g.request)+len(g.body) {
		unix.Close(c.fd) // the next request opens another
		c.fd = -1
	}
	if err != nil {
		g.fail(err.Error())
		return true
	}
	g.outcome.Total++
	if now.Before(g.deadline) {
		g.outcome.Finished++
	}
	g.latencies = append(g.latencies, now.Sub(c.start))
	return true
}

// generatorEnv keeps the runtime's own threads quiet: it must not interrupt
// the raw system calls, nor want a second processor.
func generatorEnv() []string {
	return append(os.Environ(), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1")
}
