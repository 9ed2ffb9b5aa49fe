package pyshim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ask sends a GET to a callable of testdata/file and decodes its JSON.
func ask(t testing.TB, c *conn, value any, file, callable string, more ...string) {
	t.Helper()
	r := c.do(script(t, file, callable, more...), nil)
	if r.status != "200 OK" {
		t.Fatalf("%s %v: %q %q", callable, more, r.raw, r.body)
	}
	if err := json.Unmarshal(r.body, value); err != nil {
		t.Fatalf("%s: %v in %q", callable, err, r.body)
	}
}

func asText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestModuleAttributes: what applications and libraries look at in mod_wsgi, in
// the main and in a sub-interpreter of each Python; wsgid has the same.
func TestModuleAttributes(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, threads: 3, extra: []string{"processes=4", "rule.dir=" + testdata(t)}})
			c := w.dial()
			for _, group := range []string{"", "sub"} {
				var got map[string]any
				ask(t, c, &got, "module.py", "attributes", "WSGID_APPLICATION_GROUP="+group)
				want := map[string]any{
					"missing": []any{}, "other": []any{}, "private": []any{}, "public": []any{},
					"version": []any{6., 0., 5.}, "environ_version": []any{6., 0., 5.}, "wsgid_version": "0.0.0",
					"process_group": "testgroup", "application_group": group, "processes": 4., "threads": 3.,
					"module": true, "spec": "mod_wsgi wsgid", "documented": true, "file_wrapper": true,
					"timeout": []any{"mod_wsgi.RequestTimeout", "builtins.BaseException"}, "handler": true,
					"server_metrics": nil, "request_metrics": nil, "package": false, "unknown": false,
					"apache": []any{[]any{2., 4., 71.}, "wsgid/0.0.0", 3.},
				}
				for name := range want {
					if asText(got[name]) != asText(want[name]) {
						t.Errorf("%q: %s is %s, want %s", group, name, asText(got[name]), asText(want[name]))
					}
				}
				if len(got) != len(want) {
					t.Errorf("%q: %v", group, got)
				}
			}
		})
	}
}

// TestModuleDocumented: docs/applications.md names every attribute, every key of
// the metrics and every key of the events.
func TestModuleDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/applications.md")
	if err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, workerOptions{})
	var got struct{ Names, Process, Request []string }
	ask(t, w.dial(), &got, "module.py", "public")
	if len(got.Names) < 21 || len(got.Process) < 14 || len(got.Request) < 66 {
		t.Fatalf("%d names, %d and %d keys", len(got.Names), len(got.Process), len(got.Request))
	}
	all := slices.Concat(got.Names, got.Process)
	for _, types := range []map[string]string{startedTypes, responseTypes, finishedTypes, exceptionTypes} {
		all = slices.AppendSeq(all, maps.Keys(types))
	}
	for _, key := range got.Request {
		for _, suffix := range []string{"_time", "_time_min_us", "_time_max_us", "_time_buckets"} {
			if phase, found := strings.CutSuffix(key, suffix); found && slices.Contains(phases, phase) {
				key = phase
			}
		}
		all = append(all, key)
	}
	for _, name := range all {
		if !regexp.MustCompile("`" + name + "[`(]").Match(text) {
			t.Errorf("docs/applications.md does not name %s", name)
		}
	}
}

// TestModuleRequestData: a dict for each request, seen by its own thread and in
// active_requests, and by nobody else.
func TestModuleRequestData(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, threads: 3})
			busy, release := waiting(t, w)
			c := w.dial()
			for _, group := range []string{"", "sub"} {
				for n := range 2 {
					id := fmt.Sprintf("id-%s-%d", group, n)
					var got struct {
						Before  map[string]any
						Same    bool
						Outside []string
						Active  []string
						Views   []any
					}
					ask(t, c, &got, "module.py", "data", "WSGID_REQUEST_ID="+id, "WSGID_APPLICATION_GROUP="+group)
					active := []string{id}
					views := fmt.Sprintf(`[1,true,true,false,7,true,"{'%s': {'seen': True}}"]`, id)
					if group == "" { // there the other request runs
						active = append(active, "req-1")
						slices.Sort(active)
						views = fmt.Sprintf(`[2,true,true,false,7,true,"{'%s': {'seen': True}, 'req-1': {}}"]`, id)
						if strings.HasPrefix(got.Views[6].(string), "{'req-1'") {
							views = fmt.Sprintf(`[2,true,true,false,7,true,"{'req-1': {}, '%s': {'seen': True}}"]`, id)
						}
					}
					if len(got.Before) != 0 || !got.Same || !slices.Equal(got.Active, active) || asText(got.Views) != views {
						t.Errorf("%s: %+v, want %v %s", id, got, active, views)
					}
					for _, text := range got.Outside {
						if text != "RuntimeError: no active request for thread" {
							t.Errorf("outside of a request: %s", text)
						}
					}
				}
			}
			release()
			if r, err := busy.response(); err != nil || string(r.body) != "waited" {
				t.Error(err, r)
			}
		})
	}
}

// TestModuleActiveRequestsOfThreads: threads look at each other's requests while
// these begin and end.
func TestModuleActiveRequestsOfThreads(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 4})
	var group sync.WaitGroup
	for n := range 4 {
		c := w.dial()
		group.Go(func() {
			for i := range 500 {
				p := script(t, "subscribed.py", "looks", fmt.Sprintf("WSGID_REQUEST_ID=id-%d-%d", n, i),
					[]string{"WSGID_APPLICATION_GROUP=", "WSGID_APPLICATION_GROUP=a"}[i/50%2])
				c.Write(head(p))
				c.Write(stream(typeStdin, []byte("body"), true))
				if r, err := c.response(); err != nil || string(r.body) != "looked" {
					t.Errorf("%v %+v", err, r)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestModuleHidesPackage: a package mod_wsgi on sys.path gives its submodules
// and nothing else.
func TestModuleHidesPackage(t *testing.T) {
	w := startWorker(t, workerOptions{})
	for name, text := range map[string]string{"__init__.py": "SHADOWED = 1\n", "server.py": "NAME = __name__\n"} {
		path := filepath.Join(w.dir, "mod_wsgi", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got any
	ask(t, w.dial(), &got, "module.py", "hidden", "QUERY_STRING="+w.dir)
	if asText(got) != `["mod_wsgi.server",false,[6,0,5]]` {
		t.Error(asText(got))
	}
}

// TestModuleLogHandler: level, logger, place and request of a record arrive,
// whatever the application made of sys.stderr.
func TestModuleLogHandler(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python})
			var none any
			ask(t, w.dial(), &none, "module.py", "logs", "WSGID_REQUEST_ID=id-logs")
			for message, want := range map[string]string{
				"critical one": "error id-logs", "warning\nof two lines": "warn id-logs", "debug": "debug id-logs", "from a thread": "info ",
			} {
				r := w.record(message)
				if r["message"] != message || r["level"]+" "+r["request"] != want || r["source"] != "logging" || r["logger"] != "shop.cart" {
					t.Errorf("%q: %v", message, r)
				}
				if message != "from a thread" && !strings.HasPrefix(r["place"], filepath.Join(testdata(t), "module.py")+":") {
					t.Errorf("%q: place %s", message, r["place"])
				}
			}
			if r := w.record("with traceback"); r["level"] != "error" || !strings.HasSuffix(r["message"], "KeyError: 'lost'") {
				t.Error(r)
			}
		})
	}
}

// TestModuleRequestTimeout: it is no error of the application.
func TestModuleRequestTimeout(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	if r := c.do(script(t, "module.py", "timeout", "QUERY_STRING=early"), nil); r.status != "504 Gateway Timeout" || r.get("X-WSGID-Error") != "WSGID-1120" {
		t.Errorf("%q", r.raw)
	}
	if r := c.do(script(t, "module.py", "timeout", "QUERY_STRING=late"), nil); r.status != "200 OK" || r.appStatus != truncated {
		t.Errorf("%q %d", r.raw, r.appStatus)
	}
	if r := w.record("RequestTimeout"); r["level"] != "info" || r["code"] != "WSGID-1120" || strings.Contains(r["message"], "Traceback") {
		t.Error(r)
	}
	if r := c.do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("%q", r.raw)
	}
}
