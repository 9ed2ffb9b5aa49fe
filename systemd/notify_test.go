package systemd

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	tests := []struct {
		call func() error
		want string
	}{
		{func() error { return Ready("2 groups\nMAINPID=1") }, "READY=1\nSTATUS=2 groups MAINPID=1"},
		{func() error { return Ready("") }, "READY=1"},
		{Stopping, "STOPPING=1"},
		{func() error { return Status("1 of 2\nREADY=1") }, "STATUS=1 of 2 READY=1"},
		{Alive, "WATCHDOG=1"},
	}
	for _, test := range tests {
		if err := test.call(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 512)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:n]); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// TestWatchdog: only that of this process counts, or of the one before it.
func TestWatchdog(t *testing.T) {
	for _, tt := range []struct {
		pid, usec string
		heir      bool
		want      time.Duration
	}{
		{"", "30000000", false, 30 * time.Second}, {strconv.Itoa(os.Getpid()), "500", false, 500 * time.Microsecond},
		{"1", "30000000", false, 0}, {"1", "30000000", true, 30 * time.Second},
		{"", "", false, 0}, {"", "0", false, 0}, {"", "-1", true, 0}, {"", "x", false, 0}, {"", "9223372036854775807", false, 0},
	} {
		t.Setenv("WATCHDOG_PID", tt.pid)
		t.Setenv("WATCHDOG_USEC", tt.usec)
		if got, is := Watchdog(tt.heir); got != tt.want || is != (tt.want > 0) {
			t.Errorf("%+v: %v %v", tt, got, is)
		}
	}
}

func TestWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if Managed() {
		t.Error("somebody listens")
	}
	if err := Ready("x"); err != nil {
		t.Error(err)
	}
}
