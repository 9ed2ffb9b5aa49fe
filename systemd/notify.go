// Package systemd tells the service manager how wsgid is doing (sd_notify).
// Without NOTIFY_SOCKET every call does nothing. It must not know what the
// states mean inside wsgid.
package systemd

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Ready says that the start is complete, with a line for systemctl status, or that a
// reload is; empty: the line stays.
func Ready(status string) error {
	if status == "" {
		return notify(daemon.SdNotifyReady)
	}
	return notify(daemon.SdNotifyReady + "\nSTATUS=" + line(status))
}

// Status gives systemctl status another line.
func Status(status string) error { return notify("STATUS=" + line(status)) }

// Alive pings the watchdog.
func Alive() error { return notify(daemon.SdNotifyWatchdog) }

// Managed says whether there is a service manager that listens.
func Managed() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// Watchdog gives the time after which a service that has not pinged is ended
// (WatchdogSec=); false without one. heir: this process has become the service by
// MainPID, and the variables name its predecessor.
func Watchdog(heir bool) (time.Duration, bool) {
	if pid := os.Getenv("WATCHDOG_PID"); !heir && pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, false
	}
	micro, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || micro <= 0 || micro > math.MaxInt64/int64(time.Microsecond) {
		return 0, false
	}
	return time.Duration(micro) * time.Microsecond, true
}

// Reloading says that the configuration is being read again; Ready ends it.
func Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// MainPID says that another process is the service from now on.
func MainPID(pid int) error { return notify(fmt.Sprintf("MAINPID=%d", pid)) }

// Stopping says that the service begins to stop.
func Stopping() error { return notify(daemon.SdNotifyStopping) }

// line keeps a text from adding assignments of its own.
func line(text string) string { return strings.ReplaceAll(text, "\n", " ") }

func notify(state string) error {
	// The variable stays set: children get a clean environment anyway, and
	// every later state needs it again.
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return nil
}
