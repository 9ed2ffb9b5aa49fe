package tests

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestReloadUnderLoad: while clients GET and POST without pause, the script is replaced
// again and again. Every body arrives byte by byte, every answer is a 200, and
// no request that began after a change is answered by older code. A process has
// one version all its life.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 3} {
		t.Run(fmt.Sprintf("processes=%d", processes), func(t *testing.T) {
			w := newWorld(t)
			w.App("body_hash.py")
			source := readFile(t, w.Path("apps/body_hash.py"))
			w.Configure(group("only", "#64001", processes, 2) + mount("/", "apps/body_hash.py"))
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			content := payload(300000)
			var generation, answered atomic.Int64
			var versions sync.Map // by process
			generation.Store(1)
			done := make(chan struct{})
			var wait sync.WaitGroup
			for client := range 5 {
				size := []int{20000, 20000, 65537, 300000, 0}[client]
				method := "POST"
				if size == 0 {
					method = "GET"
				}
				want := digest(content[:size])
				wait.Add(1)
				go func() {
					defer wait.Done()
					for {
						select {
						case <-done:
							return
						default:
						}
						oldest := generation.Load()
						response, err := apache.Try(t.Context(), method, "/", bytes.NewReader(content[:size]))
						if err != nil || response.Status != 200 || !bytes.Contains(response.Body, []byte(want)) {
							t.Errorf("a %s of %d bytes: %v %+v", method, size, err, response)
							return
						}
						var answer hashed
						var got int64
						fromJSON(t, response.Text(), &answer)
						if _, err := fmt.Sscanf(answer.Generation, "GENERATION-%d", &got); err != nil || got < oldest {
							t.Errorf("answered by %s, the script was %d when the request began", answer.Generation, oldest)
							return
						}
						if first, known := versions.LoadOrStore(answer.PID, got); known && first != got {
							t.Errorf("process %d answered with %d and with %d", answer.PID, first, got)
							return
						}
						answered.Add(1)
					}
				}()
			}
			for range rounds(6, 60) {
				until := answered.Load() + 8
				harness.Eventually(t, "further requests are answered", func() error {
					if now := answered.Load(); now < until && !t.Failed() {
						return fmt.Errorf("%d of %d", now, until)
					}
					return nil
				})
				next := generation.Load() + 1
				w.Write("apps/body_hash.py", strings.Replace(source, "GENERATION-1", fmt.Sprintf("GENERATION-%d", next), 1))
				generation.Store(next)
			}
			close(done)
			wait.Wait()
			only := wsgid.AwaitReady("only").Group("only")
			if only.Restarts["crash"] != 0 || only.Restarts["script_reload"] == 0 {
				t.Errorf("exits %v", only.Restarts)
			}
		})
	}
}
