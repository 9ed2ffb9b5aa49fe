package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestWaitWithoutThreads: a child costs a descriptor and no thread, and the
// exit of each is noticed.
func TestWaitWithoutThreads(t *testing.T) {
	reaper, err := newReaper(hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer reaper.close()
	const count = 100
	before := threadsOfThis(t)
	children := make([]*child, count)
	for i := range children {
		children[i] = sleeping(t, reaper)
		go children[i].wait(reaper)
	}
	for i, c := range children { // one after the other: many that are awake at once may make threads
		if i%2 == 0 {
			c.kill()
		} else {
			c.signal(syscall.SIGTERM)
		}
		<-c.exited
		if c.waitErr != nil || c.wasKilled() != (c.state.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL) {
			t.Errorf("%v %v, killed %v", c.state, c.waitErr, c.wasKilled())
		}
	}
	// The runtime keeps the threads that it has once made.
	if more := threadsOfThis(t) - before; more > count/2 {
		t.Errorf("%d threads more for %d children", more, count)
	}
}

// TestAwaitExit: both ways to wait leave the zombie, which keeps the number.
func TestAwaitExit(t *testing.T) {
	reaper, err := newReaper(hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer reaper.close()
	for name, await := range map[string]func(int) error{
		"poller": awaitExit,
		"thread": func(pid int) error { awaitExitOnThread(pid); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := sleeping(t, reaper)
			waited := make(chan error)
			go func() { waited <- await(c.pid) }()
			select {
			case err := <-waited:
				t.Fatalf("it did not wait: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			c.kill()
			if err := <-waited; err != nil {
				t.Error(err)
			}
			if exited, err := hasExited(c.pid); !exited || err != nil {
				t.Errorf("no zombie is left: %v, %v", exited, err)
			}
			c.wait(reaper)
			if c.waitErr != nil {
				t.Error(c.waitErr)
			}
			late := &child{pid: 1 << 30, reaped: true}
			if late.kill(); late.wasKilled() {
				t.Error("a number that may be somebody else's was killed")
			}
		})
	}
}

// TestNothingIsLeftOfAKilledGroup: when the reaper has ended, the descendants
// of its children have too, those included that need a moment to die.
func TestNothingIsLeftOfAKilledGroup(t *testing.T) {
	const count = 20
	for range count {
		reaper, err := newReaper(hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := starting(t, reaper, []*os.File{nil, write}, "/bin/sh", "-c", "for i in 1 2 3 4; do sleep 1000 & done; echo started; wait")
		write.Close()
		if n, err := read.Read(make([]byte, 16)); n == 0 || err != nil {
			t.Fatal(err)
		}
		read.Close()
		c.kill()
		c.wait(reaper)
		reaper.close()
		if err := syscall.Kill(-c.pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("the process group is left: %v", err)
		}
	}
}

// sleeping starts a child that does nothing, in a process group of its own.
func sleeping(t *testing.T, r *reaper) *child {
	t.Helper()
	return starting(t, r, nil, "/bin/sleep", "1000")
}

// starting starts a program in a process group of its own.
func starting(t *testing.T, r *reaper, files []*os.File, program string, arguments ...string) *child {
	t.Helper()
	c := &child{started: time.Now(), exited: make(chan struct{})}
	err := r.starting(c, func() (int, error) {
		var err error
		c.process, err = os.StartProcess(program, append([]string{program}, arguments...), &os.ProcAttr{
			Files: files,
			Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
		})
		if err != nil {
			return 0, err
		}
		c.pid = c.process.Pid
		return c.pid, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func threadsOfThis(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

func TestMemoryEvents(t *testing.T) {
	mount := t.TempDir()
	if err := os.MkdirAll(filepath.Join(mount, "system.slice/wsgid.service"), 0o755); err != nil {
		t.Fatal(err)
	}
	counter := filepath.Join(mount, "system.slice/wsgid.service/memory.events")
	write := func(text string) {
		if err := os.WriteFile(counter, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("low 0\noom 7\noom_kill 2\noom_group_kill 9\n")
	for _, row := range []struct{ cgroups, want string }{
		{"0::/system.slice/wsgid.service\n", counter},
		{"3:memory:/x\n0::/system.slice/wsgid.service\n", counter},
		{"0::/\n", ""},
		{"3:memory:/system.slice/wsgid.service\n", ""},
		{"", ""},
	} {
		if got := memoryEvents(row.cgroups, mount); got != row.want {
			t.Errorf("%q gives %q, want %q", row.cgroups, got, row.want)
		}
	}
	c := &oomCounter{path: counter}
	c.last = c.read()
	if c.happened() {
		t.Error("it moved before anything happened")
	}
	write("oom_kill 3\n")
	if !c.happened() || c.happened() {
		t.Error("one move is not told exactly once")
	}
	if (&oomCounter{}).happened() {
		t.Error("a counter that does not exist has moved")
	}
}
