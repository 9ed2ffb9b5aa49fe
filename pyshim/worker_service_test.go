package pyshim_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startService starts a worker without threads whose scripts have these texts.
func startService(t *testing.T, extra []string, sources ...string) (*worker, string) {
	t.Helper()
	dir := openDir(t)
	all := append([]string{"rule.dir=" + dir}, extra...)
	for i, source := range sources {
		path := write(t, dir+"/"+string(rune('a'+i))+".py", strings.ReplaceAll(source, "DIR", dir))
		all = append(all, "preload=\t"+path)
	}
	return startWorker(t, workerOptions{threads: service, extra: all}), dir
}

func awaitPath(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if content, err := os.ReadFile(path); err == nil && len(content) > 0 {
			return string(content)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not written", path)
		}
	}
}

// TestService: ready while its script runs, SystemExit in the middle of a
// sleep, exit functions at the end.
func TestService(t *testing.T) {
	w, dir := startService(t, nil, "import sys\nsys.stderr.write('first')\n1 / 0\n", `
import atexit, sys, threading, time
import mod_wsgi
atexit.register(lambda: open("DIR/atexit", "w").write("atexit"))
mod_wsgi.process_metrics(), mod_wsgi.request_metrics()
mod_wsgi.subscribe_shutdown(lambda name, **event: open("DIR/stopping", "w").write(event["shutdown_reason"]))
open("DIR/started", "w").write("%s %d" % (threading.current_thread() is threading.main_thread(), mod_wsgi.threads_per_process))
try:
    while True:
        time.sleep(3600)
except SystemExit as error:
    open("DIR/ended", "w").write("SystemExit %s" % error.code)
    raise
`)
	w.record("ZeroDivisionError") // and the next script goes on
	if got := awaitPath(t, dir+"/started"); got != "True 0" {
		t.Errorf("%q", got)
	}
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if got := awaitPath(t, dir+"/ended"); got != "SystemExit 0" {
		t.Errorf("%q", got)
	}
	awaitPath(t, dir+"/atexit")
	if got := awaitPath(t, dir+"/stopping"); got != "shutdown_signal" {
		t.Errorf("%q", got)
	}
	w.drained()
	for _, r := range w.log() {
		if strings.Contains(r["message"], "SystemExit") {
			t.Errorf("logged %v", r)
		}
	}
}

// TestServiceEnds: with the status that the script wants.
func TestServiceEnds(t *testing.T) {
	for source, want := range map[string]int{
		"x = 1\n":                                 0,
		"import sys\nsys.exit()\n":                0,
		"import sys\nsys.exit(3)\n":               3,
		"import sys\nsys.exit('no such queue')\n": 1,
		"raise SystemExit(300)\n":                 300 & 0xff,
		"import threading, time\nthreading.Thread(target=lambda: time.sleep(0.05)).start()\n": 0,
	} {
		w, _ := startService(t, nil, source, "import sys\nsys.stderr.write('the next script')\n")
		if status := w.wait(); status != want {
			t.Errorf("%q: exit status %d, want %d", source, status, want)
		}
		if strings.Contains(source, "no such queue") {
			w.record("no such queue")
		}
	}
}

// TestServiceChildren: a forked child has plain Python's SIGTERM, and holds
// nothing of the service.
func TestServiceChildren(t *testing.T) {
	w, dir := startService(t, nil, `
import os, signal, sys
ends = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(ends[1], b"x")
    while True:
        signal.pause()
os.read(ends[0], 1)
os.kill(pid, signal.SIGTERM)
status = os.waitpid(pid, 0)[1]
left = os.fork()
if left == 0:
    raise ValueError("the child comes back")
open("DIR/result", "w").write("%d %d" % (os.WTERMSIG(status), os.waitpid(left, 0)[1]))
`)
	if got := awaitPath(t, dir+"/result"); got != "15 0" {
		t.Errorf("%q", got)
	}
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestServiceOwnHandler: the script may handle SIGTERM itself.
func TestServiceOwnHandler(t *testing.T) {
	w, dir := startService(t, nil, `
import signal, time
going = True
def stop(number, frame):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
open("DIR/started", "w").write("x")
while going:
    time.sleep(0.01)
open("DIR/ended", "w").write("by itself")
`)
	awaitPath(t, dir+"/started")
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	awaitPath(t, dir+"/ended")
}

// TestServiceSettings: interpreter settings hold for a service, but the signals
// are its own whatever restrict_signal says.
func TestServiceSettings(t *testing.T) {
	w, dir := startService(t, []string{"interpreter=*\trestrict_signal\t1", "interpreter=*\trestrict_stdin\t1", "interpreter==\tswitch_interval\t0.002"}, `
import signal, sys, time
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(4))
open("DIR/started", "w").write("%s %.3f" % (type(sys.stdin).__name__, sys.getswitchinterval()))
while True:
    time.sleep(3600)
`)
	if got := awaitPath(t, dir+"/started"); got != "Restricted 0.002" {
		t.Errorf("%q", got)
	}
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 4 {
		t.Errorf("exit status %d", status)
	}
}
