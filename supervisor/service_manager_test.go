package supervisor

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/config"
)

// managed has the supervisor notify a service manager with a watchdog.
func managed(t *testing.T, w *world) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify") // not among what wsgid has to take away
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	return conn
}

// told reads what the service manager is told until a message begins so.
func told(t *testing.T, conn *net.UnixConn, until string) (before []string, last string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("no %s: %v; before it %q", until, err, before)
		}
		if last = string(buf[:n]); strings.HasPrefix(last, until) {
			return before, last
		}
		before = append(before, last)
	}
}

// TestServiceManager: it hears of the start, how all is, and again and again that wsgid
// is alive; a reload shows.
func TestServiceManager(t *testing.T) {
	w := newWorld(t)
	conn := managed(t, w)
	w.group("web", "ok")
	w.reloadable(copyOf(w.config, func(c *config.Config) { c.DaemonProcesses[0].Processes = 2 }))
	w.start()
	if before, _ := told(t, conn, "READY=1"); len(before) > 0 {
		t.Errorf("before it is ready: %q", before)
	}
	if _, line := told(t, conn, "STATUS="); line != "STATUS=1 of 1 process groups ready, 0 requests in flight, 4 queued, generation 1" {
		t.Error(line)
	}
	for range 3 {
		told(t, conn, "WATCHDOG=1")
	}
	if outcome := w.s.Reload(nil); outcome.Error != "" {
		t.Fatalf("%+v", outcome)
	}
	told(t, conn, "RELOADING=1")
	shown := "" // last
	for ready := false; !ready || !strings.HasSuffix(shown, ", generation 2"); {
		switch _, message := told(t, conn, ""); {
		case message == "READY=1":
			ready = true
		case strings.HasPrefix(message, "STATUS="):
			shown = message
		case message != "WATCHDOG=1":
			t.Errorf("%q", message)
		}
	}
	told(t, conn, "WATCHDOG=1")
}

// TestWatchdogOfMute: a router that does not answer keeps the watchdog from being told
// that all is well.
func TestWatchdogOfMute(t *testing.T) {
	w := newWorld(t)
	conn := managed(t, w)
	w.group("web", "ok")
	w.config.Router.PythonPath = []string{"mute"}
	w.start()
	before, _ := told(t, conn, "STATUS=")
	w.stop()
	after, _ := told(t, conn, "STOPPING=1")
	for _, message := range append(before, after...) {
		if message == "WATCHDOG=1" {
			t.Errorf("%q %q", before, after)
		}
	}
}
