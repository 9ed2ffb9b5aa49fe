// Package threads keeps threads for bad times. The Go runtime ends the process
// when it wants another thread and the limit of processes (RLIMIT_NPROC, pids.max)
// is reached, which is none of its own fault.
package threads

import (
	"runtime"
	"sync"
)

// Spare is enough for what waits in the kernel at the same time in a supervisor
// or a router under load: starting a process, writing the log, reading /proc and
// files. An idle thread costs some kilobytes.
const Spare = 24

// Reserve has the runtime make n threads. It never ends those that it has.
func Reserve(n int) {
	var ready, done sync.WaitGroup
	release := make(chan struct{})
	ready.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread() // each has one of its own
			defer runtime.UnlockOSThread()
			ready.Done()
			<-release
		})
	}
	ready.Wait()
	close(release)
	done.Wait()
}
