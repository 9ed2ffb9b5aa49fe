package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// authEnviron is what the script shows of its environ for the user "environ".
func authEnviron(t *testing.T, wsgid *harness.Wsgid, mark int) map[string]any {
	t.Helper()
	record := wsgid.Log.AwaitFrom(t, mark, "the script's environ", func(r harness.Record) bool { return strings.HasPrefix(r.Message(), "environ {") })
	var shown map[string]any
	fromJSON(t, strings.TrimPrefix(record.Message(), "environ "), &shown)
	return shown
}

// TestAuthScriptEnviron: the reduced environ of mod_wsgi behaviour 5.2, where
// Apache asks and where wsgid does, over TLS and without.
func TestAuthScriptEnviron(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	authorizer := freeAddress(t)
	script := option("auth_user_script", w.Path("apps/authenticate.py"))
	w.Configure(fmt.Sprintf("listen \"tcp\" {\n  address = %q\n  authorizer = true\n}\n", authorizer) + w.Expand(authScripts) + group("only", "#64001", 1, 2) +
		mount("/asked", "apps/acceptance_environ.py", script) +
		mount("/own", "apps/acceptance_environ.py", script, option("auth_type", "basic"), option("auth_name", "realm")))
	wsgid := w.Start(harness.Options{})
	config := `
SetEnv OTHER value
SSLOptions +StdEnvVars
<Location /asked>
  AuthType Basic
  AuthName "realm"
  AuthBasicProvider wsgid-user
  Require valid-user
</Location>
<Location /own>
  CGIPassAuth On
</Location>
` + harness.ProxyPass
	apache := w.StartApache(harness.ApacheOptions{Config: "AuthnzFcgiDefineProvider authn wsgid-user fcgi://" + authorizer + "\n" + config, TLS: config})
	for _, path := range []string{"/asked", "/own"} {
		for _, client := range []*harness.Client{apache.Client, apache.TLS} {
			mark := wsgid.Log.Mark()
			got := client.Do("POST", path+"//in%66o?a=%20b", strings.NewReader("some body"), basic("environ", "secret of environ"),
				"X-One: 1", "Content-Type: text/plain", "Proxy-Authorization: Basic eHg6eHg=")
			if got.Status != 200 {
				t.Fatalf("%s: %d %s", path, got.Status, got.Body)
			}
			shown := authEnviron(t, wsgid, mark)
			want := map[string]any{
				"HTTP_X_ONE": "1", "CONTENT_TYPE": "text/plain", "QUERY_STRING": "a=%20b", "REQUEST_METHOD": "POST", "REQUEST_URI": path + "//in%66o?a=%20b",
				"SCRIPT_NAME": path, "PATH_INFO": "/info", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1",
				"DOCUMENT_ROOT": w.Path("httpd/docs"), "mod_wsgi.process_group": "", "mod_wsgi.application_group": "", "mod_wsgi.version": []any{6.0, 0.0, 5.0},
				"wsgi.errors": "TextIOWrapper", "mod_ssl.is_https": "method", "mod_ssl.var_lookup": "method",
			}
			if path == "/own" { // mod_authnz_fcgi keeps the body's length to itself
				want["CONTENT_LENGTH"] = "9"
			}
			for name, value := range want {
				if fmt.Sprint(shown[name]) != fmt.Sprint(value) {
					t.Errorf("%s %s: %s is %v, want %v", client.Base, path, name, shown[name], value)
				}
			}
			for name := range shown {
				known := []string{"SERVER_NAME", "SERVER_ADDR", "SERVER_PORT", "SERVER_SOFTWARE", "SERVER_SIGNATURE", "SERVER_ADMIN", "REMOTE_PORT", "REMOTE_HOST"}
				if _, ok := want[name]; !ok && !slices.Contains(known, name) && (!strings.HasPrefix(name, "HTTP_") || strings.Contains(name, "AUTHORIZATION")) {
					t.Errorf("%s %s: %s is %v, and should not be there", client.Base, path, name, shown[name])
				}
			}
			asked := wsgid.Log.AwaitFrom(t, mark, "what the functions say", func(r harness.Record) bool {
				return strings.HasPrefix(r.Message(), "asked ") && strings.Contains(r.Message(), "is_https")
			})
			// When Apache asks, mod_ssl has not set its variables yet.
			isTLS := client == apache.TLS
			if strings.Contains(asked.Message(), `"is_https": 1`) != isTLS || strings.Contains(asked.Message(), `"protocol": "TLSv1`) != (isTLS && path == "/own") {
				t.Errorf("%s %s: %s", client.Base, path, asked.Message())
			}
		}
	}
	noSecrets(t, wsgid)
}

// TestAuthScriptsThatHang: a call that never returns is interrupted, and one
// that cannot be is answered all the same; what it costs is what any failure
// costs, and other requests go on.
func TestAuthScriptsThatHang(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	web := freeAddress(t)
	hang := w.Write("apps/hang.py", `
import time
def hang(environ):
    while environ["QUERY_STRING"] == "loop":
        pass
    time.sleep(1000)  # no exception reaches it there
def check_password(environ, user, password):
    hang(environ)
def groups_for_user(environ, user):
    hang(environ)
def allow_access(environ, host):
    hang(environ)
`)
	good := w.Path("apps/authenticate.py")
	limit := " {\n  timeout = \"300ms\"\n}\n"
	basicRealm := []string{option("auth_type", "basic"), option("auth_name", "realm")}
	guarded := func(prefix string, options ...string) string {
		return mount(prefix, "apps/acceptance_environ.py", append(options, basicRealm...)...)
	}
	w.Configure(fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web) + w.Expand(authScripts) +
		fmt.Sprintf("auth_user_script %q%sauth_group_script %q%saccess_script %q%s", hang, limit, hang, limit, hang, limit) + group("only", "#64001", 1, 2) +
		guarded("/user", option("auth_user_script", hang)) +
		guarded("/group", option("auth_user_script", good), option("auth_group_script", hang), `require = ["wsgi-group staff"]`) +
		guarded("/access", option("auth_user_script", good), option("access_script", hang)) + guarded("/", option("auth_user_script", good)))
	wsgid := w.Start(harness.Options{})
	client := harness.NewClient(t, "http://"+web)
	for _, kind := range []string{"loop", "sleep"} {
		for _, row := range []struct {
			path   string
			status int
			code   string
		}{{"/user", 500, "WSGID-1044"}, {"/group", 401, "WSGID-1045"}, {"/access", 403, "WSGID-1046"}} {
			got := client.Get(row.path+"?"+kind, basic("alice", "secret of alice"))
			if got.Status != row.status || got.Header.Get("X-Wsgid-Error") != row.code {
				t.Errorf("%s?%s: %d %s", row.path, kind, got.Status, got.Body)
			}
			if got := client.Get("/", basic("alice", "secret of alice")); got.Status != 200 {
				t.Errorf("afterwards: %d %s", got.Status, got.Body)
			}
		}
	}
	status := wsgid.Status()
	lost := 0
	for _, s := range status.Router.Scripts {
		lost += s.Lost
	}
	if requests := status.Group("only").Requests; requests != 6 || lost != 3 {
		t.Errorf("%d requests ran, %d calls are lost: %s", requests, lost, status.Text)
	}
	noSecrets(t, wsgid)
	wsgid.NoteSessions()
}

// TestAuthScriptReload: an edit counts with the next request; a broken one
// leaves the last good version, or with on_load_error = "fail" the failure of
// each kind. Status tells.
func TestAuthScriptReload(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		value       string
		user, hosts int // status while the script is broken
	}{{"last_good", 401, 200}, {"fail", 500, 403}} {
		t.Run(row.value, func(t *testing.T) {
			w := newWorld(t)
			w.App("acceptance_environ.py")
			web := freeAddress(t)
			version := func(password string) string {
				return "def check_password(environ, user, password):\n    return password == " + fmt.Sprintf("%q", password) +
					"\ndef allow_access(environ, host):\n    return True\n"
			}
			script := w.Write("auth.py", version("one"))
			options := fmt.Sprintf(" %q {\n  on_load_error = %q\n}\n", script, row.value)
			w.Configure(fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web) + "auth_user_script" + options + "access_script" + options + group("only", "#64001", 1, 2) +
				mount("/user", "apps/acceptance_environ.py", option("auth_user_script", script), option("auth_type", "basic"), option("auth_name", "realm")) +
				mount("/hosts", "apps/acceptance_environ.py", option("access_script", script)))
			wsgid := w.Start(harness.Options{})
			client := harness.NewClient(t, "http://"+web)
			expect := func(what, path, password string, want int) {
				t.Helper()
				if got := client.Get(path, basic("alice", password)); got.Status != want {
					t.Errorf("%s: %d %s", what, got.Status, got.Body)
				}
			}
			expect("first version", "/user", "one", 200)
			expect("first version", "/hosts", "", 200)
			w.Write("auth.py", version("two"))
			expect("second version, old password", "/user", "one", 401)
			expect("second version", "/user", "two", 200)
			w.Write("auth.py", "def check_password(environ, user:\n")
			expect("broken", "/user", "one", row.user)
			expect("broken", "/hosts", "", row.hosts)
			if row.value == "last_good" {
				expect("broken, right password", "/user", "two", 200)
			}
			wsgid.AwaitStatus("the load errors", func(s harness.Status) error {
				for _, shown := range s.Router.Scripts {
					if shown.Path != script || !slices.Contains([]string{"auth user script", "access script"}, shown.Kind) || !strings.Contains(shown.LoadError, "SyntaxError") {
						return fmt.Errorf("%+v", shown)
					}
				}
				if len(s.Router.Scripts) != 2 {
					return errors.New(s.Text)
				}
				return nil
			})
			w.Write("auth.py", version("three"))
			expect("mended", "/user", "three", 200)
			expect("mended", "/hosts", "", 200)
		})
	}
}

// TestAuthenticationByHost: a virtual host sets who may come, for its own mounts
// and the global ones, and for URLs that nothing is mounted at.
func TestAuthenticationByHost(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	web := freeAddress(t)
	script := w.Path("apps/authenticate.py")
	w.Configure(fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web) + authSocket + w.Expand(authScripts) + group("only", "#64001", 1, 2) +
		"virtual_host \"closed.test\" {\n  auth_type = \"basic\"\n  auth_name = \"closed\"\n  require = [\"user alice\"]\n  " + option("auth_user_script", script) + "\n" +
		mount("/own", "apps/acceptance_environ.py") + mount("/open", "apps/acceptance_environ.py", option("auth_type", "none")) + "}\n" +
		mount("/global", "apps/acceptance_environ.py"))
	w.Write("docs/files/file.txt", "the file")
	wsgid := w.Start(harness.Options{})
	client, nginx := harness.NewClient(t, "http://"+web), askingFronts["nginx"](w)
	for _, row := range []struct {
		client       *harness.Client
		host, path   string
		user, expect string
	}{
		{client, "closed.test", "/own", "", "401"}, {client, "closed.test", "/own", "alice", "200"}, {client, "closed.test", "/own", "bob", "401"},
		{client, "closed.test", "/open", "", "200"}, {client, "closed.test", "/global", "", "401"}, {client, "closed.test", "/global", "alice", "200"},
		{client, "other.test", "/global", "", "200"},
		{nginx, "closed.test", "/files/file.txt", "", "401"}, {nginx, "closed.test", "/files/file.txt", "alice", "200"},
		{nginx, "closed.test", "/files/file.txt", "bob", "401"}, {nginx, "other.test", "/files/file.txt", "alice", "500"},
	} {
		headers := []string{"Host: " + row.host}
		if row.user != "" {
			headers = append(headers, basic(row.user, "secret of "+row.user))
		}
		if got := row.client.Get(row.path, headers...); fmt.Sprint(got.Status) != row.expect {
			t.Errorf("%s%s as %q: %d, want %s: %.200s", row.host, row.path, row.user, got.Status, row.expect, got.Body)
		}
	}
	noSecrets(t, wsgid)
}

// TestRouterCannotBeDumped: the process that sees passwords is none whose memory
// another one can read, or that leaves a core file: the kernel gives its files to root.
func TestRouterCannotBeDumped(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("only", "#64001", 1, 1) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	router := wsgid.Status().RouterPID
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", router))
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid != 0 {
		t.Errorf("the router's files in /proc belong to uid %d", owner.Uid)
	}
	process, err := os.Stat(fmt.Sprintf("/proc/%d", wsgid.Status().PIDs("only")[0]))
	if err != nil {
		t.Fatal(err)
	}
	if owner, ok := process.Sys().(*syscall.Stat_t); !ok || owner.Uid != 64001 {
		t.Errorf("a process of the group, which can be dumped, belongs to uid %d: the test sees no difference", owner.Uid)
	}
}

// TestCredentialsHint: when Apache never passes an Authorization header on, the
// log says what is missing, once.
func TestCredentialsHint(t *testing.T) {
	w := newWorld(t)
	web := freeAddress(t)
	enforcing(w, fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for range 12 {
		if got := apache.Get("/x", basic("alice", "secret of alice")); got.Status != 401 {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		if got := harness.NewClient(t, "http://"+web).Get("/x"); got.Status != 401 {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	wsgid.Log.Await(t, "the hint", harness.Containing("CGIPassAuth On"))
	if hints := wsgid.Log.Find(harness.Containing("CGIPassAuth On")); len(hints) != 1 {
		t.Errorf("%d hints", len(hints))
	}
}

// TestDispatchTestAuthenticates: the decision about a made-up request goes the
// way of a real one, past whoever asks for a password.
func TestDispatchTestAuthenticates(t *testing.T) {
	w := newWorld(t)
	enforcing(w, "")
	w.Start(harness.Options{})
	header := func(name string) string { return basic(name, "secret of "+name) }
	for _, row := range []struct {
		args []string
		code string // "": decided
	}{
		{[]string{"--uri", "/group"}, "WSGID-1041"},
		{[]string{"--uri", "/group", "--header", header("bob")}, "WSGID-1042"},
		{[]string{"--uri", "/group", "--header", header("alice")}, ""},
		{[]string{"--uri", "/host?false"}, "WSGID-1043"},
		{[]string{"--uri", "/host?true"}, ""},
	} {
		d := dispatchTest(t, w, row.code != "", row.args...)
		switch {
		case row.code != "" && (d.Refusal == nil || d.Refusal.Code != row.code):
			t.Errorf("%q: %+v", row.args, d)
		case row.code == "" && (d.Decision == nil || d.Decision.ProcessGroup != "only" || d.Environ["HTTP_AUTHORIZATION"] != ""):
			t.Errorf("%q: %+v", row.args, d)
		case row.code == "" && row.args[1] == "/group" && (d.Environ["REMOTE_USER"] != "alice" || d.Environ["AUTH_TYPE"] != "Basic"):
			t.Errorf("%q: %v", row.args, d.Environ)
		}
		settings := map[string]string{}
		for _, s := range d.Settings {
			settings[s.Name] = s.Value
		}
		if want := map[string]string{"/group": `"basic"`, "/host?false": `"none"`, "/host?true": `"none"`}[row.args[1]]; settings["auth_type"] != want {
			t.Errorf("%q: settings %v", row.args, settings)
		}
	}
}

// TestAuthExample: the script of examples/, with the file that it makes.
func TestAuthExample(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	source, err := os.ReadFile("../examples/auth.py")
	if err != nil {
		t.Fatal(err)
	}
	script := w.Write("etc/auth.py", string(source))
	var users strings.Builder
	for name, password := range map[string]string{"alice:staff,admins": "p\u00e4ss:w\u00f6rd", "bob:guests": "secret of bob"} {
		name, groups, _ := strings.Cut(name, ":")
		make := exec.Command(harness.Need(t, "python3"), script, name, groups)
		make.Stdin = strings.NewReader(password + "\n")
		line, err := make.Output()
		if err != nil {
			t.Fatal(err)
		}
		users.Write(line)
	}
	w.Write("etc/users", users.String())
	web := freeAddress(t)
	all := ""
	for _, block := range []string{"auth_user_script", "auth_group_script", "access_script"} {
		all += fmt.Sprintf("%s %q {\n}\n", block, script)
	}
	w.Configure(fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web) + all + group("only", "#64001", 1, 2) +
		mount("/", "apps/acceptance_environ.py", option("auth_type", "basic"), option("auth_name", "example"), option("auth_user_script", script),
			option("auth_group_script", script), option("access_script", script), `require = ["wsgi-group admins"]`))
	w.Start(harness.Options{})
	client := harness.NewClient(t, "http://"+web)
	for _, row := range []struct {
		user, password string
		status         int
	}{
		{"alice", "p\u00e4ss:w\u00f6rd", 200}, {"alice", "wrong", 401}, {"bob", "secret of bob", 401}, {"nobody", "", 401},
	} {
		if got := client.Get("/", basic(row.user, row.password)); got.Status != row.status {
			t.Errorf("%s with %q: %d %s", row.user, row.password, got.Status, got.Body)
		}
	}
}
