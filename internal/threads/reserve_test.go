package threads

import (
	"os"
	"testing"
)

func count(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// TestReserve: the threads are there afterwards, and a second time costs none.
func TestReserve(t *testing.T) {
	const n = 50
	Reserve(n)
	first := count(t)
	if first < n {
		t.Errorf("%d threads, want %d", first, n)
	}
	for range 10 {
		Reserve(n)
	}
	if again := count(t); again > first+5 {
		t.Errorf("%d threads, then %d", first, again)
	}
}
