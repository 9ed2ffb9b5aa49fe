package supervisor

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
)

// givenSocket is a listening socket as systemd gives it.
func givenSocket(t *testing.T, network, address, name string) (f *os.File, where string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	original, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer original.Close()
	fd, err := unixDup(original)
	if err != nil {
		t.Fatal(err)
	}
	f = os.NewFile(fd, name)
	t.Cleanup(func() { f.Close() })
	return f, l.Addr().String()
}

// TestActivated: a socket of systemd is taken if it is what the listener says, and else
// refused with what to do.
func TestActivated(t *testing.T) {
	dir := t.TempDir()
	path, open := filepath.Join(dir, "s"), filepath.Join(dir, "open")
	front, _ := givenSocket(t, "unix", path, "front")
	world, _ := givenSocket(t, "unix", open, "world")
	tcp, address := givenSocket(t, "tcp4", "127.0.0.1:0", "tcp")
	all, wide := givenSocket(t, "tcp", ":0", "all")
	for file, mode := range map[string]os.FileMode{path: 0o660, open: 0o666} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := net.SplitHostPort(wide)
	l := &listeners{given: []*os.File{front, world, tcp, all, os.Stdin}}
	at := hcl.Range{Filename: "/etc/wsgid.hcl", Start: hcl.Pos{Line: 7}}
	for _, tt := range []struct {
		listener config.Listener
		want     string // of the error; empty: it is taken
	}{
		{config.Listener{Kind: config.ListenUnix, Path: path, SystemdSocket: "front"}, ""},
		{config.Listener{Kind: config.ListenTCP, Address: address, SystemdSocket: "tcp"}, ""},
		{config.Listener{Kind: config.ListenTCP, Address: ":" + port, SystemdSocket: "all"}, ""},
		{config.Listener{Kind: config.ListenHTTP, Address: "0.0.0.0:" + port, SystemdSocket: "all"}, ""},
		{config.Listener{Kind: config.ListenUnix, Path: path, SystemdSocket: "none"}, `systemd has given no socket of that name: start the socket unit that has FileDescriptorName=none`},
		{config.Listener{Kind: config.ListenUnix, Path: path + "x", SystemdSocket: "front"}, "it listens on " + path + ", and the listener says " + path + "x"},
		{config.Listener{Kind: config.ListenUnix, Path: open, SystemdSocket: "world"}, "every user of this machine can send requests to " + open + ": write SocketMode=0660"},
		{config.Listener{Kind: config.ListenTCP, Address: "127.0.0.2:" + port, SystemdSocket: "all"}, ", and the listener says 127.0.0.2:" + port},
		{config.Listener{Kind: config.ListenTCP, Address: address, SystemdSocket: os.Stdin.Name()}, "reading its address: "},
	} {
		c := tt.listener
		c.Range = at
		f, where, err := l.activated(&c)
		switch {
		case tt.want == "" && (err != nil || f == nil || where == ""):
			t.Errorf("%+v: %v", c, err)
		case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "/etc/wsgid.hcl:7: systemd_socket = ") || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: %v", c, err)
		}
		f.Close() // nil is an error, and nothing else
	}
	if names := unwanted(l.given[:3], []listenerPlan{{config: &config.Listener{SystemdSocket: "tcp"}}}); strings.Join(names, " ") != "front world" {
		t.Errorf("%v", names)
	}
}

func unixDup(f *os.File) (uintptr, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	return uintptr(fd), err
}
