package apachetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Where Debian has them; tools/setup.sh installs them.
const (
	program = "/usr/sbin/apache2"
	modules = "/usr/lib/apache2/modules"
)

// loaded are the modules that the configurations of a corpus use directives of.
var loaded = strings.Fields(`access_compat actions alias auth_basic auth_digest auth_form authn_anon authn_core authn_file
	authz_core authz_groupfile authz_host authz_user autoindex cgid deflate dir env expires filter headers ldap
	authnz_fcgi authnz_ldap macro mime negotiation proxy proxy_http proxy_fcgi proxy_uwsgi proxy_wstunnel remoteip reqtimeout request rewrite session
	session_cookie setenvif socache_shmcb ssl status userdir vhost_alias wsgi`)

// loadsMPM: a configuration of a whole server, which loads all that it needs.
var loadsMPM = regexp.MustCompile(`(?mi)^[ \t]*LoadModule[ \t]+mpm_`)

// Apache asks Apache whether it would start with a file of the place, without some
// modules. It gives what Apache says.
func (p *Place) Apache(t testing.TB, name string, without ...string) (accepts bool, said string) {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "ServerRoot %q\nDefaultRuntimeDir %q\nPidFile %q\nErrorLog %q\nServerName 127.0.0.1\nListen 127.0.0.1:80\n",
		p.Root, filepath.Join(p.Dir, "run"), filepath.Join(p.Dir, "run", "apache.pid"), filepath.Join(p.logs, "error.log"))
	load := func(module string) {
		fmt.Fprintf(&conf, "<IfModule !%s_module>\nLoadModule %s_module %s/mod_%s.so\n</IfModule>\n", module, module, modules, module)
	}
	if !loadsMPM.Match(source) {
		load("mpm_event")
		for _, module := range loaded {
			if !slices.Contains(without, module) {
				load(module)
			}
		}
	}
	types := filepath.Join(p.Dir, "mime.types")
	if err := os.WriteFile(types, []byte("text/html html\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&conf, "<IfModule mime_module>\nTypesConfig %q\n</IfModule>\n", types)
	if os.Geteuid() == 0 {
		conf.WriteString("User www-data\nGroup www-data\n")
	}
	fmt.Fprintf(&conf, "Include %q\n", name)
	wrapper := filepath.Join(p.Dir, "httpd.conf")
	if err := os.WriteFile(wrapper, []byte(conf.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, "-t", "-f", wrapper)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C"}
	for name, value := range p.environment {
		command.Env = append(command.Env, name+"="+value)
	}
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || errors.Is(err, context.Canceled)) {
		t.Fatalf("%v: sudo tools/setup.sh installs Apache", err)
	}
	if !strings.Contains(string(output), "Syntax OK") && err == nil {
		t.Fatalf("Apache says neither yes nor no: %s", output)
	}
	return err == nil, string(output)
}
