package tests

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

const linesMissing = "log lines are missing here"

// TestLogReaderStalls: a log collector that reads nothing holds up neither
// requests whose application logs, nor the router, nor wsgid status; the log
// says in the end how many lines are missing.
func TestLogReaderStalls(t *testing.T) {
	w := newWorld(t)
	w.App("flood_stderr.py")
	w.Configure(group("only", "#64001", 1, 3) + mount("/flood", "apps/flood_stderr.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	goOn := wsgid.Log.Stall()
	t.Cleanup(goOn)
	for range 8 {
		wantStatus(t, "a request that logs much", apache.Get("/flood?lines=1000"), 200)
	}
	for range 500 {
		wantStatus(t, "a refusal", apache.Get("/nowhere"), 404)
	}
	if s := wsgid.Status(); s.State != "ready" || s.Groups[0].Processes[0].LogDropped != 0 {
		t.Errorf("wsgid is %s, the process has dropped %d lines", s.State, s.Groups[0].Processes[0].LogDropped)
	}
	goOn()
	record := wsgid.Log.Await(t, "the gap", harness.Containing(linesMissing))
	if record.Level() != "warn" || record.Text("lines") == "" || record.Text("lines") == "0" {
		t.Errorf("%s", record.Line)
	}
	mark := wsgid.Log.Mark()
	wantStatus(t, "afterwards", apache.Get("/flood?lines=1"), 200)
	wsgid.Log.AwaitFrom(t, mark, "a line of then", harness.Containing("raw 0 xxx"))
}

// TestStoppedSupervisor: while the supervisor is stopped requests are served, and
// what the router logs holds nothing up; it goes on where it was.
func TestStoppedSupervisor(t *testing.T) {
	w := newWorld(t)
	w.App("slow.py")
	w.Configure(group("only", "#64001", 2, 3) + mount("/slow", "apps/slow.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only")
	if err := syscall.Kill(wsgid.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = syscall.Kill(wsgid.PID, syscall.SIGCONT) }
	defer goOn()
	for range 1000 {
		wantStatus(t, "a refusal", apache.Get("/nowhere"), 404)
	}
	wantStatus(t, "a request", apache.Do("POST", "/slow?for=0", strings.NewReader("body")), 200)
	goOn()
	after := wsgid.AwaitReady("only")
	if after.RouterPID != before.RouterPID || len(after.Group("only").Restarts) != 0 {
		t.Errorf("router %d before, %d after; restarts %v", before.RouterPID, after.RouterPID, after.Group("only").Restarts)
	}
}

// TestDiskFull: with no byte left for log, sockets and pid file requests go on,
// the log is told of once on standard error, and says what is missing when there
// is room again; neither a reload nor the death of a process harms.
func TestDiskFull(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("flood_stderr.py")
	disk := openDirectory(t, w, "disk")
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=256k,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	w.Socket, w.Control = disk+"/wsgid.sock", disk+"/control.sock"
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n  pid_file = \"{{.Dir}}/disk/pid\"\n}\n"+
		"log {\n  format = \"json\"\n  destination = \"{{.Dir}}/disk/log\"\n}\n"+group("only", "#64001", 1, 3)+mount("/", "apps/flood_stderr.py")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	flood := func(times int) {
		for range times {
			wantStatus(t, "a request that logs", apache.Get("/?lines=100"), 200)
		}
	}
	flood(10)
	told := wsgid.Log.Await(t, "the failure", harness.Containing("log cannot be written", "no space left on device", disk+"/log"))
	if told.Level() != "error" {
		t.Errorf("%s", told.Line)
	}
	code, out, errs := w.CLI("reload", "--control", w.Control)
	t.Logf("reload on a full disk: %d %s%s", code, out, errs)
	flood(2)
	wsgid.NoteSessions()
	victim := wsgid.AwaitReady("only").PIDs("only")[0]
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wsgid.AwaitCrashes("only", 1)
	wsgid.AwaitReady("only")
	flood(2)
	if found := wsgid.Log.Find(harness.Containing("log cannot be written")); len(found) != 1 {
		t.Errorf("it is said %d times", len(found))
	}
	if err := os.Truncate(disk+"/log", 0); err != nil {
		t.Fatal(err)
	}
	flood(1)
	harness.Eventually(t, "the log says what is missing", func() error {
		if text := readFile(t, disk+"/log"); !strings.Contains(text, linesMissing) || !strings.Contains(text, "raw 99 ") {
			return fmt.Errorf("it has %d bytes: %.300s", len(text), text)
		}
		return nil
	})
}
