package supervisor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

const (
	// maxStacks bounds what a process can tell of its threads.
	maxStacks = 1 << 20
	// stacksPatience is how long it may take: a second for Python, then 0.2 s for each
	// thread that has to be interrupted.
	stacksPatience = 5 * time.Second
)

var (
	stacksEnd  = []byte("\x01end\n")
	errStopped = errors.New("it is stopped")
)

// Stacks tells where the threads of a process, or of those of a group, are.
func (s *Supervisor) Stacks(ctx context.Context, of string) ([]status.Stacks, error) {
	pid, _ := strconv.Atoi(of)
	chosen := slices.DeleteFunc(s.processes(), func(p *process) bool { return p.group.config.Name != of && p.child.pid != pid })
	if len(chosen) == 0 {
		if others := s.otherStacks(ctx, of, pid); len(others) > 0 {
			return others, nil
		}
		return nil, fmt.Errorf("there is no process group and no process of one called %q; wsgid status lists them", of)
	}
	answers := make([]status.Stacks, len(chosen))
	done := make(chan struct{})
	for i, p := range chosen {
		go func() { answers[i] = p.tellStacks(ctx); done <- struct{}{} }()
	}
	for range chosen {
		<-done
	}
	return answers, nil
}

// otherStacks are those of the router or the dispatch helper.
func (s *Supervisor) otherStacks(ctx context.Context, of string, pid int) (found []status.Stacks) {
	g := s.generation()
	g.router.mu.Lock()
	router := g.router.session
	g.router.mu.Unlock()
	if router != nil && (of == "%{GLOBAL}" || router.child.pid == pid) {
		found = append(found, s.stacksBySignal(ctx, "%{GLOBAL}", router.child, router.stacks))
	}
	if g.helper == nil {
		return found
	}
	g.helper.mu.Lock()
	helper := g.helper.session
	g.helper.mu.Unlock()
	if helper != nil && helper.child.pid == pid {
		found = append(found, s.stacksBySignal(ctx, "", helper.child, helper.stacks))
	}
	return found
}

// stacksBySignal are those of a process that has no scoreboard.
func (s *Supervisor) stacksBySignal(ctx context.Context, group string, c *child, memory *stackMemory) status.Stacks {
	told, err := memory.ask(ctx, c)
	if err != nil {
		s.log.Debug("process does not tell its stacks", "pid", c.pid, "error", err)
	}
	return status.Stacks{Group: group, PID: c.pid, BySignal: true, Answered: err == nil || errors.Is(err, errNoPython),
		Threads: joinThreads(threadsOf(c.pid), parseStacks(told), nil)}
}

// processes are those of the groups of all generations, the oldest first.
func (s *Supervisor) processes() []*process {
	s.mu.Lock()
	groups := slices.Clone(s.current.groups)
	for i, g := range s.draining {
		groups = append(groups, g.without(append([]*generation{s.current}, s.draining[:i]...))...)
	}
	s.mu.Unlock()
	var all []*process
	for _, g := range groups {
		g.mu.Lock()
		all = slices.AppendSeq(all, maps.Keys(g.processes))
		g.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b *process) int {
		return cmp.Or(a.child.started.Compare(b.child.started), cmp.Compare(a.child.pid, b.child.pid))
	})
	return all
}

// tellStacks is what the process says of its threads, and the kernel.
func (p *process) tellStacks(ctx context.Context) status.Stacks {
	answer := status.Stacks{Group: p.group.config.Name, PID: p.child.pid, BySignal: p.stacks != nil}
	told, err := p.askStacks(ctx)
	if err != nil {
		p.log.Debug("process does not tell its stacks", "error", err)
	}
	answer.Answered = err == nil
	running := map[int]status.Request{}
	board := p.board.Read()
	for _, r := range runningOf(&board) {
		running[r.Thread] = r
	}
	answer.Threads = joinThreads(threadsOf(p.child.pid), parseStacks(told), running)
	return answer
}

// stacksMemory makes memory that a process writes its stacks into.
func stacksMemory() (*os.File, error) {
	fd, err := unix.MemfdCreate("wsgid-stacks", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memory for stacks: %w", err)
	}
	file := os.NewFile(uintptr(fd), "stacks")
	if err := errors.Join(unix.Ftruncate(fd, maxStacks), sealSize(fd)); err != nil {
		return nil, errors.Join(fmt.Errorf("memory for stacks: %w", err), file.Close())
	}
	return file, nil
}

// askStacks has the process write its stacks into memory that is ours.
func (p *process) askStacks(ctx context.Context) ([]byte, error) {
	if p.stacks != nil {
		return p.stacks.ask(ctx, p.child)
	}
	p.stackTurn.Lock()
	defer p.stackTurn.Unlock()
	if p.child.isStopped() {
		return nil, errStopped
	}
	ctx, cancel := context.WithTimeout(ctx, stacksPatience)
	defer cancel()
	file, err := stacksMemory()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := p.send("event\x00stacks\x00", int(file.Fd())); err != nil {
		return nil, err
	}
	for {
		select {
		case <-p.stacksTold:
			text, err := io.ReadAll(io.NewSectionReader(file, 0, maxStacks))
			if err != nil {
				return nil, fmt.Errorf("reading the stacks: %w", err)
			}
			if text, _, whole := bytes.Cut(text, stacksEnd); whole { // else it answers somebody who has gone
				return text, nil
			}
			if text[len(text)-1] != 0 { // it is full
				return text, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.child.exited:
			return nil, errors.New("it has ended")
		}
	}
}

// sealSize keeps a memfd from changing its size.
func sealSize(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	return err //nolint:wrapcheck // the caller says what for
}

// send sends a packet to the process, with a descriptor unless that is -1.
func (p *process) send(packet string, fd int) error {
	raw, err := p.channel.SyscallConn()
	if err != nil {
		return fmt.Errorf("telling the process: %w", err)
	}
	var failed error
	err = raw.Control(func(channel uintptr) {
		failed = unix.Sendmsg(int(channel), []byte(packet), rights(fd), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("telling the process: %w", err)
	}
	return nil
}

// toldThread is a thread as the process tells of it.
type toldThread struct {
	ident, tid        int
	name, application string
	number            int // of a request thread; -1: none
	stack             string
	interrupted       bool
}

// maxTold threads of a process are read: what it writes costs us no more than it can have.
const maxTold = 4096

// parseStacks reads what a process has written (docs/internals.md section 2). None of
// it is believed beyond being shown.
func parseStacks(text []byte) []toldThread {
	var threads []toldThread
	byIdent := map[int]toldThread{} // the request threads
	for part := range bytes.SplitSeq(text, []byte{1}) {
		if len(threads)+len(byIdent) >= maxTold {
			break
		}
		head, stack, ok := strings.Cut(string(part), "\n")
		if !ok || head == "" {
			continue
		}
		t := toldThread{number: -1, stack: escape.Text(strings.TrimRight(stack, "\n\x00"))}
		words := strings.Split(head, "\x00")
		for i := 0; i+1 < len(words); i += 2 {
			switch words[i] {
			case "ident":
				t.ident, _ = strconv.Atoi(words[i+1])
			case "tid":
				t.tid, _ = strconv.Atoi(words[i+1])
			case "number":
				t.number, _ = strconv.Atoi(words[i+1])
			case "name":
				t.name = escape.Line(words[i+1])
			case "interpreter":
				t.application = escape.Line(words[i+1])
			}
		}
		if t.number >= 0 {
			byIdent[t.ident] = t
		} else if stack != "" {
			t.interrupted = t.ident == 0
			threads = append(threads, t)
		}
	}
	for i := range threads {
		t := &threads[i]
		if known, ok := byIdent[t.ident]; ok && t.ident != 0 {
			t.tid, t.number = known.tid, known.number
		}
	}
	first := map[int]int{} // by tid
	for i := range threads {
		if _, known := first[threads[i].tid]; !known {
			first[threads[i].tid] = i
		}
	}
	for _, t := range byIdent {
		if at, known := first[t.tid]; known {
			threads[at].number = t.number
		} else {
			threads = append(threads, t)
		}
	}
	return threads
}

// joinThreads puts together what the kernel and the process say of each thread, and what
// it serves.
func joinThreads(threads []status.Thread, told []toldThread, running map[int]status.Request) []status.Thread {
	of := map[int][]*toldThread{}
	for i := range told {
		of[told[i].tid] = append(of[told[i].tid], &told[i])
	}
	for i := range threads {
		t := &threads[i]
		for _, from := range of[t.TID] {
			if from.name != "" {
				t.Name = from.name
			}
			if request, ok := running[from.number]; ok && from.number >= 0 {
				t.Request = &request
			}
			if from.stack != "" && !strings.Contains(from.stack, "<no Python frame>") && (t.Stack == "" || from.name != "") {
				t.Application, t.Stack, t.Interrupted = from.application, from.stack, from.interrupted
			}
		}
		if t.Request != nil {
			t.Application = t.Request.Application
		}
	}
	return threads
}

// threadStates are the states of threads as the kernel calls them.
var threadStates = map[byte]string{
	'R': "running", 'S': "sleeping", 'D': "disk", 'T': "stopped", 't': "traced", 'Z': "dead", 'X': "dead", 'I': "idle",
}

// threadsOf are the threads of a process as the kernel knows them.
func threadsOf(pid int) []status.Thread {
	threads := []status.Thread{}
	dir := fmt.Sprintf("/proc/%d/task", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return threads // it has ended
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		line, readErr := os.ReadFile(dir + "/" + e.Name() + "/stat")
		if err != nil || readErr != nil {
			continue
		}
		// "tid (name) state ppid … utime stime": a name may hold anything.
		from, to := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
		fields := strings.Fields(string(line[max(to, 0)+1:]))
		if from < 0 || to < from || len(fields) < 13 {
			continue
		}
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		t := status.Thread{TID: tid, Name: escape.Line(string(line[from+1 : to])), State: threadStates[fields[0][0]], CPUSeconds: (user + system) / clockTicks}
		if wait, err := os.ReadFile(dir + "/" + e.Name() + "/wchan"); err == nil && len(wait) > 1 {
			t.Wait = escape.Line(string(wait))
		}
		threads = append(threads, t)
	}
	// The directory's order is that of names: 1000 comes before 999.
	slices.SortFunc(threads, func(a, b status.Thread) int { return a.TID - b.TID })
	return threads
}

// clockTicks are those of a second in /proc, on every Linux that Go runs on.
const clockTicks = 100
