package dispatch

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/protocol"
)

// hungUp asks, without waiting, whether the peer has closed c, or has sent
// ABORT_REQUEST for id as the next record; id 0 does not look for that. On a
// unix socket a peer that only ended its own direction still reads the answer;
// TCP cannot tell the two apart, and no front server ends one direction.
func hungUp(c net.Conn, id uint16) killReason {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return notKilled
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return clientGone
	}
	_, isUnix := c.(*net.UnixConn)
	why := notKilled
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		if err != nil || n == 0 {
			return
		}
		got := p[0].Revents
		if got&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 || (!isUnix && got&unix.POLLRDHUP != 0) {
			why = clientGone
			return
		}
		if id == 0 {
			return
		}
		var head [protocol.HeaderLen]byte
		k, _, err := unix.Recvfrom(int(fd), head[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != nil || k < len(head) {
			return
		}
		h, err := protocol.ParseHeader(head[:])
		if err == nil && h.Type == protocol.AbortRequest && h.ID == id {
			why = clientAborted
		}
	})
	if err != nil {
		return clientGone
	}
	return why
}

// readable reports whether a read of c would return at once.
func readable(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	is := false
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		is = err == nil && n > 0
	})
	return is && err == nil
}

// peerUID is the user of the process at the other end of a unix socket.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("asking for the peer's credentials: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return 0, fmt.Errorf("asking for the peer's credentials: %w", err)
	}
	return int(cred.Uid), nil
}
