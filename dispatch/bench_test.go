package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// The benchmarks measure the CPU time of the router alone: the worker and the
// client are this test binary, run again as processes of their own.

const benchRole = "WSGID_BENCH_ROLE"

// benchChild runs a role in a process that a benchmark started.
func benchChild(role string) {
	switch role {
	case "worker":
		benchWorker(os.Getenv("WSGID_BENCH_SOCKET"))
	case "helper":
		if err := benchHelper(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "collector":
		if err := benchCollector(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "client":
		n, _ := strconv.Atoi(os.Getenv("WSGID_BENCH_REQUESTS"))
		conns, _ := strconv.Atoi(os.Getenv("WSGID_BENCH_CONNS"))
		if err := benchClient(os.Getenv("WSGID_BENCH_SOCKET"), n, conns); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

var helloReply = func() []byte {
	b := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello World\n"))
	return protocol.AppendEndRequest(protocol.AppendStreamEnd(b, protocol.Stdout, 1), 1, 0, protocol.RequestComplete)
}()

// benchWorker answers a constant; it blocks an OS thread a connection, as a
// real worker does.
func benchWorker(socket string) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin) // the benchmark's end is ours
		os.Exit(0)
	}()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			rd := protocol.NewReader(c, 0)
			for {
				h, err := rd.Next()
				if err != nil {
					return
				}
				switch {
				case h.Type == protocol.GetValues:
					c.Write(protocol.AppendGetValuesResult(nil, protocol.AppendPair(nil, "WSGID_PID", strconv.Itoa(os.Getpid()))))
				case h.Type == protocol.Stdin && h.ContentLength == 0:
					c.Write(helloReply)
				}
			}
		}()
	}
}

// apacheRequest is a GET as mod_proxy_fcgi sends it: four writes.
func apacheRequest() [][]byte {
	params := pairsOf(
		"UNIQUE_ID", "aR8sJ3y5Qm8kZ1xT0pVbNwAAAAE", "HTTP_HOST", "www.example.org", "HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5",
		"HTTP_ACCEPT_ENCODING", "gzip, deflate, br", "HTTP_COOKIE", "session=0123456789abcdef0123456789abcdef", "HTTP_CONNECTION", "keep-alive",
		"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SERVER_SIGNATURE", "", "SERVER_SOFTWARE", "Apache/2.4.71 (Debian)",
		"SERVER_NAME", "www.example.org", "SERVER_ADDR", "192.0.2.1", "SERVER_PORT", "80", "REMOTE_ADDR", "198.51.100.7", "DOCUMENT_ROOT", "/var/www/html",
		"REQUEST_SCHEME", "http", "CONTEXT_PREFIX", "", "CONTEXT_DOCUMENT_ROOT", "/var/www/html", "SERVER_ADMIN", "webmaster@localhost",
		"SCRIPT_FILENAME", "proxy:fcgi://localhost/hello/world", "REMOTE_PORT", "50122", "GATEWAY_INTERFACE", "CGI/1.1", "SERVER_PROTOCOL", "HTTP/1.1",
		"REQUEST_METHOD", "GET", "QUERY_STRING", "", "REQUEST_URI", "/hello/world", "SCRIPT_NAME", "/hello/world")
	return [][]byte{
		protocol.AppendBeginRequest(nil, 1, protocol.Responder, protocol.FlagKeepConn),
		protocol.AppendStream(nil, protocol.Params, 1, params),
		protocol.AppendStreamEnd(nil, protocol.Params, 1),
		protocol.AppendStreamEnd(nil, protocol.Stdin, 1),
	}
}

func benchClient(socket string, n, conns int) error {
	var wg sync.WaitGroup
	errs := make(chan error, conns)
	for i := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			// Descriptors in blocking mode: the client costs no netpoll and
			// writes as Apache does.
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err == nil {
				err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket})
			}
			if err != nil {
				errs <- err
				return
			}
			defer syscall.Close(fd)
			parts := apacheRequest()
			buf := make([]byte, 4096)
			for range n/conns + min(1, max(0, n%conns-i)) {
				for _, p := range parts {
					if _, err := syscall.Write(fd, p); err != nil {
						errs <- err
						return
					}
				}
				for got := 0; got < len(helloReply); {
					k, err := syscall.Read(fd, buf)
					if k <= 0 {
						errs <- fmt.Errorf("reading the answer: %d bytes, %w", k, errors.Join(err, io.ErrUnexpectedEOF))
						return
					}
					got += k
				}
			}
		}()
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// startBenchWorker runs the null worker until the benchmark ends.
func startBenchWorker(b *testing.B, socket string) (pid int) {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), benchRole+"=worker", "WSGID_BENCH_SOCKET="+socket)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	for range 1000 {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return cmd.Process.Pid
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatal("null worker does not listen")
	return 0
}

func runBenchClient(b *testing.B, socket string, n, conns int) {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), benchRole+"=client", "WSGID_BENCH_SOCKET="+socket,
		"WSGID_BENCH_REQUESTS="+strconv.Itoa(n), "WSGID_BENCH_CONNS="+strconv.Itoa(conns))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("client: %v\n%s", err, out)
	}
}

// BenchmarkRouterHello reports the CPU time of the router for one request of
// Apache's shape, answered by a worker that does nothing.
func BenchmarkRouterHello(b *testing.B) {
	for _, conns := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) { benchHello(b, conns, nil) })
	}
}

func benchHello(b *testing.B, conns int, change func(*wire.RouterConfig)) {
	dir := shortDir(b)
	worker := filepath.Join(dir, "web.sock")
	pid := startBenchWorker(b, worker)
	front := filepath.Join(dir, "front.sock")
	ln, err := net.Listen("unix", front)
	if err != nil {
		b.Fatal(err)
	}
	f, err := ln.(*net.UnixListener).File()
	if err != nil {
		b.Fatal(err)
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		b.Fatal(err)
	}
	f.Close()
	config := baseConfig(wire.Group{Name: "web", Socket: worker, QueueLength: 1000})
	config.Listeners = []wire.Listener{{Kind: wire.ListenUnix, FD: fd, Address: front, HeaderTimeout: 20 * time.Second, BodyTimeout: time.Minute}}
	config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
	if change != nil {
		change(config)
	}
	mine, theirs := socketPair(b)
	conn := wire.NewConn(mine)
	done := make(chan error, 1)
	go func() {
		done <- Run(context.Background(), Options{Wire: theirs, Logger: hclog.NewNullLogger()})
	}()
	if err := conn.Send(&wire.Message{Type: wire.TypeConfig, Config: config}); err != nil {
		b.Fatal(err)
	}
	if m, err := conn.Receive(); err != nil || m.Type != wire.TypeReady {
		b.Fatal(m, err)
	}
	if err := conn.Send(&wire.Message{Type: wire.TypeProcess, Process: &wire.Process{Group: "web", PID: pid, Threads: 10, State: wire.ProcessReady}}); err != nil {
		b.Fatal(err)
	}
	runBenchClient(b, front, 100, conns)
	b.ResetTimer()
	before := cpuTime(b)
	runBenchClient(b, front, b.N, conns)
	used := cpuTime(b) - before
	b.StopTimer()
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
	conn.Close()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	ln.Close()

}

func isBenchChild() (string, bool) {
	role := os.Getenv(benchRole)
	return role, strings.TrimSpace(role) != ""
}

// BenchmarkRelayFloor is the same exchange without a router in it: net.Conn,
// four system calls a request and nothing looked at. What BenchmarkRouterHello
// takes beyond it is the router's own; both move with the machine.
func BenchmarkRelayFloor(b *testing.B) {
	for _, conns := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) { benchFloor(b, conns) })
	}
}

func benchFloor(b *testing.B, conns int) {
	dir := shortDir(b)
	worker, front := filepath.Join(dir, "web.sock"), filepath.Join(dir, "front.sock")
	startBenchWorker(b, worker)
	ln, err := net.Listen("unix", front)
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				relay(c, worker)
			}()
		}
	}()
	runBenchClient(b, front, 100, conns)
	b.ResetTimer()
	before := cpuTime(b)
	runBenchClient(b, front, b.N, conns)
	used := cpuTime(b) - before
	b.StopTimer()
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
	ln.Close()
	wg.Wait()
}

func relay(front net.Conn, worker string) {
	defer front.Close()
	w, err := net.Dial("unix", worker)
	if err != nil {
		return
	}
	defer w.Close()
	size := 0
	for _, p := range apacheRequest() {
		size += len(p)
	}
	buf := make([]byte, 16<<10)
	for {
		for got := 0; got < size; {
			n, err := front.Read(buf[got:])
			if err != nil {
				return
			}
			got += n
		}
		if _, err := w.Write(buf[:size]); err != nil {
			return
		}
		n, err := w.Read(buf)
		if err != nil {
			return
		}
		if _, err := front.Write(buf[:n]); err != nil {
			return
		}
	}
}
