package tests

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestPythonMatrix: one wsgid serves a group on each Python of the machine, all
// at once; each does what the tests of the system's do.
func TestPythonMatrix(t *testing.T) {
	w := newWorld(t)
	apps := []string{"environ", "body_hash", "say", "errors_in_application", "download", "acceptance_environ", "acceptance_validated", "acceptance_response"}
	for _, name := range append(apps, "fork_view") {
		w.App(name + ".py")
	}
	pythons := w.Pythons()
	if len(pythons) == 1 {
		t.Log("this machine has only the system's Python")
	}
	var body strings.Builder
	var names []string
	for number, python := range pythons {
		name := fmt.Sprintf("p%d", number)
		names = append(names, name)
		body.WriteString(group(name, "#64001", 1, 3, python.Option()))
		for _, app := range apps {
			body.WriteString(mount("/"+name+"/"+app, "apps/"+app+".py", option("process_group", name)))
		}
		// CPython itself, up to 3.13 at least, hangs or aborts in a child forked
		// from a process that has sub-interpreters: the forking application
		// has a group without any.
		body.WriteString(group("f"+name, "#64001", 1, 3, python.Option()))
		body.WriteString(mount("/"+name+"/fork_view", "apps/fork_view.py", option("process_group", "f"+name)))
		names = append(names, "f"+name)
		body.WriteString(mount("/"+name+"/inner", "apps/environ.py", option("process_group", name), option("application_group", "inner")))
	}
	w.Configure(body.String())
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	status := wsgid.AwaitReady(names...)
	content := payload(1 << 20)
	var wait sync.WaitGroup
	for number, python := range pythons {
		t.Logf("Python %s: %s", python.Version, python.Option())
		wait.Add(1)
		go func() { // all at once
			defer wait.Done()
			checkPython(t, wsgid, apache, fmt.Sprintf("p%d", number), python, content)
		}()
		if got := status.Group(fmt.Sprintf("p%d", number)).Processes[0].Python; got != python.Version {
			t.Errorf("status shows Python %q for group p%d, want %s", got, number, python.Version)
		}
	}
	wait.Wait()
	for _, name := range names {
		if exits := wsgid.Status().Group(name).Restarts; len(exits) != 0 {
			t.Errorf("processes of %s ended: %v", name, exits)
		}
	}
}

// checkPython runs on a goroutine of its own: it reports, and never ends the test.
func checkPython(t *testing.T, wsgid *harness.Wsgid, apache *harness.Apache, name string, python harness.Python, content []byte) {
	get := func(method, path, body string) *harness.Response {
		response, err := apache.Try(t.Context(), method, "/"+name+path, strings.NewReader(body))
		if err != nil {
			t.Errorf("Python %s: %v", python.Version, err)
			return &harness.Response{}
		}
		return response
	}
	wants := func(path string, response *harness.Response, status int, texts ...string) {
		if response.Status != status {
			t.Errorf("Python %s: %s: status %d, want %d: %.500s", python.Version, path, response.Status, status, response.Body)
		}
		for _, text := range texts {
			if !strings.Contains(response.Text(), text) {
				t.Errorf("Python %s: %s: no %s in %.2000s", python.Version, path, text, response.Body)
			}
		}
	}
	prefix := `"prefix": "/usr"`
	if python.Home != "" {
		prefix = fmt.Sprintf(`"prefix": %q`, python.Home)
	}
	for _, path := range []string{"/environ/x", "/inner/x"} {
		for range 3 {
			wants(path, get("GET", path, ""), 200, fmt.Sprintf(`"python": %q`, python.Version), prefix, `"uid": 64001`, `"PATH_INFO": "/x"`)
		}
	}
	for _, by := range []string{"read", "read:1000", "iter"} {
		wants("/body_hash "+by, get("POST", "/body_hash?by="+by, string(content)), 200, digest(content))
	}
	wants("/download", get("GET", "/download?size=1000000", ""), 200)
	wants("/say", get("GET", "/say", ""), 200)
	wants("/say/raise", get("GET", "/say/raise", ""), 500, "WSGID-1105")
	wants("/errors/none", get("GET", "/errors_in_application/none", ""), 500, "WSGID-110")
	wants("/errors/exit", get("GET", "/errors_in_application/exit", ""), 500, "WSGID-1115")
	wants("/acceptance_environ", get("GET", "/acceptance_environ", ""), 200, "<class '_io.TextIOWrapper'>", "<class 'mod_wsgi.Input'>", "<class 'mod_wsgi.FileWrapper'>")
	wants("/acceptance_validated", get("POST", "/acceptance_validated/stream", "one\ntwo\n"), 200, "one\ntwo\nend")
	wants("/acceptance_response/file", get("GET", "/acceptance_response/file?"+url.QueryEscape(`("file", 4)`), ""), 200, "\x00\x01\x02\x03")
	wants("/acceptance_response/timeout", get("GET", "/acceptance_response/raises?timeout", ""), 504, "WSGID-1120")
	wants("/errors/exc-info", get("GET", "/errors_in_application/exc-info", ""), 503, "replaced")
	for range rounds(5, 50) {
		wants("/fork_view", get("GET", "/fork_view", ""), 200, `"status": 7`, `"exitcode": -15`, `"worked": 5`)
	}
}
