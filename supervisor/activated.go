package supervisor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
)

// activated gives the socket that systemd has opened for a listener. It stays open
// with systemd, whatever becomes of the listener.
func (l *listeners) activated(c *config.Listener) (*os.File, string, error) {
	fail := func(text string, arguments ...any) (*os.File, string, error) {
		return nil, "", fmt.Errorf("%s:%d: systemd_socket = %q: %w", c.Range.Filename, c.Range.Start.Line, c.SystemdSocket, fmt.Errorf(text, arguments...))
	}
	at := slices.IndexFunc(l.given, func(f *os.File) bool { return f.Name() == c.SystemdSocket })
	if at < 0 {
		return fail("systemd has given no socket of that name: start the socket unit that has FileDescriptorName=%s, or take the option out", c.SystemdSocket)
	}
	given := int(l.given[at].Fd())
	address, err := unix.Getsockname(given)
	if err != nil {
		return fail("reading its address: %w", err)
	}
	if listens, err := unix.GetsockoptInt(given, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
		return fail("it does not listen: the socket unit needs ListenStream=")
	}
	where, wanted := "", c.Address
	switch address := address.(type) {
	case *unix.SockaddrUnix:
		where, wanted = address.Name, c.Path
		if info, err := os.Lstat(c.Path); where == wanted && err == nil && info.Mode()&0o002 != 0 {
			return fail("every user of this machine can send requests to %s: write SocketMode=0660 and SocketGroup= of the web server into the socket unit", where)
		}
	case *unix.SockaddrInet4:
		where = netip.AddrPortFrom(netip.AddrFrom4(address.Addr), uint16(address.Port)).String()
	case *unix.SockaddrInet6:
		where = netip.AddrPortFrom(netip.AddrFrom16(address.Addr), uint16(address.Port)).String()
	}
	if where != wanted && !sameTCP(where, c.Address) {
		return fail("it listens on %s, and the listener says %s", where, wanted)
	}
	fd, err := unix.FcntlInt(uintptr(given), unix.F_DUPFD_CLOEXEC, 3)
	if err == nil {
		err = unix.SetNonblock(fd, false) // so that the file stays out of the poller
	}
	if err != nil {
		return fail("using it: %w", err)
	}
	return os.NewFile(uintptr(fd), where), where, nil
}

// sameTCP says whether a socket's address is the one that is configured: any
// address of the machine has several names.
func sameTCP(where, configured string) bool {
	is, err := netip.ParseAddrPort(where)
	if err != nil {
		return false
	}
	wanted, err := net.ResolveTCPAddr("tcp", configured)
	if err != nil || wanted.Port != int(is.Port()) {
		return false
	}
	return is.Addr().IsUnspecified() && (len(wanted.IP) == 0 || wanted.IP.IsUnspecified()) || is.Addr().Unmap() == wanted.AddrPort().Addr().Unmap()
}

// unwanted are the names of given sockets that no listener has.
func unwanted(given []*os.File, plans []listenerPlan) (names []string) {
	for _, f := range given {
		if !slices.ContainsFunc(plans, func(p listenerPlan) bool { return p.config.SystemdSocket == f.Name() }) {
			names = append(names, f.Name())
		}
	}
	return names
}
