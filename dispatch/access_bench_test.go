package dispatch

import (
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// BenchmarkRouterAccessLog is BenchmarkRouterHello with an access log, which another
// process reads: what it takes beyond that is the log's.
func BenchmarkRouterAccessLog(b *testing.B) {
	for _, format := range []string{"", "combined", "json"} {
		for _, conns := range []int{1, 16} {
			b.Run(fmt.Sprintf("format=%s/conns=%d", format, conns), func(b *testing.B) {
				benchHello(b, conns, func(c *wire.RouterConfig) {
					if format == "" {
						return
					}
					read, fd := accessPipe(b)
					reader := exec.Command("cat")
					reader.Stdin = read
					if err := reader.Start(); err != nil {
						b.Fatal(err)
					}
					read.Close()
					b.Cleanup(func() {
						if err := reader.Wait(); err != nil {
							b.Error(err)
						}
					})
					c.AccessFiles = []wire.AccessFile{{Path: "/log", FD: fd}}
					c.AccessLogs = []wire.AccessLog{{Format: format}}
				})
			})
		}
	}
}

// BenchmarkAccessLine is what the log adds to one request, without the others that
// make BenchmarkRouterAccessLog waver.
func BenchmarkAccessLine(b *testing.B) {
	for _, format := range []string{"combined", "json"} {
		b.Run(format, func(b *testing.B) {
			read, fd := accessPipe(b)
			go io.Copy(io.Discard, read) // until the pipe is closed
			c := &wire.RouterConfig{AccessFiles: []wire.AccessFile{{Path: "/log", FD: fd}}, AccessLogs: []wire.AccessLog{{Format: format}}}
			r := &Router{log: hclog.NewNullLogger(), config: c}
			if err := r.openAccessLogs(); err != nil {
				b.Fatal(err)
			}
			defer r.access.close()
			x := &exchange{router: r, listener: &listener{Listener: wire.Listener{Address: "/run/front.sock"}}, role: protocol.Responder}
			content := apacheRequest()[1][protocol.HeaderLen:]
			if rd := x.read(content, protocol.Limits{}); rd != nil {
				b.Fatal(rd)
			}
			x.path = x.env.urlPath(nil)
			answer := []byte("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello World\n")
			b.ReportAllocs()
			for b.Loop() {
				x.account = account{}
				x.account.meter.take(answer)
				x.logAccess(answered, true)
				for heldBy(r.access.files[0]) > accessLimit/2 { // nothing is to be lost
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
}

func heldBy(f *accessFile) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiting)
}
