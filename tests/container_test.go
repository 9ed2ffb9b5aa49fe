package tests

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// containerWorld runs wsgid as process 1, with a request at the gate.
func containerWorld(t *testing.T) (w *harness.World, wsgid *harness.Wsgid, apache *harness.Apache, answer <-chan *harness.Response) {
	harness.NeedRoot(t)
	w = newWorld(t)
	w.App("gate.py")
	w.App("fork_children.py")
	openDirectory(t, w, "open")
	w.Configure(group("only", "#64001", 2, 3, `shutdown_timeout = "60s"`) + mount("/fork", "apps/fork_children.py") + mount("/", "apps/gate.py"))
	wsgid = w.Start(harness.Options{Container: true})
	apache = w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if s := wsgid.AwaitReady("only"); s.PID != 1 {
		t.Fatalf("wsgid is process %d", s.PID)
	}
	done := make(chan *harness.Response, 1)
	go func() {
		response, _ := apache.Try(t.Context(), "POST", fmt.Sprintf("/?started=%s&gate=%s", w.Path("open/started"), w.Path("open/gate")), nil)
		done <- response
	}()
	awaitFile(t, w.Path("open/started"))
	return w, wsgid, apache, done
}

// TestContainer: process 1 of a container reaps orphans of which it has never
// heard, and SIGTERM lets what runs finish.
func TestContainer(t *testing.T) {
	w, wsgid, apache, answer := containerWorld(t)
	children := func(state string) (found []harness.Process) {
		for _, process := range harness.Processes() {
			if process.Parent == wsgid.PID && (process.State == "Z") == (state == "Z") {
				found = append(found, process)
			}
		}
		return found
	}
	own := len(children(""))
	// As with docker exec: its parent is outside.
	if out, err := exec.Command("nsenter", "--target", fmt.Sprint(wsgid.PID), "--pid", "--mount", "/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 &").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if got := children(""); len(got) != own+1 {
		t.Fatalf("children of process 1: %v, %d were before", got, own)
	}
	for _, process := range children("") {
		if process.Command == "sleep 1000" {
			if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	harness.Eventually(t, "the orphans are reaped", func() error {
		if zombies := children("Z"); len(zombies) != 0 || len(children("")) != own {
			return fmt.Errorf("zombies %v, children %v", zombies, children(""))
		}
		return nil
	})
	wantStatus(t, "an application that forks", apache.Get("/fork"), 200)
	mark := wsgid.Log.Mark()
	wsgid.NoteSessions()
	if err := syscall.Kill(wsgid.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wsgid.Log.AwaitFrom(t, mark, "the stop", harness.Containing("router is stopping"))
	w.Write("open/gate", "")
	if got := <-answer; got == nil || got.Status != 200 {
		t.Errorf("the request that ran: %+v", got)
	}
	if code := wsgid.AwaitExit(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	wsgid.AssertGone()
}

// TestContainerSecondSignal: a second SIGTERM ends process 1, and all with it,
// although the kernel protects it from signals.
func TestContainerSecondSignal(t *testing.T) {
	_, wsgid, _, answer := containerWorld(t)
	wsgid.NoteSessions()
	mark := wsgid.Log.Mark()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if err := syscall.Kill(wsgid.PID, signal); err != nil {
			t.Fatal(err)
		}
		if signal == syscall.SIGTERM {
			wsgid.Log.AwaitFrom(t, mark, "the stop", harness.Containing("router is stopping"))
		}
	}
	if code := wsgid.AwaitExit(); code != 128+int(syscall.SIGINT) {
		t.Errorf("it ended with %d", code)
	}
	<-answer
	harness.Eventually(t, "nothing runs any more", func() error {
		if left := wsgid.Mine(); len(left) != 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	wsgid.Abandon()
}

// TestSecondSignal: the same without a container, by the signal itself.
func TestSecondSignal(t *testing.T) {
	w := newWorld(t)
	w.App("ignore_sigterm.py")
	openDirectory(t, w, "open")
	w.Configure(group("only", "#64001", 1, 3, `shutdown_timeout = "60s"`) + mount("/", "apps/ignore_sigterm.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = apache.Try(t.Context(), "POST", "/stuck?started="+w.Path("open/started"), nil)
	}()
	awaitFile(t, w.Path("open/started"))
	wsgid.NoteSessions()
	mark := wsgid.Log.Mark()
	for range 2 {
		if err := syscall.Kill(wsgid.PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		wsgid.Log.AwaitFrom(t, mark, "the stop", harness.Containing("router is stopping"))
	}
	if code := wsgid.AwaitExit(); code != -1 { // by the signal
		t.Errorf("it ended with %d", code)
	}
	<-done
	harness.Eventually(t, "nothing runs any more", func() error {
		if left := wsgid.Mine(); len(left) != 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	wsgid.Abandon()
}
