package supervisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/config"
)

// ordinary is an account that every Linux has.
const ordinary = 65534

// TestAsOrdinaryUser runs the tests that are meaningful without root again,
// in a process of an ordinary user.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		return // this whole run is one
	}
	command := exec.Command("/proc/self/exe", "-test.run", "^(TestLifeCycle|TestCrashedWorkerIsReplaced|TestRetiringWorkerIsReplaced|"+
		"TestLogsOfChildren|TestSocketsAndDirectories|TestOtherUserIsRefused|TestListenUnix)$", "-test.v")
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
	out, err := command.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 7 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestOtherUserIsRefused(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) { p.User = "root" })
	err := Check(w.config)
	want := "uid 0"
	if os.Geteuid() != 0 {
		want = "not started as root"
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `daemon_process "web"`) {
		t.Errorf("Check: %v", err)
	}
}

// TestStrangerMayOnlyLook connects to the control socket as somebody whom the
// mode of the file lets in.
func TestStrangerMayOnlyLook(t *testing.T) {
	if path := os.Getenv("WSGID_TEST_CONTROL"); path != "" {
		w := &world{t: t, config: &config.Config{Control: config.Control{Path: path}}}
		var answer map[string]any
		if code := w.call("GET", "/v1/version", &answer); code != 200 {
			t.Errorf("GET: %d %v", code, answer)
		}
		if code := w.call("POST", "/v1/stop", &answer); code != 403 || answer["error"] == nil {
			t.Errorf("POST: %d %v", code, answer)
		}
		return
	}
	if os.Geteuid() != 0 {
		return // nobody else to be
	}
	w := newWorld(t)
	w.start()
	// The reaper in this process takes only what nobody owns.
	var state *os.ProcessState
	out, err := os.CreateTemp("", "wsgid-out")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	var child *os.Process
	err = w.s.launcher.reaper.starting(nil, func() (int, error) {
		child, err = os.StartProcess("/proc/self/exe", []string{"test", "-test.run", "^TestStrangerMayOnlyLook$"}, &os.ProcAttr{
			Dir: "/", Env: []string{"WSGID_TEST_CONTROL=" + w.config.Control.Path}, Files: []*os.File{nil, out, out},
			Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}},
		})
		if err != nil {
			return 0, err
		}
		return child.Pid, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitExit(child.Pid); err != nil {
		t.Fatal(err)
	}
	w.s.launcher.reaper.reap(child.Pid, func() { state, err = child.Wait() })
	if err != nil || !state.Success() {
		said, _ := os.ReadFile(out.Name())
		t.Errorf("%v %v\n%s", err, state, said)
	}
	if s := w.status(); s.State != "ready" {
		t.Errorf("state %s", s.State)
	}
}

func TestKilledSupervisorIsCleanedUp(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	groups := filepath.Join(w.dir, "groups")
	if err := os.MkdirAll(groups, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		filepath.Join(groups, "web.sock"), filepath.Join(groups, "old.sock"), w.config.Listeners[0].Path, w.config.Control.Path,
	} {
		socket, err := listenUnix(socketSpec{path: path, mode: 0o600, uid: -1, gid: -1, backlog: 1})
		if err != nil {
			t.Fatal(err)
		}
		socket.file.Close()
	}
	w.start()
	if _, err := os.Stat(filepath.Join(groups, "old.sock")); err == nil {
		t.Error("a dead socket is left")
	}
}
