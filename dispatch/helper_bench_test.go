package dispatch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/boot"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/pyshim"
)

// benchPython loads the system's Python into this process.
func benchPython() (ScriptHost, error) {
	modules, err := boot.SealedFile("modules", pyshim.Modules())
	if err != nil {
		return nil, err
	}
	return StartPython(wire.Embedded{MaxInterpreters: 64, StackSize: 8 << 20}, int(modules.Fd()), -1, -1)
}

// inProcess is the Python of the benchmarks, which one process has once.
var inProcess = sync.OnceValues(benchPython)

// benchHelper is the dispatch helper of a benchmark; its socket is descriptor 3.
func benchHelper() error {
	runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2)) // as the real one
	host, err := benchPython()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return ServeCalls(context.Background(), HelperOptions{Listener: os.NewFile(3, "calls"), RouterUID: os.Getuid(), Host: host})
}

// startBenchHelper runs benchHelper until the benchmark ends.
func startBenchHelper(b *testing.B) (*helperHost, int) {
	b.Helper()
	path := filepath.Join(shortDir(b), "helper.sock")
	socket := listenCalls(b, path)
	defer socket.Close()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), benchRole+"=helper")
	cmd.ExtraFiles = []*os.File{socket}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	h := newHelperHost(path, hclog.NewNullLogger(), func(m *wire.Replace) { b.Errorf("helper: %+v", m) })
	b.Cleanup(func() {
		h.close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 16)); err != nil {
		b.Fatal(err)
	}
	h.update(&wire.HelperState{Ready: true, PID: cmd.Process.Pid})
	return h, cmd.Process.Pid
}

// cpuOf is the CPU time of another process, in ticks of 10 ms.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * 10 * time.Millisecond
}

// BenchmarkEvaluate is one call of a dispatch script with the environ of
// Apache's request: in this process, and in the dispatch helper, where the CPU
// time is that of both processes.
func BenchmarkEvaluate(b *testing.B) {
	script := filepath.Join(shortDir(b), "dispatch.py")
	source := "def process_group(environ):\n    return 'b' if environ['HTTP_HOST'] == 'www.example.org' else None\n"
	if err := os.WriteFile(script, []byte(source), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, calls := range []int{1, 4} {
		b.Run(fmt.Sprintf("isolation=none/calls=%d", calls), func(b *testing.B) {
			host, err := inProcess()
			if err != nil {
				b.Fatal(err)
			}
			benchEvaluate(b, host, script, calls, func() time.Duration { return cpuTime(b) })
		})
		b.Run(fmt.Sprintf("isolation=process/calls=%d", calls), func(b *testing.B) {
			host, pid := startBenchHelper(b)
			benchEvaluate(b, host, script, calls, func() time.Duration { return cpuTime(b) + cpuOf(b, pid) })
		})
	}
}

// benchEvaluate makes so many calls at once.
func benchEvaluate(b *testing.B, host ScriptEvaluator, script string, calls int, cpu func() time.Duration) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))) // as the router
	params := apacheRequest()[1][8:]
	one := func() error {
		a, err := host.Evaluate(&ScriptCall{Script: script, Params: params, RequestID: "0362e4dee0-1", Check: true, KeepLastGood: true,
			Deadline: time.Now().Add(time.Minute)})
		if err == nil && a.ProcessGroup.Value != "b" {
			err = fmt.Errorf("decided %+v", a)
		}
		return err
	}
	if err := one(); err != nil { // loads the script
		b.Fatal(err)
	}
	b.ResetTimer()
	before := cpu()
	var wait sync.WaitGroup
	for i := range calls {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range b.N/calls + min(1, max(0, b.N%calls-i)) {
				if err := one(); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	wait.Wait()
	used := cpu() - before
	b.StopTimer()
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
}
