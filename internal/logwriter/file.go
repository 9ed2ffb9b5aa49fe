package logwriter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lookAgain is how often it is asked whether the file is still there.
const lookAgain = time.Second

// File is a log file that is appended to, and opened anew when it has been moved
// away, as log rotation does.
type File struct {
	name   string
	strict bool

	fixed atomic.Bool // no regular file: it is never opened anew
	// turn is had by whoever writes or opens: when Reopen returns nothing more goes to
	// the old file. A write may never end (a pipe that nobody reads, a disk that
	// hangs): others wait for it only so long.
	turn   chan struct{}
	file   *os.File
	looked time.Time
}

// turnPatience is how long a write may keep others from opening or closing the file.
const turnPatience = 2 * time.Second

// take waits for the turn.
func (f *File) take() bool {
	timer := time.NewTimer(turnPatience)
	defer timer.Stop()
	select {
	case f.turn <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (f *File) give() { <-f.turn }

// OpenFile opens a log file, which is made with mode 0640. strict: no symbolic link
// is followed, and nothing but a regular file is taken: who may write in the
// directory could have root append to any file.
func OpenFile(name string, strict bool) (*File, error) {
	f := &File{name: name, strict: strict, turn: make(chan struct{}, 1)}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// open opens the file and lets go of the one before, unless that fails.
func (f *File) open() error {
	flags := unix.O_WRONLY | unix.O_APPEND | unix.O_CLOEXEC
	if f.strict {
		flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK
	} else if info, err := os.Stat(f.name); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		// Nobody may read it yet: only so this does not wait.
		flags = unix.O_RDWR | unix.O_NONBLOCK | unix.O_CLOEXEC
	}
	fd, made, err := openOrMake(f.name, flags)
	if errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("opening the log %s: it is a symbolic link: name the file itself", f.name)
	}
	if err != nil {
		return fmt.Errorf("opening the log: %w", &fs.PathError{Op: "open", Path: f.name, Err: err})
	}
	file := os.NewFile(uintptr(fd), f.name)
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return fmt.Errorf("opening the log: %w", err)
	}
	f.fixed.Store(!info.Mode().IsRegular())
	if f.fixed.Load() && f.strict {
		file.Close()
		return fmt.Errorf("opening the log %s: it is no regular file", f.name)
	}
	if made && f.file != nil {
		if err := inherit(fd, int(f.file.Fd())); err != nil {
			file.Close()
			return fmt.Errorf("opening the log %s: owner and mode of the one before: %w", f.name, err)
		}
	}
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.looked = file, time.Now()
	return nil
}

// openOrMake says whether the file was made: what was there already, or came in
// between, belongs to somebody.
func openOrMake(name string, flags int) (fd int, made bool, err error) {
	if fd, err = unix.Open(name, flags, 0); !errors.Is(err, unix.ENOENT) {
		return fd, false, err //nolint:wrapcheck // by open
	}
	if fd, err = unix.Open(name, flags|unix.O_CREAT|unix.O_EXCL, 0o640); !errors.Is(err, unix.EEXIST) {
		return fd, err == nil, err //nolint:wrapcheck // the same
	}
	fd, err = unix.Open(name, flags|unix.O_CREAT, 0o640)
	return fd, false, err //nolint:wrapcheck // the same
}

// inherit gives a new file owner and mode of the one before.
func inherit(fd, before int) error {
	var was, is unix.Stat_t
	if err := errors.Join(unix.Fstat(before, &was), unix.Fstat(fd, &is)); err != nil {
		return err //nolint:wrapcheck // by open
	}
	if was.Uid != is.Uid || was.Gid != is.Gid {
		if err := unix.Fchown(fd, int(was.Uid), int(was.Gid)); err != nil {
			return err //nolint:wrapcheck // the same
		}
	}
	return unix.Fchmod(fd, was.Mode&0o777) //nolint:wrapcheck // the same
}

// Reopen opens the file anew. When that fails the old one goes on being used.
func (f *File) Reopen() error {
	if f.fixed.Load() {
		return nil
	}
	if !f.take() {
		return fmt.Errorf("opening the log %s: a line is being written to the one before, and that does not end", f.name)
	}
	defer f.give()
	return f.open()
}

// Write appends.
func (f *File) Write(b []byte) (int, error) {
	f.turn <- struct{}{}
	defer f.give()
	if !f.fixed.Load() && time.Since(f.looked) > lookAgain {
		f.looked = time.Now()
		was, err := f.file.Stat()
		is, missing := os.Stat(f.name)
		if err != nil || missing != nil || !os.SameFile(was, is) {
			if err := f.open(); err != nil && f.unlinked() {
				f.looked = time.Time{} // nothing is written where nobody finds it
				return 0, err
			}
		}
	}
	return f.file.Write(b) //nolint:wrapcheck // an io.Writer
}

// unlinked says whether the file has no name any more.
func (f *File) unlinked() bool {
	var stat unix.Stat_t
	return unix.Fstat(int(f.file.Fd()), &stat) != nil || stat.Nlink == 0
}

// Close closes the file, unless a write to it does not end: then the process ends with
// it open.
func (f *File) Close() {
	if f.take() {
		f.file.Close()
		f.give()
	}
}
