package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/systemd"
)

// UpgradeVariable holds the descriptor by which a supervisor that an upgrade
// has started talks to the one before. It and the descriptors of the estate are
// the only things that it inherits.
const UpgradeVariable = "WSGID_UPGRADE_FD"

// checkTime bounds the check of the configuration by the new binary.
const checkTime = time.Minute

// Upgrade starts the binary that is installed now beside this process. When its
// generation serves, this one drains and Run returns. It waits for its turn, and
// returns when the new one serves or does not come up; then nothing has changed.
func (s *Supervisor) Upgrade(ctx context.Context) *status.Upgrade {
	outcome := &status.Upgrade{Version: s.options.Version, PID: s.pid}
	select {
	case s.turn <- struct{}{}: // kept if it succeeds
	case <-s.ending:
		outcome.Error = errEnding.Error()
		return outcome
	}
	started := time.Now()
	heir, err := s.bequeath(ctx)
	if err != nil {
		<-s.turn
		s.log.Error("not upgraded, everything serves as before", "error", err)
		outcome.Error = err.Error()
		return outcome
	}
	outcome.PID, outcome.Version = heir.pid, heir.version
	s.log.Info("upgraded", "version", heir.version, "pid", heir.pid, "after", time.Since(started).Round(time.Millisecond).String())
	return outcome
}

// heir is the supervisor that takes over.
type heir struct {
	pid     int
	version string
}

// bequeath starts the heir and waits until it serves.
func (s *Supervisor) bequeath(ctx context.Context) (*heir, error) {
	switch {
	case s.currentPhase() != phaseReady:
		return nil, errors.New("wsgid is " + s.currentPhase().String() + ", and can be upgraded when it is ready")
	case s.options.Load == nil || len(s.options.Command) == 0:
		return nil, errors.New("this wsgid has no configuration file that another one could read")
	case s.pid == 1:
		return nil, errors.New("wsgid is process 1 of a container, which ends with it: start a new container")
	}
	if err := s.tryBinary(ctx); err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	cmd, estate := s.successor(theirs)
	err = s.launcher.reaper.starting(nil, func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.options.Command[0], err)
	}
	version, err := s.inherited(ours, estate, cmd.Process.Pid)
	if err != nil {
		s.endHeir(cmd)
		return nil, err
	}
	return &heir{cmd.Process.Pid, version}, nil
}

// tryBinary has the installed binary look at the configuration.
func (s *Supervisor) tryBinary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, s.options.Command[0], "check", "--config", s.generation().config.File)
	cmd.Stdout, cmd.Stderr = &output, &output
	var exit error
	if err := s.launcher.reaper.starting(nil, func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	}); err != nil {
		return fmt.Errorf("start %s: %w", s.options.Command[0], err)
	}
	awaitZombie(cmd.Process.Pid, 2*checkTime)
	s.launcher.reaper.reap(cmd.Process.Pid, func() { exit = cmd.Wait() })
	if exit != nil {
		return fmt.Errorf("%s does not take the configuration: %w: %s", s.options.Command[0], exit, strings.TrimSpace(output.String()))
	}
	return nil
}

// heirTime is what a supervisor that does not come up gets to clear up.
const heirTime = 30 * time.Second

// awaitZombie waits for the end of a child without reaping it, at most for limit.
func awaitZombie(pid int, limit time.Duration) (ended bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	for end := time.Now().Add(limit); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(end)).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// endHeir ends a supervisor that did not come up; its children die with it.
func (s *Supervisor) endHeir(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended, and process 1 have reaped it
	if !awaitZombie(cmd.Process.Pid, heirTime) {
		_ = cmd.Process.Kill() // as above
		awaitZombie(cmd.Process.Pid, heirTime)
	}
	s.launcher.reaper.reap(cmd.Process.Pid, func() { _ = cmd.Wait() })
}

// successor is the command that starts the heir, and what it is left.
func (s *Supervisor) successor(kin *os.File) (*exec.Cmd, *estate) {
	g := s.generation()
	cmd := exec.Command(s.options.Command[0], s.options.Command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), UpgradeVariable+"=3")
	if os.Getppid() == 1 {
		// It gets process 1 as its parent anyway, when this one ends. But of a main
		// process that was not its child when it heard of it systemd does not wait for
		// the end: it kills all that runs as soon as it has sent SIGTERM.
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_PARENT}
	}
	cmd.ExtraFiles = []*os.File{kin}
	give := func(f *os.File) int {
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		return 2 + len(cmd.ExtraFiles)
	}
	e := &estate{Version: s.options.Version, Generation: max(g.number, s.reloads+1), Broken: map[string][]brokenScript{}, Closed: map[string]leftClosing{}}
	e.Handover = [2]int{give(s.handover[0]), give(s.handover[1])}
	if s.control != nil {
		e.Control = &leftListener{Address: g.config.Control.Path, FD: give(s.control.socket.file), Device: s.control.socket.device, Inode: s.control.socket.inode}
	}
	for _, l := range s.fronts.all {
		left := leftListener{Key: l.key, Address: l.address, FD: give(l.file)}
		if l.unix != nil {
			left.Device, left.Inode = l.unix.device, l.unix.inode
		}
		e.Listeners = append(e.Listeners, left)
	}
	e.left(global, s.embedded)
	for _, group := range g.groups {
		if group.impossible != nil {
			continue
		}
		broken := []brokenScript{}
		group.mu.Lock()
		for key := range group.loadErrors {
			broken = append(broken, brokenScript{key.application, key.path})
		}
		e.left(group.config.Name, group.closing)
		group.mu.Unlock()
		e.Broken[group.config.Name] = broken
	}
	return cmd, e
}

// inherited leads the conversation with the heir: the estate, its word that it
// serves, our services' end, and then everything is its own.
func (s *Supervisor) inherited(kin *os.File, e *estate, pid int) (version string, err error) {
	type answer struct {
		word kinWord
		err  error
	}
	answers := make(chan answer, 1)
	encoder := json.NewEncoder(kin)
	errEnded := errors.New("the new wsgid has ended before it served; the log says why")
	if encoder.Encode(e) != nil {
		return "", errEnded
	}
	go func() { // ends with its answer, or with kin
		var a answer
		a.err = json.NewDecoder(kin).Decode(&a.word)
		answers <- a
	}()
	var a answer
	select {
	case a = <-answers:
	case <-s.ending:
		return "", errEnding
	}
	switch {
	case a.err != nil:
		return "", errEnded
	case a.word.Failed != "":
		return "", errors.New("the new wsgid does not come up: " + a.word.Failed)
	}
	g := s.generation()
	var services []*group
	for _, group := range g.groups {
		if group.config.Service() {
			services = append(services, group)
		}
	}
	stopGroups(services)
	endGroups(services, exitreason.Reload)
	for _, l := range s.fronts.all {
		l.disown()
	}
	if s.control != nil {
		s.control.socket.disown()
	}
	// Before the heir says anything: only the main process is believed.
	s.notified(systemd.MainPID(pid))
	if err := encoder.Encode(kinWord{Yours: true}); err != nil {
		s.log.Error("the new wsgid has ended when it was to take over", "error", err)
	}
	close(s.upgraded)
	return a.word.Version, nil
}

// retire is the end of a supervisor that was upgraded: what runs ends, within
// its graceful_timeout.
func (s *Supervisor) retire(ctx context.Context) {
	s.setPhase(phaseStopping)
	g := s.generation()
	if s.control != nil {
		s.control.close() // the new one answers
	}
	g.router.patience = g.patience()
	close(g.router.succeeded)
	select {
	case <-g.router.done:
	case <-ctx.Done():
		close(g.router.stop)
		<-g.router.done
	}
	close(s.ending)
	stopGroups(g.groups)
	s.drains.Wait()
	g.stopHelper()
	endGroups(g.groups, exitreason.Reload)
	s.log.Info("drained after the upgrade")
}

// kinWord is what the two supervisors say to each other after the estate.
type kinWord struct {
	Version string `json:"version,omitempty"`
	Failed  string `json:"failed,omitempty"` // the heir: it does not come up, and why
	Yours   bool   `json:"yours,omitempty"`  // the one before: everything is yours
}

// PredecessorOf is the descriptor in UpgradeVariable, or nil.
func PredecessorOf(value string) (*os.File, error) {
	if value == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%s is no descriptor of an upgrade", UpgradeVariable, value)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "predecessor"), nil
}
