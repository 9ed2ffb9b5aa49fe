package tests

import (
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestAttackHandlerMode: of a script_root runs what the web server has mapped a
// URL to and lets run, and nothing else: not without ExecCGI, not through a
// listener without trust, not where the client has written the path of the file.
func TestAttackHandlerMode(t *testing.T) {
	a := startAttacked(t, trusted+"script_root \"{{.Dir}}/rooted\" {\n  process_group = \"only\"\n}\n"+
		"handler_script \"pages\" {\n  target = \"{{.Dir}}/apps/handler.py\"\n  process_group = \"only\"\n}\n")
	a.litter("rooted")
	a.Write("apps/handler.py", "from environ import answer\n\n\ndef handle_request(environ, start_response):\n    return answer(environ, start_response, 'handler')\n")
	site := func(name, directives string) string {
		return "<VirtualHost *:*>\n  ServerName " + name + "\n" + directives + "\n</VirtualHost>\n"
	}
	const mapped = "Alias \"/h/\" \"{{.Dir}}/rooted/\"\n<Directory \"{{.Dir}}/rooted\">\nOptions All\n"
	base := a.StartApache(harness.ApacheOptions{Config: trustedProxy +
		site("exec.test", mapped+trustedHandler+"SetEnv WSGID_EXEC_CGI 1\n</Directory>") +
		site("encoded.test", "AllowEncodedSlashes NoDecode\n"+mapped+trustedHandler+"SetEnv WSGID_EXEC_CGI 1\n</Directory>") +
		site("closed.test", mapped+trustedHandler+"</Directory>") +
		site("off.test", mapped+trustedHandler+"SetEnv WSGID_EXEC_CGI Off\n</Directory>") +
		site("untrusted.test", mapped+harness.Handler+"\nSetEnv WSGID_EXEC_CGI 1\n</Directory>") +
		site("proxied.test", "SetEnv WSGID_EXEC_CGI 1\nProxyPass \"/\" \"unix:{{.Dir}}/trusted.sock|fcgi://trusted/\"") +
		site("files.test", mapped+"SetEnv WSGID_EXEC_CGI 1\n<Files \"one.py\">\n"+trustedHandler+"</Files>\nRequire all denied\n<Files \"one.py\">\nRequire all granted\n</Files>\n</Directory>")}).Base
	get := func(host, target string) string {
		return rawHTTP(t, base, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	}
	ran := func(got string) bool { return strings.Contains(got, `"SCRIPT_FILENAME": "`+a.Path("rooted")) }

	for number, front := range []struct {
		host string
		runs bool
	}{{"exec.test", true}, {"encoded.test", true}, {"closed.test", false}, {"off.test", false}, {"untrusted.test", false}, {"proxied.test", false}} {
		t.Run(front.host, func(t *testing.T) {
			for _, known := range []string{"/h/one.py", "/h/sub/two.py/x", "/h/link.py"} {
				got := get(front.host, known)
				if ran(got) != front.runs || front.runs != strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Errorf("%s: %.300q", known, got)
				}
				if !front.runs && front.host != "proxied.test" && !strings.HasPrefix(got, "HTTP/1.1 403") {
					t.Errorf("%s without permission: %.300q", known, got)
				}
			}
			targets := a.targets()
			for i, target := range append(targets, a.Path("rooted/one.py"), a.Path("rooted/one.py")+"/x", "/h"+a.Path("rooted/one.py"), "http://x"+a.Path("rooted/one.py")) {
				if !turn(number+i, 3) {
					continue
				}
				got := get(front.host, target)
				a.harmless(t, target, got)
				if ran(got) && !front.runs {
					t.Errorf("%s: a script runs: %.300q", target, got)
				}
			}
			a.unharmed(t)
		})
	}
	// What <Files> lets nobody read, no spelling reaches.
	if got := get("files.test", "/h/one.py"); !ran(got) {
		t.Errorf("what it lets everybody run: %.300q", got)
	}
	for _, target := range a.targets() {
		got := get("files.test", target)
		a.harmless(t, target, got)
		if ran(got) && !strings.Contains(got, `"SCRIPT_FILENAME": "`+a.Path("rooted/one.py")+`"`) {
			t.Errorf("%s: %.300q", target, got)
		}
	}

	// A peer of the trusted listener says what it likes.
	a.Socket = a.Path("trusted.sock")
	root := a.Path("rooted")
	for i, target := range append(a.targets(), "", "/", "one.py", "x/../one.py") {
		files := []string{root + target, "proxy:fcgi://localhost/" + root + target, "proxy:unix:/x|fcgi://" + root + target, root + "/../rooted" + target, target, "rooted" + target,
			"proxy:fcgi://h" + strings.ReplaceAll(root+target, "/", "%2f"), strings.ReplaceAll(root+target, ".", "%2e")}
		for _, file := range []string{files[0], files[1+i%7]} {
			for j, marks := range [][]string{{"WSGID_EXEC_CGI", "1"}, {"WSGID_EXEC_CGI", "0"}, {"WSGID_HANDLER", "pages"}, {"WSGID_HANDLER", target}} {
				if !turn(i+j, 4) {
					continue
				}
				answer := askRaw(t, a.World, fcgiRequest(slices.Concat([]string{"REQUEST_METHOD", "GET", "SCRIPT_NAME", "/s/one.py", "SCRIPT_FILENAME", file}, marks)...))
				what := strings.Join(append(marks, file), " ")
				if marks[0] == "WSGID_HANDLER" && answer.status() == 200 {
					// The handler runs for any file, which it is told of and which is not loaded.
					if !strings.Contains(answer.stdout, `"entry": "handler"`) || marks[1] != "pages" {
						t.Errorf("%s: %.300q", what, answer.stdout)
					}
					continue
				}
				a.harmless(t, what, answer.stdout)
				if answer.status() == 0 || !answer.ended || ran(answer.stdout) && marks[1] != "1" {
					t.Errorf("%s: %+v", what, answer)
				}
			}
		}
	}
	a.unharmed(t)
}
