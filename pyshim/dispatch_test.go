package pyshim_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/pyshim"
)

// theHost starts the system's Python in the test process, once: CPython allows
// no second start.
var theHost = sync.OnceValues(func() (*pyshim.Host, error) {
	fd, err := unix.MemfdCreate("modules", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if _, err := unix.Write(fd, pyshim.Modules()); err != nil {
		return nil, err
	}
	if hostStacks, err = unix.MemfdCreate("stacks", unix.MFD_CLOEXEC); err != nil {
		return nil, err
	}
	return pyshim.StartHost(pyshim.HostOptions{Python: "/usr/bin/python3", Threads: 7, ModulesFD: fd, LogFD: -1, StacksFD: hostStacks})
})

// hostStacks is where threads of theHost write their stacks.
var hostStacks int

func host(t testing.TB) *pyshim.Host {
	t.Helper()
	h, err := theHost()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func pairs(nameValues ...string) []byte {
	var b []byte
	length := func(n int) {
		if n < 128 {
			b = append(b, byte(n))
		} else {
			b = append(b, byte(n>>24)|0x80, byte(n>>16), byte(n>>8), byte(n))
		}
	}
	for i := 0; i < len(nameValues); i += 2 {
		length(len(nameValues[i]))
		length(len(nameValues[i+1]))
		b = append(b, nameValues[i]...)
		b = append(b, nameValues[i+1]...)
	}
	return b
}

func writeScript(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dispatch.py")
	replaceScript(t, path, text)
	return path
}

// replaceScript gives each version a modification time of its own.
func replaceScript(t testing.TB, path, text string) {
	t.Helper()
	previous := time.Unix(1_000_000_000, 0)
	if info, err := os.Stat(path); err == nil {
		previous = info.ModTime()
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, previous.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
}

func set(value string) pyshim.Override { return pyshim.Override{Set: true, Value: value} }

func TestDispatchReturnValues(t *testing.T) {
	h := host(t)
	long := strings.Repeat("x", 1000)
	tests := []struct {
		name, body string
		want       pyshim.Override
		kind       pyshim.ErrorKind // 0: none
		message    string
	}{
		{"none", "return None", pyshim.Override{}, 0, ""},
		{"str", "return 'd2'", set("d2"), 0, ""},
		{"bytes", "return b'd2'", set("d2"), 0, ""},
		{"empty", "return ''", set(""), 0, ""},
		{"latin-1", "return 'gr\\xfcn'", set("gr\xfcn"), 0, ""},
		{"long", "return 'x' * 1000", set(long), 0, ""},
		{"expansion", "return '%{ENV:X}'", set("%{ENV:X}"), 0, ""},
		{"str subclass", "return type('S', (str,), {})('s')", set("s"), 0, ""},
		{"not latin-1", "return '\\u20ac'", pyshim.Override{}, pyshim.Value, "latin-1"},
		{"int", "return 1", pyshim.Override{}, pyshim.Value, "None, a str or a bytes"},
		{"false", "return False", pyshim.Override{}, pyshim.Value, "None, a str or a bytes"},
		{"bytearray", "return bytearray(b'x')", pyshim.Override{}, pyshim.Value, "None, a str or a bytes"},
		{"nul", "return 'd\\0x'", pyshim.Override{}, pyshim.Value, "NUL"},
		{"nul bytes", "return b'd\\0x'", pyshim.Override{}, pyshim.Value, "NUL"},
		{"raises", "raise KeyError('k')", pyshim.Override{}, pyshim.Exception, "KeyError: 'k'"},
		{"exit", "raise SystemExit(3)", pyshim.Override{}, pyshim.Exception, "SystemExit: 3"},
		{"bad repr", "return type('R', (), {'__repr__': lambda s: 1/0})()", pyshim.Override{}, pyshim.Value, "None, a str or a bytes"},
	}
	for _, function := range []string{"process_group", "application_group", "callable_object"} {
		for _, test := range tests {
			t.Run(function+"/"+test.name, func(t *testing.T) {
				path := writeScript(t, "# first line\ndef "+function+"(environ):\n    "+test.body+"\n")
				d, err := h.Dispatch(&pyshim.Call{Script: path, Params: pairs("A", "b"), Check: true})
				if test.kind != 0 {
					var se *pyshim.ScriptError
					if !errors.As(err, &se) || se.Kind != test.kind || se.Function != function || !strings.Contains(se.Message, test.message) {
						t.Fatalf("got %+v", err)
					}
					if se.Kind == pyshim.Exception && (se.Line != 3 || !strings.Contains(se.Traceback, path)) {
						t.Errorf("line %d, traceback %s", se.Line, se.Traceback)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]pyshim.Override{"process_group": d.ProcessGroup, "application_group": d.ApplicationGroup, "callable_object": d.CallableObject}
				for name, override := range got {
					want := pyshim.Override{}
					if name == function {
						want = test.want
					}
					if override != want {
						t.Errorf("%s = %+v, want %+v", name, override, want)
					}
				}
			})
		}
	}
}

func TestDispatchScripts(t *testing.T) {
	h := host(t)
	t.Run("none of the names", func(t *testing.T) {
		if d, err := h.Dispatch(&pyshim.Call{Script: writeScript(t, "x = 1\n")}); err != nil || d != (pyshim.Decision{}) {
			t.Errorf("got %+v, %v", d, err)
		}
	})
	t.Run("not callable", func(t *testing.T) {
		_, err := h.Dispatch(&pyshim.Call{Script: writeScript(t, "application_group = 'x'\n")})
		var se *pyshim.ScriptError
		if !errors.As(err, &se) || se.Kind != pyshim.Value || se.Function != "application_group" || se.Value != "'x'" {
			t.Errorf("got %+v", err)
		}
	})
	t.Run("remaining are skipped", func(t *testing.T) {
		path := writeScript(t, "calls = []\ndef process_group(e):\n    calls.append(1)\n    if len(calls) == 1: raise ValueError\n"+
			"def callable_object(e):\n    calls.append(2)\n    return repr(calls)\n")
		if _, err := h.Dispatch(&pyshim.Call{Script: path}); err == nil {
			t.Error("no error")
		}
		if d, err := h.Dispatch(&pyshim.Call{Script: path}); err != nil || d.CallableObject != set("[1, 1, 2]") {
			t.Errorf("got %+v, %v", d, err)
		}
	})
	t.Run("interpreters", func(t *testing.T) {
		path := writeScript(t, "import mod_wsgi\ndef process_group(e):\n    return repr((e['mod_wsgi.application_group'], mod_wsgi.application_group, mod_wsgi.process_group))\n")
		for _, group := range []string{"", "disp", "gr\xfcn host|/x"} {
			d, err := h.Dispatch(&pyshim.Call{Script: path, ApplicationGroup: group})
			want := fmt.Sprintf("('%s', '%s', '')", group, group)
			if err != nil || d.ProcessGroup.Value != want {
				t.Errorf("got %+v, %v, want %s", d, err, want)
			}
		}
		_, err := h.Dispatch(&pyshim.Call{Script: path, ApplicationGroup: "a\x00b"})
		var se *pyshim.ScriptError
		if !errors.As(err, &se) || se.Kind != pyshim.Interpreter {
			t.Errorf("NUL: %v", err)
		}
	})
	t.Run("malformed parameters", func(t *testing.T) {
		path := writeScript(t, "x = 1\n")
		for _, params := range [][]byte{{1}, {1, 1, 'a'}, {0x80, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0}, {5, 5, 'a', 'b'}} {
			if _, err := h.Dispatch(&pyshim.Call{Script: path, Params: params}); err == nil {
				t.Errorf("%v accepted", params)
			}
		}
	})
}

func TestDispatchEnviron(t *testing.T) {
	h := host(t)
	path := writeScript(t, `
def process_group(e):
    e['added'] = 'by first'
    e['wsgi.errors'].write('')
    return repr(sorted((k, v) for k, v in e.items() if k != 'wsgi.errors'))
def application_group(e):
    return e['added']
def callable_object(e):
    return type(e['wsgi.errors']).__name__ + ' ' + e['wsgi.errors'].name
`)
	for round := range 3 {
		value := fmt.Sprintf("v\xe9%d", round)
		d, err := h.Dispatch(&pyshim.Call{Script: path, RequestID: "id-1", Params: pairs("SCRIPT_NAME", "/a", "PATH_INFO", "/b", "HTTP_X", value, "EMPTY", "", "LONG", strings.Repeat("l", 2000))})
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("[('EMPTY', ''), ('HTTP_X', 'v\xe9%d'), ('LONG', '%s'), ('PATH_INFO', '/b'), ('SCRIPT_NAME', '/a'), ('added', 'by first'), "+
			"('mod_wsgi.application_group', ''), ('mod_wsgi.path_info', '/b'), ('mod_wsgi.process_group', ''), ('mod_wsgi.request_id', 'id-1'), ('mod_wsgi.script_name', '/a')]",
			round, strings.Repeat("l", 2000))
		if d.ProcessGroup.Value != want || d.ApplicationGroup != set("by first") || d.CallableObject != set("TextIOWrapper <log>") {
			t.Errorf("got %q %+v %+v", d.ProcessGroup.Value, d.ApplicationGroup, d.CallableObject)
		}
	}
	var many []string // more names than are kept
	for i := range 2000 {
		many = append(many, fmt.Sprintf("HTTP_N%d", i), fmt.Sprint(i))
	}
	count := writeScript(t, "def process_group(e):\n    return str(sum(int(v) for k, v in e.items() if k.startswith('HTTP_N')))\n")
	if d, err := h.Dispatch(&pyshim.Call{Script: count, Params: pairs(many...)}); err != nil || d.ProcessGroup != set("1999000") {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestDispatchLoading(t *testing.T) {
	h := host(t)
	good := func(v string) string { return "def process_group(e):\n    return '" + v + "'\n" }
	broken := map[string]string{
		"syntax": "x = 1\ndef process_group(e:\n", "import": "y = 1\nz = 1 / 0\n", "exit": "import sys\nsys.exit(1)\n",
	}
	for name, text := range broken {
		t.Run(name, func(t *testing.T) {
			path := writeScript(t, text)
			_, err := h.Dispatch(&pyshim.Call{Script: path, Check: true, KeepLastGood: true})
			var se *pyshim.ScriptError
			if !errors.As(err, &se) || se.Kind != pyshim.Load || se.Line != 2 || se.Traceback == "" {
				t.Fatalf("got %+v", err)
			}
			replaceScript(t, path, good("one"))
			call := func(keep bool) (pyshim.Decision, error) {
				return h.Dispatch(&pyshim.Call{Script: path, Check: true, KeepLastGood: keep})
			}
			if d, err := call(true); err != nil || d.ProcessGroup != set("one") || d.LoadError != "" {
				t.Fatalf("mended: %+v, %v", d, err)
			}
			replaceScript(t, path, text)
			for range 3 {
				if d, err := call(true); err != nil || d.ProcessGroup != set("one") || !strings.Contains(d.LoadError, path) && name != "exit" || d.LoadError == "" {
					t.Fatalf("last good: %+v, %v", d, err)
				}
			}
			if _, err := call(false); !errors.As(err, &se) || se.Kind != pyshim.Load {
				t.Fatalf("without last good: %v", err)
			}
			replaceScript(t, path, good("two"))
			if d, err := call(true); err != nil || d.ProcessGroup != set("two") || d.LoadError != "" {
				t.Fatalf("mended again: %+v, %v", d, err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if d, err := call(true); err != nil || d.ProcessGroup != set("two") || d.LoadError == "" {
				t.Fatalf("deleted: %+v, %v", d, err)
			}
			if _, err := call(false); !errors.As(err, &se) || se.Kind != pyshim.Load {
				t.Fatalf("deleted, without last good: %v", err)
			}
		})
	}
	t.Run("unchecked", func(t *testing.T) {
		path := writeScript(t, good("one"))
		for range 2 {
			if d, err := h.Dispatch(&pyshim.Call{Script: path}); err != nil || d.ProcessGroup != set("one") {
				t.Fatalf("%+v, %v", d, err)
			}
			replaceScript(t, path, good("two"))
		}
	})
}

func TestDispatchInterrupt(t *testing.T) {
	h := host(t)
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	path := writeScript(t, "def process_group(e):\n    open(e['FIFO'], 'w').close()\n    while True:\n        pass\n")
	call := &pyshim.Call{Script: path, Params: pairs("FIFO", started)}
	go func() {
		if f, err := os.Open(started); err == nil { // returns when the script is inside
			_ = f.Close()
		}
		h.Interrupt(call)
	}()
	_, err := h.Dispatch(call)
	var se *pyshim.ScriptError
	if !errors.As(err, &se) || se.Kind != pyshim.Interrupted || se.Function != "process_group" || se.Line < 2 { // it may still be closing the pipe
		t.Fatalf("got %+v", err)
	}
	early := &pyshim.Call{Script: path, Params: pairs("FIFO", started)}
	h.Interrupt(early)
	if _, err := h.Dispatch(early); !errors.As(err, &se) || se.Kind != pyshim.Interrupted {
		t.Fatalf("early: %v", err)
	}
	h.Probe()
}

// An interrupt that comes when its call has just ended must not hit the next.
func TestDispatchInterruptRace(t *testing.T) {
	h := host(t)
	path := writeScript(t, "def process_group(e):\n    return str(sum(range(20)))\n")
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 300 {
				call := &pyshim.Call{Script: path}
				go h.Interrupt(call)
				_, err := h.Dispatch(call)
				var se *pyshim.ScriptError
				if err != nil && (!errors.As(err, &se) || se.Kind != pyshim.Interrupted) {
					t.Errorf("interrupted call: %v", err)
				}
				if d, err := h.Dispatch(&pyshim.Call{Script: path}); err != nil || d.ProcessGroup != set("190") {
					t.Errorf("the next call: %+v, %v", d, err)
				}
			}
		}()
	}
	wait.Wait()
}

func TestDispatchConcurrent(t *testing.T) {
	h := host(t)
	path := writeScript(t, "import time\ndef process_group(e):\n    time.sleep(0)\n    return e['N']\ndef application_group(e):\n    return e['mod_wsgi.application_group']\n")
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			group := fmt.Sprintf("con%d", n%3)
			for i := range 200 {
				want := fmt.Sprintf("%d-%d", n, i)
				d, err := h.Dispatch(&pyshim.Call{Script: path, ApplicationGroup: group, Params: pairs("N", want), Check: true})
				if err != nil || d.ProcessGroup != set(want) || d.ApplicationGroup != set(group) {
					t.Errorf("got %+v, %v", d, err)
				}
			}
		}()
	}
	wait.Wait()
}

// TestDispatchEnvironOfEachCall: whatever earlier calls had, and their scripts did
// to it, each sees the names and values of its own request: the last of several.
func TestDispatchEnvironOfEachCall(t *testing.T) {
	h := host(t)
	path := writeScript(t, `
def process_group(environ):
    seen = ";".join("%s=%s" % pair for pair in sorted(environ.items()) if not pair[0].startswith(("wsgi.", "mod_wsgi.process", "mod_wsgi.app")))
    environ["A"] = environ["MINE"] = "dirty"
    environ.pop("B", None)
    environ.pop("mod_wsgi.process_group")
    return seen
`)
	source := rand.New(rand.NewPCG(1, 2))
	names := []string{"A", "B", "C", "SCRIPT_NAME", "PATH_INFO", "HTTP_X"}
	values := []string{"", "1", "2", strings.Repeat("long", 400)}
	for i := range 3000 {
		chosen := names
		if i%100 > 60 { // often the same names, now and then others
			chosen = names[source.IntN(3) : 3+source.IntN(4)]
		}
		var list []string
		want := map[string]string{"mod_wsgi.request_id": fmt.Sprint(i)}
		add := func(name string) {
			value := values[min(source.IntN(40)/10, 3)]
			if value == values[3] && source.IntN(10) > 0 {
				value = "3"
			}
			list = append(list, name, value)
			want[name] = value
			if also, ok := map[string]string{"SCRIPT_NAME": "mod_wsgi.script_name", "PATH_INFO": "mod_wsgi.path_info"}[name]; ok {
				want[also] = value
			}
		}
		for _, name := range chosen {
			add(name)
		}
		if source.IntN(20) == 0 {
			add(chosen[0])
		}
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(want)) {
			lines = append(lines, name+"="+want[name])
		}
		d, err := h.Dispatch(&pyshim.Call{Script: path, Params: pairs(list...), RequestID: fmt.Sprint(i)})
		if err != nil || d.ProcessGroup.Value != strings.Join(lines, ";") {
			t.Fatalf("call %d: %v\n%.300s\nwant\n%.300s", i, err, d.ProcessGroup.Value, strings.Join(lines, ";"))
		}
		if i%50 == 0 { // an authentication script in between uses the same names
			if _, err := h.Ask(&pyshim.Call{Script: path, Params: pairs("A", "9", "B", "8")}, pyshim.Question{Kind: pyshim.AskAccess, First: []byte("h")}); err == nil {
				t.Fatal("there is no allow_access")
			}
		}
	}
}

func BenchmarkDispatchCall(b *testing.B) {
	h := host(b)
	path := writeScript(b, "def process_group(environ):\n    uri = environ['REQUEST_URI']\n    if uri.startswith('/admin/'):\n        return 'admin'\n    return 'web'\n")
	var list []string
	for _, name := range []string{"DOCUMENT_ROOT", "CONTEXT_PREFIX", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_METHOD", "REQUEST_SCHEME",
		"SCRIPT_FILENAME", "SCRIPT_NAME", "PATH_INFO", "SERVER_ADDR", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE"} {
		list = append(list, name, "value of "+name)
	}
	for i := range 22 {
		list = append(list, fmt.Sprintf("HTTP_HEADER_%d", i), fmt.Sprintf("the value of header %d", i))
	}
	for _, name := range []string{"request_handler", "handler_script", "listener_host", "listener_port", "server_pid",
		"x-script_reloading", "x-enable_sendfile", "x-ignore_activity"} {
		list = append(list, "mod_wsgi."+name, "of "+name)
	}
	params := make([][]byte, 64) // four values change with every request, as they do
	for i := range params {
		params[i] = pairs(append(list, "REQUEST_URI", fmt.Sprintf("/admin/%d", i), "mod_wsgi.x-request_start_us", fmt.Sprint(1764142000123456+i), "UNIQUE_ID", fmt.Sprintf("id%d", i), "HTTP_COOKIE", fmt.Sprintf("session=%d", i))...)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after syscall.Rusage
	for i := 0; b.Loop(); i++ {
		if i == 0 {
			_ = syscall.Getrusage(unix.RUSAGE_THREAD, &before)
		}
		if d, err := h.Dispatch(&pyshim.Call{Script: path, Params: params[i%64], RequestID: "request-id", Check: true}); err != nil || d.ProcessGroup.Value != "admin" {
			b.Fatalf("%+v, %v", d, err)
		}
	}
	_ = syscall.Getrusage(unix.RUSAGE_THREAD, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/1000/float64(b.N), "cpu-us/op")
}

// TestDispatchSeesModule: a dispatch script has the module too; it serves no
// request, so that there is none to have data.
func TestDispatchSeesModule(t *testing.T) {
	h := host(t)
	path := writeScript(t, `
import mod_wsgi, wsgid
def process_group(environ):
    try:
        mod_wsgi.request_data()
    except RuntimeError as error:
        assert str(error) == "no active request for thread", error
        assert not mod_wsgi.active_requests and mod_wsgi.server_metrics() is None
        assert mod_wsgi.process_metrics()["pid"] > 0 and mod_wsgi.process_group == ""
        return "%s %s" % (mod_wsgi.threads_per_process, wsgid.DispatchTimeout.__module__)
`)
	d, err := h.Dispatch(&pyshim.Call{Script: path, Params: pairs("REQUEST_URI", "/")})
	if err != nil || d.ProcessGroup != set("7 wsgid") {
		t.Errorf("%+v %v", d, err)
	}
}
