package dispatch

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// BenchmarkRouterTracing is BenchmarkRouterHello with traces: none, ids alone, and
// spans that a collector takes, whose CPU time does not count.
func BenchmarkRouterTracing(b *testing.B) {
	for _, c := range []struct {
		name   string
		config func(b *testing.B) *wire.Tracing
	}{
		{"off", func(*testing.B) *wire.Tracing { return nil }},
		{"ids", func(*testing.B) *wire.Tracing { return &wire.Tracing{Sample: 1} }},
		{"spans", func(b *testing.B) *wire.Tracing {
			return &wire.Tracing{Sample: 1, Endpoint: startBenchCollector(b), Timeout: 10 * time.Second, Resource: map[string]string{"service.name": "wsgid"}}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			benchHello(b, 16, func(config *wire.RouterConfig) { config.Tracing = c.config(b) })
		})
	}
}

// startBenchCollector runs a collector that drops what it gets until the benchmark ends.
func startBenchCollector(b *testing.B) (url string) {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.File()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(exe)
	cmd.Env, cmd.Stderr, cmd.ExtraFiles = append(os.Environ(), benchRole+"=collector"), os.Stderr, []*os.File{f}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return "http://" + ln.Addr().String() + "/v1/traces"
}

func benchCollector() error {
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin) // the benchmark's end is ours
		ln.Close()
	}()
	err = http.Serve(ln, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// BenchmarkTrace is what traces take of a request in the router, less all that it
// does with sockets: compare with off. The exporter of spans has nobody to send to.
func BenchmarkTrace(b *testing.B) {
	for name, config := range map[string]*wire.Tracing{"off": nil, "ids": {Sample: 1}, "spans": {Sample: 1, Endpoint: "http://127.0.0.1:1/"}} {
		for _, caller := range []bool{false, true} {
			b.Run(name+map[bool]string{true: " taken over", false: " made"}[caller], func(b *testing.B) { benchTrace(b, config, caller) })
		}
	}
}

func benchTrace(b *testing.B, config *wire.Tracing, caller bool) {
	r := &Router{config: baseConfig()}
	if config != nil {
		r.tracer = newTracer(config, "1.2", hclog.NewNullLogger())
	}
	at := newMountTable([]wire.Mount{fileMount("/", "/srv/site.wsgi", "web")})[0]
	params := apacheRequest()[1][protocol.HeaderLen:]
	if caller {
		params = protocol.AppendPair(params, "HTTP_TRACEPARENT", callerText)
	}
	x := &exchange{router: r, out: make([]byte, 0, 4096)}
	route := newRoute(newGroup(&Router{log: hclog.NewNullLogger()}, wire.Group{Name: "web"}, false), "", "application", at)
	b.ReportAllocs()
	for range b.N {
		if x.read(params, protocol.Limits{}) != nil {
			b.Fatal("malformed")
		}
		x.target, x.route = target{mount: at, script: "/srv/site.wsgi"}, *route
		x.out = x.appendHead(x.out)
		x.finishHead(false)
		begun := x.span.now()
		if x.span.records() {
			x.account.meter.take(helloReply[protocol.HeaderLen:])
		}
		x.attemptSpan(begun, 1234, attemptDone)
		x.endSpan(answered)
	}
}
