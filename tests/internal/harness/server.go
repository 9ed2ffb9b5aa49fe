package harness

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// server is a web server in the foreground, in a process group of its own.
type server struct {
	t       testing.TB
	name    string
	command *exec.Cmd
	log     *Log
	exited  chan struct{}
}

// startServer starts a server and waits until it accepts on address. It
// returns nil when the server ended first, which is what losing the race for a
// port looks like; report is then its output. environment is added to a small one.
func startServer(t testing.TB, name, address string, argv []string, environment ...string) (started *server, report string) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, name: name, log: newLog(reader), exited: make(chan struct{})}
	s.command = exec.Command(argv[0], argv[1:]...)
	s.command.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}, environment...)
	s.command.Stdout, s.command.Stderr = writer, writer
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	err = s.command.Start()
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.command.Wait() // the state is read from ProcessState
		close(s.exited)
	}()
	deadline := time.Now().Add(Patience)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			// Somebody else may have taken the port: ours must still run.
			select {
			case <-s.exited:
			case <-time.After(50 * time.Millisecond):
				return s, ""
			}
		}
		select {
		case <-s.exited:
			<-s.log.Closed()
			return nil, s.log.Tail(40)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.stop()
			t.Fatalf("%s does not accept on %s: %v\n%s", name, address, err, s.log.Tail(40))
		}
	}
}

// stop ends the server; what does not obey is killed with its process group.
func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.t.Errorf("%s does not end on SIGTERM", s.name)
	}
	if err := syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("killing the rest of %s: %v", s.name, err)
	}
	<-s.exited
	<-s.log.Closed()
}
