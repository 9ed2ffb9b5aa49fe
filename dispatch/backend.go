package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/wsgid/wsgid/protocol"
)

// workerConn is one connection to a thread of a worker process. While it is
// idle it belongs to its group, while it serves a request to that exchange.
type workerConn struct {
	*directConn
	group   *group
	process *process
	// served is how many requests it was given.
	served uint64
}

var past = time.Unix(1, 0)

// interrupt makes whoever reads from or writes to the worker return; the
// connection cannot be used afterwards.
func (w *workerConn) interrupt() {
	// An error means that it is closed, which ends reading as well.
	_ = w.SetDeadline(past)
}

// ask sends a request and reads the beginning of its answer into buf. An error
// counts only if not all was sent: one of reading comes again.
func (w *workerConn) ask(request, buf []byte) (sent, n int, err error) {
	sent, n, err = w.Ask(request, buf)
	if err == nil && sent < len(request) {
		var more int
		more, err = w.Write(request[sent:])
		sent += more
	}
	return sent, n, err
}

// buffers hold answers of workers on their way to the front, and small bodies.
// A large body is read in pieces of what a unix socket of the front server
// holds, so that it can write all of that again meanwhile.
const (
	bufferSize = 64 << 10
	bodyBuffer = 256 << 10
)

var (
	buffers     = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	bodyBuffers = sync.Pool{New: func() any { return new([bodyBuffer]byte) }}
)

// back-off of connecting to a group's socket: it exists before the router
// starts, so errors are rare and short.
const (
	dialBackoffMin = 50 * time.Millisecond
	dialBackoffMax = time.Second
)

// handshake asks who accepted the connection. A thread accepts only when it is
// free, so the answer may take as long as there is none; ctx ends the wait.
func handshake(ctx context.Context, c net.Conn) (pid int, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
	defer stop()
	rd := protocol.NewReader(c, 1<<10)
	values, err := protocol.ExchangeValues(c, rd, "WSGID_PID", "WSGID_THREAD", "WSGID_GENERATION")
	if err != nil {
		return 0, fmt.Errorf("asking the worker who it is: %w", err)
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	pid, err = strconv.Atoi(values["WSGID_PID"])
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("worker says its pid is %q", values["WSGID_PID"])
	}
	return pid, nil
}

// dial is one connection being made in the background.
type dial struct {
	cancel context.CancelFunc
}

// run connects and hands the connection to the group, again and again until
// it has succeeded or is not wanted any more.
func (d *dial) run(ctx context.Context, g *group) {
	defer g.router.wait.Done()
	defer d.cancel()
	backoff := dialBackoffMin
	for {
		err := d.try(ctx, g)
		if ctx.Err() != nil || err == nil {
			g.dialEnded(d)
			return
		}
		g.log.Debug("cannot connect to worker", "error", err, "again_in", backoff.String())
		select {
		case <-ctx.Done():
			g.dialEnded(d)
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, dialBackoffMax)
	}
}

func (d *dial) try(ctx context.Context, g *group) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", g.config.Socket)
	if err != nil {
		return err
	}
	pid, err := handshake(ctx, c)
	if err == nil {
		err = g.adopt(d, c, pid)
	}
	if err != nil {
		c.Close()
	}
	return err
}

// startEmbedded fills the pool of the group of the router's own Python: n more
// threads of it, each behind a socket pair.
func (g *group) startEmbedded(n int) error {
	fds, err := g.serveEmbedded(n)
	if err != nil {
		return err
	}
	return g.connectAll(fds)
}

// startPreloaded is startEmbedded with the imports in between: a script may ask
// for what the threads record, and no request comes before it is imported.
func (g *group) startPreloaded(n int) error {
	fds, err := g.serveEmbedded(n)
	if err != nil {
		return err
	}
	if err := g.importScripts(); err != nil {
		return err
	}
	return g.connectAll(fds)
}

// importScripts imports what the configuration names, in order.
func (g *group) importScripts() error {
	host, err := g.router.embeddedHost()
	if err != nil {
		return err
	}
	for _, script := range g.router.config.Embedded.Preload {
		host.Import(script.Application, script.Path)
	}
	return nil
}

func (g *group) serveEmbedded(n int) ([]int, error) {
	host, err := g.router.embeddedHost()
	if err != nil {
		return nil, err
	}
	fds, err := host.ServeEmbedded(n)
	if err != nil {
		return nil, fmt.Errorf("starting embedded threads: %w", err)
	}
	return fds, nil
}

// connectAll takes over the router's ends of the socket pairs of threads.
func (g *group) connectAll(fds []int) error {
	var errs []error
	for _, fd := range fds {
		if err := g.connectEmbedded(fd); err != nil {
			errs = append(errs, fmt.Errorf("connecting to an embedded thread: %w", err))
		}
	}
	if len(errs) < len(fds) && len(errs) > 0 { // the group works, with fewer threads
		g.log.Error("embedded threads are missing", "missing", len(errs), "error", errors.Join(errs...))
		return nil
	}
	return errors.Join(errs...)
}

// connectEmbedded takes over the router's end of the socket pair of one thread.
func (g *group) connectEmbedded(fd int) error {
	f := os.NewFile(uintptr(fd), "embedded")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return err
	}
	pid, err := handshake(g.router.ctx, c)
	if err == nil {
		err = g.adopt(nil, c, pid)
	}
	if err != nil {
		c.Close()
	}
	return err
}
