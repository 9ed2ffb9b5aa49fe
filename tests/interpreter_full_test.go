//go:build full

package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestNumpyInSubInterpreter: Debian's NumPy warns in a sub-interpreter, and
// refuses the second interpreter of a process; wsgid says what to do. In the
// main interpreter it has nothing to say.
func TestNumpyInSubInterpreter(t *testing.T) {
	harness.NeedModule(t, "numpy", "python3-numpy")
	w := newWorld(t)
	w.App("extension.py")
	w.Configure(group("both", "#64001", 1, 2) + group("alone", "#64001", 1, 2) +
		mount("/main", "apps/extension.py", option("process_group", "both")) +
		mount("/second", "apps/extension.py", option("process_group", "both"), option("application_group", "second")) +
		mount("/first", "apps/extension.py", option("process_group", "alone"), option("application_group", "first")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if r := apache.Get("/main?numpy"); r.Text() != "imported in ''" {
		t.Errorf("main interpreter: %d %.300s", r.Status, r.Body)
	}
	if found := wsgid.Log.Find(harness.Containing("WSGID-1143")); len(found) != 0 {
		t.Errorf("main interpreter: %s", found[0].Line)
	}
	if r := apache.Get("/first?numpy"); r.Text() != "imported in 'first'" {
		t.Errorf("sub-interpreter: %d %.300s", r.Status, r.Body)
	}
	wantError(t, apache.Get("/second?numpy"), 500, "WSGID-1105")
	for level, application := range map[string]string{"warn": "first", "error": "second"} {
		record := wsgid.Log.Await(t, "name of the extension in "+application, func(r harness.Record) bool {
			return r.Text("code") == "WSGID-1143" && r.Text("application") == application
		})
		if record.Level() != level || !strings.HasPrefix(record.Message(), "extension module numpy") || !strings.Contains(record.Message(), "does not support sub-interpreters") {
			t.Errorf("the diagnosis: %s", record.Line)
		}
	}
}
