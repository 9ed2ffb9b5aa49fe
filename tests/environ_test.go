package tests

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestEnviron: what an application sees of the request and of its process.
func TestEnviron(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	home := w.Path("home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	w.Write("env", "FROM_FILE=f\n# a comment\nOVER=file\n")
	w.Configure(group("only", "#64001", 2, 3, option("group", "#64007"), `supplementary_groups = ["#64008"]`, option("home", home),
		`environment = { SHOWN = "yes", OVER = "block" }`, option("env_file", w.Path("env"))) + mount("/", "apps/environ.py"))
	w.Start(harness.Options{Environment: []string{"LEAKED=1", "LD_LIBRARY_PATH=/nowhere"}})
	apache := w.StartApache(harness.ApacheOptions{Config: "SetEnv FROM_APACHE yes\nSetEnvIf X-Forwarded-Proto https HTTPS=on\n" + harness.ProxyPass})
	v := look(t, apache.Get("/a/b?q=1&r=%20", "X-Multi: one", "X-Multi: two", "X_Under: spoofed", "Proxy: http://evil/", "Cookie: a=1"))
	for name, want := range map[string]string{
		"REQUEST_METHOD": "GET", "QUERY_STRING": "q=1&r=%20", "REQUEST_URI": "/a/b?q=1&r=%20", "SCRIPT_NAME": "", "PATH_INFO": "/a/b",
		"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_X_MULTI": "one, two", "HTTP_COOKIE": "a=1", "FROM_APACHE": "yes", "wsgi.url_scheme": "http",
		"wsgi.multithread": "true", "wsgi.multiprocess": "true", "wsgi.run_once": "false", "wsgi.input_terminated": "true",
		"mod_wsgi.process_group": "only", "mod_wsgi.application_group": "", "mod_wsgi.callable_object": "application",
		"wsgi.version": "(1, 0)", "REMOTE_ADDR": "127.0.0.1",
		"HTTP_PROXY": "<absent>", "HTTP_X_UNDER": "<absent>", "HTTPS": "<absent>", "GATEWAY_INTERFACE": "<absent>", "FCGI_ROLE": "<absent>",
		"PATH": "<absent>", "PATH_TRANSLATED": "<absent>",
	} {
		if got := v.env(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name := range v.Environ {
		if strings.HasPrefix(name, "WSGID_") || strings.HasPrefix(name, "mod_wsgi.x-") {
			t.Errorf("the application sees %s", name)
		}
	}
	for _, name := range []string{"wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "mod_wsgi.request_id", "mod_wsgi.server_pid", "mod_wsgi.thread_id"} {
		if _, ok := v.Environ[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if got := look(t, apache.Get("/", "X-Forwarded-Proto: https")).env("wsgi.url_scheme"); got != "https" {
		t.Errorf("HTTPS=on gives the scheme %s", got)
	}
	if v.UID != 64001 || v.EUID != 64001 || v.GID != 64007 || !slices.Equal(v.Groups, []int{64008}) {
		t.Errorf("uid %d/%d, gid %d, groups %v", v.UID, v.EUID, v.GID, v.Groups)
	}
	if v.CWD != home || v.Path[0] != home || v.Session != v.PID {
		t.Errorf("directory %s, path %q, session %d of pid %d", v.CWD, v.Path, v.Session, v.PID)
	}
	for name, want := range map[string]string{"SHOWN": "yes", "FROM_FILE": "f", "OVER": "file", "LANG": "C.UTF-8", "LEAKED": "", "LD_LIBRARY_PATH": "", "NOTIFY_SOCKET": "", "WSGID_BOOT_FD": "", "HTTP_COOKIE": ""} {
		if got := v.Process[name]; got != want {
			t.Errorf("in the process environment %s is %q, want %q", name, got, want)
		}
	}
	if v.Process["PATH"] == "" {
		t.Error("PATH is missing in the process environment")
	}
	for name := range v.Process { // nothing of a request, of the front server or of whoever started wsgid
		if !slices.Contains([]string{"HOME", "USER", "LOGNAME", "PATH", "LANG", "SHOWN", "OVER", "FROM_FILE"}, name) {
			t.Errorf("%s is in the process environment", name)
		}
	}
}

// TestHTTPMethods: HEAD, OPTIONS and unknown methods reach the application.
func TestHTTPMethods(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/environ.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, method := range []string{"OPTIONS", "PUT", "DELETE", "PROPFIND", "FOO"} {
		if got := look(t, apache.Do(method, "/", nil)).env("REQUEST_METHOD"); got != method {
			t.Errorf("%s arrives as %s", method, got)
		}
	}
	if head := apache.Do("HEAD", "/", nil); head.Status != 200 || len(head.Body) != 0 {
		t.Errorf("HEAD: %d with %d bytes", head.Status, len(head.Body))
	}
	if v := look(t, apache.Get("/")); v.Hits != 7 {
		t.Errorf("the application ran %d times, want 7", v.Hits)
	}
}
