package tests

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// inBoth runs a test with dispatch scripts evaluated in the router, and in the
// dispatch helper: the answers are the same. helper is what its configuration
// says of it.
func inBoth(t *testing.T, test func(t *testing.T, helper string)) {
	t.Parallel()
	t.Run("router", func(t *testing.T) { test(t, "") })
	t.Run("helper", func(t *testing.T) { test(t, "dispatch { isolation = \"process\" }\n") })
}

// twoGroups configures groups a (the static one) and b, one mount, and a
// dispatch script with options.
func twoGroups(w *harness.World, helper string, options ...string) {
	w.T.Helper()
	w.App("environ.py")
	w.Configure(helper + group("a", "#64001", 1, 4) + group("b", "#64002", 1, 4) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {\n  " + strings.Join(options, "\n  ") + "\n}\n" +
		mount("/", "apps/environ.py", option("process_group", "a"), option("application_group", "static")))
}

// canonical makes SERVER_NAME the ServerName, without a port, whatever Host says.
const canonical = "UseCanonicalName On\n"

// dispatchFront are the variables of the front server that a script may decide by.
func dispatchFront(w *harness.World) harness.ApacheOptions {
	digest := sha1.Sum([]byte("secret"))
	users := w.Write("httpd/users", "alice:{SHA}"+base64.StdEncoding.EncodeToString(digest[:])+"\n")
	config := canonical + fmt.Sprintf(`
SetEnv GROUP_B b
SetEnv INTERPRETER_X x
SetEnv OTHER other_application
SetEnv AGAIN %%{GLOBAL}
SetEnv HOST_FORM %%{HOST}
SetEnv NESTED %%{ENV:GROUP_B}
<Location /setenv>
  SetEnv ROUTE b
</Location>
SetEnvIf X-Kind "^special$" ROUTE=b
<Location /private>
  AuthType Basic
  AuthName "private"
  AuthUserFile %q
  Require valid-user
</Location>
`, users) + harness.ProxyPass
	return harness.ApacheOptions{Config: config, TLS: "SSLOptions +StdEnvVars\n" + config}
}

// decision is where a request is to end.
type decision struct {
	group, interpreter, entry string
}

var static = decision{"a", "static", "application"}

func decided(v view) decision {
	return decision{v.env("mod_wsgi.process_group"), v.env("mod_wsgi.application_group"), v.Entry}
}

// TestDispatchDecides: one row a script; all rows run in one world, each edit
// being noticed by the next request.
func TestDispatchDecides(t *testing.T) { inBoth(t, testDispatchDecides) }

func testDispatchDecides(t *testing.T, helper string) {
	w := newWorld(t)
	if helper != "" { // a script in the helper needs leave to bring requests into the router
		helper += "router { restrict_process = [\"a\", \"b\", \"%{GLOBAL}\"] }\n"
	}
	twoGroups(w, helper)
	w.Write("dispatch.py", "")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(dispatchFront(w))
	router := wsgid.Status().RouterPID
	const server, host = "localhost", "127.0.0.1"
	def := func(name, body string) string { return "def " + name + "(environ):\n    " + body + "\n" }
	route := def("process_group", "return environ.get('ROUTE')")
	rows := []struct {
		name, script, path string
		headers            []string
		tls                bool
		want               decision
	}{
		{name: "nothing defined", script: "", want: static},
		{name: "header", script: def("process_group", "return environ.get('HTTP_X_ROUTE')"), headers: []string{"X-Route: b"}, want: decision{"b", "static", "application"}},
		{name: "no header", script: def("process_group", "return environ.get('HTTP_X_ROUTE')"), want: static},
		{name: "SetEnv", script: route, path: "/setenv", want: decision{"b", "static", "application"}},
		{name: "no SetEnv", script: route, path: "/", want: static},
		{name: "SetEnvIf", script: route, headers: []string{"X-Kind: special"}, want: decision{"b", "static", "application"}},
		{name: "no SetEnvIf", script: route, headers: []string{"X-Kind: plain"}, want: static},
		{
			name: "REMOTE_USER", script: def("process_group", "return 'b' if environ.get('REMOTE_USER') == 'alice' else None"), path: "/private",
			headers: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:secret"))}, want: decision{"b", "static", "application"},
		},
		{name: "no REMOTE_USER", script: def("process_group", "return 'b' if environ.get('REMOTE_USER') else None"), want: static},
		{
			name: "SSL", script: def("process_group", "return 'b' if environ['SSL_SERVER_S_DN_CN'] == 'localhost' and environ['SSL_PROTOCOL'].startswith('TLS') else None"),
			tls: true, want: decision{"b", "static", "application"},
		},
		{name: "no SSL", script: def("process_group", "return 'b' if 'SSL_PROTOCOL' in environ else None"), want: static},
		{name: "HTTPS", script: def("process_group", "return 'b' if environ.get('HTTPS') else None"), tls: true, want: decision{"b", "static", "application"}},
		{name: "bytes", script: def("process_group", "return b'b'"), want: decision{"b", "static", "application"}},

		{name: "group from ENV", script: def("process_group", "return '%{ENV:GROUP_B}'"), want: decision{"b", "static", "application"}},
		{name: "group from a header", script: def("process_group", "return '%{ENV:HTTP_X_ROUTE}'"), headers: []string{"X-Route: b"}, want: decision{"b", "static", "application"}},
		{name: "interpreter from ENV", script: def("application_group", "return '%{ENV:INTERPRETER_X}'"), want: decision{"a", "x", "application"}},
		{name: "interpreter from ENV, twice", script: def("application_group", "return '%{ENV:AGAIN}'"), want: decision{"a", "", "application"}},
		{name: "interpreter from ENV, unset", script: def("application_group", "return '%{ENV:UNSET_V}'"), want: decision{"a", "%{ENV:UNSET_V}", "application"}},
		{name: "interpreter from ENV, a form", script: def("application_group", "return '%{ENV:HOST_FORM}'"), want: decision{"a", host, "application"}},
		{name: "interpreter HOST", script: def("application_group", "return '%{HOST}'"), want: decision{"a", host, "application"}},
		{name: "interpreter SERVER", script: def("application_group", "return '%{SERVER}'"), want: decision{"a", server, "application"}},
		{name: "interpreter RESOURCE", script: def("application_group", "return '%{RESOURCE}'"), want: decision{"a", server + "|", "application"}},
		{name: "interpreter of any name", script: def("application_group", "return 'a b/c \\xe9'"), want: decision{"a", "a b/c \u00e9", "application"}},
		{name: "interpreter of no known form", script: def("application_group", "return '%{FOO}'"), want: decision{"a", "%{FOO}", "application"}},
		{name: "callable from ENV", script: def("callable_object", "return '%{ENV:OTHER}'"), want: decision{"a", "static", "other_application"}},
		{name: "callable from ENV, unset", script: def("callable_object", "return '%{ENV:UNSET_V}'"), want: static},
		{name: "group GLOBAL", script: def("process_group", "return '%{GLOBAL}'"), want: decision{"", "static", "application"}},
		{name: "group from ENV, a form", script: def("process_group", "return '%{ENV:AGAIN}'"), want: decision{"", "static", "application"}},
		{name: "group empty", script: def("process_group", "return ''"), want: decision{"", "static", "application"}},
		{name: "interpreter GLOBAL", script: def("application_group", "return '%{GLOBAL}'"), want: decision{"a", "", "application"}},
		{name: "interpreter empty", script: def("application_group", "return ''"), want: decision{"a", "", "application"}},
		{name: "interpreter literal", script: def("application_group", "return 'x-%{GLOBAL}'"), want: decision{"a", "x-%{GLOBAL}", "application"}},
		{name: "callable GLOBAL", script: def("callable_object", "return '%{GLOBAL}'"), want: static},
		{name: "callable of no known form", script: def("callable_object", "return '%{FOO}'"), want: static},
		{
			name: "an earlier answer, expanded", script: def("process_group", "return 'b'") + def("application_group", "return '%{ENV:mod_wsgi.process_group}'"),
			want: decision{"b", "b", "application"},
		},

		{
			name: "shared environ", script: def("process_group", "environ['X_ADDED'] = 'b'") + def("application_group", "return environ['X_ADDED']"),
			want: decision{"a", "b", "application"},
		},
		{
			name: "contents of environ", script: def("application_group",
				"assert environ['mod_wsgi.process_group'] == '' and 'wsgi.input' not in environ and 'mod_wsgi.callable_object' not in environ\n"+
					"    environ['wsgi.errors'].write('said by the dispatch script\\n')\n    return environ['mod_wsgi.application_group']"),
			want: static,
		},
	}
	names := []string{"process_group", "application_group", "callable_object"}
	values := []string{"b", "moved", "other_application"}
	for subset := range 8 {
		row := rows[0]
		row.name, row.script, row.want = fmt.Sprintf("subset %03b", subset), "", static
		for bit, name := range names {
			if subset&(1<<bit) == 0 {
				continue
			}
			row.script += def(name, "return "+fmt.Sprintf("%q", values[bit]))
			switch bit {
			case 0:
				row.want.group = values[bit]
			case 1:
				row.want.interpreter = values[bit]
			default:
				row.want.entry = values[bit]
			}
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w.Write("dispatch.py", row.script)
			client := apache.Client
			if row.tls {
				client = apache.TLS
			}
			if row.path == "" {
				row.path = "/"
			}
			v := look(t, client.Get(row.path, row.headers...))
			if got := decided(v); got != row.want {
				t.Fatalf("decided %+v, want %+v", got, row.want)
			}
			if _, ok := v.Environ["X_ADDED"]; ok {
				t.Error("what the dispatch script added to environ reached the application")
			}
			if embedded := v.PID == router; embedded != (row.want.group == "") {
				t.Errorf("answered by pid %d, router %v", v.PID, embedded)
			}
		})
	}
	wsgid.Log.Await(t, "the line on wsgi.errors", harness.Containing("said by the dispatch script"))
}

// TestDispatchFails: answers that are a 500 with a log line which names the
// script and the value; the router lives through all of them.
func TestDispatchFails(t *testing.T) { inBoth(t, testDispatchFails) }

func testDispatchFails(t *testing.T, helper string) {
	w := newWorld(t)
	twoGroups(w, helper)
	w.Write("dispatch.py", "")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: canonical + "SetEnv NESTED %{ENV:GROUP_B}\n" + harness.ProxyPass})
	look(t, apache.Get("/"))
	router := wsgid.Status().RouterPID
	for _, row := range []struct{ name, script, code, value string }{
		{"unknown group", "def process_group(environ):\n    return 'nope'\n", "WSGID-1006", "nope"},
		{"group unset ENV", "def process_group(environ):\n    return '%{ENV:UNSET_V}'\n", "WSGID-1006", "%{ENV:UNSET_V}"},
		{"group literal", "def process_group(environ):\n    return 'x-%{GLOBAL}'\n", "WSGID-1006", "x-%{GLOBAL}"},
		{"group of no known form", "def process_group(environ):\n    return '%{FOO}'\n", "WSGID-1006", "%{FOO}"},
		{"group SERVER", "def process_group(environ):\n    return '%{SERVER}'\n", "WSGID-1006", "localhost"},
		{"group HOST", "def process_group(environ):\n    return '%{HOST}'\n", "WSGID-1006", "127.0.0.1"},
		{"group RESOURCE", "def process_group(environ):\n    return '%{RESOURCE}'\n", "WSGID-1006", "localhost|"},
		{"group from ENV that names ENV", "def process_group(environ):\n    return '%{ENV:NESTED}'\n", "WSGID-1006", "%{ENV:GROUP_B}"},
		{"number", "def process_group(environ):\n    return 42\n", "WSGID-1018", "42"},
		{"False", "def application_group(environ):\n    return False\n", "WSGID-1018", "False"},
		{"list", "def callable_object(environ):\n    return ['application']\n", "WSGID-1018", "application"},
		{"not latin-1", "def process_group(environ):\n    return '\\u20ac'\n", "WSGID-1018", ""},
		{"NUL", "def process_group(environ):\n    return 'b\\0x'\n", "WSGID-1018", ""},
		{"not callable", "process_group = 42\n", "WSGID-101", ""},
		{"raises", "def application_group(environ):\n    raise ValueError('wrong %d' % 7)\n", "WSGID-1017", "wrong 7"},
		{"exits", "import sys\ndef process_group(environ):\n    sys.exit(9)\n", "WSGID-1017", "SystemExit"},
		{"skips the rest", "def process_group(environ):\n    raise ValueError('first')\ndef application_group(environ):\n    open(__file__ + '.second', 'w')\n", "WSGID-1017", "first"},
	} {
		t.Run(row.name, func(t *testing.T) {
			mark := wsgid.Log.Mark()
			path := w.Write("dispatch.py", row.script)
			wantError(t, apache.Get("/"), 500, row.code)
			record := wsgid.Log.AwaitFrom(t, mark, "the log line", harness.Containing(row.code))
			if !strings.Contains(record.Line, path) || !strings.Contains(record.Line, row.value) || record.Level() != "error" {
				t.Errorf("the log line is no error that names %s and %q: %s", path, row.value, record.Line)
			}
		})
	}
	if harness.Exists(w.Path("dispatch.py.second")) {
		t.Error("a callable was called after one that raised")
	}
	for _, row := range []struct{ name, callable, code string }{
		{"unknown callable", "missing", "WSGID-1104"}, {"empty callable", "", "WSGID-1"},
		{"dotted callable", "os.path", "WSGID-1104"}, {"not a callable", "not_callable", "WSGID-110"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.Write("dispatch.py", fmt.Sprintf("def callable_object(environ):\n    return %q\n", row.callable))
			wantError(t, apache.Get("/"), 500, row.code)
		})
	}
	w.Write("dispatch.py", "")
	look(t, apache.Get("/"))
	if now := wsgid.Status().RouterPID; now != router {
		t.Errorf("the router was replaced: %d, now %d", router, now)
	}
}

// TestInterpreters: application_group moves a request to another interpreter
// of the same process: the state of modules differs.
func TestInterpreters(t *testing.T) { inBoth(t, testInterpreters) }

func testInterpreters(t *testing.T, helper string) {
	w := newWorld(t)
	twoGroups(w, helper)
	w.Write("dispatch.py", "def application_group(environ):\n    return environ.get('HTTP_X_INTERPRETER')\n")
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pid := 0
	for round := 1; round <= 3; round++ {
		for _, name := range []string{"one", "two", "%{GLOBAL}"} {
			v := look(t, apache.Get("/", "X-Interpreter: "+name))
			if v.Hits != round {
				t.Errorf("round %d in %s: the module counts %d", round, name, v.Hits)
			}
			if pid == 0 {
				pid = v.PID
			}
			if v.PID != pid {
				t.Errorf("another process: %d, before %d", v.PID, pid)
			}
		}
	}
}

// TestDispatchInterpreter: where the dispatch script itself runs.
func TestDispatchInterpreter(t *testing.T) { inBoth(t, testDispatchInterpreter) }

func testDispatchInterpreter(t *testing.T, helper string) {
	for _, row := range []struct{ name, option, want string }{
		{"static decision", "", "static"}, {"named", `application_group = "mine"`, "mine"}, {"main", `application_group = "%{GLOBAL}"`, ""},
		{"server", `application_group = "%{SERVER}"`, "localhost"}, {"host", `application_group = "%{HOST}"`, "127.0.0.1"},
		{"resource, literally", `application_group = "%{RESOURCE}"`, "%{RESOURCE}"}, {"variable, literally", `application_group = "%{ENV:X}"`, "%{ENV:X}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			twoGroups(w, helper, row.option)
			w.Write("dispatch.py", "def application_group(environ):\n    return 'in-' + environ['mod_wsgi.application_group']\n")
			w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: canonical + harness.ProxyPass})
			if got := look(t, apache.Get("/")).env("mod_wsgi.application_group"); got != "in-"+row.want {
				t.Errorf("it ran %s, want in-%s", got, row.want)
			}
		})
	}
}

// TestDispatchInterpreterOfTheRequest: without application_group the script runs
// in the interpreter that the request was statically decided to use, one of its
// own for each, expanded.
func TestDispatchInterpreterOfTheRequest(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("dispatch.py", "calls = 0\ndef application_group(environ):\n    global calls\n    calls += 1\n    return '%s call %d' % (environ['mod_wsgi.application_group'], calls)\n")
	w.Configure(group("a", "#64001", 1, 4) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/main", "apps/environ.py") + mount("/", "apps/environ.py", option("application_group", "%{HOST}")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: canonical + harness.ProxyPass})
	for call := 1; call <= 2; call++ {
		for host, path := range map[string]string{"one.test": "/", "two.test": "/", "": "/main"} {
			if got, want := look(t, apache.Get(path, "Host: "+host)).env("mod_wsgi.application_group"), fmt.Sprintf("%s call %d", host, call); got != want {
				t.Errorf("it ran %q, want %q", got, want)
			}
		}
	}
}

// TestDispatchTimeout: a script over dispatch_timeout is a 504 with the stack
// in the log, and the router goes on.
func TestDispatchTimeout(t *testing.T) { inBoth(t, testDispatchTimeout) }

func testDispatchTimeout(t *testing.T, helper string) {
	w := newWorld(t)
	twoGroups(w, helper, `dispatch_timeout = "3s"`)
	w.Write("dispatch.py", "import time\ndef process_group(environ):\n    while 'slow' in environ['REQUEST_URI']:\n        time.sleep(0.01)\n    return 'b'\n")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	look(t, apache.Get("/")) // loads the script
	wantError(t, apache.Get("/slow"), 504, "WSGID-1020")
	wsgid.Log.Await(t, "the timeout", func(r harness.Record) bool {
		// with the stack: the line that it was in, whichever of the two that was
		return harness.Containing("WSGID-1020", w.Path("dispatch.py"), "line ", "in process_group")(r) && r.Level() == "error"
	})
	if got := look(t, apache.Get("/")).env("mod_wsgi.process_group"); got != "b" {
		t.Errorf("after the timeout: group %s", got)
	}
}

// TestDispatchConcurrency: never more than `concurrency` calls are inside
// Python; the others wait and are answered.
func TestDispatchConcurrency(t *testing.T) { inBoth(t, testDispatchConcurrency) }

func testDispatchConcurrency(t *testing.T, helper string) {
	w := newWorld(t)
	twoGroups(w, helper, "concurrency = 2", `application_group = "%{GLOBAL}"`)
	w.Write("dispatch.py", `
import threading, time
lock = threading.Lock()
inside = most = 0

def application_group(environ):
    global inside, most
    with lock:
        inside += 1
        most = max(most, inside)
    time.sleep(0.02)
    with lock:
        inside -= 1
        return "most %d" % most
`)
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	look(t, apache.Get("/"))
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 5 {
				response, err := apache.Try(t.Context(), "GET", "/", nil)
				if err != nil || response.Status != 200 {
					t.Errorf("%v %+v", err, response)
				}
			}
		}()
	}
	wait.Wait()
	if got := look(t, apache.Get("/")).env("mod_wsgi.application_group"); got != "most 2" {
		t.Errorf("calls inside Python at once: %s", got)
	}
}

// TestDispatchLoadError: the three values of on_load_error, with a script that
// breaks while in use and one that is broken from the start.
func TestDispatchLoadError(t *testing.T) { inBoth(t, testDispatchLoadError) }

func testDispatchLoadError(t *testing.T, helper string) {
	good := "def process_group(environ):\n    return 'b'\n"
	const failure = "500"
	for _, row := range []struct{ value, atStart, afterEdit string }{
		{"last_good", failure, "b"}, {"fail", failure, failure}, {"static", "a", "a"},
	} {
		t.Run(row.value, func(t *testing.T) {
			w := newWorld(t)
			twoGroups(w, helper, option("on_load_error", row.value))
			expect := func(apache *harness.Apache, when, want string) {
				t.Helper()
				response := apache.Get("/")
				if want == failure {
					wantError(t, response, 500, "WSGID-1019")
					return
				}
				if got := look(t, response).env("mod_wsgi.process_group"); got != want {
					t.Errorf("%s: group %s, want %s", when, got, want)
				}
			}
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			expect(apache, "missing", row.atStart)
			for name, broken := range map[string]string{"syntax error": "def:\n", "exits": "import sys\nsys.exit(3)\n", "raises": "raise RuntimeError('broken on purpose')\n"} {
				w.Write("dispatch.py", broken)
				expect(apache, name, row.atStart)
			}
			wsgid.Log.Await(t, "the traceback", harness.Containing("broken on purpose", w.Path("dispatch.py")))
			w.Write("dispatch.py", good)
			expect(apache, "mended", "b")
			mark := wsgid.Log.Mark()
			w.Write("dispatch.py", "def process_group(environ):\n    return 'b'\nsyntax error\n")
			expect(apache, "syntax error", row.afterEdit)
			wsgid.Log.AwaitFrom(t, mark, "the syntax error", harness.Containing("SyntaxError"))
			if status := wsgid.Status(); !strings.Contains(status.Text, "SyntaxError") {
				t.Errorf("status does not tell of the broken script: %s", status.Text)
			}
			if err := os.Remove(w.Path("dispatch.py")); err != nil {
				t.Fatal(err)
			}
			expect(apache, "deleted", row.afterEdit)
			w.Write("dispatch.py", good)
			expect(apache, "mended again", "b")
			if status := wsgid.Status(); strings.Contains(status.Text, "SyntaxError") {
				t.Errorf("status still tells of the broken script: %s", status.Text)
			}
		})
	}
}
