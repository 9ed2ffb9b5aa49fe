package logwriter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFile: a file that was moved away, or removed, is made anew; what had been
// written stays where it was moved to.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.log")
	f, err := OpenFile(name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	say(t, f, "first\n")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	say(t, f, "second\n") // it is not looked at each time
	f.looked = time.Now().Add(-2 * lookAgain)
	say(t, f, "third\n")
	holds := func(name, want string) {
		t.Helper()
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s has %q, want %q (%v)", name, got, want, err)
		}
	}
	holds(name+".1", "first\nsecond\n")
	holds(name, "third\n")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	f.looked = time.Now().Add(-2 * lookAgain)
	say(t, f, "fourth\n")
	holds(name, "fourth\n")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// TestFileRefused: what a less privileged user could have put there.
func TestFileRefused(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{link: "it is a symbolic link", "/dev/null": "it is no regular file", filepath.Join(dir, "no/x"): "no such file or directory"} {
		if _, err := OpenFile(name, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f, err := OpenFile("/dev/null", false)
	if err != nil {
		t.Fatal(err)
	}
	f.looked = time.Time{}
	say(t, f, "into nothing\n")
	f.Close()
	if f, err = OpenFile(link, false); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	say(t, f, "x\n")
	f.looked = time.Time{}
	say(t, f, "y\n")
	if got, err := os.ReadFile(filepath.Join(dir, "target")); err != nil || string(got) != "x\ny\n" {
		t.Errorf("%q %v", got, err)
	}
}

// TestFileStalls: a pipe that nobody reads keeps neither rotation nor the end waiting
// for ever.
func TestFileStalls(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(name, false)
	if err != nil {
		t.Fatal(err)
	}
	out := NewOutput(f, OutputOptions{Name: name, File: f})
	for range 100 { // more than it holds
		_, _ = out.Write([]byte(strings.Repeat("x", 4000) + "\n"))
	}
	if err := out.Reopen(); err != nil {
		t.Error(err)
	}
	out.Close()
}
