package pyshim_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/pyshim"
)

// TestHostStacks: a thread of Go that runs a script writes where it is when it gets the
// signal; one that has never run Python says just that it is there.
func TestHostStacks(t *testing.T) {
	h := host(t)
	file := os.NewFile(uintptr(dup(t, hostStacks)), "stacks")
	defer file.Close()
	begin, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		t.Fatal(err)
	}
	if mark := written(t, file, 0); begin < 5 || !strings.HasPrefix(mark, "\x01end\n") {
		t.Errorf("it begins with %q", mark)
	}
	path := writeScript(t, "import signal, threading\ndef interrupted():\n    signal.raise_signal(63)\n    return str(threading.get_native_id())\ndef process_group(environ):\n    return interrupted()\n")
	d, err := h.Dispatch(&pyshim.Call{Script: path, ApplicationGroup: "elsewhere", Params: pairs("A", "b")})
	if err != nil {
		t.Fatal(err)
	}
	text := written(t, file, begin)
	if !strings.HasPrefix(text, fmt.Sprintf("\x01tid\x00%s\x00interpreter\x00elsewhere\n", d.ProcessGroup.Value)) || !strings.HasSuffix(text, "\x01end\n") ||
		!strings.Contains(text, fmt.Sprintf("  File %q, line 3 in interrupted\n  File %[1]q, line 6 in process_group\n", path)) {
		t.Errorf("%q", text)
	}
	begin += int64(len(text))
	done := make(chan int)
	go func() { // of a thread that ends with it
		runtime.LockOSThread()
		tid := unix.Gettid()
		if err := unix.Tgkill(os.Getpid(), tid, 63); err != nil {
			t.Error(err)
		}
		done <- tid
	}()
	if tid, got := <-done, written(t, file, begin); !strings.HasPrefix(got, fmt.Sprintf("\x01tid\x00%d\x00interpreter\x00", tid)) || strings.Contains(got, "File") {
		t.Errorf("%q", got)
	}
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// written is what the file has from an offset on.
func written(t *testing.T, file *os.File, from int64) string {
	t.Helper()
	text, err := io.ReadAll(io.NewSectionReader(file, from, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
