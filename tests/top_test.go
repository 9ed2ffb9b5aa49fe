package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestTop: one look after the other, in the order that is asked for, with what has
// happened in between; 80 columns are enough.
func TestTop(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Configure(group("quiet", "#64001", 2, 2) + group("a-group-with-a-long-name", "#64002", 1, 2) +
		mount("/hello", "apps/hello.py", option("process_group", "quiet")) + mount("/one", "apps/one.py", option("process_group", "a-group-with-a-long-name")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	running := hang(t, d, apache.Client, "a-group-with-a-long-name", "/one?never")
	w.Environment = []string{"COLUMNS=80"}
	code, out, errs := w.CLI("top", "--control", w.Control, "--rounds", "2", "--interval", "300ms", "--sort", "busy")
	looks := strings.Split(strings.TrimSpace(out), "\n\n")
	if code != 0 || len(looks) != 4 { // each with an empty line inside
		t.Fatalf("%d: %s%s", code, out, errs)
	}
	rows := strings.Split(looks[3], "\n")
	if len(rows) != 4 || !strings.HasPrefix(rows[0], "GROUP ") || !regexp.MustCompile(`^a-group\S*…\S*-name +\d+ ready `).MatchString(rows[1]) || !strings.HasSuffix(rows[1], "GET /one?never") || !strings.Contains(rows[1], " 1/2 ") || !strings.Contains(rows[2], " 0/2 ") {
		t.Errorf("%s", looks[3])
	}
	for _, line := range strings.Split(out, "\n") {
		if len([]rune(line)) > 80 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
	if code, _, errs := w.CLI("top", "--control", w.Control, "--sort", "size"); code != 2 || !strings.Contains(errs, "--sort is one of busy, cpu, errors, group, memory, oldest, requests") {
		t.Errorf("%d: %s", code, errs)
	}
	w.Write("open/never", "")
	w.Write("open/background", "")
	<-running
}

// terminal opens a pair of a terminal and its other side, of 80 columns.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 80}); err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// TestTopOnTerminal: keys choose the order and the end, no line is longer than the
// screen, and the terminal is given back as it was.
func TestTopOnTerminal(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("a-group-with-quite-a-long-name", "#64001", 9, 1) + mount("/hello", "apps/hello.py"))
	w.Start(harness.Options{})
	master, slave := terminal(t)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen bytes.Buffer
	go func() { // until the terminal is closed
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			mu.Lock()
			seen.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	drawn := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Split(seen.String(), "\x1b[H")
	}
	cmd := exec.Command(w.Binary, "top", "--control", w.Control, "--interval", "1h")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	awaitLook := func(n int) {
		t.Helper()
		harness.Eventually(t, fmt.Sprintf("look %d", n), func() error {
			if looks := drawn(); len(looks) <= n || !strings.HasSuffix(looks[n], "\x1b[J") {
				return fmt.Errorf("%q", looks)
			}
			return nil
		})
	}
	awaitLook(1)
	if _, err := master.WriteString("m"); err != nil {
		t.Fatal(err)
	}
	awaitLook(2)
	for _, look := range drawn()[1:] {
		lines := strings.Split(strings.TrimSuffix(look, "\x1b[J"), "\n")
		if len(lines) != 10 || !strings.HasPrefix(lines[3], "GROUP") { // nine, and the end of the last
			t.Errorf("%d lines: %q", len(lines), look)
		}
		for _, line := range lines {
			if plain := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(line, "\r"), "\x1b[K"), "\r"); len([]rune(plain)) > 80 {
				t.Errorf("%d columns: %q", len([]rune(plain)), line)
			}
		}
	}
	if _, err := master.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	looks := len(drawn())
	cmd = exec.Command(w.Binary, "status", "--control", w.Control, "--watch", "--interval", "100ms")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLook(looks + 2)
	if look := drawn()[looks+1]; !strings.HasPrefix(look, "wsgid ") || !strings.Contains(look, "router ") {
		t.Errorf("%q", look)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	for _, verb := range [][]string{{"status"}, {"status", "--full"}, {"requests"}} {
		mark := len(strings.Join(drawn(), "\x1b[H"))
		cmd = exec.Command(w.Binary, append(verb, "--control", w.Control)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		last := map[string]string{"status": "a-group", "requests": "no request runs"}[verb[0]]
		harness.Eventually(t, "what it has written", func() error {
			text := strings.Join(drawn(), "\x1b[H")[mark:]
			if !strings.Contains(text, last) {
				return fmt.Errorf("%q", text)
			}
			for _, line := range strings.Split(text, "\r\n") {
				if len([]rune(line)) > 80 {
					t.Errorf("%v: %d columns: %q", verb, len([]rune(line)), line)
				}
			}
			return nil
		})
	}
	if after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil || *after != *before {
		t.Errorf("%v: the terminal is not as it was: %+v, %+v", err, before, after)
	}
}
