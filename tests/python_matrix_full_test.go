//go:build full

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestPythonProcesses: on each Python of the machine and in a virtual
// environment of each, multiprocessing by every start method, subprocess,
// os.fork, signals and threads work in an application; at the end its exit
// functions run although daemon threads are still busy.
func TestPythonProcesses(t *testing.T) {
	w, _ := realWorld(t)
	script := w.App("real/matrix.py")
	w.App("real/matrix_helper.py")
	marks := openDirectory(t, w, "marks")
	type place struct{ name, prefix, library, option string }
	var places []place
	for number, python := range w.Pythons() {
		executable, prefix, library := python.Executable, "/usr", ""
		if python.Home != "" {
			// Where it was built it would find its library by itself.
			executable, prefix, library = filepath.Join(python.Home, "bin/python3"), python.Home, filepath.Join(python.Home, "lib")
		}
		venv := w.Path(fmt.Sprintf("venv%d", number))
		if out, err := exec.Command(executable, "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
			t.Fatalf("venv of %s: %v\n%s", python.Version, err, out)
		}
		places = append(places, place{fmt.Sprintf("p%d", number), prefix, library, python.Option()},
			place{fmt.Sprintf("v%d", number), venv, library, fmt.Sprintf("python_home = %q", venv)})
		t.Logf("Python %s: p%d %s, v%d %s", python.Version, number, prefix, number, venv)
	}
	var body strings.Builder
	var names []string
	for _, p := range places {
		body.WriteString(group(p.name, fmt.Sprintf("#%d", realUser), 1, 3, p.option, fmt.Sprintf("python_path = [%q]", filepath.Dir(script)),
			environmentOf("MARKS="+marks, "LD_LIBRARY_PATH="+p.library), "shutdown_timeout = 60"))
		body.WriteString(mount("/"+p.name, "apps/real/matrix.py", option("process_group", p.name)))
		names = append(names, p.name)
	}
	w.Configure(body.String())
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wsgid.AwaitReady(names...)
	seat := make(chan struct{}, 3) // as many at once as make sense on few cores
	var wait sync.WaitGroup
	for _, p := range places {
		wait.Go(func() {
			seat <- struct{}{}
			defer func() { <-seat }()
			context := []string{`"own": true`, fmt.Sprintf(`"prefix": %q`, p.prefix), fmt.Sprintf(`"uid": %d`, realUser), `"exitcode": 0`, "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]"}
			for path, texts := range map[string][]string{
				"/fork": context, "/spawn": context, "/forkserver": context,
				"/program": {fmt.Sprintf(`"prefix": %q`, p.prefix), fmt.Sprintf(`"uid": %d`, realUser), `"stdin_empty": "True"`},
				"/os.fork": {`"said": [0, 1, 4, 9, 16]`, `"status": 5`},
				"/killed":  {`"returncode": -15`},
				"/threads": {`"total": 332833500`, `"local": false`},
			} {
				got, err := apache.Try(t.Context(), "GET", "/"+p.name+path, nil)
				if err != nil {
					t.Errorf("%s%s: %v", p.name, path, err)
					continue
				}
				wantStatus(t, p.name+path, got, 200, texts...)
			}
		})
	}
	wait.Wait()
	var pids []int
	status := wsgid.Status()
	for _, name := range names {
		for _, process := range status.Group(name).Processes {
			pids = append(pids, process.PID)
		}
		if exits := status.Group(name).Restarts; len(exits) != 0 {
			t.Errorf("processes of %s ended: %v", name, exits)
		}
	}
	wsgid.Stop()
	for i, pid := range pids {
		if content, err := os.ReadFile(filepath.Join(marks, fmt.Sprintf("atexit-%d", pid))); err != nil || string(content) != "x" {
			t.Errorf("%s: exit functions of %d: %q, %v", names[i], pid, content, err)
		}
	}
	for _, r := range wsgid.Log.Records() {
		if strings.Contains(r.Line, `"process exited"`) && !strings.Contains(r.Line, `"reason":"shutdown_signal"`) {
			t.Errorf("%s", r.Line)
		}
	}
}
