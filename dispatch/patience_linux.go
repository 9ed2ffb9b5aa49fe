package dispatch

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	schedOther = 0
	schedBatch = 3
	// lookAtThreads is how often the threads are looked at.
	lookAtThreads = 5 * tick
	// tooLong is an average wait for a processor that says that processes
	// which never sleep want it too: a time slice is 3 ms.
	tooLong = 300 * time.Microsecond
	// firstPause and lastPause bound the time in the ordinary policy after a
	// failure; it doubles with each.
	firstPause = time.Second
	lastPause  = 5 * time.Minute
)

// patience keeps the threads of the router in SCHED_BATCH: they then do not
// preempt whoever wakes them. A front server gets to the end of what it writes
// and a worker to its next request before the router runs, which so finds more
// to do at once, and everybody switches less. Beside processes that never
// sleep the same policy would let the router wait for whole time slices, so it
// falls back to the ordinary one where that shows. It needs no privilege.
type patience struct {
	batch, refused bool
	next           time.Time
	pause          time.Duration
	waited, ran    uint64
	// sample is waits, but for tests.
	sample func(threads []int) (waited, ran uint64)
}

// look is called by the housekeeper while requests are in flight.
func (p *patience) look(now time.Time) {
	if p.refused || now.Before(p.next) {
		return
	}
	p.next = now.Add(lookAtThreads)
	threads := ownThreads()
	if p.sample == nil {
		p.sample = waits
	}
	waited, ran := p.sample(threads)
	before := *p
	p.waited, p.ran = waited, ran
	if p.batch && ran > before.ran && waited > before.waited &&
		time.Duration((waited-before.waited)/(ran-before.ran)) > tooLong {
		p.batch = false
		p.pause = min(max(2*p.pause, firstPause), lastPause)
		p.next = now.Add(p.pause)
		setPolicy(threads, schedOther)
		return
	}
	// Threads that the runtime has made since inherit it from their maker, not
	// from the last decision: it is said again each time.
	p.batch = true
	p.refused = !setPolicy(threads, schedBatch)
}

// ownThreads lists the threads of this process.
func ownThreads() []int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	threads := make([]int, 0, len(entries))
	for _, entry := range entries {
		if tid, err := strconv.Atoi(entry.Name()); err == nil {
			threads = append(threads, tid)
		}
	}
	return threads
}

// waits sums up what threads have waited for a processor, in nanoseconds, and
// how often they ran.
func waits(threads []int) (waited, ran uint64) {
	for _, tid := range threads {
		text, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/schedstat")
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(text)
		if len(fields) != 3 {
			continue
		}
		w, _ := strconv.ParseUint(string(fields[1]), 10, 64)
		n, _ := strconv.ParseUint(string(fields[2]), 10, 64)
		waited += w
		ran += n
	}
	return waited, ran
}

// setPolicy reports whether the kernel lets us.
func setPolicy(threads []int, policy int) bool {
	var priority int32
	for _, tid := range threads {
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, uintptr(tid), uintptr(policy),
			uintptr(unsafe.Pointer(&priority)))
		if errno != 0 && errno != syscall.ESRCH {
			return false
		}
	}
	return len(threads) > 0
}
