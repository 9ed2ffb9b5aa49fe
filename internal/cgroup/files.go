package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// words of a file; none if it cannot be read.
func words(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// write gives the kernel a value, in one write. The file must exist.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", value, err)
	}
	return nil
}

// writable says why nothing can be made in a directory; nil: it can.
func writable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// busy: a cgroup has processes.
func busy(err error) bool { return errors.Is(err, unix.EBUSY) }

// gone: a process has ended meanwhile.
func gone(err error) bool { return errors.Is(err, unix.ESRCH) }

// directories makes and removes directories: the kernel fills them.
type directories interface {
	mkdir(dir string) error
	rmdir(dir string) error
}

type kernel struct{}

func (kernel) mkdir(dir string) error { return os.Mkdir(dir, 0o755) }
func (kernel) rmdir(dir string) error { return unix.Rmdir(dir) }
