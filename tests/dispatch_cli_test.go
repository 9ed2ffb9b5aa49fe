package tests

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// toldDecision is what wsgid dispatch test --json says, as far as tests ask.
type toldDecision struct {
	VirtualHost *struct{ Name string } `json:"virtual_host"`
	Tried       []struct{ Title string }
	Mount       *struct{ Title, Place string }
	Settings    []struct{ Name, Value, Origin string }
	Dispatch    *struct {
		Script, User string
		Returned     *struct {
			ProcessGroup     *string `json:"process_group"`
			ApplicationGroup *string `json:"application_group"`
			CallableObject   *string `json:"callable_object"`
		}
	}
	Decision *struct {
		ProcessGroup     string `json:"process_group"`
		ApplicationGroup string `json:"application_group"`
		CallableObject   string `json:"callable_object"`
	}
	Script     string
	ScriptName string `json:"script_name"`
	PathInfo   string `json:"path_info"`
	Candidates *struct {
		Processes, Threads int
		User               string
	}
	Refusal *struct {
		Code   string
		Status int
	}
	Ended   string
	Output  []string
	Environ map[string]string
}

// dispatchTest runs the verb; refused says how it must end.
func dispatchTest(t *testing.T, w *harness.World, refused bool, args ...string) toldDecision {
	t.Helper()
	code, out, errs := w.CLI(append([]string{"dispatch", "test", "--config", w.Path("wsgid.hcl"), "--json"}, args...)...)
	if (code == 1) != refused || code > 1 {
		t.Fatalf("dispatch test %q ends with %d: %s%s", args, code, out, errs)
	}
	var d toldDecision
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("dispatch test %q: %v\n%s%s", args, err, out, errs)
	}
	return d
}

// TestDispatchTest: the verb decides as the running router does, for requests
// that Apache sends.
func TestDispatchTest(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("dispatch.py", `
import os
print("evaluated as", os.getuid())

def process_group(environ):
    path = environ["PATH_INFO"]
    if path == "/unknown":
        return "nobody"
    if path == "/forbidden":
        return "%{GLOBAL}"
    if path == "/raises":
        raise ValueError("no way")
    if path == "/wrong":
        return 42
    if environ.get("REMOTE_USER") == "alice" or environ.get("HTTP_X_GROUP") == "b" or environ["QUERY_STRING"] == "b":
        return "b"

def application_group(environ):
    if environ["REQUEST_METHOD"] == "POST":
        return "%{ENV:WANTED}"

def callable_object(environ):
    environ["wsgi.errors"].write("asked about " + environ["REQUEST_URI"] + "\n")
    if "HTTP_X_OTHER" in environ:
        return b"other_application"
`)
	w.Write("own.py", "def application_group(environ):\n    return 'own'\n")
	w.Write("broken.py", "def:\n")
	w.Write("scripts/one.wsgi", "import sys\nsys.path.insert(0, '"+w.Path("apps")+"')\nfrom environ import application, other_application\n")
	app := func(url string, options ...string) string {
		return mount(url, "apps/environ.py", append(options, option("process_group", "a"))...)
	}
	w.Configure(group("a", "#64001", 1, 4) + group("b", "#64002", 2, 3) + `
dispatch_script "{{.Dir}}/dispatch.py" {}
dispatch_script "{{.Dir}}/own.py" {
  default = false
}
dispatch_script "{{.Dir}}/broken.py" {
  default = false
}
virtual_host "own.test" {
  server_alias    = ["*.own.test"]
  dispatch_script = "{{.Dir}}/own.py"
` + app("/host", option("application_group", "%{SERVER}")) + "}\n" +
		app("/none", option("dispatch_script", ""), option("application_group", "%{HOST}")) + app("/broken", option("dispatch_script", "{{.Dir}}/broken.py")) +
		app("/small", "max_body_bytes = 10") + mount("/dir/", "scripts/", option("process_group", "a")) +
		app("/bounded", `restrict_process = ["a"]`) + app("/first", option("callable_object", "%{ENV:CALLABLE}")) + app("/app"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "UseCanonicalName On\nSetEnv WANTED wanted\nSetEnv CALLABLE other_application\n" + harness.ProxyPass})
	wsgid.AwaitReady("a", "b")
	router := fmt.Sprint(wsgid.Status().Router.UID)
	for _, row := range []struct {
		method, host, uri string
		headers           []string
		body              string
	}{
		{uri: "/app"}, {uri: "/app/"}, {uri: "/app/a%20b//c?q=1&r=%20"}, {uri: "/app/x/../y"}, {uri: "/app?b"}, {uri: "/app/x", headers: []string{"X-Group: b", "X-Other: 1"}},
		{uri: "/app/unknown"}, {uri: "/app/forbidden"}, {uri: "/bounded/forbidden"}, {uri: "/bounded?b"}, {uri: "/bounded"}, {uri: "/app/raises"}, {uri: "/app/wrong"},
		{method: "POST", uri: "/app", body: "four"}, {method: "POST", uri: "/small", body: "more than ten"}, {method: "HEAD", uri: "/nothing"}, {method: "DELETE", uri: "/first/x"},
		{uri: "/nothing"}, {uri: "/application"}, {uri: "/none/x"}, {host: "other.test:81", uri: "/none"}, {uri: "/broken"},
		{uri: "/dir/one.wsgi/info"}, {uri: "/dir/two.wsgi"}, {uri: "/dir/"},
		{host: "own.test", uri: "/app"}, {host: "own.test", uri: "/host/x"}, {host: "www.own.test", uri: "/host"}, {host: "own.test", uri: "/none"}, {host: "other.test", uri: "/host"},
	} {
		if row.method == "" {
			row.method = "GET"
		}
		if row.host == "" {
			row.host = strings.TrimPrefix(apache.Base, "http://")
		}
		name := row.method + " " + row.host + row.uri
		// SetEnv and the canonical name are what Apache's configuration adds.
		args := []string{"--method", row.method, "--uri", row.uri, "--host", row.host, "--env", "WANTED=wanted", "--env", "CALLABLE=other_application",
			"--env", "SERVER_NAME=localhost", "--env", "SERVER_PORT=80"}
		headers := append([]string{"Host: " + row.host}, row.headers...)
		for _, header := range row.headers {
			args = append(args, "--header", header)
		}
		var response *harness.Response
		if row.body == "" {
			response = apache.Do(row.method, row.uri, nil, headers...)
		} else {
			args = append(args, "--header", fmt.Sprintf("Content-Length: %d", len(row.body)))
			response = apache.Do(row.method, row.uri, strings.NewReader(row.body), headers...)
		}
		told := dispatchTest(t, w, response.Status != 200, args...)
		if response.Status != 200 {
			code := response.Header.Get("X-Wsgid-Error")
			if told.Refusal == nil || told.Refusal.Status != response.Status || told.Refusal.Code != code || told.Candidates != nil {
				t.Errorf("%s: told %+v, and live %d %s", name, told.Refusal, response.Status, code)
			}
			continue
		}
		v := look(t, response)
		live := []string{v.env("mod_wsgi.process_group"), v.env("mod_wsgi.application_group"), v.Entry, v.env("SCRIPT_NAME"), v.env("PATH_INFO"), v.env("SCRIPT_FILENAME")}
		main := func(name string) string { return strings.Replace(name, "%{GLOBAL}", "", 1) }
		want := []string{main(told.Decision.ProcessGroup), main(told.Decision.ApplicationGroup), told.Decision.CallableObject, told.ScriptName, told.PathInfo, told.Script}
		if fmt.Sprintf("%q", live) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: told %q, and live %q", name, want, live)
		}
		if c := told.Candidates; c == nil || live[0] == "b" && (c.Processes != 2 || c.Threads != 3 || c.User != "#64002") {
			t.Errorf("%s: candidates %+v", name, c)
		}
		for name, value := range told.Environ {
			switch name {
			case "REMOTE_PORT", "SERVER_SOFTWARE", "SERVER_ADDR", "HTTP_HOST", "CONTENT_LENGTH":
				continue // of the client or the front server
			}
			if got := v.env(name); got != value {
				t.Errorf("%s: told %s=%q, and live %q", row.uri, name, value, got)
			}
		}
	}

	d := dispatchTest(t, w, false, "--uri", "/app/x", "--env", "REMOTE_USER=alice")
	if d.Dispatch == nil || d.Dispatch.Script != w.Path("dispatch.py") || d.Dispatch.Returned == nil || *d.Dispatch.Returned.ProcessGroup != "b" ||
		d.Dispatch.Returned.ApplicationGroup != nil || d.Dispatch.Returned.CallableObject != nil {
		t.Errorf("told of the script: %+v", d.Dispatch)
	}
	if got := strings.Join(d.Output, "\n"); got != "evaluated as "+router+"\nasked about /app/x" {
		t.Errorf("output: %q", got)
	}
	if len(d.Tried) != 7 || d.Mount == nil || d.Mount.Title != `script_alias "/app"` || !strings.HasPrefix(d.Mount.Place, w.Path("wsgid.hcl")+":") {
		t.Errorf("tried %v, mount %+v", d.Tried, d.Mount)
	}
	// As text.
	code, out, errs := w.CLI("dispatch", "test", "--config", w.Path("wsgid.hcl"), "--uri", "/app/raises")
	for _, line := range []string{"path          /app/raises", `no match      script_alias "/first", ` + w.Path("wsgid.hcl"), "refused       500 WSGID-1017", "no way", `output        evaluated as ` + router} {
		if code != 1 || !strings.Contains(out, line) {
			t.Errorf("exit code %d, no line %q in\n%s%s", code, line, out, errs)
		}
	}
	if got := wsgid.Status(); got.Router.Scripts[0].LoadError != "" || got.Router.State != "ready" {
		t.Errorf("the running router: %+v", got.Router)
	}
	if len(wsgid.Log.Find(harness.Containing("alice"))) > 0 {
		t.Error("the running router was asked")
	}
}

// TestDispatchTestAuthentication: what wsgid itself enforces is decided as in a
// live request, and the password is not in what the verb shows.
func TestDispatchTestAuthentication(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("auth.py", "def check_password(environ, user, password):\n    print('asked for', user)\n    return user == 'alice' and password == 'opensesame'\n")
	w.Write("dispatch.py", "def process_group(environ):\n    return 'b' if environ.get('REMOTE_USER') == 'alice' else None\n")
	w.Configure(group("a", "#64001", 1, 4) + group("b", "#64002", 1, 4) + "auth_user_script \"{{.Dir}}/auth.py\" {}\ndispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/", "apps/environ.py", option("process_group", "a"), option("auth_type", "basic"), option("auth_name", "here"),
			option("auth_user_script", "{{.Dir}}/auth.py"), `require = ["valid-user"]`))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "<Location />\n  CGIPassAuth On\n</Location>\n" + harness.ProxyPass})
	for _, user := range []string{"", "alice:opensesame", "alice:wrong", "bob:opensesame"} {
		var headers, args []string
		if user != "" {
			headers = append(headers, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(user)))
			args = append(args, "--header", headers[0])
		}
		live := apache.Get("/", headers...)
		told := dispatchTest(t, w, live.Status != 200, append(args, "--uri", "/")...)
		switch {
		case live.Status != 200:
			if told.Refusal == nil || told.Refusal.Status != live.Status || told.Refusal.Code != live.Header.Get("X-Wsgid-Error") {
				t.Errorf("%q: told %+v, and live %d %s", user, told.Refusal, live.Status, live.Header.Get("X-Wsgid-Error"))
			}
		case told.Decision == nil || told.Decision.ProcessGroup != "b" || look(t, live).env("mod_wsgi.process_group") != "b":
			t.Errorf("%q: told %+v", user, told.Decision)
		}
		if shown := fmt.Sprintf("%+v", told); strings.Contains(shown, "opensesame") {
			t.Errorf("the password is shown: %s", shown)
		}
	}
}

// TestDispatchTestEnds: a script that ends its process, or never returns, ends
// the verb with a sentence.
func TestDispatchTestEnds(t *testing.T) {
	w := newWorld(t)
	openDirectory(t, w, "open")
	if err := syscall.Mkfifo(w.Path("open/never"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.App("environ.py")
	w.Write("dispatch.py", fmt.Sprintf(`
import ctypes, os, time

def process_group(environ):
    path = environ["PATH_INFO"]
    print("asked about", path)
    if path == "/exit":
        os._exit(3)
    if path == "/null":
        ctypes.string_at(0)
    if path == "/loop":
        while True:
            time.sleep(0.01)
    if path == "/stuck":
        open(%q)
    if path == "/hold":
        ctypes.PyDLL(None).open(%q.encode(), os.O_RDONLY)
`, w.Path("open/never"), w.Path("open/never")))
	w.Configure(trusted + group("a", "#64001", 1, 1) + "dispatch_script \"{{.Dir}}/dispatch.py\" {\n  dispatch_timeout = \"4s\"\n  concurrency = 1\n}\n" +
		mount("/", "apps/environ.py", `allow_override = ["callable_object"]`))
	for path, want := range map[string]string{
		"/exit": "exit status 3", "/null": "the process ended while it decided", "/loop": "WSGID-1020", "/stuck": "WSGID-1020", "/hold": "WSGID-1020",
	} {
		d := dispatchTest(t, w, true, "--uri", path)
		got := d.Ended
		if d.Refusal != nil {
			got = d.Refusal.Code
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %+v, want %s", path, d, want)
		}
		// Behind what Go says of a crash, or before it: two pipes.
		if !slices.Contains(d.Output, "asked about "+path) {
			t.Errorf("%s: output %q", path, d.Output)
		}
	}
	d := dispatchTest(t, w, false, "--uri", "/x", "--env", "WSGID_CALLABLE_OBJECT=other")
	if d.Decision.CallableObject != "other" {
		t.Errorf("decided %+v", d.Decision)
	}
	for _, s := range d.Settings {
		if s.Name == "callable_object" && (s.Value != `"other"` || s.Origin != "WSGID_CALLABLE_OBJECT of the web server") {
			t.Errorf("setting %+v", s)
		}
	}
	if d := dispatchTest(t, w, true, "--uri", "/x", "--env", "WSGID_PROCESS_GROUP=a"); d.Refusal.Code != "WSGID-1032" {
		t.Errorf("%+v", d.Refusal)
	}
	if d := dispatchTest(t, w, false, "--uri", "/x", "--env", "WSGID_PROCESS_GROUP=a", "--listener", w.Path("run/wsgid.sock")); d.Decision == nil {
		t.Errorf("by a listener without trust: %+v", d)
	}
	if code, _, errs := w.CLI("dispatch", "test", "--config", w.Path("wsgid.hcl"), "--uri", "/", "--listener", "/nowhere"); code != 2 || !strings.Contains(errs, w.Path("trusted.sock")) {
		t.Errorf("an unknown listener: %d %s", code, errs)
	}
	for _, process := range harness.Processes() {
		if strings.Contains(process.String(), w.Dir) {
			t.Errorf("left behind: %s", process)
		}
	}
	if entries, err := os.ReadDir(w.Path("run")); err == nil && len(entries) > 0 {
		t.Errorf("sockets were made: %v", entries)
	}
}
