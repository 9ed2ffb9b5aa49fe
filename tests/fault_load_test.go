package tests

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// faultLoad is the load of startLoad whose clients go on when a request is lost,
// and count it.
type faultLoad struct {
	t        *testing.T
	notes    string
	done     chan struct{}
	wait     sync.WaitGroup
	answered atomic.Int64

	mu      sync.Mutex
	lost    map[string]int // by method and status; 0: there was no answer
	longest time.Duration  // of an answer
	posted  map[string]bool
}

func startFaultLoad(t *testing.T, notes string, clients int, front *harness.Client) *faultLoad {
	t.Helper()
	l := &faultLoad{t: t, notes: notes, done: make(chan struct{}), lost: map[string]int{}, posted: map[string]bool{}}
	large := payload(200_000) // is streamed
	for number := range clients {
		l.wait.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-l.done:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", number, round)
				switch round % 3 {
				case 0:
					l.ask(front, "GET", id, nil)
				case 1:
					l.ask(front, "POST", id, large[:1000])
				case 2:
					l.ask(front, "POST", id, large)
				}
			}
		})
	}
	return l
}

func (l *faultLoad) ask(front *harness.Client, method, id string, body []byte) {
	begin := time.Now()
	response, err := front.Try(l.t.Context(), method, "/?id="+id+"&for=0.02", bytes.NewReader(body))
	status := 0
	switch {
	case err != nil || response.Truncated != nil:
	case response.Status == 200 && !strings.HasPrefix(response.Text(), fmt.Sprint(len(body), " ")):
		l.t.Errorf("%s %s was answered with %q", method, id, response.Body)
	default:
		status = response.Status
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.longest = max(l.longest, time.Since(begin))
	if status != 200 {
		l.lost[fmt.Sprint(method, " ", status)]++
		l.mu.Unlock()
		time.Sleep(5 * time.Millisecond) // a client that was refused does not ask at once
		l.mu.Lock()
		return
	}
	if method == "POST" {
		l.posted[id] = true
	}
	l.answered.Add(1)
}

// more waits until n further requests have been answered.
func (l *faultLoad) more(n int64) {
	l.t.Helper()
	until := l.answered.Load() + n
	harness.Eventually(l.t, "further requests are answered", func() error {
		if now := l.answered.Load(); now < until {
			return fmt.Errorf("%d of %d; lost %v", now, until, l.lossesSoFar())
		}
		return nil
	})
}

func (l *faultLoad) lossesSoFar() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.lost)
}

// lostOf counts what was lost of a method; "": of all.
func (l *faultLoad) lostOf(method string) (n int) {
	for what, times := range l.lossesSoFar() {
		if strings.HasPrefix(what, method) {
			n += times
		}
	}
	return n
}

// end stops the clients; no POST may have been served twice, none may have been
// answered and not served.
func (l *faultLoad) end() {
	l.t.Helper()
	close(l.done)
	l.wait.Wait()
	text, err := os.ReadFile(l.notes)
	if err != nil {
		l.t.Fatal(err)
	}
	served := map[string]int{}
	for _, id := range strings.Fields(string(text)) {
		if served[id]++; served[id] > 1 {
			l.t.Errorf("POST %s was served %d times", id, served[id])
		}
	}
	for id := range l.posted {
		if served[id] == 0 {
			l.t.Errorf("POST %s was answered and not served", id)
		}
	}
}

// String is a line of the table in docs/robustness.md.
func (l *faultLoad) String() string {
	var lost []string
	for _, what := range slices.Sorted(maps.Keys(l.lost)) {
		lost = append(lost, fmt.Sprintf("%d × %s", l.lost[what], what))
	}
	if lost == nil {
		lost = []string{"nothing"}
	}
	return fmt.Sprintf("answered %d; lost %s; longest %s", l.answered.Load(), strings.Join(lost, ", "), l.longest.Round(time.Millisecond))
}
