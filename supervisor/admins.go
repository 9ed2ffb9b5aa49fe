package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
)

// admins are the accounts that may do everything on the control socket, besides root
// and the user that wsgid runs as.
type admins struct {
	uids, gids []int
	// shutOut are users of whom the system says that the socket does not let them in.
	shutOut []string
}

// lookupAdmins finds those of the control block, whose socket belongs to owner.
func lookupAdmins(c *config.Control, owner ownership) (admins, error) {
	var a admins
	for _, name := range c.AdminUsers {
		id, err := lookupUser(name)
		if err != nil {
			return a, fmt.Errorf("admin_users: %w", err)
		}
		a.uids = append(a.uids, id.UID)
		if id.UID != 0 && id.UID != owner.uid && len(id.Groups) > 0 && id.GID != owner.gid && !slices.Contains(id.Groups, owner.gid) {
			a.shutOut = append(a.shutOut, name)
		}
	}
	for _, name := range c.AdminGroups {
		gid, err := lookupGroup(name)
		if err != nil {
			return a, fmt.Errorf("admin_groups: %w", err)
		}
		a.gids = append(a.gids, gid)
	}
	return a, nil
}

// has says whether somebody is one of them.
func (a *admins) has(p *peer) bool {
	return slices.Contains(a.uids, p.uid) || slices.ContainsFunc(p.gids, func(gid int) bool { return slices.Contains(a.gids, gid) })
}

// peer is who has connected, as the kernel says.
type peer struct {
	uid  int
	gids []int // primary and supplementary
}

// peerKey is where the peer lies in a request's context.
type peerKey struct{}

// peerContext asks the kernel who connected.
func peerContext(ctx context.Context, conn net.Conn) context.Context {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return ctx
	}
	var p *peer
	var peerErr error
	if err := raw.Control(func(fd uintptr) { p, peerErr = peerOf(fd) }); err != nil || peerErr != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// peerOf reads who is at the other end of a socket.
func peerOf(fd uintptr) (*peer, error) {
	credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	p := &peer{uid: int(credentials.Uid), gids: []int{int(credentials.Gid)}}
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups)) * 4
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errors.Is(errno, unix.ERANGE) && int(size/4) > len(groups) {
			groups = make([]uint32, size/4)
			continue
		}
		if errno == 0 { // else Linux before 4.13: the primary group counts
			for _, gid := range groups[:size/4] {
				p.gids = append(p.gids, int(gid))
			}
		}
		return p, nil
	}
}

// identified refuses whom the kernel does not name.
func (c *control) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := r.Context().Value(peerKey{}).(*peer); !known {
			c.log.Warn("control request refused", "method", r.Method, "path", r.URL.Path, "reason", "nobody knows whose it is")
			c.answer(w, http.StatusForbidden, status.Error{Error: "the kernel does not say who has connected"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admin lets nobody do it who may only look. It stands behind identified.
func (c *control) admin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, known := r.Context().Value(peerKey{}).(*peer)
		if !known {
			p = &peer{uid: -1}
		}
		// A browser that reaches the socket through a tunnel brings along what other sites
		// have it ask: it says whose idea that was, programs do not.
		if r.Header.Get("Origin") != "" {
			c.log.Warn("control request refused", "uid", p.uid, "method", r.Method, "path", r.URL.Path, "origin", r.Header.Get("Origin"))
			c.answer(w, http.StatusForbidden, status.Error{Error: "commands are not for web pages"})
			return
		}
		if named := c.admins(); p.uid == 0 || p.uid == c.uid || named.has(p) {
			next(w, r)
			return
		}
		who := "root"
		if c.uid != 0 {
			who += fmt.Sprintf(", uid %d", c.uid)
		}
		c.log.Warn("control request refused", "uid", p.uid, "method", r.Method, "path", r.URL.Path)
		c.answer(w, http.StatusForbidden, status.Error{Error: fmt.Sprintf("uid %d may only look (its groups are %s); %s %s is for %s, and admin_users and admin_groups of the control block",
			p.uid, strings.Trim(fmt.Sprint(p.gids), "[]"), r.Method, r.URL.Path, who)})
	}
}
