package dispatch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/wire"
)

// byFileRouter runs a router with two script roots, a handler and a mount at
// /app, and gives the directory of the first root.
func byFileRouter(t *testing.T, trusted bool) (r *running, dir string) {
	t.Helper()
	socket := shortDir(t)
	g := newFakeGroup(t, socket, "web", func(q *fakeRequest) {
		q.body()
		short := strings.NewReplacer(dir+"/", "")
		q.reply(strings.Join([]string{short.Replace(q.env["WSGID_SCRIPT"]), q.env["SCRIPT_NAME"], q.env["PATH_INFO"],
			short.Replace(q.env["SCRIPT_FILENAME"]), q.env["WSGID_CALLABLE"], q.env["WSGID_HANDLER"]}, "|"))
	})
	g.start(100, 2)
	var err error
	if dir, err = filepath.EvalSymlinks(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scripts/one.py", "scripts/sub/two.py", "scripts/a b.py", "scripts/secret.py", "scripts/100%25.py",
		"scripts/aliased.py", "outside.py", "my root/x.py", "scripts/v|w.py"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"scripts/link.py": "one.py", "scripts/out.py": "../outside.py", "scripts/up": ".."} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	config := baseConfig(wire.Group{Name: "web", Socket: g.socket})
	root := fileMount("", filepath.Join(dir, "scripts/"), "web")
	root.Root, root.Directory, root.AllowOverride = true, true, []string{"callable_object"}
	second := root
	second.Target = filepath.Join(dir, "my root")
	handler := fileMount("", "/srv/markdown.py", "web")
	handler.Handler, handler.CallableObject, handler.AllowOverride = "markdown", "handle_request", []string{"callable_object"}
	config.Mounts = []wire.Mount{root, second, handler, fileMount("/app", "/srv/app.py", "web"), fileMount("/x", filepath.Join(dir, "scripts/aliased.py"), "web")}
	config.Listeners = []wire.Listener{{Kind: wire.ListenUnix, TrustFrontServer: trusted}}
	r = startRouter(t, config, nil)
	r.process("web", 100, 2, wire.ProcessReady)
	return r, dir
}

func TestScriptRoot(t *testing.T) {
	r, dir := byFileRouter(t, true)
	f := r.front()
	const exec, none = "1", ""
	one := "scripts/one.py|/s/one.py|%s|scripts/one.py|application|"
	for _, c := range []struct {
		name, info, file, exec, want string // want: the answer, or the code of the refusal
	}{
		{"/s/one.py", "/x", "proxy:fcgi://h/scripts/one.py", exec, strings.Replace(one, "%s", "/x", 1)},
		{"/s/one.py", "", "proxy:fcgi://h:9000//scripts/one.py", "on", strings.Replace(one, "%s", "", 1)},
		{"/s/one.py", "/", "proxy:unix:/run/a.sock|fcgi://h/scripts/one.py", "TRUE", strings.Replace(one, "%s", "/", 1)},
		{"//s//one.py", "//x//y", "/scripts/one.py", exec, strings.Replace(one, "%s", "/x/y", 1)},
		{"/s/sub/two.py", "", "/scripts/./sub/../sub/two.py", exec, "scripts/sub/two.py|/s/sub/two.py||scripts/sub/two.py|application|"},
		{"/s/link.py", "", "/scripts/link.py", exec, "scripts/link.py|/s/link.py||scripts/link.py|application|"},
		{"/s/v|w.py", "", "proxy:fcgi://h/scripts/v|w.py", exec, "scripts/v|w.py|/s/v|w.py||scripts/v|w.py|application|"},
		{"/single", "/x", "/scripts/one.py", exec, "scripts/one.py|/single|/x|scripts/one.py|application|"},
		// The web server has not split the path.
		{"/s/one.py/x/y", "", "/scripts/one.py/x/y", exec, "scripts/one.py|/s/one.py|/x/y|scripts/one.py|application|"},
		{"/s/one.py/", "", "/scripts/one.py/", exec, "scripts/one.py|/s/one.py|/|scripts/one.py|application|"},
		{"/s/other", "", "/scripts/one.py/x/y", exec, "WSGID-1023"},
		// A name as it is, and as Apache 2.4.60 to 2.4.62 write it.
		{"/s/a b.py", "", "proxy:fcgi://h/scripts/a b.py", exec, "scripts/a b.py|/s/a b.py||scripts/a b.py|application|"},
		{"/s/a b.py", "", "proxy:fcgi://h/scripts/a%20b.py", exec, "scripts/a b.py|/s/a b.py||scripts/a b.py|application|"},
		{"/s/100%25.py", "", "proxy:fcgi://h/scripts/100%25.py", exec, "scripts/100%25.py|/s/100%25.py||scripts/100%25.py|application|"},
		{"/m/x.py", "", "proxy:fcgi://h/my%20root/x.py", exec, "my root/x.py|/m/x.py||my root/x.py|application|"},
		// What the web server has not looked at stays unreachable: its <Files> saw secret%2epy.
		{"/s/secret%2epy", "", "proxy:fcgi://h/scripts/secret%2epy", exec, "WSGID-1023"},
		{"/s/%2e%2e/outside.py", "", "proxy:fcgi://h/scripts/%2e%2e/outside.py", exec, "WSGID-1023"},
		// Permission before existence.
		{"/s/one.py", "", "/scripts/one.py", none, "WSGID-1033"},
		{"/s/one.py", "", "/scripts/one.py", "Off", "WSGID-1033"},
		{"/s/missing.py", "", "/scripts/missing.py", none, "WSGID-1033"},
		{"/s/one.py", "", "/scripts/one.py", "maybe", "WSGID-1031"},
		{"/app/x", "", "/elsewhere/one.py", "maybe", "WSGID-1031"},
		{"/s/missing.py", "", "/scripts/missing.py", exec, "WSGID-1023"},
		{"/s/sub/", "", "/scripts/sub/", exec, "WSGID-1022"},
		{"/s/sub", "", "/scripts/sub", exec, "WSGID-1022"},
		{"/s/", "", "/scripts/", exec, "WSGID-1022"},
		{"/s/out.py", "", "/scripts/out.py", exec, "WSGID-1004"},
		{"/s/up/outside.py", "", "/scripts/up/outside.py", exec, "WSGID-1004"},
		{"/s/x", "", "/scripts/../outside.py", exec, "WSGID-1004"},
		{"/s/x", "", "/scripts2/one.py", exec, "WSGID-1003"},
		{"/s/x", "", "/etc/passwd", exec, "WSGID-1004"},
		// ProxyPass: the client names the file.
		{"DIR/scripts/one.py", "", "proxy:fcgi://hDIR/scripts/one.py", exec, "WSGID-1003"},
		{"/p", "DIR/scripts/one.py", "DIR/scripts/one.py", exec, "WSGID-1003"},
		// Before the URL, unless the file is what the URL leads to as well.
		{"/app/one.py", "", "/scripts/one.py", exec, "scripts/one.py|/app/one.py||scripts/one.py|application|"},
		{"/app/one.py", "", "/scripts/one.py", none, "WSGID-1033"},
		{"/x", "/y", "/scripts/aliased.py", none, "scripts/aliased.py|/x|/y|scripts/aliased.py|application|"},
		{"/other", "/y", "/scripts/aliased.py", none, "scripts/aliased.py|/other|/y|scripts/aliased.py|application|"},
		{"/app/y", "", "/elsewhere/one.py", exec, "/srv/app.py|/app|/y|/srv/app.py|application|"},
	} {
		file := c.file
		if !strings.Contains(file, "DIR") && file != "/etc/passwd" {
			for _, top := range []string{"/scripts", "/my", "/elsewhere"} {
				file = strings.Replace(file, top, "DIR"+top, 1)
			}
		}
		replace := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
		given := []string{"SCRIPT_NAME", replace(c.name), "PATH_INFO", replace(c.info), "SCRIPT_FILENAME", replace(file)}
		if c.exec != "" {
			given = append(given, "WSGID_EXEC_CGI", c.exec)
		}
		got := r.mustGet(f, "/", given...)
		if right := got.body == c.want || strings.Contains(got.header, "X-WSGID-Error: "+c.want); !right {
			t.Errorf("%v: %s%s, want %s", given, got.header, got.body, c.want)
		}
	}
	got := r.mustGet(f, "/", "SCRIPT_NAME", "/s/one.py", "PATH_INFO", "", "SCRIPT_FILENAME", dir+"/scripts/one.py", "WSGID_EXEC_CGI", "0", "WSGID_EXEC_CGI", "1", "WSGID_CALLABLE_OBJECT", "app")
	if got.body != "scripts/one.py|/s/one.py||scripts/one.py|app|" {
		t.Errorf("with a setting: %s%s", got.header, got.body)
	}
}

func TestHandlerScript(t *testing.T) {
	r, _ := byFileRouter(t, true)
	f := r.front()
	for _, c := range []struct{ name, info, file, handler, want string }{
		{"/docs/a.md", "/x", "proxy:fcgi://h/srv/docs/a.md", "markdown", "/srv/markdown.py|/docs/a.md|/x|/srv/docs/a.md|handle_request|markdown"},
		{"/docs/a b.md", "", "proxy:fcgi://h/srv/docs/a%20b.md", "markdown", "/srv/markdown.py|/docs/a b.md||/srv/docs/a b.md|handle_request|markdown"},
		{"/docs/a%20b.md", "", "proxy:fcgi://h/srv/docs/a%20b.md", "markdown", "/srv/markdown.py|/docs/a%20b.md||/srv/docs/a%20b.md|handle_request|markdown"},
		{"/app/a.md", "", "/srv/docs/a.md", "markdown", "/srv/markdown.py|/app/a.md||/srv/docs/a.md|handle_request|markdown"},
		{"/docs/a.md", "", "/srv/docs/a.md", "markdwon", "WSGID-1031"},
		{"/docs/a.md", "", "", "markdown", "WSGID-1004"},
		{"/etc/passwd", "", "proxy:fcgi://h/etc/passwd", "markdown", "WSGID-1004"},
		{"/docs/a.md", "", "/srv/docs/a.md", "", "WSGID-1003"},
	} {
		got := r.mustGet(f, "/", "SCRIPT_NAME", c.name, "PATH_INFO", c.info, "SCRIPT_FILENAME", c.file, "WSGID_HANDLER", c.handler, "WSGID_CALLABLE_OBJECT", "")
		if right := got.body == c.want || strings.Contains(got.header, "X-WSGID-Error: "+c.want); !right {
			t.Errorf("%+v: %s%s", c, got.header, got.body)
		}
	}
	got := r.mustGet(f, "/", "SCRIPT_NAME", "/a.md", "SCRIPT_FILENAME", "/srv/a.md", "WSGID_HANDLER", "markdown", "WSGID_CALLABLE_OBJECT", "other")
	if !strings.Contains(got.body, "|handle_request|") {
		t.Errorf("the entry point is not fixed: %s", got.body)
	}
}

func TestByFileWithoutTrust(t *testing.T) {
	r, dir := byFileRouter(t, false)
	f := r.front()
	for _, c := range []struct{ name, file, want string }{
		{"/s/one.py", dir + "/scripts/one.py", "WSGID-1033"},
		{"/s/missing.py", dir + "/scripts/missing.py", "WSGID-1033"},
		{"/other", dir + "/scripts/aliased.py", "scripts/aliased.py|/other||scripts/aliased.py|application|"},
		{"/app", dir + "/scripts/one.py", "/srv/app.py|/app||/srv/app.py|application|"},
		{"/docs/a.md", "/srv/docs/a.md", "WSGID-1003"},
		{dir + "/scripts/one.py", dir + "/scripts/one.py", "WSGID-1003"},
	} {
		got := r.mustGet(f, "/", "SCRIPT_NAME", c.name, "PATH_INFO", "", "SCRIPT_FILENAME", c.file, "WSGID_EXEC_CGI", "1", "WSGID_HANDLER", "markdown")
		if right := got.body == c.want || strings.Contains(got.header, "X-WSGID-Error: "+c.want); !right {
			t.Errorf("%+v: %s%s", c, got.header, got.body)
		}
	}
}

// A virtual host's script roots and handlers come before the global ones.
func TestByFileInVirtualHost(t *testing.T) {
	socket, dir := shortDir(t), t.TempDir()
	g := newFakeGroup(t, socket, "web", func(q *fakeRequest) {
		q.body()
		q.reply(q.env["WSGID_APPLICATION_GROUP"] + "|" + filepath.Base(q.env["WSGID_SCRIPT"]))
	})
	g.start(100, 2)
	if err := os.WriteFile(filepath.Join(dir, "one.py"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	mounts := func(application string) []wire.Mount {
		root, handler := fileMount("", dir, "web"), fileMount("", "/srv/"+application+".py", "web")
		root.Root, root.Directory, root.ApplicationGroup = true, true, application
		handler.Handler, handler.ApplicationGroup = "markdown", application
		return []wire.Mount{root, handler}
	}
	config := baseConfig(wire.Group{Name: "web", Socket: g.socket})
	config.Mounts = mounts("global")
	config.VirtualHosts = []wire.VirtualHost{{ServerName: "own.test", Names: []string{"own.test"}, Mounts: mounts("own")}, {Names: []string{"plain.test"}},
		{ID: "own.test:443", ServerName: "own.test", Names: []string{"own.test"}, Mounts: mounts("secure")}}
	config.Listeners = []wire.Listener{{Kind: wire.ListenUnix, TrustFrontServer: true}}
	r := startRouter(t, config, nil)
	r.process("web", 100, 2, wire.ProcessReady)
	f := r.front()
	for host, want := range map[string]string{"own.test": "own", "plain.test": "global", "other.test": "global"} {
		if got := r.mustGet(f, "/one.py", "HTTP_HOST", host, "SCRIPT_FILENAME", dir+"/one.py", "WSGID_EXEC_CGI", "1"); got.body != want+"|one.py" {
			t.Errorf("script root of %s: %s%s", host, got.header, got.body)
		}
		if got := r.mustGet(f, "/a.md", "HTTP_HOST", host, "SCRIPT_FILENAME", "/docs/a.md", "WSGID_HANDLER", "markdown"); got.body != want+"|"+want+".py" {
			t.Errorf("handler of %s: %s%s", host, got.header, got.body)
		}
	}
	chosen := func(id string) frontReply {
		return r.mustGet(f, "/one.py", "HTTP_HOST", "plain.test", "SCRIPT_FILENAME", dir+"/one.py", "WSGID_EXEC_CGI", "1", "WSGID_VIRTUAL_HOST", id)
	}
	if got := chosen("own.test:443"); got.body != "secure|one.py" {
		t.Errorf("host that the web server chooses: %s%s", got.header, got.body)
	}
	if got := chosen("own.test"); !strings.Contains(got.header, "WSGID-1031") {
		t.Errorf("id that no host has: %s%s", got.header, got.body)
	}
}
