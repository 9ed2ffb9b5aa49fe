package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
)

// listeners are the sockets of the front servers, in file order.
type listeners struct {
	files     []*os.File
	addresses []string // with the port that was chosen, for ":0"
	unix      []*unixSocket
}

// openListeners opens all of them or none.
func openListeners(configured []listenerPlan) (*listeners, error) {
	l := &listeners{}
	for _, plan := range configured {
		if err := l.open(plan); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *listeners) open(plan listenerPlan) error {
	if plan.config.Kind != config.ListenUnix {
		file, address, err := listenTCP(plan.config.Address, plan.config.Backlog)
		if err != nil {
			return err
		}
		l.files = append(l.files, file)
		l.addresses = append(l.addresses, address)
		return nil
	}
	if err := makeParent(plan.config.Path); err != nil {
		return err
	}
	socket, err := listenUnix(socketSpec{
		path: plan.config.Path, mode: plan.config.Mode, uid: plan.uid, gid: plan.gid, backlog: plan.config.Backlog,
	})
	if err != nil {
		return err
	}
	l.unix = append(l.unix, socket)
	l.files = append(l.files, socket.file)
	l.addresses = append(l.addresses, socket.path)
	return nil
}

// close closes every socket and removes the files.
func (l *listeners) close() {
	for _, socket := range l.unix {
		socket.close()
	}
	for _, file := range l.files {
		file.Close()
	}
}

// listenTCP opens a TCP listener and returns its descriptor alone: the
// supervisor never accepts.
func listenTCP(address string, backlog int) (*os.File, string, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	defer listener.Close()
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, "", fmt.Errorf("listen on %s: not TCP", address)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	var fd int
	var dupErr error
	err = raw.Control(func(original uintptr) {
		if fd, dupErr = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 3); dupErr == nil {
			dupErr = unix.Listen(fd, backlog) // the same socket, with our depth
		}
	})
	if err = errors.Join(err, dupErr); err != nil {
		return nil, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	// Blocking, so that the file stays out of the poller of this process.
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	return os.NewFile(uintptr(fd), address), listener.Addr().String(), nil
}
