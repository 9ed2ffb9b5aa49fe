package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// groupDirectory is the directory of the group sockets: 0750 of root and the
// router's group, or 0700 of an ordinary user.
type groupDirectory struct {
	path   string
	users  users
	router identity
	shared bool // with the wsgid before, whose sockets are in use

	mu      sync.Mutex
	sockets []*unixSocket
}

// make creates the directory, or takes over what a killed supervisor left and
// cleans it of dead sockets.
func (d *groupDirectory) make() error {
	fail := func(err error) error { return fmt.Errorf("directory of the group sockets %s: %w", d.path, err) }
	if err := makeParent(d.path); err != nil {
		return err
	}
	mode := os.FileMode(0o700)
	if d.users.root() {
		mode = 0o750
	}
	if err := os.Mkdir(d.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	// Opened without following a link, and changed through the descriptor.
	dir, err := os.OpenFile(d.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_DIRECTORY, 0)
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return fail(err)
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != d.users.uid {
		return fail(fmt.Errorf("belongs to uid %d", uid))
	}
	if d.users.root() {
		if err := dir.Chown(0, d.router.GID); err != nil {
			return fail(err)
		}
	}
	if err := dir.Chmod(mode); err != nil {
		return fail(err)
	}
	if d.shared {
		return nil
	}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return fail(err)
	}
	for _, entry := range entries {
		path := filepath.Join(d.path, entry.Name())
		switch {
		case entry.Type() == fs.ModeSocket && probeStale(path) == nil:
			_ = os.Remove(path)
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".wsgid-"):
			_ = os.RemoveAll(path)
		}
	}
	return nil
}

// listen opens the socket of a group: 0660 of root and the router's group.
func (d *groupDirectory) listen(path string, backlog int) (*unixSocket, error) {
	gid := -1
	if d.users.root() {
		gid = d.router.GID
	}
	socket, err := listenUnix(socketSpec{path: path, mode: 0o660, uid: -1, gid: gid, backlog: backlog})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sockets = append(d.sockets, socket)
	return socket, nil
}

// close removes the sockets and the directory.
func (d *groupDirectory) close() {
	for _, socket := range d.sockets {
		socket.close()
	}
	_ = os.Remove(d.path)
}

// forget closes a socket that listen has opened.
func (d *groupDirectory) forget(socket *unixSocket) {
	socket.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sockets = slices.DeleteFunc(d.sockets, func(other *unixSocket) bool { return other == socket })
}

// admit lets another router than the one before in. Both pass the directory
// then, as anybody may; whom a socket serves says its own mode.
func (d *groupDirectory) admit(router identity) error {
	if !d.users.root() || router.GID == d.router.GID {
		d.router = router
		return nil
	}
	if err := os.Chmod(d.path, 0o711); err != nil {
		return fmt.Errorf("directory of the group sockets: %w", err)
	}
	d.router = router
	return nil
}

// groupSocketPath is the path of a group's socket. A name that would not make
// a decent file name is replaced by its number, and so is that of a generation
// after the first one.
func groupSocketPath(dir, name string, generation, number int) string {
	path := filepath.Join(dir, name+".sock")
	if generation == 1 && filepath.Dir(path) == dir && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "group-") &&
		len(path) <= maxSocketPath && !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return path
	}
	return filepath.Join(dir, fmt.Sprintf("group-%d-%d.sock", generation, number))
}
