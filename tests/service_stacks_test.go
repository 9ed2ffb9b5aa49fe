package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// threaded is a service whose threads wait in functions of their own, and which runs
// something else when it is told to.
const threaded = `
import os, signal, subprocess, threading, time

def put(name, text):
    with open(os.environ["STATE"] + "/" + name + ".new", "w") as file:
        file.write(text)
    os.rename(file.name, os.environ["STATE"] + "/" + name)

def holds_the_gil():
    import re
    re.match("(a+)+$", "a" * 60 + "b")

def in_the_background():
    while not os.path.exists(os.environ["STATE"] + "/hold"):
        time.sleep(0.01)
    put("holds", "1")
    holds_the_gil()

threading.Thread(target=in_the_background, daemon=True).start()

def main():
    put("descriptors", subprocess.run(["ls", "-l", "/proc/self/fd"], stdout=subprocess.PIPE, universal_newlines=True).stdout)
    put("running", "%d" % os.getpid())
    while not os.path.exists(os.environ["STATE"] + "/default"):
        time.sleep(0.01)
    signal.signal(signal.SIGRTMAX - 1, signal.SIG_DFL)
    put("reset", "1")
    time.sleep(1000000)

main()
`

// TestStacksOfService: each thread of a service tells where it is, also while one holds
// the GIL; one that has given the signal another meaning is left alone.
func TestStacksOfService(t *testing.T) {
	w := newWorld(t)
	checkServiceStacks(t, w, w.Pythons()[0])
}

func checkServiceStacks(t *testing.T, w *harness.World, python harness.Python) {
	w.App("hello.py")
	w.Write("apps/threaded.py", threaded)
	openDirectory(t, w, "state")
	jobs := func(name, state string) string {
		openDirectory(t, w, state)
		return group(name, "#64002", 1, 0, option("shutdown_timeout", "1s"), python.Option(), `restrict_signal = false`, `environment = { STATE = "{{.Dir}}/`+state+`" }`) +
			"import_script \"{{.Dir}}/apps/threaded.py\" {\n  process_group = \"" + name + "\"\n}\n"
	}
	w.Configure(jobs("jobs", "state") + jobs("other", "other") + group("web", "#64001", 1, 1) + mount("/", "apps/hello.py", option("process_group", "web")))
	d := w.Start(harness.Options{})
	awaitFile(t, w.Path("state/running"))
	awaitFile(t, w.Path("other/running"))
	// of is what a service tells of the function, in an answer that has it.
	of := func(group, function string) (found status.Thread) {
		t.Helper()
		for _, s := range stacksOf(t, w, group) {
			if len(s.Threads) != 2 || !s.Answered || !s.BySignal {
				t.Errorf("%+v", s)
			}
			for _, thread := range s.Threads {
				if strings.Contains(thread.Stack, "in "+function+"\n") || strings.HasSuffix(thread.Stack, "in "+function) {
					found = thread
				}
			}
		}
		if found.TID == 0 || !strings.Contains(found.Stack, w.Path("apps/threaded.py")) {
			t.Errorf("no thread of %s is in %s: %+v", group, function, stacksOf(t, w, group))
		}
		return found
	}
	for range 3 { // what was told before is not there any more
		if main, other := of("jobs", "main"), of("jobs", "in_the_background"); main.TID != d.Status().PIDs("jobs")[0] || other.TID == main.TID {
			t.Errorf("%+v %+v", main, other)
		}
	}
	if code, out, errs := w.CLI("stacks", "--control", w.Control, "jobs"); code != 0 || !strings.Contains(out, "the newest call first:\n") || strings.Contains(out, "GIL") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	w.Write("state/hold", "")
	awaitFile(t, w.Path("state/holds"))
	of("jobs", "main")
	harness.Eventually(t, "who holds the GIL tells it", func() error {
		if stacks := stacksOf(t, w, "jobs"); !strings.Contains(stacks[0].Threads[0].Stack+stacks[0].Threads[1].Stack, "in holds_the_gil") {
			return errNotYet
		}
		return nil
	})
	if content := readFile(t, w.Path("state/descriptors")); strings.Contains(content, "memfd") {
		t.Errorf("a child has a descriptor of ours: %s", content)
	}

	w.Write("other/default", "")
	awaitFile(t, w.Path("other/reset"))
	before := d.Status().PIDs("other")[0]
	if s := stacksOf(t, w, "other"); s[0].Answered || s[0].PID != before || len(s[0].Threads) != 2 || s[0].Threads[0].State == "" {
		t.Errorf("%+v", s)
	}
	s := d.Status()
	if after := s.PIDs("other"); len(after) != 1 || after[0] != before || !harness.Alive(before) {
		t.Errorf("it has ended: %d, %v", before, after)
	}
}
