package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
)

// isolated configures a dispatch helper in a mode of the fake one.
func (w *world) isolated(mode string) {
	w.config.Dispatch = &config.Dispatch{Isolation: config.IsolationProcess}
	w.config.DispatchScripts = []config.DispatchScript{{Path: "/etc/d.py"}}
	w.config.Router.PythonPath = []string{mode}
	if os.Geteuid() == 0 {
		w.config.Router.User, w.config.Dispatch.User, w.config.Dispatch.Group = "#64003", "#64008", "#64009"
	}
}

func (w *world) helperSocket() string { return filepath.Join(w.dir, "groups", helperSocketName) }

// TestDispatchHelper: it runs as its own user, is told whom to serve, is
// replaced when it ends, and every router is told of it.
func TestDispatchHelper(t *testing.T) {
	w := newWorld(t)
	w.isolated("helper")
	w.start()
	h := w.answered().DispatchHelper
	if h == nil || h.State != "ready" || h.PID == 0 || h.Python != "3.11.2" || h.Calls != 7 || h.RSSBytes == 0 || sum(h.Restarts) != 0 {
		t.Fatalf("helper is %+v", h)
	}
	want := fmt.Sprintf("%d %d %d [] %d", h.PID, os.Getuid(), os.Getgid(), os.Getuid())
	if os.Geteuid() == 0 {
		want = fmt.Sprintf("%d 64008 64009 [] 64003", h.PID)
		if h.UID != 64008 {
			t.Errorf("status says uid %d", h.UID)
		}
		info, err := os.Stat(w.helperSocket())
		if err != nil || info.Mode().Perm() != 0o660 || info.Sys().(*syscall.Stat_t).Gid != 64003 {
			t.Errorf("socket %v, %v", info, err)
		}
	}
	if got := talk(t, w.helperSocket(), ""); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	talk(t, w.helperSocket(), "exit")
	h = w.await("another helper", func(s *status.Snapshot) bool {
		return s.DispatchHelper.State == "ready" && s.DispatchHelper.Restarts["crash"] == 1
	}).DispatchHelper
	if h.LastExit == nil || h.LastExit.Status != 7 {
		t.Errorf("last exit %+v", h.LastExit)
	}
	if got := talk(t, w.helperSocket(), ""); !strings.HasPrefix(got, strconv.Itoa(h.PID)+" ") {
		t.Errorf("it says %q, the helper is %d", got, h.PID)
	}
	w.routerToldOf(h.PID, 1)
	if err := syscall.Kill(w.status().Router.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.await("another router", func(s *status.Snapshot) bool { return s.Router.Restarts["crash"] == 1 && s.Router.Answered })
	w.routerToldOf(h.PID, 2)
}

// TestDispatchHelperUnfit: the router's word ends it, and only the one it means.
func TestDispatchHelperUnfit(t *testing.T) {
	for mode, restarts := range map[string]uint64{"helper-unfit": 1, "helper-other": 0} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			w.isolated(mode)
			w.start()
			h := w.await("ready helper", func(s *status.Snapshot) bool {
				return s.Router.Answered && s.DispatchHelper.State == "ready" && sum(s.DispatchHelper.Restarts) == restarts
			}).DispatchHelper
			if restarts == 0 {
				return
			}
			if h.Restarts[exitreason.Unresponsive.String()] != 1 || h.LastExit.Signal != "SIGKILL" || h.LastExit.PID == h.PID {
				t.Errorf("helper is %+v, its predecessor %+v", h, h.LastExit)
			}
			if line := w.log.find(t, "dispatch helper is replaced"); line["reason"] != "half of the calls are lost" {
				t.Errorf("%v", line)
			}
		})
	}
}

// TestDispatchHelperCannotStart: what it says about its first start ends wsgid.
func TestDispatchHelperCannotStart(t *testing.T) {
	w := newWorld(t)
	w.isolated("helper-failed")
	s, err := New(w.config, Options{Logger: testLogger(w.log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := testContext()
	defer cancel()
	if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "dispatch helper cannot start: no libpython for scripts") {
		t.Errorf("%v", err)
	}
}

// TestDispatchHelperBacksOff: one that ends without a word is started ever more
// rarely, and wsgid is up meanwhile.
func TestDispatchHelperBacksOff(t *testing.T) {
	w := newWorld(t)
	w.isolated("helper-crash")
	w.start()
	h := w.await("back-off", func(s *status.Snapshot) bool {
		return s.DispatchHelper.State == "backoff" && s.DispatchHelper.Restarts["crash"] >= 3
	}).DispatchHelper
	if h.Backoff <= 0 || h.PID != 0 || h.LastExit.Status != 5 {
		t.Errorf("helper is %+v", h)
	}
}

// TestDispatchHelperUser: by default it is nobody, which must not be the router.
func TestDispatchHelperUser(t *testing.T) {
	if _, err := lookupUser("nobody"); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{
		Router:   config.Router{User: "#64001"},
		Dispatch: &config.Dispatch{Isolation: config.IsolationProcess}, DispatchScripts: []config.DispatchScript{{Path: "/etc/d.py"}},
	}
	p, err := makePlan(cfg, "1", users{})
	if err != nil || p.helper == nil || p.helper.User != "nobody" || p.helper.UID == 64001 {
		t.Errorf("%+v, %v", p, err)
	}
	if p.wire.Embedded.Needed {
		t.Error("the router loads a Python of its own")
	}
	cfg.Router.User = "nobody"
	if _, err = makePlan(cfg, "1", users{}); err == nil || !strings.Contains(err.Error(), "name a user of their own with the option user") {
		t.Errorf("the router's own user: %v", err)
	}
	cfg.DispatchScripts = nil
	if p, err = makePlan(cfg, "1", users{}); err != nil || p.helper != nil {
		t.Errorf("nothing to evaluate: %+v, %v", p, err)
	}
}

// TestScriptsOfTheHelperStayOutside: with a helper no script brings a mount
// into the router that restrict_process does not name.
func TestScriptsOfTheHelperStayOutside(t *testing.T) {
	mount := config.ScriptAlias{Prefix: "/", Target: "/x.wsgi", ProcessGroup: "a"}
	mount.DispatchScript = "/etc/d.py"
	cfg := &config.Config{ScriptAliases: []config.ScriptAlias{mount}, DispatchScripts: []config.DispatchScript{{Path: "/etc/d.py"}}}
	if got := embeddedOf(cfg); len(got.Scripts) != 1 {
		t.Errorf("without helper %+v", got.Scripts)
	}
	cfg.Dispatch = &config.Dispatch{Isolation: config.IsolationProcess}
	if got := embeddedOf(cfg); got.Needed || got.Scripts != nil {
		t.Errorf("with helper %+v", got.Scripts)
	}
	cfg.ScriptAliases[0].RestrictProcess = []string{"a", global}
	if got := embeddedOf(cfg); !got.Needed || len(got.Scripts) != 1 {
		t.Errorf("with helper and leave %+v", got.Scripts)
	}
}

func sum(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// routerToldOf waits until n routers have been told that a helper is ready.
func (w *world) routerToldOf(pid, n int) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		mark, seen := w.log.len(), 0
		for line := range strings.Lines(w.log.String()) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["@message"] == "helper" && fields["ready"] == true &&
				fields["helper"] == float64(pid) && fields["python"] == "3.11.2" {
				seen++
			}
		}
		if seen == n {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d routers were told of helper %d, want %d\n%s", seen, pid, n, w.log)
		}
		w.log.awaitMore(mark, time.Second)
	}
}
