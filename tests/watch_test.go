package tests

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestWatchedModule: a module that the script imports changes again and again
// under load: the processes are replaced, no request is lost, and a process
// has one version of the module all its life.
func TestWatchedModule(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"fail", "keep"} {
		t.Run(mode, func(t *testing.T) {
			w := reloadWorld(t, 2, `watch = ["lib/**/*.py"]`, `home = "{{.Dir}}"`, option("reload_on_error", mode))
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			content := payload(50000)
			want := digest(content)
			done := make(chan struct{})
			var wait sync.WaitGroup
			var latest atomic.Int64
			var mutex sync.Mutex
			versions := map[int]int{} // of the module, by process
			for range 3 {
				wait.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						response, err := apache.Try(t.Context(), "POST", "/", bytes.NewReader(content))
						if err != nil || response.Status != 200 {
							t.Errorf("%v %+v", err, response)
							return
						}
						var now loaded
						fromJSON(t, response.Text(), &now)
						mutex.Lock()
						if known, ok := versions[now.PID]; ok && known != now.Dependency || now.SHA256 != want {
							t.Errorf("process %d had version %d: %+v", now.PID, known, now)
						}
						versions[now.PID] = now.Dependency
						mutex.Unlock()
						latest.Store(int64(now.Dependency))
					}
				})
			}
			for version := 2; version < 2+rounds(3, 20); version++ {
				w.Write("lib/dependency.py", fmt.Sprintf("VERSION = %d\n", version))
				harness.Eventually(t, "the new module answers", func() error {
					if latest.Load() < int64(version) && !t.Failed() {
						return errNotYet
					}
					return nil
				})
			}
			w.Write("lib/note.txt", "nobody's business")
			wsgid.AwaitStatus("both processes have the last version", func(s harness.Status) error {
				mutex.Lock()
				defer mutex.Unlock()
				last := 1 + rounds(3, 20)
				for _, pid := range s.PIDs("only") {
					if versions[pid] != last {
						return fmt.Errorf("process %d has %d", pid, versions[pid])
					}
				}
				if n, ready := len(s.Group("only").Processes), len(s.PIDs("only")); n != 2 || ready != 2 {
					return fmt.Errorf("%d processes, %d are ready", n, ready)
				}
				return nil
			})
			close(done)
			wait.Wait()
			wsgid.Log.Await(t, "the file's name", harness.Containing(w.Path("lib/dependency.py")))
			if mode == "fail" {
				return
			}
			// What does not import is not let in, and is tried again by itself.
			pids := wsgid.Status().PIDs("only")
			w.Write("lib/dependency.py", "1 / 0\n")
			wsgid.AwaitStatus("the error shows", func(s harness.Status) error {
				if e := s.Group("only").LoadErrors; len(e) != 1 || !e[0].OldCodeServes {
					return fmt.Errorf("%+v", e)
				}
				return nil
			})
			var now loaded
			if now.get(t, apache.Client, "/"); now.PID != pids[0] && now.PID != pids[1] {
				t.Errorf("answered by %d, not one of %v", now.PID, pids)
			}
			w.Write("lib/dependency.py", "VERSION = 99\n")
			harness.Eventually(t, "the mended module answers", func() error {
				if now.get(t, apache.Client, "/"); now.Dependency != 99 {
					return errNotYet
				}
				return nil
			})
		})
	}
}
