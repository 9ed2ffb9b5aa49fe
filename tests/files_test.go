package tests

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// openDirectory makes a directory in which every user may write.
func openDirectory(t *testing.T, w *harness.World, name string) string {
	t.Helper()
	path := w.Path(name)
	if err := os.MkdirAll(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitFile waits until a file is there and holds at least one line or number.
func awaitFile(t *testing.T, path string) string {
	t.Helper()
	var content []byte
	harness.Eventually(t, path+" is written", func() error {
		var err error
		content, err = os.ReadFile(path)
		if err == nil && len(content) == 0 {
			err = os.ErrNotExist
		}
		return err
	})
	return string(content)
}

// numbers are the decimal lines of a text.
func numbers(t *testing.T, text string) []int {
	t.Helper()
	var all []int
	for _, field := range strings.Fields(text) {
		number, err := strconv.Atoi(field)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all = append(all, number)
	}
	return all
}

// errNotYet is for checks that wait.
var errNotYet = errors.New("not yet")

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// mkfifo makes a fifo that nobody writes to: who opens it to read waits.
func mkfifo(t *testing.T, w *harness.World) string {
	t.Helper()
	path := w.Path("gate.fifo")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
}
