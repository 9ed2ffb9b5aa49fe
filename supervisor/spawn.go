package supervisor

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/boot"
	"github.com/wsgid/wsgid/internal/cgroup"
)

// spawner is the one OS thread that starts all children. PR_SET_PDEATHSIG
// fires when the thread that forked ends, not the process, so it has to live
// as long as any child.
type spawner struct {
	work chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range s.work {
			f()
		}
	}()
	return s
}

// do runs f on the thread and waits for it.
func (s *spawner) do(f func()) {
	finished := make(chan struct{})
	s.work <- func() { defer close(finished); f() }
	<-finished
}

// close ends the thread. No child may be left.
func (s *spawner) close() {
	close(s.work)
	<-s.done
}

// launcher holds what every start of a child needs.
type launcher struct {
	spawner    *spawner
	reaper     *reaper
	executable string
	version    string
	modules    *os.File // sealed memfd
	jsonLogs   bool
}

// named is a descriptor that the boot block tells the child about.
type named struct {
	name string
	file *os.File
}

// launch says how to start one child.
type launch struct {
	identity identity
	block    boot.Block // without descriptors; launcher.start adds them
	env      []string
	name     string   // argv[0], as ps shows it; empty: wsgid
	stdin    *os.File // nil: /dev/null
	files    []named
	cgroup   *cgroup.Group // nil: that of wsgid
	// stopGrace is how long it may be stopped; 0: as long as others.
	stopGrace time.Duration
}

// start runs the executable with the block. The files stay the caller's.
func (l *launcher) start(spec *launch) (*child, error) {
	var opened []*os.File // the child's ends
	defer func() {
		for _, file := range opened {
			file.Close()
		}
	}()
	fail := func(err error) (*child, error) { return nil, fmt.Errorf("start process: %w", err) }

	rawRead, rawWrite, err := logPipe(spec.identity)
	if err != nil {
		return fail(err)
	}
	opened = append(opened, rawWrite)
	records, childRecords, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		rawRead.Close()
		return fail(err)
	}
	opened = append(opened, childRecords)
	c := &child{raw: rawRead, records: records, exited: make(chan struct{}), stops: stops{grace: spec.stopGrace}}
	fail = func(err error) (*child, error) {
		rawRead.Close()
		records.Close()
		return nil, fmt.Errorf("start process: %w", err)
	}
	modules, err := boot.Reopen(l.modules)
	if err != nil {
		return fail(err)
	}
	opened = append(opened, modules)
	stdin := spec.stdin
	if stdin == nil {
		if stdin, err = os.Open(os.DevNull); err != nil {
			return fail(err)
		}
		opened = append(opened, stdin)
	}

	files := []*os.File{stdin, rawWrite, rawWrite}
	spec.files = append(spec.files, named{"fd.log", childRecords}, named{"fd.modules", modules})
	for _, n := range spec.files {
		spec.block.SetInt(n.name, int64(len(files)))
		files = append(files, n.file)
	}
	spec.block.SetInt("parent", int64(os.Getpid()))
	spec.block.Set("version", l.version)
	block, err := spec.block.File()
	if err != nil {
		return fail(err)
	}
	opened = append(opened, block)
	env := append(spec.env[:len(spec.env):len(spec.env)], boot.Variable+"="+strconv.Itoa(len(files)))
	files = append(files, block)

	attr := &os.ProcAttr{
		Dir: "/", Env: env, Files: files,
		// A session from the first instruction on, so that it can always be
		// killed as a group; the signal covers the time until the
		// constructor sets it again.
		Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	l.spawner.do(func() {
		err = l.reaper.starting(c, func() (int, error) {
			c.started = time.Now()
			c.process, err = startIn(spec.cgroup, l.executable, []string{cmp.Or(spec.name, "wsgid")}, attr)
			if err != nil {
				return 0, err
			}
			c.pid = c.process.Pid // before the reaper knows the child
			return c.pid, nil
		})
	})
	if err != nil {
		return fail(err)
	}
	return c, nil
}

// logPipe makes the raw pipe. Its inode belongs to the child's user, or
// opening /dev/stderr there would be refused.
func logPipe(id identity) (read, write *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("log pipe: %w", err)
	}
	closeBoth := func() { unix.Close(fds[0]); unix.Close(fds[1]) }
	if id.Switch {
		if err := unix.Fchown(fds[1], id.UID, id.GID); err != nil {
			closeBoth()
			return nil, nil, fmt.Errorf("owner of the log pipe: %w", err)
		}
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		closeBoth()
		return nil, nil, fmt.Errorf("log pipe: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "log pipe"), os.NewFile(uintptr(fds[1]), "log pipe"), nil
}

// socketPair makes a pair: our end does not block, the child's does.
func socketPair(kind int) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket pair"), os.NewFile(uintptr(fds[1]), "socket pair"), nil
}

// keepDescriptors marks everything that this process inherited itself, from a
// shell or a service manager, as close-on-exec. Without close_range (before
// Linux 5.11) the constructor in the child is the only one to close it.
func keepDescriptors() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
