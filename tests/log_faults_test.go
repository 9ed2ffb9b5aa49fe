package tests

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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

// TestLogsLost: neither an error_log on a full disk nor a log that nobody reads holds
// up requests; what is lost is counted and said.
func TestLogsLost(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("flood_stderr.py")
	disk := openDirectory(t, w, "disk")
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	pipe, full := w.Path("pipe"), disk+"/full.log"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n}\n"+
		"log {\n  format = \"json\"\n  destination = \"{{.Dir}}/pipe\"\n}\n"+group("disk", "#64001", 1, 3, option("error_log", full))+group("pipe", "#64001", 1, 3)+
		mount("/disk", "apps/flood_stderr.py", option("process_group", "disk"))+mount("/pipe", "apps/flood_stderr.py", option("process_group", "pipe"))))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	lost := func(group, destination string) {
		t.Helper()
		harness.Eventually(t, "lines are lost in "+destination, func() error {
			wantStatus(t, "a request that logs", apache.Get("/"+group+"?lines=1000"), 200)
			for _, l := range d.Status().Logs {
				if l.Destination == destination && l.Lost > 0 && (l.Error != "") == (group == "disk") {
					return nil
				}
			}
			return fmt.Errorf("%+v", d.Status().Logs)
		})
	}
	lost("disk", full)
	lost("pipe", pipe)
	for range 100 {
		wantStatus(t, "a request", apache.Get("/disk?lines=10"), 200)
		wantStatus(t, "a request", apache.Get("/pipe?lines=10"), 200)
	}
	for _, p := range d.Status().Groups {
		if p.LogDropped != 0 {
			t.Errorf("processes of %s have dropped %d records", p.Name, p.LogDropped)
		}
	}
	_, text := controlClient(t, w)("/metrics")
	for _, destination := range []string{full, pipe} {
		if name := fmt.Sprintf("wsgid_log_lost_lines_total{destination=%q}", destination); samples(t, text)[name] == 0 {
			t.Errorf("%s is not there", name)
		}
	}
	if _, out, _ := w.CLI("status", "--control", w.Control); !strings.Contains(out, "log "+full+"  ") || !strings.Contains(out, "no space left on device") || !strings.Contains(out, "log "+pipe+"  ") {
		t.Errorf("%s", out)
	}
	reader, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	missing := []string{"error_log cannot be written", linesMissing}
	for lines := bufio.NewScanner(reader); len(missing) > 0; {
		if !lines.Scan() {
			t.Fatalf("the log does not say %q: %v", missing, lines.Err())
		}
		missing = slices.DeleteFunc(missing, func(text string) bool { return strings.Contains(lines.Text(), text) })
	}
}
