package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
	"github.com/wsgid/wsgid/internal/status"
)

func TestMain(m *testing.M) {
	if os.Getenv(boot.Variable) != "" {
		fakeChild()
		return
	}
	os.Exit(m.Run())
}

// patience is for what surely comes; only a failing test waits so long.
const patience = time.Minute

// world is a supervisor under test with its configuration.
type world struct {
	t      *testing.T
	dir    string
	config *config.Config
	log    *logBuffer
	s      *Supervisor
	load   func() (*config.Config, error) // of reloads
	cancel context.CancelFunc
	done   chan error
	fds    int
	before goleak.Option // goroutines that were there
}

// newWorld has a listener and no group yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, dir: dir, log: &logBuffer{changed: make(chan struct{})},
		config: &config.Config{
			File: "test.hcl",
			Listeners: []config.Listener{{
				Kind: config.ListenUnix, Path: filepath.Join(dir, "front.sock"), Mode: 0o660, Backlog: 16,
			}},
			Control: config.Control{
				Path: filepath.Join(dir, "control.sock"), Mode: 0o666, PIDFile: filepath.Join(dir, "wsgid.pid"),
			},
			Log: config.Log{Format: "json", Level: "trace"},
		},
	}
}

// group adds a group in a mode of the fake worker.
func (w *world) group(name, mode string, change ...func(*config.DaemonProcess)) {
	p := config.DaemonProcess{
		Name: name, Processes: 1, Threads: 2, Umask: 0o022, Lang: "C.UTF-8", ListenBacklog: 16,
		StartupTimeout: patience, ShutdownTimeout: patience, GracefulTimeout: patience, NoNewPrivileges: true,
		Environment: map[string]string{"FAKE": mode, "EXTRA": "x"},
	}
	if os.Geteuid() == 0 {
		p.User = "#64001"
	}
	for _, f := range change {
		f(&p)
	}
	w.config.DaemonProcesses = append(w.config.DaemonProcesses, p)
}

// start runs the supervisor until it is ready; the test's end stops it.
func (w *world) start() {
	w.t.Helper()
	w.note()
	ready := make(chan struct{})
	var err error
	w.s, err = New(w.config, Options{
		Logger:  hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: w.log, JSONFormat: true}),
		Modules: []byte("modules"), Version: "1.2.3", Ready: func() { close(ready) },
		Load: w.load,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan error, 1)
	go func() { w.done <- w.s.Run(ctx) }()
	w.t.Cleanup(func() { w.stop() })
	select {
	case <-ready:
	case err := <-w.done:
		w.done <- err
		w.t.Fatalf("ended instead of being ready: %v\n%s", err, w.log)
	case <-time.After(patience):
		w.t.Fatalf("not ready\n%s", w.log)
	}
}

// note remembers what there is before the start, to find what is left at the end.
func (w *world) note() {
	w.t.Helper()
	w.fds, w.before = openDescriptors(w.t), goleak.IgnoreCurrent()
}

// stop ends the supervisor and checks that it leaves nothing.
func (w *world) stop() {
	w.t.Helper()
	if w.cancel == nil {
		return
	}
	w.cancel()
	w.cancel = nil
	w.ended()
}

// stopDuring ends the supervisor while others wait for what they have asked it;
// their goroutine ends with done.
func (w *world) stopDuring(done <-chan struct{}) {
	w.t.Helper()
	w.cancel()
	w.cancel = nil
	select {
	case <-done:
	case <-time.After(patience):
		w.t.Fatalf("somebody still waits\n%s", w.log)
	}
	w.ended()
}

func (w *world) ended() {
	w.t.Helper()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		w.t.Fatalf("does not stop\n%s", w.log)
	}
	if left := children(w.t); left != "" {
		w.t.Errorf("processes are left: %s", left)
	}
	entries, _ := os.ReadDir(w.dir)
	for _, entry := range entries {
		w.t.Errorf("%s is left", entry.Name())
	}
	awaitGoroutines(w.t, w.before)
	awaitDescriptors(w.t, w.fds)
	if w.t.Failed() {
		w.t.Log(w.log)
	}
}

// awaitGoroutines waits until there are no others than before: those of answered
// connections take a moment to end.
func awaitGoroutines(t *testing.T, before goleak.Option) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// command talks to a worker of the group.
func (w *world) command(group, line string) string {
	w.t.Helper()
	return talk(w.t, filepath.Join(w.dir, "groups", group+".sock"), line)
}

// talk writes a line to a socket and reads to the end.
func talk(t *testing.T, path, line string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(conn, line)
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// status asks the control socket.
func (w *world) status() *status.Snapshot {
	w.t.Helper()
	var snapshot status.Snapshot
	if code := w.call(http.MethodGet, "/v1/status", &snapshot); code != http.StatusOK {
		w.t.Fatalf("status %d", code)
	}
	return &snapshot
}

func (w *world) call(method, path string, into any) int {
	w.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", w.config.Control.Path)
	}}
	defer transport.CloseIdleConnections()
	request, _ := http.NewRequest(method, "http://wsgid"+path, nil)
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode
}

// await asks for the status until it is as wanted.
func (w *world) await(what string, wanted func(*status.Snapshot) bool) *status.Snapshot {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		mark := w.log.len()
		snapshot := w.status()
		if wanted(snapshot) {
			return snapshot
		}
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(snapshot, "", " ")
			w.t.Fatalf("no %s: %s\n%s", what, text, w.log)
		}
		w.log.awaitMore(mark, 100*time.Millisecond) // changes are logged
	}
}

// answered is the status with the router's part, which a router that has not
// said it within a second is shown without.
func (w *world) answered() *status.Snapshot {
	w.t.Helper()
	return w.await("answer of the router", func(s *status.Snapshot) bool { return s.Router.Answered })
}

// awaitDeath waits for the end of a process that need not be a child of this one.
func awaitDeath(t *testing.T, pid string) {
	t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(number, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 {
			t.Errorf("process %s lives on: %v", pid, err)
		}
		return
	}
}

// children lists the processes whose parent this is, read from /proc.
func children(t *testing.T) string {
	t.Helper()
	var found []string
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			found = append(found, string(data))
		}
	}
	return strings.Join(found, "\n")
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// logBuffer collects JSON log lines.
type logBuffer struct {
	mu      sync.Mutex
	data    bytes.Buffer
	changed chan struct{}
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.data.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

func (b *logBuffer) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Len()
}

func (b *logBuffer) awaitMore(mark int, limit time.Duration) {
	b.mu.Lock()
	changed, now := b.changed, b.data.Len()
	b.mu.Unlock()
	if now > mark {
		return
	}
	select {
	case <-changed:
	case <-time.After(limit):
	}
}

// all returns the fields of the lines so far whose message is the text.
func (b *logBuffer) all(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(b.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["@message"] == message {
			found = append(found, fields)
		}
	}
	return found
}

// awaitCount waits until there are so many lines with that message.
func (b *logBuffer) awaitCount(t *testing.T, message string, count int) []map[string]any {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		mark := b.len()
		if found := b.all(message); len(found) >= count {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %d times %q in\n%s", count, message, b)
		}
		b.awaitMore(mark, time.Second)
	}
}

// find waits for a line whose message is the text and returns its fields.
func (b *logBuffer) find(t *testing.T, message string) map[string]any {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		mark := b.len()
		for _, line := range strings.Split(b.String(), "\n") {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["@message"] == message {
				return fields
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no message %q in\n%s", message, b)
		}
		b.awaitMore(mark, time.Second)
	}
}
