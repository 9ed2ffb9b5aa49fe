package tests

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// balancers: two members each, of which the first listens only later.
const balancers = `
LoadModule proxy_balancer_module /usr/lib/apache2/modules/mod_proxy_balancer.so
LoadModule slotmem_shm_module /usr/lib/apache2/modules/mod_slotmem_shm.so
LoadModule lbmethod_byrequests_module /usr/lib/apache2/modules/mod_lbmethod_byrequests.so
<Proxy "balancer://aside">
  BalancerMember "unix:{{.Dir}}/late.sock|fcgi://aside/" retry=86400
  BalancerMember "unix:{{.Dir}}/raw.sock|fcgi://aside-other/"
</Proxy>
<Proxy "balancer://retried">
  BalancerMember "unix:{{.Dir}}/late.sock|fcgi://retried/" retry=0
  BalancerMember "unix:{{.Dir}}/raw.sock|fcgi://retried-other/"
</Proxy>
<Proxy "balancer://lone">
  BalancerMember "unix:{{.Dir}}/late.sock|fcgi://lone/" retry=86400
</Proxy>
<Proxy "balancer://wsgid">
  BalancerMember "unix:{{.Socket}}|fcgi://wsgid/" retry=86400
  BalancerMember "unix:{{.Dir}}/raw.sock|fcgi://standby/" status=+H
</Proxy>
ProxyPass "/plain" "unix:{{.Dir}}/late.sock|fcgi://late/"
ProxyPass "/aside" "balancer://aside"
ProxyPass "/retried" "balancer://retried"
ProxyPass "/lone" "balancer://lone"
ProxyPass "/wsgid" "balancer://wsgid"
`

// TestProxyFCGIListener: what Apache does when nobody listens, and that
// somebody does while workers and router are replaced.
func TestProxyFCGIListener(t *testing.T) {
	s := startBeside(t, func(q *backendRequest) { q.reply(plainHead + "other") }, balancers,
		group("only", "#64001", 2, 2)+mount("/wsgid", "apps/hello.py"), "hello.py")
	get := func(path string) string {
		t.Helper()
		got := s.apache.Get(path)
		if got.Status != 200 {
			return fmt.Sprint(got.Status)
		}
		return got.Text()
	}
	for path, want := range map[string]string{"/plain": "503", "/aside": "other", "/retried": "other", "/lone": "503"} {
		for range 3 {
			if got := get(path); got != want {
				t.Errorf("%s without a listener: %s, want %s", path, got, want)
			}
		}
	}
	startBackend(t, s.world.Path("late.sock"), func(q *backendRequest) { q.reply(plainHead + "late") })
	// A plain worker is asked again with the next request, and so is a lone member.
	for path, want := range map[string]string{"/plain": "late", "/lone": "late", "/aside": "other"} {
		for range 3 {
			if got := get(path); got != want {
				t.Errorf("%s with a listener: %s, want %s", path, got, want)
			}
		}
	}
	if got := []string{get("/retried"), get("/retried")}; !slices.Contains(got, "late") {
		t.Errorf("with retry=0 the member is not asked again: %q", got)
	}

	// A member that had been refused once would stay away for a day.
	ask := func(after string) {
		t.Helper()
		if got := get("/wsgid"); got != "Hello, world!\n" {
			t.Errorf("%s: %s", after, got)
		}
	}
	ask("at first")
	before := s.wsgid.AwaitReady("only")
	s.wsgid.NoteSessions()
	for what, pid := range map[string]int{"the router": before.RouterPID, "a worker": before.PIDs("only")[0]} {
		s.wsgid.AwaitIdle()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, what+" is dead", func() error {
			if harness.Alive(pid) {
				return errNotYet
			}
			return nil
		})
		for range 5 {
			ask("after the death of " + what)
		}
	}
	s.wsgid.AwaitStatus("router and worker are others", func(now harness.Status) error {
		if now.RouterPID == before.RouterPID || now.Router.State != "ready" || len(now.PIDs("only")) != 2 || slices.Contains(now.PIDs("only"), before.PIDs("only")[0]) {
			return errNotYet
		}
		return nil
	})
	ask("after both")
}

// TestProxyFCGIClientLeaves: Apache does not notice while the backend is
// silent, and hangs up on one that streams.
func TestProxyFCGIClientLeaves(t *testing.T) {
	arrived, events, answer := make(chan *backendRequest), make(chan string, 3), make(chan struct{})
	s := startBeside(t, func(q *backendRequest) {
		switch q.params["SCRIPT_NAME"] {
		case "/raw/silent":
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = q.conn.Read(make([]byte, 1)) // until Apache hangs up
				events <- "hung up"
			}()
			arrived <- q
			<-answer
			events <- "answered"
			q.reply(plainHead + "late")
			<-ended
		case "/raw-flush/streams":
			for q.send(fcgiStdout, plainHead) == nil {
			}
			events <- "refused"
		default:
			q.reply(plainHead + "other")
		}
	}, "", group("only", "#64001", 1, 1)+group("limited", "#64002", 1, 1, `request_timeout = "1s"`)+
		mount("/silent", "apps/gate.py", option("process_group", "only"))+mount("/limited", "apps/gate.py", option("process_group", "limited"))+
		mount("/flush/streams", "apps/endless.py", option("process_group", "only")), "gate.py", "endless.py")

	t.Run("backend silent", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error)
		begin := func(path string) {
			go func() {
				_, err := s.apache.Try(ctx, "GET", path, nil)
				gone <- err
			}()
		}
		begin("/raw/silent")
		<-arrived
		begin(fmt.Sprintf("/silent?started=%s&gate=%s", s.world.Path("open/started"), s.world.Path("open/gate")))
		awaitFile(t, s.world.Path("open/started"))
		limited := make(chan struct{})
		go func() {
			defer close(limited)
			// It may have its 504 before it leaves.
			_, _ = s.apache.Try(ctx, "GET", fmt.Sprintf("/limited?started=%s&gate=%s", s.world.Path("open/limited"), s.world.Path("open/gate")), nil)
		}()
		awaitFile(t, s.world.Path("open/limited"))
		leave()
		<-limited
		for range 2 {
			if err := <-gone; err == nil {
				t.Error("the client was answered before it left")
			}
		}
		for range 10 { // time enough to tell the backend, if Apache did
			s.apache.Get("/raw/other")
		}
		if busy := s.wsgid.Status().Group("only").ThreadsBusy; busy != 1 {
			t.Errorf("%d threads are busy, want 1", busy)
		}
		answer <- struct{}{}
		if first, second := <-events, <-events; first != "answered" || second != "hung up" {
			t.Errorf("%s, then %s", first, second)
		}
		// The time limit is wsgid's own.
		s.wsgid.AwaitStatus("request_timeout has ended the request that has one", func(status harness.Status) error {
			if limited, only := status.Group("limited"), status.Group("only"); limited.ThreadsBusy != 0 || only.ThreadsBusy != 1 {
				return fmt.Errorf("%d and %d busy", limited.ThreadsBusy, only.ThreadsBusy)
			}
			return nil
		})
		s.wsgid.Log.Await(t, "the time limit", harness.Containing("WSGID-1120"))
		s.world.Write("open/gate", "")
		s.wsgid.AwaitIdle()
	})
	t.Run("backend streams", func(t *testing.T) {
		for path, end := range map[string]func(){
			"/raw-flush/streams": func() {
				if event := <-events; event != "refused" {
					t.Error(event)
				}
			},
			"/flush/streams?closed=" + s.world.Path("open/closed"): func() {
				awaitFile(t, s.world.Path("open/closed"))
				s.wsgid.AwaitIdle()
			},
		} {
			response := s.streamed(t, path)
			if _, err := io.CopyN(io.Discard, response.Body, 1000); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			response.Body.Close()
			end()
		}
	})
}

// TestProxyFCGIGraceful: a response that runs while Apache is restarted
// gracefully comes whole.
func TestProxyFCGIGraceful(t *testing.T) {
	s := startBeside(t, func(*backendRequest) {}, "ServerLimit 3\n",
		group("only", "#64001", 1, 2)+mount("/flush", "apps/stream.py")+mount("/", "apps/hello.py"), "stream.py", "hello.py")
	gate := s.world.Write("gate", "")
	response := s.streamed(t, "/flush?count=2&gate="+gate)
	first := make([]byte, len("chunk 0\n"))
	if _, err := io.ReadFull(response.Body, first); err != nil {
		t.Fatal(err)
	}
	pid := numbers(t, readFile(t, s.world.Path("httpd/httpd.pid")))[0]
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "Apache is restarted", func() error {
		if strings.Count(readFile(t, s.apache.ErrorLog), "resuming normal operations") < 2 {
			return errNotYet
		}
		return nil
	})
	s.apache.HTTP.CloseIdleConnections()
	if got := s.apache.Get("/"); got.Status != 200 {
		t.Errorf("beside it: %d %s", got.Status, got.Body)
	}
	if err := os.WriteFile(gate, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(response.Body)
	if err != nil || string(first)+string(rest) != "chunk 0\nchunk 1\n" {
		t.Errorf("%q %q %v", first, rest, err)
	}
}
