package supervisor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/boot"
	"github.com/wsgid/wsgid/internal/scoreboard"
	"github.com/wsgid/wsgid/internal/wire"
)

// The test binary plays the children: it reads the boot block as the C
// constructor does and then does what it is told, by the variable FAKE and by
// commands on the group's socket.

// They end with syscall.Exit, because os.Exit sleeps a second under the race
// detector.

// fakeChild is the whole life of such a process.
func fakeChild() {
	fd, err := strconv.Atoi(os.Getenv(boot.Variable))
	if err != nil || !boot.Sealed(uintptr(fd)) {
		fakeFail("no sealed boot block: %v", err)
	}
	data, err := io.ReadAll(keep(os.NewFile(uintptr(fd), "boot")))
	if err != nil {
		fakeFail("%v", err)
	}
	block, err := boot.Decode(data)
	if err != nil {
		fakeFail("%v", err)
	}
	fakePrivileges(block)
	if parent, _ := block.Number("parent"); os.Getppid() != int(parent) {
		fakeFail("parent is %d, not %d", os.Getppid(), parent)
	}
	if block.Get("role") == "router" {
		fakeRouter(block)
		return
	}
	if block.Get("role") == "dispatcher" {
		fakeHelper(block)
		return
	}
	(&fakeWorker{block: block}).run()
}

func fakeFail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	syscall.Exit(3)
}

func fakePrivileges(block boot.Decoded) {
	uid, ok := block.Number("uid")
	if !ok {
		return
	}
	gid, _ := block.Number("gid")
	var groups []int
	for _, text := range block.List("group") {
		n, _ := strconv.Atoi(text)
		groups = append(groups, n)
	}
	for _, err := range []error{syscall.Setgroups(groups), syscall.Setgid(int(gid)), syscall.Setuid(int(uid))} {
		if err != nil {
			fakeFail("%v", err)
		}
	}
}

// kept files stay open: one that nobody refers to is closed by the garbage
// collector some time.
var kept []*os.File

func keep(file *os.File) *os.File {
	kept = append(kept, file)
	return file
}

func fakeFile(block boot.Decoded, name string) *os.File {
	fd, ok := block.Number("fd." + name)
	if !ok {
		fakeFail("no fd.%s", name)
	}
	syscall.CloseOnExec(int(fd))
	return keep(os.NewFile(uintptr(fd), name))
}

type fakeWorker struct {
	block  boot.Decoded
	status *os.File
	log    *os.File
	board  *scoreboard.Writer
}

func (w *fakeWorker) event(words ...string) {
	if _, err := w.status.WriteString(strings.Join(words, "\x00") + "\x00"); err != nil {
		syscall.Exit(0)
	}
}

func (w *fakeWorker) run() {
	w.status, w.log = fakeFile(w.block, "status"), fakeFile(w.block, "log")
	memory := fakeFile(w.block, "scoreboard")
	threads, _ := w.block.Number("threads")
	var err error
	if w.board, err = scoreboard.NewWriter(memory, int(threads)); err != nil {
		fakeFail("%v", err)
	}
	if modules, err := io.ReadAll(fakeFile(w.block, "modules")); err != nil || string(modules) != "modules" {
		fakeFail("modules %q, %v", modules, err)
	}
	mode := os.Getenv("FAKE")
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	switch mode {
	case "failed":
		w.event("event", "failed", "error", "no module named nothing")
		syscall.Exit(1)
	case "crash":
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):\n  File \"x.py\", line 1\nImportError: no")
		syscall.Exit(5)
	case "never-ready":
		<-terminated
		syscall.Exit(0)
	}
	w.board.SetPython("3.11.2")
	w.event("event", "started", "python", "3.11.2", "prefix", "/usr", "library", "libpython3.11.so")
	if mode == "scripts" {
		w.importScripts(terminated)
	}
	wanted := make(chan os.Signal, 1)
	signal.Notify(wanted, syscall.SIGUSR1)
	w.event("event", "ready")
	if mode == "quiet-service" {
		<-terminated
		syscall.Exit(0)
	}
	if mode == "service" { // fd 0 is no socket: a signal makes it retire
		if fd, ok := w.block.Number("fd.listen"); ok {
			fakeFail("a service has a socket, %d", fd)
		}
		go func() {
			<-wanted
			w.event("event", "retire", "reason", "script_reload", "script", "/srv/jobs.py")
		}()
		<-terminated
		syscall.Exit(0)
	}
	if mode == "retire-at-once" {
		w.event("event", "retire", "reason", "script_reload", "script", "/srv/x.wsgi")
	}
	go func() { // the supervisor is gone
		buf := make([]byte, 16)
		for {
			if n, err := w.status.Read(buf); n == 0 || err != nil {
				syscall.Exit(0)
			}
		}
	}()
	go w.commands()
	<-terminated
	if mode == "ignore-term" {
		select {}
	}
	syscall.Exit(0)
}

// commands serves the group's socket: one line a connection, an answer, end.
func (w *fakeWorker) commands() {
	listener, err := net.FileListener(keep(os.NewFile(0, "listen")))
	if err != nil {
		fakeFail("listen: %v", err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fakeFail("accept: %v", err)
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		fmt.Fprint(conn, w.command(strings.TrimSuffix(line, "\n")))
		conn.Close()
	}
}

// importScripts fails for the scripts whose content is no "good", and waits to
// be admitted on a trial.
func (w *fakeWorker) importScripts(terminated <-chan os.Signal) {
	for _, entry := range append(w.block.List("preload"), w.block.List("retry")...) {
		application, path, _ := strings.Cut(entry, "\t")
		content, err := os.ReadFile(path)
		if text := strings.TrimSpace(string(content)); err == nil && text == "crash" {
			syscall.Exit(5)
		} else if err != nil || text != "good" {
			w.event("event", "load_failed", "application", application, "script", path, "traceback", "Traceback\nImportError: "+text)
		}
	}
	if w.block.Get("trial") != "1" {
		return
	}
	w.event("event", "loaded")
	admitted := make(chan bool)
	go func() {
		buf := make([]byte, 64)
		n, err := w.status.Read(buf)
		admitted <- err == nil && string(buf[:n]) == "event\x00serve\x00"
	}()
	select {
	case <-terminated:
		syscall.Exit(0)
	case ok := <-admitted:
		if !ok {
			syscall.Exit(0)
		}
	}
}

func (w *fakeWorker) command(line string) string {
	verb, argument, _ := strings.Cut(line, " ")
	switch verb {
	case "pid":
		return strconv.Itoa(os.Getpid())
	case "block":
		return strings.Join(w.block.List(argument), ",")
	case "environment":
		return strings.Join(os.Environ(), "\n")
	case "descriptors":
		runtime.GC()
		entries, _ := os.ReadDir("/proc/self/fd")
		var open []string
		for _, entry := range entries {
			target, err := os.Readlink("/proc/self/fd/" + entry.Name())
			if err == nil {
				open = append(open, entry.Name()+"="+target)
			}
		}
		return strings.Join(open, "\n")
	case "groups":
		groups, _ := os.Getgroups()
		return fmt.Sprintf("%d %d %v", os.Getuid(), os.Getgid(), groups)
	case "stderr":
		file, err := os.OpenFile("/proc/self/fd/2", os.O_WRONLY, 0)
		if err != nil {
			return err.Error()
		}
		fmt.Fprintln(file, argument)
		file.Close()
	case "record":
		_, _ = w.log.WriteString("level\x00warn\x00source\x00logging\x00application\x00app\x00request\x00r-1\x00message\x00" + argument)
	case "retire":
		w.event("event", "retire", "reason", "script_reload", "script", "/srv/x.wsgi")
	case "relieve":
		w.event("event", "relieve", "reason", "maximum_requests")
	case "overdue": // a request that will not end
		w.event("event", "retire", "reason", "request_timeout")
		w.event("event", "drained")
	case "renew": // reason and path
		reason, path, _ := strings.Cut(argument, " ")
		w.event("event", "renew", "reason", reason, "application", "", "script", path)
	case "begin":
		w.board.Begin(0, time.Now(), "r-7", "GET", "/slow", "192.0.2.9", "app")
		w.board.Count(3, 0, 1)
	case "scribble":
		memory := w.board.Memory()
		for i := range memory {
			memory[i] = byte(i * 7)
		}
		copy(memory[12:], []byte{2, 0, 0, 0})
	case "sleeper": // a child in the process group that ignores SIGTERM
		child := exec.Command("/bin/sh", "-c", "trap '' TERM; sleep 1000")
		if err := child.Start(); err != nil {
			return err.Error()
		}
		return strconv.Itoa(child.Process.Pid)
	case "exit":
		code, _ := strconv.Atoi(argument)
		syscall.Exit(code)
	}
	return "ok"
}

// fakeRouter answers the supervisor; its mode is in the python_path of the
// embedded Python.
func fakeRouter(block boot.Decoded) {
	conn := wire.NewConn(fakeFile(block, "wire"))
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		fakeFail("%v", err)
	}
	seen := map[int]wire.ProcessState{}
	helpers := 0 // that were ready
	mode := ""
	for {
		m, err := conn.Receive()
		if err != nil {
			syscall.Exit(0)
		}
		switch m.Type {
		case wire.TypeConfig:
			if len(m.Config.Embedded.PythonPath) > 0 {
				mode = m.Config.Embedded.PythonPath[0]
			}
			if mode == "failed" {
				_ = conn.Send(&wire.Message{Type: wire.TypeFailed, Error: "no library"})
				syscall.Exit(1)
			}
			for _, l := range m.Config.Listeners {
				listener, err := net.FileListener(keep(os.NewFile(uintptr(l.FD), l.Address)))
				if err != nil {
					fakeFail("listener %d: %v", l.FD, err)
				}
				go fakeFront(listener)
			}
			fmt.Fprintln(os.Stderr, `{"@level":"warn","@message":"hello from the router","@module":"dispatch","n":3}`)
			_ = conn.Send(&wire.Message{Type: wire.TypeReady})
		case wire.TypeProcess:
			seen[m.Process.PID] = m.Process.State
			if m.Process.Overdue {
				fmt.Fprintln(os.Stderr, `{"@level":"warn","@message":"an overdue request is left","@module":"dispatch"}`)
			} else if m.Process.State == wire.ProcessRetire {
				_ = conn.Send(&wire.Message{Type: wire.TypeRetired, Process: m.Process})
			}
		case wire.TypeHelper:
			fmt.Fprintf(os.Stderr, "{\"@level\":\"info\",\"@message\":\"helper\",\"ready\":%v,\"helper\":%d,\"python\":%q}\n", m.Helper.Ready, m.Helper.PID, m.Helper.Python)
			if m.Helper.Ready && helpers == 0 {
				switch mode {
				case "helper-unfit":
					_ = conn.Send(&wire.Message{Type: wire.TypeReplace, Replace: &wire.Replace{PID: m.Helper.PID, Reason: "half of the calls are lost"}})
				case "helper-other": // of one that went long ago
					_ = conn.Send(&wire.Message{Type: wire.TypeReplace, Replace: &wire.Replace{PID: m.Helper.PID + 1, Reason: "lost"}})
				}
			}
			if m.Helper.Ready {
				helpers++
			}
		case wire.TypeQuery:
			if mode == "mute" {
				continue
			}
			ready := 0
			for _, state := range seen {
				if state == wire.ProcessReady {
					ready++
				}
			}
			_ = conn.Send(&wire.Message{Type: wire.TypeStatus, ID: m.ID, Status: &wire.RouterStatus{
				PID: os.Getpid(), Connections: ready, Scripts: []wire.ScriptStatus{{Calls: 3}, {Calls: 4}},
				Groups: []wire.GroupStatus{{Name: "web", Queued: 4}},
			}})
		case wire.TypeHandover:
			fmt.Fprintln(os.Stderr, `{"@level":"info","@message":"handing over","@module":"dispatch"}`)
			if mode == "busy" { // until it is stopped
				continue
			}
			syscall.Exit(0)
		case wire.TypeStop:
			if mode == "hang" {
				signal.Ignore(syscall.SIGTERM)
				select {}
			}
			syscall.Exit(0)
		}
	}
}

func fakeFront(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(conn, os.Getpid())
		conn.Close()
	}
}

// fakeHelper is a dispatch helper whose mode is in the python_path, too. Who
// connects to its socket is told who it runs as, or ends it with "exit".
func fakeHelper(block boot.Decoded) {
	channel := fakeFile(block, "status")
	event := func(words ...string) { _, _ = channel.WriteString(strings.Join(words, "\x00") + "\x00") }
	mode := block.Get("python_path")
	if mode == "helper-failed" {
		event("event", "failed", "error", "no libpython for scripts")
		syscall.Exit(1)
	}
	if mode == "helper-crash" {
		syscall.Exit(5)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	listener, err := net.FileListener(fakeFile(block, "listen"))
	if err != nil {
		fakeFail("%v", err)
	}
	event("event", "started", "python", "3.11.2", "prefix", "/usr", "library", "libpython3.11.so")
	event("event", "ready")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				fakeFail("accept: %v", err)
			}
			line, _ := bufio.NewReader(conn).ReadString('\n')
			if line == "exit\n" {
				syscall.Exit(7)
			}
			groups, _ := os.Getgroups()
			fmt.Fprintf(conn, "%d %d %d %v %s", os.Getpid(), os.Getuid(), os.Getgid(), groups, block.Get("router_uid"))
			conn.Close()
		}
	}()
	<-terminated
	syscall.Exit(0)
}
