package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// refusedSites are configurations of the corpora that are not converted, and why.
var refusedSites = map[string]string{
	"024-shell-style-vars.conf":        "Apache replaces ${NAME}, and not $NAME",
	"040-broken-unknown-option.conf":   `there is no option "process"`,
	"044-vhost-name-as-group.conf":     "WSGIRestrictSignal may stand at server level",
	"066-windows-embedded.conf":        "no path that wsgid can serve",
	"067-broken-quotes-close-tag.conf": "expected </VirtualHost>",
}

// TestConvertCorpus: each configuration of a large variety is converted, or refused
// with the reason. Where Apache takes the original it takes the result, and wsgid
// takes its part.
func TestConvertCorpus(t *testing.T) {
	harness.NeedRoot(t)
	files, err := filepath.Glob("../apacheconf/testdata/sites/*.conf")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d configurations: %v", len(files), err)
	}
	more, err := filepath.Glob("../../shared/testdata/apache/real/*.conf") // only on some machines
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			newCorpusSite(t, filepath.Base(file), string(text)).check()
		})
	}
}

// corpusSite is one configuration with what it needs of a machine.
type corpusSite struct {
	t    *testing.T
	w    *harness.World
	name string
	// body is the configuration, with stand-ins.
	body string
}

// standIns replace what this machine does not have: accounts, Python environments.
var standIns = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`(?i)([\s])(user|group|script-user|script-group|socket-user)=("[^"]*"|'[^']*'|[^\s\\">]+)`), "$1$2=daemon"},
	{regexp.MustCompile(`(?m)^(\s*)(User|Group)\s+\S.*$`), "$1$2 daemon"},
	{regexp.MustCompile(`python-home=("[^"]*"|'[^']*'|[^\s\\"]+)`), "python-home=/usr"},
	{regexp.MustCompile(`(?mi)^(\s*WSGIPythonHome\s+).*$`), "${1}/usr"},
}

func newCorpusSite(t *testing.T, name, text string) *corpusSite {
	t.Helper()
	s := &corpusSite{t: t, w: harness.New(t, built), name: name, body: text}
	for _, in := range standIns {
		s.body = in.pattern.ReplaceAllString(s.body, in.by)
	}
	return s
}

// expectation is what a file of the project's own corpus says of itself.
var expectation = regexp.MustCompile(`(?m)^# refused: (.+)$`)

func (s *corpusSite) check() {
	s.t.Helper()
	reason := refusedSites[s.name]
	if said := expectation.FindStringSubmatch(s.body); said != nil {
		reason = said[1]
	}
	accepted := false
	if reason == "" {
		accepted = s.settle()
	}
	in := s.write()
	code, out, errs := s.w.CLI("apache", "convert", "--in", in, "--out-dir", s.w.Path("out"), "--env", "WSGI_PROCESSES=4", "--env", "RUN="+s.w.Path("run"), "--env", "APACHE_LOG_DIR="+s.w.Path("run"), "--socket", s.w.Socket, "--force", "--report")
	if reason != "" {
		if code != 1 || !strings.Contains(errs, reason) {
			s.t.Fatalf("%d, want a refusal with %q: %s", code, reason, errs)
		}
		if _, err := os.Stat(s.w.Path("out/wsgid.hcl")); !errors.Is(err, os.ErrNotExist) {
			s.t.Error("something was written")
		}
		return
	}
	if code != 0 && !strings.Contains(out, "DIFFERS") {
		s.t.Fatalf("%d: %s%s", code, out, errs)
	}
	s.complete(out)
	if accepted {
		if report := s.test(s.w.Path("out/httpd.conf")); report != "" {
			s.t.Errorf("Apache took the original and does not take the result: %s", report)
		}
	}
	if code, _, errs := s.w.CLI("check", "--config", s.w.Path("out/wsgid.hcl")); code != 0 {
		s.t.Errorf("wsgid does not take its part: %s", errs)
	}
}

// complete: every directive of mod_wsgi that stands in the configuration and
// counts is in the report.
func (s *corpusSite) complete(report string) {
	s.t.Helper()
	after, err := os.ReadFile(s.w.Path("out/httpd.conf"))
	if err != nil {
		s.t.Fatal(err)
	}
	for n, line := range strings.Split(string(after), "\n") {
		if liveDirective.MatchString(line) && !strings.Contains(line, "WSGIScriptAlias $") {
			// What is left has to be in a section that does not count, or a macro.
			if !strings.Contains(string(after), "<IfModule !") && !strings.Contains(string(after), "<IfDefine") && !strings.Contains(string(after), "<Macro") && !strings.Contains(string(after), "<IfVersion") && !strings.Contains(string(after), "<IfFile") {
				s.t.Errorf("left over in line %d: %s\n%s", n+1, line, report)
			}
		}
	}
}

var liveDirective = regexp.MustCompile(`(?i)^\s*<?WSGI[A-Z]|^\s*(Set|Add)Handler\s+wsgi-script`)

// write writes the whole configuration and gives its name.
func (s *corpusSite) write() string {
	s.t.Helper()
	const modules = "/usr/lib/apache2/modules"
	var conf strings.Builder
	fmt.Fprintf(&conf, "ServerRoot %q\nPidFile %q\nMutex file:%s\nErrorLog %q\nTypesConfig /dev/null\nServerName corpus.test\n", s.w.Dir, s.w.Path("pid"), s.w.Path("run"), s.w.Path("error.log"))
	for _, name := range corpusModules {
		if _, err := os.Stat(modules + "/mod_" + name + ".so"); err == nil {
			fmt.Fprintf(&conf, "LoadModule %s_module %s/mod_%s.so\n", name, modules, name)
		}
	}
	conf.WriteString("LoadModule wsgi_module " + modules + "/mod_wsgi.so\n")
	return s.w.Write("in/httpd.conf", conf.String()+s.body)
}

// corpusModules come with Apache; mod_wsgi comes last.
var corpusModules = strings.Fields(`mpm_event access_compat actions alias allowmethods asis auth_basic auth_digest auth_form authn_anon authn_core
	authn_dbm authn_file authn_socache authz_core authz_groupfile authz_host authz_owner authz_user autoindex cgid dav dav_fs deflate dir env
	expires ext_filter filter headers include info ldap authnz_ldap macro mime mime_magic negotiation proxy proxy_http proxy_balancer
	slotmem_shm remoteip reqtimeout request rewrite session session_cookie setenvif socache_shmcb speling ssl status substitute unique_id
	userdir vhost_alias`)

// test has Apache look at a configuration; empty: it is right.
func (s *corpusSite) test(conf string) string {
	s.t.Helper()
	cmd := exec.Command(harness.Need(s.t, "apache2"), "-t", "-f", conf)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "WSGI_PROCESSES=4", "RUN=" + s.w.Path("run"), "APACHE_LOG_DIR=" + s.w.Path("run"), "LANG=C"}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}

// macroCommand finds what Apache does not know inside of a macro.
var macroCommand = regexp.MustCompile(`of macro [^\n]*\n+Invalid command '([^']+)'`)

// lineOf finds what Apache complains about.
var lineOf = regexp.MustCompile(`Syntax error on line (\d+) of (\S+):`)

// settle makes the original one that Apache takes, by taking out what needs modules,
// certificates or directories that are not here, a line at a time; false: it does
// not take it.
func (s *corpusSite) settle() bool {
	s.t.Helper()
	certificate, key := s.w.Certificate("corpus.test")
	s.body = regexp.MustCompile(`(?mi)^(\s*SSLCertificateFile\s+).*$`).ReplaceAllString(s.body, "${1}"+certificate)
	s.body = regexp.MustCompile(`(?mi)^(\s*SSLCertificateKeyFile\s+).*$`).ReplaceAllString(s.body, "${1}"+key)
	s.body = regexp.MustCompile(`(?mi)^(\s*)(SSL(CA|Certificate)?(Certificate)?(Chain|Revocation)?(File|Path)\s)`).ReplaceAllStringFunc(s.body, func(found string) string {
		if strings.Contains(found, "SSLCertificateFile") || strings.Contains(found, "SSLCertificateKeyFile") {
			return found
		}
		return "#" + found
	})
	s.body = regexp.MustCompile(`(?mi)^(\s*(?:ErrorLog|CustomLog|TransferLog|RewriteLog|ScriptLog)\s+)("[^"|]+"|[^|"\s]\S*)`).ReplaceAllString(s.body, "${1}"+s.w.Path("one.log"))
	s.body = regexp.MustCompile(`(?mi)^(\s*(?:ServerRoot|PidFile|LockFile|DAV|DefaultRuntimeDir)\s)`).ReplaceAllString(s.body, "#$1")
	// Files that are included hold nothing, and do not lie on the machine itself.
	s.body = regexp.MustCompile(`(?mi)^(\s*Include\s+)(\S+)\s*$`).ReplaceAllStringFunc(s.body, func(found string) string {
		words := strings.Fields(found)
		name := strings.Trim(words[1], `"'`)
		if strings.Contains(name, "$") || strings.HasPrefix(name, "sites/") {
			return found
		}
		return words[0] + " " + s.w.Write("included/"+strings.NewReplacer("/", "_", "*", "all").Replace(name), "# nothing\n")
	})
	for range 60 {
		report := s.test(s.write())
		if report == "" {
			return true
		}
		if inMacro := macroCommand.FindStringSubmatch(report); inMacro != nil {
			s.body = regexp.MustCompile(`(?m)^(\s*)`+regexp.QuoteMeta(inMacro[1])+`\b`).ReplaceAllString(s.body, "$1#"+inMacro[1])
			continue
		}
		at := lineOf.FindStringSubmatch(report)
		if at == nil {
			s.t.Logf("not taken: %s", report)
			return false
		}
		if strings.Contains(report, "WSGI") {
			s.t.Logf("not taken: %s", report)
			return false
		}
		line, err := strconv.Atoi(at[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.takeOut(line)
	}
	return false
}

// takeOut makes a line of the whole configuration a comment, with its continuation,
// or of a section both tags.
func (s *corpusSite) takeOut(line int) {
	s.t.Helper()
	whole, err := os.ReadFile(s.w.Path("in/httpd.conf"))
	if err != nil {
		s.t.Fatal(err)
	}
	head := strings.Count(strings.TrimSuffix(string(whole), s.body), "\n")
	lines := strings.Split(s.body, "\n")
	n := line - head - 1
	if n < 0 || n >= len(lines) {
		s.t.Fatalf("line %d is none of the site", line)
	}
	for n > 0 && strings.HasSuffix(strings.TrimRight(lines[n-1], "\r"), `\`) {
		n--
	}
	if tag := strings.TrimSpace(lines[n]); strings.HasPrefix(tag, "<") {
		name := strings.ToLower(strings.TrimRight(strings.Fields(tag[1:])[0], ">"))
		for end := n; end < len(lines); end++ {
			if strings.EqualFold(strings.TrimSpace(lines[end]), "</"+name+">") {
				lines[end] = "#" + lines[end]
				break
			}
		}
	}
	lines[n] = "#" + lines[n]
	s.body = strings.Join(lines, "\n")
}
