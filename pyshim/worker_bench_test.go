package pyshim_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cpuNanoseconds sums the run time of all threads of a process.
func cpuNanoseconds(b testing.TB, pid int) int64 {
	b.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		b.Fatal("no threads in /proc", err)
	}
	var sum int64
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			b.Fatal(err)
		}
		var run int64
		if _, err := fmt.Sscan(string(text), &run); err != nil {
			b.Fatal(err)
		}
		sum += run
	}
	return sum
}

// benchParams are 40 parameters as behind Apache, of which what changes with
// every request changes here too.
func benchParams(b testing.TB) params {
	p := script(b, "hello.py", "application", "WSGID_RELOADING=1", "HTTP_HOST=localhost:8080",
		"HTTP_USER_AGENT=Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
		"HTTP_ACCEPT=text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"HTTP_ACCEPT_LANGUAGE=en-US,en;q=0.5", "HTTP_ACCEPT_ENCODING=gzip, deflate, br", "HTTP_DNT=1",
		"HTTP_CONNECTION=keep-alive", "HTTP_UPGRADE_INSECURE_REQUESTS=1", "HTTP_SEC_FETCH_DEST=document",
		"HTTP_SEC_FETCH_MODE=navigate", "HTTP_SEC_FETCH_SITE=none", "HTTP_SEC_FETCH_USER=?1",
		"HTTP_CACHE_CONTROL=max-age=0", "SERVER_SOFTWARE=Apache/2.4.71 (Debian)", "SERVER_ADDR=127.0.0.1",
		"REMOTE_PORT=54321", "DOCUMENT_ROOT=/var/www/html", "CONTEXT_DOCUMENT_ROOT=/var/www/html",
		"CONTEXT_PREFIX=", "SERVER_ADMIN=webmaster@localhost", "SCRIPT_FILENAME=/srv/site/site.wsgi",
		"UNIQUE_ID=ZVtY2H8AAQEAAAqXAAAAAA")
	return p
}

// BenchmarkWorkerHello measures the CPU time of a worker for a hello request
// of the router: one write to it, one read from it. With one connection each
// request includes putting the thread to sleep and waking it.
func BenchmarkWorkerHello(b *testing.B) {
	for _, connections := range []int{1, 4} {
		b.Run(fmt.Sprint("connections=", connections), func(b *testing.B) { benchmarkHello(b, connections) })
	}
}

func benchmarkHello(b *testing.B, connections int) {
	w := startWorker(b, workerOptions{threads: connections})
	var requests [16][]byte
	for i := range requests {
		p := benchParams(b)
		p["WSGID_REQUEST_ID"] = fmt.Sprintf("ZVtY2H8AAQEAAAqXAAAA%02d", i)
		p["UNIQUE_ID"] = p["WSGID_REQUEST_ID"]
		p["REMOTE_PORT"] = fmt.Sprint(40000 + i)
		p["WSGID_REQUEST_START"] = fmt.Sprint(1700000000000000 + i)
		requests[i] = request(p, nil, true)
	}
	conns := make([]*conn, connections)
	size := 0
	for i := range conns {
		conns[i] = w.dial()
		conns[i].Write(requests[0])
		first, err := conns[i].response()
		if err != nil || !strings.HasPrefix(string(first.body), "Hello") {
			b.Fatal(err, first)
		}
		// The answer has always the same length.
		size = 8 + len(first.raw) + 4 + len(first.body) + 8 + 16
		conns[i].SetDeadline(time.Time{})
	}
	run := func(n int) {
		var group sync.WaitGroup
		for i, c := range conns {
			group.Add(1)
			go func() {
				defer group.Done()
				answer := make([]byte, size)
				for at := i; at < n; at += connections {
					if _, err := c.Write(requests[at/connections%len(requests)]); err != nil {
						b.Error(err)
						return
					}
					if _, err := io.ReadFull(c, answer); err != nil {
						b.Error(err)
						return
					}
				}
			}()
		}
		group.Wait()
	}
	run(1000)
	before := cpuNanoseconds(b, w.cmd.Process.Pid)
	b.ResetTimer()
	run(b.N)
	b.StopTimer()
	used := cpuNanoseconds(b, w.cmd.Process.Pid) - before
	b.ReportMetric(float64(used)/float64(b.N)/1000, "worker-cpu-µs/op")
}
