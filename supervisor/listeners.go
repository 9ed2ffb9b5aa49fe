package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
)

// listeners are the sockets of the front servers. They stay open from one
// generation to the next.
type listeners struct {
	all   []*openListener
	given []*os.File // by systemd, with their names
}

// openListener is one of them.
type openListener struct {
	key     string // kind and what is configured
	file    *os.File
	address string      // with the port that was chosen, for ":0"
	unix    *unixSocket // nil: TCP, or systemd's
}

func (p *listenerPlan) key() string {
	if p.config.SystemdSocket != "" {
		return "systemd " + p.config.SystemdSocket + " " + p.config.Path + p.config.Address
	}
	if p.config.Kind == config.ListenUnix {
		return string(p.config.Kind) + " " + p.config.Path
	}
	return string(p.config.Kind) + " " + p.config.Address
}

// open gives a listener, which may be open already. Nobody who waits in its
// backlog is lost.
func (l *listeners) open(plan listenerPlan) (*openListener, error) {
	for _, o := range l.all {
		if o.key == plan.key() {
			return o, nil
		}
	}
	o := &openListener{key: plan.key()}
	if plan.config.SystemdSocket != "" {
		var err error
		if o.file, o.address, err = l.activated(plan.config); err != nil {
			return nil, err
		}
		l.all = append(l.all, o)
		return o, nil
	}
	if plan.config.Kind == config.ListenUnix {
		if err := makeParent(plan.config.Path); err != nil {
			return nil, err
		}
		socket, err := listenUnix(socketSpec{
			path: plan.config.Path, mode: plan.config.Mode, uid: plan.uid, gid: plan.gid, backlog: plan.config.Backlog,
		})
		if err != nil {
			return nil, err
		}
		o.unix, o.file, o.address = socket, socket.file, socket.path
	} else {
		var err error
		if o.file, o.address, err = listenTCP(plan.config.Address, plan.config.Backlog); err != nil {
			return nil, err
		}
	}
	l.all = append(l.all, o)
	return o, nil
}

// adjust gives open listeners what may have changed.
func (l *listeners) adjust(plans []listenerPlan) error {
	var errs []error
	for _, plan := range plans {
		for _, o := range l.all {
			if o.key == plan.key() {
				errs = append(errs, o.adjust(plan))
			}
		}
	}
	return errors.Join(errs...)
}

func (o *openListener) adjust(plan listenerPlan) error {
	fail := func(err error) error { return fmt.Errorf("listen on %s: %w", o.address, err) }
	if err := unix.Listen(int(o.file.Fd()), plan.config.Backlog); err != nil { // the same socket
		return fail(err)
	}
	if o.unix == nil {
		return nil
	}
	if err := o.unix.change(plan.config.Mode, plan.uid, plan.gid); err != nil {
		return fail(err)
	}
	return nil
}

// keep closes the listeners that are in none of the plans.
func (l *listeners) keep(plans []listenerPlan) {
	l.all = slices.DeleteFunc(l.all, func(o *openListener) bool {
		if slices.ContainsFunc(plans, func(p listenerPlan) bool { return p.key() == o.key }) {
			return false
		}
		o.close()
		return true
	})
}

// close closes every socket and removes the files.
func (l *listeners) close() {
	for _, o := range l.all {
		o.close()
	}
}

// disown leaves the listener to another wsgid.
func (o *openListener) disown() {
	if o.unix != nil {
		o.unix.disown()
	}
}

func (o *openListener) close() {
	if o.unix != nil {
		o.unix.close()
		return
	}
	o.file.Close()
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
