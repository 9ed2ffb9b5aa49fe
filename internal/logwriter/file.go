package logwriter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lookAgain is how often it is asked whether the file is still there.
const lookAgain = time.Second

// File is a log file that is appended to, and opened anew when it has been moved
// away, as log rotation does. Its writer is one goroutine.
type File struct {
	name   string
	strict bool
	file   *os.File
	looked time.Time
	fixed  bool // no regular file: it is never opened anew
}

// OpenFile opens a log file, which is made with mode 0640. strict: no symbolic link
// is followed, and nothing but a regular file is taken: who may write in the
// directory could have root append to any file.
func OpenFile(name string, strict bool) (*File, error) {
	f := &File{name: name, strict: strict}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) open() error {
	flags := unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_CLOEXEC
	if f.strict {
		flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK
	}
	fd, err := unix.Open(f.name, flags, 0o640)
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
	if f.fixed = !info.Mode().IsRegular(); f.fixed && f.strict {
		file.Close()
		return fmt.Errorf("opening the log %s: it is no regular file", f.name)
	}
	f.Close()
	f.file, f.looked = file, time.Now()
	return nil
}

// Write appends.
func (f *File) Write(b []byte) (int, error) {
	if !f.fixed && time.Since(f.looked) > lookAgain {
		f.looked = time.Now()
		was, err := f.file.Stat()
		is, missing := os.Stat(f.name)
		if err != nil || missing != nil || !os.SameFile(was, is) {
			if err := f.open(); err != nil {
				return 0, err
			}
		}
	}
	return f.file.Write(b) //nolint:wrapcheck // an io.Writer
}

// Close closes the file.
func (f *File) Close() {
	if f.file != nil {
		f.file.Close()
	}
}
