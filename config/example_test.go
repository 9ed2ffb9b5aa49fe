package config

import (
	"os/exec"
	"slices"
	"testing"
)

func TestExamples(t *testing.T) {
	result := Read("../examples/wsgid.hcl", root)
	if len(result.Diagnostics) > 0 {
		t.Fatal(result.Diagnostics)
	}
	c := result.Config
	if len(c.DaemonProcesses) != 3 || c.DaemonProcesses[1].Name != "api" || c.DaemonProcesses[1].Processes != 4 || c.DaemonProcesses[0].Threads != 15 {
		t.Errorf("daemon processes: %+v", c.DaemonProcesses)
	}
	if len(c.DispatchScripts) != 1 || c.DispatchScripts[0].Path != "/etc/wsgid/dispatch.py" {
		t.Errorf("dispatch scripts: %+v", c.DispatchScripts)
	}
	if s := c.ScriptAliases[0]; s.ProcessGroup != "web" || s.ApplicationGroup != "%{GLOBAL}" || !s.Preload {
		t.Errorf("script alias: %+v", s)
	}
	if l := c.Listeners[0]; l.Mode != 0o660 || l.Path != "/run/wsgid/wsgid.sock" {
		t.Errorf("listener: %+v", l)
	}
}

func TestExampleVirtualHosts(t *testing.T) {
	result := Read("../examples/virtual-hosts.hcl", root)
	if len(result.Diagnostics) > 0 {
		t.Fatal(result.Diagnostics)
	}
	var urls []string
	for h, s := range result.Config.Mounts() {
		name := ""
		if h != nil {
			name = h.Name
		}
		urls = append(urls, name+" "+s.Prefix)
	}
	want := []string{"www.example.com /", "www.example.com /health", "example.org ^/([a-z0-9-]+)", " /health"}
	if !slices.Equal(urls, want) {
		t.Errorf("mounts %q, want %q", urls, want)
	}
}

func TestExampleContexts(t *testing.T) {
	if result := Read("../examples/contexts.hcl", root); len(result.Diagnostics) > 0 {
		t.Fatal(result.Diagnostics)
	}
}

func TestExampleSandbox(t *testing.T) {
	result := Read("../examples/sandbox.hcl", root)
	if len(result.Diagnostics) > 0 {
		t.Fatal(result.Diagnostics)
	}
	groups := result.Config.DaemonProcesses
	if len(groups) != 2 || groups[0].Mounts() == "" || groups[1].Landlock == nil {
		t.Errorf("groups: %+v", groups)
	}
}

// TestExampleScripts runs the scripts of the examples as a server would.
func TestExampleScripts(t *testing.T) {
	const driver = `
import os, runpy
dispatch = runpy.run_path("../examples/dispatch.py")["process_group"]
for url, group in {"/admin/x": "admin", "/api/1?q": "api", "/": None, "/administrator": None}.items():
    assert dispatch({"REQUEST_URI": url}) == group, url
application = runpy.run_path("../examples/site.wsgi")["application"]
seen = []
body = b"".join(application({"mod_wsgi.process_group": "web", "PATH_INFO": "/x"}, lambda status, headers: seen.append((status, dict(headers)))))
assert seen[0][0] == "200 OK" and seen[0][1]["Content-Length"] == str(len(body)), seen
assert ("group: web\npid: %d\nuid: %d\nuser: " % (os.getpid(), os.getuid())).encode() in body, body
`
	if out, err := exec.Command("python3", "-B", "-c", driver).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
