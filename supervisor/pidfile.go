package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writePIDFile writes the pid, complete from the moment on at which others
// can see the file.
func writePIDFile(path string) error {
	if err := makeParent(path); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".wsgid-pid-")
	if err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	_, err = file.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	if err == nil {
		err = file.Chmod(0o644)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
		return fmt.Errorf("write pid file %s: %w", path, err)
	}
	return nil
}

// removePIDFile removes the file unless it is no longer ours.
func removePIDFile(path string) {
	data, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(data)) == strconv.Itoa(os.Getpid()) {
		os.Remove(path)
	}
}
