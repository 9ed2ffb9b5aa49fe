package tests

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// steadyLoad is clients that ask without pause, whatever becomes of processes
// meanwhile: GET and POST, small bodies and large ones, quick requests and slow
// ones, on connections that the front server keeps.
type steadyLoad struct {
	t        *testing.T
	notes    string // where the application notes POSTs
	done     chan struct{}
	wait     sync.WaitGroup
	answered atomic.Int64
	mu       sync.Mutex
	posted   map[string]bool
}

// countedWorld has a group whose application notes every POST.
func countedWorld(t *testing.T, more string, options ...string) (w *harness.World, notes string) {
	t.Helper()
	w = newWorld(t)
	w.App("counted.py")
	openDirectory(t, w, "open")
	notes = w.Path("open/notes")
	w.Configure(group("web", "#64001", 2, 10, append(options, environmentOf("COUNTED="+notes))...) + mount("/", "apps/counted.py") + more)
	return w, notes
}

// startLoad starts clients of a front server each.
func startLoad(t *testing.T, notes string, clients int, fronts ...*harness.Client) *steadyLoad {
	t.Helper()
	l := &steadyLoad{t: t, notes: notes, done: make(chan struct{}), posted: map[string]bool{}}
	large := payload(200_000) // is streamed
	for number := range clients {
		front := fronts[number%len(fronts)]
		pause := "0"
		if number%5 == 0 {
			pause = "0.3"
		}
		l.wait.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-l.done:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", number, round)
				method, body := "GET", []byte(nil)
				switch round % 3 {
				case 1:
					method, body = "POST", large[:1000]
				case 2:
					method, body = "POST", large
				}
				response, err := front.Try(t.Context(), method, "/?id="+id+"&for="+pause, bytes.NewReader(body))
				if err != nil || response.Status != 200 || !strings.HasPrefix(response.Text(), fmt.Sprint(len(body), " ")) {
					t.Errorf("%s %s of %d bytes: %v %+v", method, id, len(body), err, response)
					return
				}
				if method == "POST" {
					l.mu.Lock()
					l.posted[id] = true
					l.mu.Unlock()
				}
				l.answered.Add(1)
			}
		})
	}
	return l
}

// more waits until n further requests have been answered.
func (l *steadyLoad) more(n int64) {
	l.t.Helper()
	until := l.answered.Load() + n
	harness.Eventually(l.t, "further requests are answered", func() error {
		if now := l.answered.Load(); now < until && !l.t.Failed() {
			return fmt.Errorf("%d of %d", now, until)
		}
		return nil
	})
}

// end stops the clients and compares what they sent with what was served: every
// POST once.
func (l *steadyLoad) end() {
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
	l.t.Logf("%d requests were answered, %d of them POSTs", l.answered.Load(), len(l.posted))
}
