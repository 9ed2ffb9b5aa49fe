package tests

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestEmbedded: who an application of the process group %{GLOBAL} is, and what
// it sees (mod_wsgi behaviour 6.2, 8.4 and 14.6).
func TestEmbedded(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, router string
		uid          int
		multithread  bool
	}{
		{"web server's user", "", routerUID(t), true},
		{"another user", "router {\n  user = \"#64009\"\n  group = \"www-data\"\n  threads = 1\n}\n", 64009, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.App("environ.py")
			w.Configure(row.router +
				mount("/named", "apps/environ.py", option("application_group", "inner")) +
				mount("/resource", "apps/environ.py", option("application_group", "%{RESOURCE}")) +
				mount("/env", "apps/environ.py", option("process_group", "%{ENV:GROUP}")) +
				mount("/other", "apps/environ.py", option("callable_object", "other_application")) +
				mount("/missing", "apps/environ.py", option("callable_object", "nothing_here")) +
				mount("/", "apps/environ.py"))
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: "SetEnv GROUP %{GLOBAL}\n" + harness.ProxyPass})
			router := wsgid.Status().Router
			hits := map[string]int{}
			for _, path := range []string{"/", "/named", "/resource", "/env", "/", "/named/x"} {
				v := look(t, apache.Get(path))
				interpreter := v.env("mod_wsgi.application_group")
				hits[interpreter]++
				for key, want := range map[string]any{
					"mod_wsgi.process_group": "", "wsgi.multiprocess": false, "wsgi.multithread": row.multithread, "wsgi.run_once": false,
					"mod_wsgi.queue_start": 0., "mod_wsgi.daemon_start": 0., "mod_wsgi.server_pid": fmt.Sprint(router.PID),
				} {
					if got := v.Environ[key]; got != want {
						t.Errorf("%s: %s is %v, want %v", path, key, got, want)
					}
				}
				if v.PID != router.PID || v.UID != row.uid || v.EUID != row.uid || router.UID != row.uid || v.PPID != wsgid.PID {
					t.Errorf("%s: pid %d, uid %d, euid %d, parent %d; the router is %+v", path, v.PID, v.UID, v.EUID, v.PPID, router)
				}
				if v.Hits != hits[interpreter] {
					t.Errorf("%s in %q: the module counts %d, want %d", path, interpreter, v.Hits, hits[interpreter])
				}
				if v.CWD != "/" || v.Umask != "0022" || v.NoNewPrivs != "1" {
					t.Errorf("%s: in %s, umask %s, no_new_privileges %s", path, v.CWD, v.Umask, v.NoNewPrivs)
				}
				if names := slices.Sorted(maps.Keys(v.Process)); strings.Join(names, " ") != "HOME LANG LOGNAME PATH USER" {
					t.Errorf("%s: the environment has %v", path, names)
				}
			}
			if len(hits) != 3 || hits[""] != 3 || hits["inner"] != 2 {
				t.Errorf("interpreters and their requests: %v", hits)
			}
			if got := look(t, apache.Get("/other")).Entry; got != "other_application" {
				t.Errorf("called %s", got)
			}
			wantError(t, apache.Get("/missing"), 500, "WSGID-1104")
			e := wsgid.Status().Router.Embedded
			if want := map[bool]int{true: 25, false: 1}[row.multithread]; e == nil || e.Threads != want || e.Requests != 8 {
				t.Errorf("status: %+v", e)
			}
			if _, table, _ := w.CLI("status", "--control", w.Control); !strings.Contains(table, "embedded applications: ") {
				t.Errorf("the table does not tell of them:\n%s", table)
			}
		})
	}
}

// TestEmbeddedReload: a changed script is imported again in place, in each
// interpreter, by the rules of mod_wsgi behaviour 7.2 and 7.3; the running
// request, other modules and the process stay as they are.
func TestEmbeddedReload(t *testing.T) {
	w := newWorld(t)
	openDirectory(t, w, "state")
	w.App("gate.py")
	w.Write("lib/dependency.py", "VERSION = 1\n")
	source := "import os\nos.environ['STATE'] = " + fmt.Sprintf("%q", w.Path("state")) + "\n" + readFile(t, w.App("reload.py"))
	w.Write("apps/reload.py", source)
	slow := strings.Replace(readFile(t, w.Path("apps/gate.py")), "str(os.getpid())", "VERSION", 1)
	w.Write("apps/gate.py", slow+"\nVERSION = 'old'\n")
	w.Configure("router {\n  python_path = [\"{{.Dir}}/lib\"]\n}\n" +
		mount("/slow", "apps/gate.py") + mount("/sub", "apps/reload.py", option("application_group", "sub")) + mount("/", "apps/reload.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	router := wsgid.Status().RouterPID
	var now loaded
	want := func(what, path string, version, hits int) {
		t.Helper()
		if now.get(t, apache.Client, path); now.PID != router || now.Version != version || now.Hits != hits || now.Dependency != 1 {
			t.Errorf("%s: %+v, want version %d, request %d, in process %d", what, now, version, hits, router)
		}
	}
	want("at first", "/", 1, 1)
	want("unmodified", "/", 1, 2)
	want("another interpreter", "/sub", 1, 1)

	w.Write("lib/dependency.py", "VERSION = 2\n") // nobody looks at it
	w.Write("apps/reload.py", strings.Replace(source, "VERSION = 1", "VERSION = 2", 1))
	want("touched", "/", 2, 1)
	want("touched", "/sub", 2, 1)
	want("unmodified", "/", 2, 2)

	w.Write("state/hook", "false")
	want("the hook says no", "/", 2, 3)
	w.Write("state/hook", "raise")
	mark := wsgid.Log.Mark()
	want("the hook raises", "/", 2, 4)
	wsgid.Log.AwaitFrom(t, mark, "the traceback", harness.Containing("the hook does not know", "Traceback"))
	w.Write("state/hook", "once")
	want("the hook says yes", "/", 2, 1)
	want("the hook says nothing more", "/", 2, 2)
	want("__mtime__ is deleted", "/?delete", 2, 3)
	want("__mtime__ was deleted", "/", 2, 1)

	w.Write("apps/reload.py", "1 / 0\n")
	for range 2 {
		wantError(t, apache.Get("/"), 500, "WSGID-1103")
	}
	w.Write("apps/reload.py", "import sys\nsys.exit(3)\n")
	wantError(t, apache.Get("/"), 500, "WSGID-1103")
	if err := os.Remove(w.Path("apps/reload.py")); err != nil {
		t.Fatal(err)
	}
	wantError(t, apache.Get("/"), 404, "WSGID-1102")
	w.Write("apps/reload.py", source)
	want("mended", "/", 1, 1)

	running := make(chan *harness.Response, 1)
	go func() {
		response, err := apache.Try(t.Context(), "GET", fmt.Sprintf("/slow?started=%s&gate=%s", w.Path("state/started"), w.Path("state/gate")), nil)
		if err != nil {
			t.Error(err)
		}
		running <- response
	}()
	awaitFile(t, w.Path("state/started"))
	w.Write("apps/gate.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'new']\n")
	if got := apache.Get("/slow"); got.Text() != "new" {
		t.Errorf("beside a running request: %d %s", got.Status, got.Body)
	}
	w.Write("state/gate", "")
	if got := <-running; got == nil || got.Text() != "old" {
		t.Errorf("the running request: %+v", got)
	}
	if now := wsgid.Status().RouterPID; now != router {
		t.Errorf("router %d, was %d", now, router)
	}
}

// TestEmbeddedReloadUnderLoad: edits while requests come, with bodies, in two
// interpreters: none is lost and none gets code from before its beginning.
func TestEmbeddedReloadUnderLoad(t *testing.T) {
	w := newWorld(t)
	openDirectory(t, w, "state")
	w.Write("lib/dependency.py", "VERSION = 1\n")
	source := "import os\nos.environ['STATE'] = " + fmt.Sprintf("%q", w.Path("state")) + "\n" + readFile(t, w.App("reload.py"))
	w.Write("apps/reload.py", source)
	w.Configure("router {\n  python_path = [\"{{.Dir}}/lib\"]\n}\n" +
		mount("/sub", "apps/reload.py", option("application_group", "sub")) + mount("/", "apps/reload.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	router := wsgid.Status().RouterPID
	content := payload(20000)
	var mu sync.Mutex
	version := 1
	current := func() int {
		mu.Lock()
		defer mu.Unlock()
		return version
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	served := make([]int, 4)
	for client := range served {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := current()
				response, err := apache.Try(t.Context(), "POST", []string{"/", "/sub"}[client%2], strings.NewReader(string(content)))
				if err != nil || response.Status != 200 {
					t.Errorf("%v %+v", err, response)
					return
				}
				var got loaded
				response.JSON(t, &got)
				if got.Version < before || got.PID != router || got.SHA256 != digest(content) {
					t.Errorf("%+v, the version was %d when it began", got, before)
				}
				mu.Lock()
				served[client]++
				mu.Unlock()
			}
		})
	}
	for next := 2; next <= rounds(12, 60); next++ {
		w.Write("apps/reload.py", strings.Replace(source, "VERSION = 1", fmt.Sprintf("VERSION = %d", next), 1))
		mu.Lock()
		version = next
		marks := slices.Clone(served)
		mu.Unlock()
		harness.Eventually(t, "every client has had an answer since", func() error {
			mu.Lock()
			defer mu.Unlock()
			for client, mark := range marks {
				if served[client] < mark+2 && !t.Failed() {
					return errNotYet
				}
			}
			return nil
		})
	}
	close(stop)
	wait.Wait()
}

// TestEmbeddedCrash: an application that ends the router takes with it what was
// in flight and nothing else: processes of groups go on, and the next request
// is served by a new router.
func TestEmbeddedCrash(t *testing.T) {
	w := newWorld(t)
	w.App("crash.py")
	w.App("gate.py")
	w.App("hello.py")
	openDirectory(t, w, "open")
	w.Configure(group("only", "#64001", 2, 2) +
		mount("/crash", "apps/crash.py", option("process_group", "%{GLOBAL}")) +
		mount("/gate", "apps/gate.py", option("process_group", "only")) + mount("/", "apps/hello.py", option("process_group", "only")))
	wsgid := w.Start(harness.Options{Crashes: true})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only")
	for number, how := range []string{"kill", "abort", "segv", "exit"} {
		t.Run(how, func(t *testing.T) {
			router := wsgid.AwaitReady("only").RouterPID
			wsgid.NoteSessions()
			started := w.Path("open/" + how)
			lost := make(chan *harness.Response, 1)
			go func() {
				response, err := apache.Try(t.Context(), "POST", "/gate?started="+started+"&gate="+w.Path("open/gate-"+how), nil)
				if err != nil {
					t.Error(err)
				}
				lost <- response
			}()
			awaitFile(t, started)
			if got := apache.Do("POST", "/crash/"+how, nil); got.Status != 503 { // what Apache makes of a closed connection
				t.Errorf("the request that ended the router: %d %s", got.Status, got.Body)
			}
			if got := <-lost; got == nil || got.Status != 503 {
				t.Errorf("a request in flight: %+v", got)
			}
			harness.Eventually(t, "it has closed all its connections", func() error {
				if harness.Alive(router) {
					return errNotYet
				}
				return nil
			})
			for range 5 { // at once, while the new router starts
				if got := apache.Get("/"); got.Status != 200 {
					t.Errorf("afterwards: %d %s", got.Status, got.Body)
				}
			}
			if got := apache.Get("/crash/"); got.Status != 200 || got.Text() == fmt.Sprint(router) {
				t.Errorf("embedded, afterwards: %d %s", got.Status, got.Body)
			}
			w.Write("open/gate-"+how, "")
			s := wsgid.AwaitReady("only").Router
			total := uint64(0)
			for _, n := range s.Restarts {
				total += n
			}
			if total != uint64(number+1) || s.LastExit == nil || s.LastExit.PID != router || s.PID == router {
				t.Errorf("router: %+v, last exit %+v", s, s.LastExit)
			}
		})
	}
	if after := wsgid.AwaitReady("only"); !slices.Equal(before.PIDs("only"), after.PIDs("only")) {
		t.Errorf("workers %v before, %v after", before.PIDs("only"), after.PIDs("only"))
	}
	wsgid.AwaitIdle()
}

// TestEmbeddedHangs: an application in the router that hangs, on all its
// threads or with the GIL, harms no process group; requests for it wait and get
// 504; wsgid stops all the same.
func TestEmbeddedHangs(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, app string
		threads   int
		gate      func(*testing.T, *harness.World) string // never opened
	}{
		{"all threads", "gate.py", 2, func(_ *testing.T, w *harness.World) string { return w.Path("open/gate") }},
		{"with the GIL", "hold_gil.py", 1, mkfifo},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.App(row.app)
			w.App("hello.py")
			openDirectory(t, w, "open")
			w.Configure(fmt.Sprintf("router {\n  threads = %d\n  queue_timeout = \"4s\"\n}\n", row.threads) +
				group("only", "#64001", 1, 2, `shutdown_timeout = "500ms"`) +
				mount("/hang", "apps/"+row.app, option("process_group", "%{GLOBAL}")) + mount("/", "apps/hello.py", option("process_group", "only")))
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			gate := row.gate(t, w)
			var wait sync.WaitGroup
			for number := range row.threads {
				started := w.Path(fmt.Sprintf("open/%d", number))
				wait.Go(func() { // until the end of wsgid
					_, _ = apache.Try(t.Context(), "POST", "/hang?started="+started+"&gate="+gate, nil)
				})
				awaitFile(t, started)
			}
			wantError(t, apache.Get("/hang"), 504, "WSGID-1013")
			if got := apache.Get("/"); got.Status != 200 {
				t.Errorf("the process group: %d %s", got.Status, got.Body)
			}
			if e := wsgid.Status().Router.Embedded; e == nil || e.ThreadsBusy != row.threads || e.QueueTimeouts != 1 {
				t.Errorf("status: %+v", e)
			}
			wsgid.Stop()
			wait.Wait()
		})
	}
}

// TestEmbeddedKeepsGIL: the router is replaced once its GIL cannot be had for
// deadlock_timeout.
func TestEmbeddedKeepsGIL(t *testing.T) {
	w := newWorld(t)
	w.App("hold_gil.py")
	w.App("hello.py")
	openDirectory(t, w, "open")
	w.Write("dispatch.py", "def process_group(environ):\n    return '%{GLOBAL}' if environ['SCRIPT_NAME'] == '/hang' else 'only'\n")
	w.Configure(group("only", "#64001", 1, 2) + "dispatch_script \"{{.Dir}}/dispatch.py\" {\n  deadlock_timeout = \"1s\"\n}\n" +
		mount("/hang", "apps/hold_gil.py") + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	router := wsgid.AwaitReady("only").RouterPID
	wsgid.NoteSessions()
	if got := apache.Do("POST", "/hang?started="+w.Path("open/started")+"&gate="+mkfifo(t, w), nil); got.Status != 503 {
		t.Errorf("the request that hung: %d %s", got.Status, got.Body)
	}
	wsgid.AwaitStatus("there is a new router", func(s harness.Status) error {
		if s.RouterPID == router || s.Router.State != "ready" {
			return errNotYet
		}
		return nil
	})
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("afterwards: %d %s", got.Status, got.Body)
	}
	if got := apache.Get("/hang"); got.Status != 200 {
		t.Errorf("embedded, afterwards: %d %s", got.Status, got.Body)
	}
	wsgid.Log.Await(t, "why", harness.Containing("router has to be replaced", "interpreter lock could not be had"))
}

// TestRestrictEmbedded: no application runs in the router, whoever chooses it;
// scripts that the router asks do, and without one it has no Python.
func TestRestrictEmbedded(t *testing.T) {
	t.Parallel()
	t.Run("dispatch script", func(t *testing.T) {
		w := newWorld(t)
		w.App("environ.py")
		openDirectory(t, w, "open")
		w.Write("dispatch.py", "def process_group(environ):\n    return environ.get('HTTP_X_GROUP')\n"+
			"def application_group(environ):\n    return 'decided'\n")
		w.Write("apps/tables.py", "open("+fmt.Sprintf("%q", w.Path("open/tables"))+", 'w').write('read')\n")
		w.Write("apps/never.py", "open("+fmt.Sprintf("%q", w.Path("open/never"))+", 'w').write('imported')\n")
		w.Configure(group("web", "#64001", 1, 2) + "router {\n  restrict_embedded = true\n}\ndispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
			"import_script \"{{.Dir}}/apps/tables.py\" {\n  process_group = \"%{GLOBAL}\"\n}\n" +
			mount("/fixed", "apps/never.py", option("process_group", "%{GLOBAL}")) +
			mount("/restricted", "apps/environ.py", option("process_group", "web"), `restrict_process = ["web"]`) +
			mount("/", "apps/environ.py", option("process_group", "web")))
		wsgid := w.Start(harness.Options{})
		apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass + "SetEnv ROUTE %{GLOBAL}\n"})
		awaitFile(t, w.Path("open/tables"))
		for _, row := range []struct{ path, choice, code string }{
			{"/", "web", ""}, {"/", "", "WSGID-1028"}, {"/", "%{GLOBAL}", "WSGID-1028"}, {"/", "%{ENV:ROUTE}", "WSGID-1028"},
			{"/", "none", ""}, {"/fixed", "none", "WSGID-1028"}, {"/fixed", "web", "WSGID-1103"},
			{"/restricted", "%{GLOBAL}", "WSGID-1005"}, {"/restricted", "web", ""},
		} {
			if row.path == "/fixed" && row.choice == "web" {
				w.Write("apps/never.py", "raise RuntimeError('in the process group')\n")
			}
			headers := []string{"X-Group: " + row.choice}
			if row.choice == "none" {
				headers = nil
			}
			mark := wsgid.Log.Mark()
			got := apache.Get(row.path, headers...)
			if row.code != "" {
				wantError(t, got, 500, row.code)
				wsgid.Log.AwaitFrom(t, mark, "the refusal", harness.Containing(row.code, `"@level":"error"`))
				continue
			}
			if v := look(t, got); v.UID != 64001 || v.env("mod_wsgi.application_group") != "decided" {
				t.Errorf("%s %q: uid %d, interpreter %s", row.path, row.choice, v.UID, v.env("mod_wsgi.application_group"))
			}
		}
		if harness.Exists(w.Path("open/never")) {
			t.Error("the application was imported")
		}
		if e := wsgid.Status().Router.Embedded; e != nil {
			t.Errorf("status has %+v", e)
		}
	})
	t.Run("no script", func(t *testing.T) {
		w := newWorld(t)
		w.App("environ.py")
		w.Configure(group("web", "#64001", 1, 2) + "router {\n  restrict_embedded = true\n}\n" +
			mount("/chosen", "apps/environ.py", option("process_group", "%{ENV:GROUP}")) + mount("/", "apps/environ.py", option("process_group", "web")))
		wsgid := w.Start(harness.Options{})
		apache := w.StartApache(harness.ApacheOptions{Config: "SetEnvIf X-Group \"(.+)\" GROUP=$1\n" + harness.ProxyPass})
		look(t, apache.Get("/"))
		if _, table, _ := w.CLI("routes", "--config", w.Path("wsgid.hcl")); !strings.Contains(table, "\nNo application runs in the router: restrict_embedded.\n") || strings.Contains(table, "PRIORITY") {
			t.Errorf("wsgid routes:\n%s", table)
		}
		look(t, apache.Get("/chosen", "X-Group: web"))
		wantError(t, apache.Get("/chosen", "X-Group: %{GLOBAL}"), 500, "WSGID-1028")
		router := wsgid.Status().Router
		if maps := readFile(t, fmt.Sprintf("/proc/%d/maps", router.PID)); router.Python != "" || strings.Contains(maps, "libpython") {
			t.Errorf("the router has loaded Python %s", router.Python)
		}
	})
	t.Run("access script", func(t *testing.T) {
		w := newWorld(t)
		w.App("environ.py")
		openDirectory(t, w, "open")
		w.Write("access.py", "def allow_access(environ, host):\n    return environ.get('HTTP_X_KEY') == 'right'\n")
		w.Write("apps/tables.py", "open("+fmt.Sprintf("%q", w.Path("open/tables"))+", 'w').write('read')\n")
		w.Configure(group("web", "#64001", 1, 2) + "router {\n  restrict_embedded = true\n}\naccess_script \"{{.Dir}}/access.py\" {}\n" +
			"import_script \"{{.Dir}}/apps/tables.py\" {\n  process_group = \"%{GLOBAL}\"\n}\n" +
			mount("/chosen", "apps/environ.py", option("process_group", "%{ENV:GROUP}"), option("access_script", "{{.Dir}}/access.py")) +
			mount("/", "apps/environ.py", option("process_group", "web"), option("access_script", "{{.Dir}}/access.py")))
		wsgid := w.Start(harness.Options{})
		apache := w.StartApache(harness.ApacheOptions{Config: "SetEnv GROUP %{GLOBAL}\n" + harness.ProxyPass})
		awaitFile(t, w.Path("open/tables"))
		if got := apache.Get("/"); got.Status != 403 {
			t.Errorf("without the key: %d", got.Status)
		}
		if v := look(t, apache.Get("/", "X-Key: right")); v.UID != 64001 {
			t.Errorf("uid %d", v.UID)
		}
		wantError(t, apache.Get("/chosen", "X-Key: right"), 500, "WSGID-1028")
		if router := wsgid.Status().Router; router.Python == "" || router.Embedded != nil {
			t.Errorf("router: %+v", router)
		}
	})
	t.Run("mistake", func(t *testing.T) {
		w := newWorld(t)
		w.App("environ.py")
		w.Configure("router {\n  restrict_embedded = true\n}\n" + mount("/", "apps/environ.py"))
		code, _, errs := w.CLI("check", "--config", w.Path("wsgid.hcl"))
		if code == 0 || !strings.Contains(errs, "restrict_embedded is true") {
			t.Errorf("check: %d %s", code, errs)
		}
	})
}
