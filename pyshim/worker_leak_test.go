package pyshim_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// residentKiB is the resident memory of a process.
func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatal("no VmRSS")
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWorkerLeaks: a worker does not grow with the requests it has served,
// whatever became of them.
func TestWorkerLeaks(t *testing.T) {
	if asan() {
		t.Log("freed memory stays in quarantine under the sanitizer")
		return
	}
	count := 20000
	if testing.Short() {
		count = 2000
	}
	w := startWorker(t, workerOptions{threads: 1})
	descriptors := func() int {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	names := func(i int) params { // names that no request before had
		return script(t, "hello.py", "application", fmt.Sprintf("HTTP_N%d=%d", i, i), "HTTP_"+strings.Repeat("L", 2000)+strconv.Itoa(i)+"=v")
	}
	for name, tc := range map[string]struct {
		count int
		make  func(i int) []byte
	}{
		"hello":     {10 * count, func(int) []byte { return request(script(t, "hello.py", "application"), nil, true) }},
		"post":      {count, func(int) []byte { return request(script(t, "body.py", "read"), make([]byte, 3000), true) }},
		"exception": {count, func(int) []byte { return request(script(t, "hostile.py", "raises", "QUERY_STRING=base"), nil, true) }},
		"forbidden": {count, func(int) []byte { return request(script(t, "/etc/passwd", "application"), nil, true) }},
		"file":      {count, func(int) []byte { return request(pep(t, "file", "QUERY_STRING=how=plain&size=70000"), nil, true) }},
		"kept":      {count, func(i int) []byte { return request(pep(t, "keep_errors", fmt.Sprint("QUERY_STRING=", i%2)), nil, true) }},
		"observed": {count, func(int) []byte {
			return request(script(t, "subscribed.py", "application", "WSGID_APPLICATION_GROUP=observed"), nil, true)
		}},
		"observed exception": {count, func(int) []byte {
			return request(script(t, "subscribed.py", "application", "WSGID_APPLICATION_GROUP=observed", "PATH_INFO=/raise"), nil, true)
		}},
		"names": {count, func(i int) []byte { return request(names(i), nil, true) }},
	} {
		c := w.dial()
		c.SetDeadline(time.Time{})
		fixed := tc.make(0)
		run := func(from, n int) {
			for i := from; i < from+n; i++ {
				b := fixed
				if name == "names" || name == "kept" {
					b = tc.make(i)
				}
				if _, err := c.Write(b); err != nil {
					t.Fatal(err)
				}
				if _, err := c.response(); err != nil {
					t.Fatal(err)
				}
			}
		}
		run(0, 1500)
		before, open := residentKiB(t, w.cmd.Process.Pid), descriptors()
		run(1500, tc.count)
		if after := residentKiB(t, w.cmd.Process.Pid); after > before+4096 {
			t.Errorf("%s: %d KiB before, %d KiB after %d requests", name, before, after, tc.count)
		}
		if now := descriptors(); now > open {
			t.Errorf("%s: %d descriptors before, %d after", name, open, now)
		}
		c.Close()
	}
}
