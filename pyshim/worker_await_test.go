package pyshim_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the worker has sent need not have been read yet when it answers: another
// goroutine reads the log. These wait for what a test wants to see of it.

// recordOf waits for a log record of that request whose message contains text.
func (w *worker) recordOf(request, text string) map[string]string {
	w.t.Helper()
	return w.await("log record of "+request+" with "+strconv.Quote(text), func(r map[string]string) bool {
		return r["request"] == request && strings.Contains(r["message"], text)
	})
}

// await waits for a log record.
func (w *worker) await(what string, match func(map[string]string) bool) map[string]string {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		changed, records := w.changed, w.records
		w.mu.Unlock()
		for _, r := range records {
			if match(r) {
				return r
			}
		}
		select {
		case <-changed:
		case <-deadline:
			w.t.Fatalf("no %s", what)
		}
	}
}

// wholeLog ends the worker and returns all that it has logged.
func (w *worker) wholeLog() []map[string]string {
	w.t.Helper()
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		w.t.Errorf("exit status %d", status)
	}
	w.drained()
	return w.log()
}

// renewed waits for the word that a script has changed. That it has still
// changed is said again after a second, which a slow test may have taken.
func (w *worker) renewed() map[string]string {
	w.t.Helper()
	for {
		if e := w.event("renew"); e["reason"] != "again" {
			return e
		}
	}
}

// preloaded are options that import testdata/file for these application groups:
// how long that takes counts for no request.
func preloaded(t testing.TB, file string, groups ...string) (options []string) {
	t.Helper()
	for _, group := range groups {
		options = append(options, "preload="+group+"\t"+filepath.Join(testdata(t), file))
	}
	return options
}

// switches counts how often the threads of the worker have gone to sleep.
func (w *worker) switches() (count int) {
	w.t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(w.cmd.Process.Pid) + "/task/*/status")
	if err != nil || len(tasks) == 0 {
		w.t.Fatal("no threads", err)
	}
	for _, path := range tasks {
		status, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			w.t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
		n, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			w.t.Fatal(err)
		}
		count += n
	}
	return count
}

// awaitSleep waits for a time of that length in which no thread of the worker
// wakes up. One that wakes up again and again never leaves such a time, whatever
// else the threads had to do for each other and however slowly they did it.
func (w *worker) awaitSleep(length time.Duration) {
	w.t.Helper()
	var woken []int
	for before, deadline := w.switches(), time.Now().Add(patience); ; {
		time.Sleep(length)
		now := w.switches()
		if now == before {
			return
		}
		woken = append(woken, now-before)
		if time.Now().After(deadline) {
			w.t.Fatalf("woken up without a request, in each %v: %v", length, woken)
		}
		before = now
	}
}
