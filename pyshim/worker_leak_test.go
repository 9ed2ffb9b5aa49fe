package pyshim_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
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

// exchange sends a request and reads its whole response.
func exchange(t *testing.T, c *conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := c.response(); err != nil {
		t.Fatal(err)
	}
}

// TestWorkerLeaks: a worker does not grow with the requests it has served,
// whatever became of them. The long run has ten thousand of each kind and more.
func TestWorkerLeaks(t *testing.T) {
	t.Parallel()
	if asan() {
		t.Log("freed memory stays in quarantine under the sanitizer")
		return
	}
	count, first := 20000, 1500
	if testing.Short() {
		count = 2000
	}
	w := startWorker(t, workerOptions{threads: 1})
	hello := request(script(t, "hello.py", "application"), nil, true)
	// measure asks over a connection of its own: when the answer is there, the
	// worker has done with the connections before.
	measure := func() (resident, descriptors int) {
		c := w.dial()
		defer c.Close()
		exchange(t, c, hello)
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return residentKiB(t, w.cmd.Process.Pid), len(open)
	}
	flat := func(name string, count int, run func(from, n int)) {
		t.Helper()
		run(0, first)
		before, open := measure()
		run(first, count)
		after, now := measure()
		if after > before+4096 {
			t.Errorf("%s: %d KiB before, %d KiB after %d requests", name, before, after, count)
		}
		if now > open {
			t.Errorf("%s: %d descriptors before, %d after", name, open, now)
		}
	}
	names := func(i int) params { // names that no request before had
		return script(t, "hello.py", "application", fmt.Sprintf("HTTP_N%d=%d", i, i), "HTTP_"+strings.Repeat("L", 2000)+strconv.Itoa(i)+"=v")
	}
	observed := script(t, "subscribed.py", "application", "WSGID_APPLICATION_GROUP=observed")
	observedRaise := script(t, "subscribed.py", "application", "WSGID_APPLICATION_GROUP=observed", "PATH_INFO=/raise")
	upload := bytes.Repeat([]byte("one line of an upload\n"), 10000)
	type maker = func(i int) []byte
	always := func(p params, body []byte) maker {
		b := request(p, body, true)
		return func(int) []byte { return b }
	}
	for name, tc := range map[string]struct {
		count int
		make  maker
	}{
		"hello":              {10 * count, always(script(t, "hello.py", "application"), nil)},
		"post":               {count, always(script(t, "body.py", "read"), make([]byte, 3000))},
		"upload":             {count / 2, always(script(t, "body.py", "lines"), upload)},
		"unread upload":      {count / 2, always(script(t, "body.py", "unread"), upload)},
		"stream":             {count, always(script(t, "responses.py", "pieces", "QUERY_STRING=12"), nil)},
		"broken stream":      {count, always(script(t, "responses.py", "raises_later"), nil)},
		"exception":          {count, always(script(t, "hostile.py", "raises", "QUERY_STRING=base"), nil)},
		"forbidden":          {count, always(script(t, "/etc/passwd", "application"), nil)},
		"file":               {count, always(pep(t, "file", "QUERY_STRING=how=plain&size=70000"), nil)},
		"observed":           {count, always(observed, nil)},
		"observed exception": {count, always(observedRaise, nil)},
		"kept":               {count, func(i int) []byte { return request(pep(t, "keep_errors", fmt.Sprint("QUERY_STRING=", i%2)), nil, true) }},
		"names":              {count, func(i int) []byte { return request(names(i), nil, true) }},
	} {
		flat(name, tc.count, func(from, n int) {
			c := w.dial()
			defer c.Close()
			c.SetDeadline(time.Time{})
			for i := from; i < from+n; i++ {
				exchange(t, c, tc.make(i))
			}
		})
	}
	// The client goes away: while the response is sent, during the upload, and
	// as FastCGI says it.
	halfUpload := append(head(script(t, "body.py", "error", "CONTENT_LENGTH=300000")), stream(typeStdin, upload[:100000], false)...)
	for name, b := range map[string][]byte{
		"aborted stream": request(script(t, "responses.py", "endless"), nil, true),
		"aborted write":  request(script(t, "responses.py", "endless_write"), nil, true),
		"aborted upload": halfUpload,
		"abort record":   slices.Concat(halfUpload, record(typeAbort, 1, nil)),
	} {
		flat(name, count/2, func(_, n int) {
			for range n {
				c := w.dial()
				if _, err := c.Write(b); err != nil {
					t.Fatal(err)
				}
				if name == "aborted upload" { // the worker sees the end, and closes
					if err := c.Conn.(*net.UnixConn).CloseWrite(); err != nil {
						t.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, c); err != nil {
						t.Fatal(err)
					}
				} else if _, _, err := c.readRecord(); err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
		})
	}
}
