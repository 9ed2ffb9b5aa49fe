package dispatch

import (
	"syscall"
	"testing"
	"time"
)

// policyOf is the scheduling policy of a thread.
func policyOf(t *testing.T, tid int) int {
	t.Helper()
	policy, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return int(policy)
}

// TestPatience: SCHED_BATCH as long as the threads do not wait for processors,
// the ordinary policy for a while, twice as long each time, when they do.
func TestPatience(t *testing.T) {
	t.Cleanup(func() { setPolicy(ownThreads(), schedOther) })
	self := syscall.Getpid()
	var waited, ran uint64
	p := patience{sample: func([]int) (uint64, uint64) { return waited, ran }}
	now := time.Now()
	look := func(wait time.Duration, policy int) {
		t.Helper()
		ran += 100
		waited += 100 * uint64(wait)
		p.look(now)
		if got := policyOf(t, self); got != policy {
			t.Fatalf("policy %d, want %d: %+v", got, policy, p)
		}
		now = p.next
	}
	look(0, schedBatch)
	look(tooLong/2, schedBatch)
	for pause := firstPause; pause <= lastPause; pause *= 2 {
		before := now
		look(2*tooLong, schedOther)
		if now.Sub(before) != pause {
			t.Fatalf("a pause of %v, want %v", now.Sub(before), pause)
		}
		look(2*tooLong, schedBatch) // what was waited during the pause says nothing
	}
	if real, times := waits(ownThreads()); real == 0 || times == 0 {
		t.Errorf("the kernel says that this process never ran: %d %d", real, times)
	}
}
