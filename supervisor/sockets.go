package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what fits into sockaddr_un with its NUL.
const maxSocketPath = 107

// unixSocket is a listening socket in the file system.
type unixSocket struct {
	path   string
	file   *os.File
	device uint64 // identity of the socket file, so that we only remove our own
	inode  uint64
	// borrowed: the file is another wsgid's.
	borrowed bool
}

// socketSpec says what a socket file has to look like.
type socketSpec struct {
	path     string
	mode     os.FileMode
	uid, gid int // -1: as created
	backlog  int
}

// errInUse is returned when somebody listens at a path.
var errInUse = errors.New("somebody listens there")

// listenUnix makes a listening socket whose file has the right owner and mode
// from the moment on at which others can see it: it is bound in a private
// directory beside the target and renamed. Only a stale socket is replaced.
func listenUnix(spec socketSpec) (*unixSocket, error) {
	fail := func(err error) (*unixSocket, error) {
		return nil, fmt.Errorf("listen on unix socket %s: %w", spec.path, err)
	}
	if len(spec.path) > maxSocketPath {
		return fail(fmt.Errorf("the path is longer than %d bytes", maxSocketPath))
	}
	if err := checkReplaceable(spec.path, spec.uid); err != nil {
		return fail(err)
	}
	private, err := os.MkdirTemp(filepath.Dir(spec.path), ".wsgid-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(private)
	// Everything below goes through a descriptor: whoever owns the parent
	// directory cannot put another one in its place.
	dir, err := unix.Open(private, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(dir)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	file := os.NewFile(uintptr(fd), spec.path)
	abort := func(err error) (*unixSocket, error) {
		file.Close()
		return fail(err)
	}
	const name = "socket"
	inside := "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: inside}); err != nil {
		return abort(err)
	}
	if err := unix.Fchmodat(dir, name, uint32(spec.mode.Perm()), 0); err != nil {
		return abort(err)
	}
	if spec.uid >= 0 || spec.gid >= 0 {
		if err := unix.Fchownat(dir, name, spec.uid, spec.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return abort(fmt.Errorf("change its owner: %w", err))
		}
	}
	if err := unix.Listen(fd, spec.backlog); err != nil {
		return abort(err)
	}
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return abort(err)
	}
	if err := unix.Renameat(dir, name, unix.AT_FDCWD, spec.path); err != nil {
		return abort(err)
	}
	return &unixSocket{path: spec.path, file: file, device: stat.Dev, inode: stat.Ino}, nil
}

// close closes our copy of the socket and removes its file if it is still ours.
func (s *unixSocket) close() {
	s.file.Close()
	if s.borrowed {
		return
	}
	var stat unix.Stat_t
	if unix.Lstat(s.path, &stat) == nil && stat.Dev == s.device && stat.Ino == s.inode {
		_ = os.Remove(s.path)
	}
}

// disown leaves the file to another wsgid.
func (s *unixSocket) disown() { s.borrowed = true }

// change gives the socket file another mode and owner (-1: as it is), if it is
// still ours.
func (s *unixSocket) change(mode os.FileMode, uid, gid int) error {
	// Through a descriptor, which no link can lead astray.
	fd, err := unix.Open(s.path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Dev != s.device || stat.Ino != s.inode {
		return errors.New("somebody has put another file in the place of the socket")
	}
	if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("change its owner: %w", err)
	}
	return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), uint32(mode.Perm()))
}

// checkReplaceable refuses to replace anything but a stale socket that this
// user, or the owner to be, has made.
func checkReplaceable(path string, owner int) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("something that is no socket is in the way")
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() && uid != owner {
		return fmt.Errorf("a socket of uid %d is in the way", uid)
	}
	return probeStale(path)
}

// probeStale returns nil when nobody listens on a socket file.
func probeStale(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); {
	case errors.Is(err, unix.ECONNREFUSED):
		return nil
	case err == nil, errors.Is(err, unix.EAGAIN): // EAGAIN: its backlog is full
		return errInUse
	default:
		return fmt.Errorf("find out whether somebody listens there: %w", err)
	}
}

// makeParent makes the directory of a socket, open to everybody: the mode of
// the socket decides.
func makeParent(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make directory for %s: %w", path, err)
	}
	return nil
}
