package harness

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Wsgid is a running `wsgid run` (or serve).
type Wsgid struct {
	// PID of the supervisor.
	PID int
	// Log is what it writes to standard error.
	Log *Log

	world    *World
	command  *exec.Cmd
	notify   *notify
	exited   chan struct{} // closed after Wait
	sessions map[int]bool  // every session that a child of it led
	base     int           // descriptors of the supervisor when it was ready
	stopped  bool
	tolerate bool
}

// Options of Start.
type Options struct {
	// Args replaces run --config wsgid.hcl.
	Args []string
	// Wrapper is a command that executes wsgid, whose words come behind its own.
	Wrapper []string
	// UID, when not 0, starts wsgid as this ordinary user (and group).
	UID int
	// Environment is added to a small clean one.
	Environment []string
	// Container starts it as process 1 of a PID namespace with a /proc of its own.
	// The pids that it tells of are numbers in there. Needs root.
	Container bool
	// Crashes: a crash report in the log (sanitizer, panic, fatal error) is
	// what the test wants to see.
	Crashes bool
}

// Start starts wsgid with the world's configuration, waits until it says that
// it is ready, and stops and examines it at the end of the test.
func (w *World) Start(options Options) *Wsgid {
	w.T.Helper()
	d := w.Launch(options)
	select {
	case <-d.notify.ready:
	case <-d.exited:
		<-d.Log.Closed()
		w.T.Fatalf("wsgid ended instead of being ready: %v", d.command.ProcessState)
	case <-time.After(Patience):
		w.T.Fatal("wsgid does not say READY=1")
	}
	d.base = Descriptors(d.PID)
	d.NoteSessions()
	return d
}

// Launch starts wsgid and does not wait.
func (w *World) Launch(options Options) *Wsgid {
	w.T.Helper()
	args := options.Args
	if args == nil {
		args = []string{"run", "--config", w.Path("wsgid.hcl")}
	}
	reader, writer, err := os.Pipe()
	w.must(err)
	d := &Wsgid{
		world: w, notify: newNotify(w.T, w.Path("notify.sock")), exited: make(chan struct{}),
		sessions: map[int]bool{}, tolerate: options.Crashes,
	}
	if options.Container {
		options.Wrapper = append([]string{"/bin/sh", "-c", `mount -t proc proc /proc && exec "$0" "$@"`}, options.Wrapper...)
	}
	words := slices.Concat(options.Wrapper, []string{w.Binary}, args)
	d.command = exec.Command(words[0], words[1:]...)
	d.command.Dir = w.Dir
	d.command.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"NOTIFY_SOCKET=" + d.notify.path,
	}, options.Environment...)
	if asan := os.Getenv("ASAN_OPTIONS"); asan != "" {
		d.command.Env = append(d.command.Env, "ASAN_OPTIONS="+asan)
	}
	d.command.Stderr = writer
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if options.Container {
		d.command.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
		d.command.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	if options.UID != 0 {
		id := uint32(options.UID)
		d.command.SysProcAttr.Credential = &syscall.Credential{Uid: id, Gid: id}
		w.must(os.Chown(w.Path("run"), options.UID, options.UID))
	}
	d.Log = newLog(reader)
	err = d.command.Start()
	writer.Close()
	if err != nil {
		d.notify.close()
		w.T.Fatal(err)
	}
	d.PID = d.command.Process.Pid
	go func() {
		_ = d.command.Wait() // the state is read from ProcessState
		close(d.exited)
	}()
	w.T.Cleanup(d.finish)
	return d
}

// Exited is closed when the supervisor has ended.
func (d *Wsgid) Exited() <-chan struct{} { return d.exited }

// AwaitExit waits for the end of the supervisor and returns its exit status.
func (d *Wsgid) AwaitExit() int {
	d.world.T.Helper()
	select {
	case <-d.exited:
		return d.command.ProcessState.ExitCode()
	case <-time.After(Patience):
		d.world.T.Fatal("wsgid does not end")
		return -1
	}
}

// NotifyMessages are the lines that it sent to sd_notify so far.
func (d *Wsgid) NotifyMessages() []string { return d.notify.messages() }

// NoteSessions remembers the sessions of all its processes, so that what they
// leave behind is recognised later. Stop calls it; a test calls it before it
// makes a process disappear.
func (d *Wsgid) NoteSessions() {
	for _, process := range Processes() {
		if process.Executable == d.world.Binary && process.PID != d.PID && process.Session == process.PID {
			d.sessions[process.Session] = true
		}
	}
}

// Mine lists the processes that belong to this wsgid: run from its binary, or
// in a session that one of its children led. Numbers come again: a session
// whose leader runs another program is somebody else's by now.
func (d *Wsgid) Mine() []Process {
	all := Processes()
	sessions := maps.Clone(d.sessions)
	for _, process := range all {
		executable := strings.TrimSuffix(process.Executable, " (deleted)")
		if process.PID == process.Session && executable != "" && executable != d.world.Binary {
			delete(sessions, process.Session)
		}
	}
	var mine []Process
	for _, process := range all {
		if process.State == "Z" && process.Parent != os.Getpid() && process.Parent != d.PID {
			continue
		}
		executable := strings.TrimSuffix(process.Executable, " (deleted)")
		if executable == d.world.Binary || sessions[process.Session] {
			mine = append(mine, process)
		}
	}
	return mine
}

// Stop ends it with SIGTERM and asserts that nothing is left.
func (d *Wsgid) Stop() {
	d.world.T.Helper()
	if d.stopped {
		return
	}
	d.AwaitDescriptors()
	d.NoteSessions()
	select {
	case <-d.exited:
	default:
		if err := d.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			d.world.T.Error(err)
		}
	}
	if status := d.AwaitExit(); status != 0 {
		d.world.T.Errorf("wsgid ended with %v after SIGTERM", d.command.ProcessState)
	}
	d.AssertGone()
}

// AssertGone asserts, after the supervisor has ended, that no process, socket
// or pid file is left and that the log tells of no crash.
func (d *Wsgid) AssertGone() {
	t := d.world.T
	t.Helper()
	d.stopped = true
	for _, process := range d.Mine() {
		t.Errorf("left behind: %v", process)
	}
	select {
	case <-d.Log.Closed():
	case <-time.After(Patience):
		t.Errorf("somebody still holds wsgid's standard error")
	}
	d.notify.close()
	entries, err := os.ReadDir(d.world.Path("run"))
	if err != nil {
		t.Error(err)
	}
	for _, entry := range entries {
		t.Errorf("left behind in run: %s", entry.Name())
	}
	if !d.tolerate {
		for _, record := range d.Log.Find(isCrash) {
			t.Errorf("crash report in the log: %s", record.Line)
		}
	}
}

// Abandon gives up a supervisor that the test has killed: what it could not
// remove is left for the next one in the same world.
func (d *Wsgid) Abandon() {
	d.stopped = true
	select {
	case <-d.Log.Closed():
	case <-time.After(Patience):
		d.world.T.Errorf("somebody still holds wsgid's standard error")
	}
	d.notify.close()
}

// isCrash recognises the reports of the race detector, AddressSanitizer, the
// Go runtime and CPython's fatal errors.
func isCrash(r Record) bool {
	for _, text := range []string{"DATA RACE", "AddressSanitizer", "panic: ", "fatal error: ", "Fatal Python error", "SIGSEGV"} {
		if strings.Contains(r.Line, text) {
			return true
		}
	}
	return false
}

// NoteDescriptors makes the present count the one to come back to, for a test
// in which not every process runs when wsgid says that it is ready.
func (d *Wsgid) NoteDescriptors() { d.base = Descriptors(d.PID) }

// AwaitDescriptors waits until the supervisor holds no more descriptors than
// when it was ready. A supervisor that has ended holds none.
func (d *Wsgid) AwaitDescriptors() {
	d.world.T.Helper()
	if d.base == 0 {
		return
	}
	Eventually(d.world.T, "the supervisor's descriptors are back to the first count", func() error {
		if now := Descriptors(d.PID); now > d.base {
			return fmt.Errorf("%d descriptors, %d at first: %q", now, d.base, DescriptorTargets(d.PID))
		}
		return nil
	})
}

// finish is the end of every test: a failed one shows the log and cleans up by force.
func (d *Wsgid) finish() {
	t := d.world.T
	if !d.stopped && !t.Failed() {
		d.Stop()
	}
	if !t.Failed() {
		return
	}
	d.NoteSessions()
	t.Logf("end of wsgid's log:\n%s", d.Log.Tail(80))
	if !d.stopped {
		_ = d.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.exited:
		case <-time.After(10 * time.Second):
		}
		for _, process := range d.Mine() {
			_ = syscall.Kill(process.PID, syscall.SIGKILL)
		}
		<-d.exited
		d.notify.close()
	}
}

// CLI runs a verb of the same binary to its end: exit status, stdout, stderr.
func (w *World) CLI(args ...string) (status int, stdout, stderr string) {
	w.T.Helper()
	return w.CLIAs(0, args...)
}

// CLIAs is CLI as another user, who is in no group but that of the same number.
func (w *World) CLIAs(uid int, args ...string) (status int, stdout, stderr string) {
	w.T.Helper()
	return w.CLIIn(uid, nil, args...)
}

// CLIIn is CLIAs of a user who is in further groups.
func (w *World) CLIIn(uid int, groups []uint32, args ...string) (status int, stdout, stderr string) {
	w.T.Helper()
	command := exec.Command(w.cli, args...)
	command.Dir = w.Dir
	command.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, w.Environment...)
	if uid != 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), Groups: groups}}
	}
	var out, errs strings.Builder
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.T.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// Eventually asks again and again until check is content. It is for facts that
// no event announces, such as the content of /proc.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Exists tells whether a path is there.
func Exists(path string) bool {
	_, err := os.Lstat(filepath.Clean(path))
	return err == nil
}
