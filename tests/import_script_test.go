package tests

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestImportScripts: mounts and import scripts are imported by every process
// of the group in the order of the configuration, each into its interpreter, on
// the main thread, before the process is ready; one that raises stops nothing;
// a mount with the same script has the same module; what is not preloaded is not.
func TestImportScripts(t *testing.T) {
	w := newWorld(t)
	source := readFile(t, w.App("imported.py"))
	for _, name := range []string{"first", "second", "lazy", "later", "resource"} {
		w.Write("apps/"+name+".py", source)
	}
	w.App("raise_import.py")
	openDirectory(t, w, "state")
	imports := func(name string, options ...string) string {
		return fmt.Sprintf("import_script \"{{.Dir}}/apps/%s\" {\n  %s\n}\n", name, strings.Join(options, "\n  "))
	}
	w.Configure(group("only", "#64001", 2, 2, `environment = { STATE = "{{.Dir}}/state" }`) +
		imports("first.py", option("application_group", "sub")) +
		imports("raise_import.py") +
		mount("/first", "apps/first.py", option("application_group", "sub")) +
		mount("/second", "apps/second.py") +
		imports("missing.py") +
		mount("/lazy", "apps/lazy.py", "preload = false") +
		mount("/resource", "apps/resource.py", option("application_group", "%{RESOURCE}")) +
		imports("later.py", option("process_group", "only")) +
		mount("/d", "apps/"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	log := readFile(t, w.Path("state/imported.log"))
	pids := wsgid.AwaitReady("only").PIDs("only")
	for _, pid := range pids {
		var got []string
		for _, line := range strings.Split(log, "\n") {
			if rest, ok := strings.CutPrefix(line, fmt.Sprintf("%d ", pid)); ok {
				got = append(got, rest)
			}
		}
		if want := []string{"first.py sub True", "second.py main True", "later.py main True"}; !slices.Equal(got, want) {
			t.Errorf("process %d imported %q, want %q", pid, got, want)
		}
	}
	wsgid.Log.Await(t, "the traceback", harness.Containing("this application cannot be imported", "raise_import.py"))
	wsgid.Log.Await(t, "the missing script", harness.Containing("script not found", "missing.py"))
	if e := wsgid.Status().Group("only").LoadErrors; len(e) != 1 || e[0].Script != w.Path("apps/raise_import.py") {
		t.Errorf("load errors %+v", e)
	}
	for _, path := range []string{"/first", "/second", "/d/later.py"} {
		for range 4 {
			if got := apache.Get(path); got.Status != 200 {
				t.Errorf("%s: %d", path, got.Status)
			}
		}
	}
	if now := readFile(t, w.Path("state/imported.log")); now != log {
		t.Errorf("requests imported again: %q after %q", now, log)
	}
	// What an import script becomes while processes run is no reason to replace
	// them; a mount is.
	w.Write("apps/raise_import.py", "x = 1\n")
	if got := apache.Get("/second"); got.Status != 200 {
		t.Errorf("%d", got.Status)
	}
	for _, path := range []string{"/lazy", "/resource"} {
		if got := apache.Get(path); got.Status != 200 {
			t.Errorf("%s: %d", path, got.Status)
		}
	}
	if now := readFile(t, w.Path("state/imported.log")); !strings.Contains(now, "lazy.py main False") || !strings.Contains(now, "resource.py 127.0.0.1") {
		t.Errorf("imported by requests: %q", strings.TrimPrefix(now, log))
	}
	if now := wsgid.Status().PIDs("only"); !slices.Equal(now, pids) {
		t.Errorf("processes %v became %v", pids, now)
	}
}

// TestEmbeddedImportScripts: the router's own Python imports them at its start.
func TestEmbeddedImportScripts(t *testing.T) {
	w := newWorld(t)
	source := readFile(t, w.App("imported.py"))
	openDirectory(t, w, "apps")
	for _, name := range []string{"first", "second", "lazy"} {
		w.Write("apps/"+name+".py", source)
		w.Write("apps/"+name+".py.log", "")
		if err := os.Chmod(w.Path("apps/"+name+".py.log"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	w.Configure("import_script \"{{.Dir}}/apps/first.py\" {\n  application_group = \"sub\"\n}\n" +
		mount("/second", "apps/second.py") + mount("/lazy", "apps/lazy.py", "preload = false"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	want := func(name, line string) {
		t.Helper()
		if got := awaitFile(t, w.Path("apps/"+name+".py.log")); !strings.HasPrefix(got, line) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %q, want %q", name, got, line)
		}
	}
	router := wsgid.Status().RouterPID
	want("first", fmt.Sprintf("%d first.py sub ", router))
	want("second", fmt.Sprintf("%d second.py main ", router))
	if got := readFile(t, w.Path("apps/lazy.py.log")); got != "" {
		t.Errorf("lazy: %q", got)
	}
	for range 3 {
		if got := apache.Get("/second"); got.Text() != fmt.Sprintf("%d 1", router) {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	want("second", fmt.Sprintf("%d second.py main ", router))
	if got := apache.Get("/lazy"); got.Status != 200 {
		t.Errorf("lazy: %d", got.Status)
	}
	// Changed, it is imported again in place.
	w.Write("apps/second.py", source+"\ntimes = 7\n")
	if got := apache.Get("/second"); got.Text() != fmt.Sprintf("%d 7", router) {
		t.Errorf("changed: %d %s", got.Status, got.Body)
	}
	w.Write("apps/second.py", "1 / 0\n")
	for range 2 {
		wantError(t, apache.Get("/second"), 500, "WSGID-1103")
	}
	status := wsgid.Status()
	if e := status.Router.LoadErrors; len(e) != 1 || e[0].Script != w.Path("apps/second.py") || e[0].Application != "" || e[0].PID != router ||
		e[0].Error != "ZeroDivisionError: division by zero" || !strings.HasPrefix(e[0].Traceback, "Traceback (most recent call last)") || e[0].At.IsZero() {
		t.Errorf("load errors of the router: %+v", e)
	}
	if _, table, _ := w.CLI("status", "--control", w.Control); !strings.Contains(table, "SCRIPT THAT CANNOT BE IMPORTED") || !strings.Contains(table, "ZeroDivisionError: division by zero") {
		t.Errorf("the table does not tell:\n%s", table)
	}
	w.Write("apps/second.py", source)
	if got := apache.Get("/second"); got.Status != 200 {
		t.Errorf("mended: %d %s", got.Status, got.Body)
	}
	if e := wsgid.Status().Router.LoadErrors; len(e) != 0 {
		t.Errorf("mended: %+v", e)
	}
}
