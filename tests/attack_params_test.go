package tests

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// noticed are the parameters that the router itself looks at, and some that a
// worker or an application does.
var noticed = []string{
	"REQUEST_METHOD", "REQUEST_URI", "QUERY_STRING", "SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME", "CONTENT_LENGTH", "CONTENT_TYPE",
	"HTTP_TRANSFER_ENCODING", "UNIQUE_ID", "REMOTE_ADDR", "REMOTE_PORT", "REMOTE_USER", "HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION",
	"SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "HTTP_HOST", "HTTP_COOKIE", "HTTPS", "REQUEST_SCHEME", "HTTP_IF_NONE_MATCH",
	"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_X_SCRIPT_NAME", "HTTP_X_REQUEST_ID",
	"DOCUMENT_ROOT", "CONTEXT_PREFIX", "CONTEXT_DOCUMENT_ROOT", "PATH_TRANSLATED", "REDIRECT_URL", "REDIRECT_STATUS", "FCGI_ROLE",
}

// internal are names that mean something between the parts of wsgid, or could
// be thought to.
var internal = []string{
	"WSGID_SCRIPT", "WSGID_APPLICATION_GROUP", "WSGID_PROCESS_GROUP", "WSGID_CALLABLE", "WSGID_CALLABLE_OBJECT", "WSGID_REQUEST_ID", "WSGID_REQUEST_START",
	"WSGID_QUEUE_START", "WSGID_ROUTER_PID", "WSGID_RELOADING", "WSGID_SCRIPT_RELOADING", "WSGID_WANT_ACCEPT", "WSGID_HEAD", "WSGID_SCHEME_DECIDED",
	"WSGID_LISTENER_PORT", "WSGID_MOUNT_POINT", "WSGID_MAPPED_NAME", "WSGID_ERROR_LOG", "WSGID_NO_PAGE", "WSGID_EXEC_CGI", "WSGID_DISPATCH_SCRIPT", "WSGID_AUTH_USER_SCRIPT", "WSGID_ACCESS_SCRIPT", "WSGID_AUTH_GROUP_SCRIPT", "WSGID_REQUIRE",
	"WSGID_RESTRICT_PROCESS", "WSGID_TRUSTED_PROXIES", "WSGID_MAX_BODY_BYTES", "WSGID_ANYTHING", "WSGID_",
	"mod_wsgi.process_group", "mod_wsgi.application_group", "mod_wsgi.callable_object", "mod_wsgi.script_reloading", "mod_wsgi.handler_script",
	"wsgi.url_scheme", "wsgi.input", "wsgi.errors", "wsgid.queue_time", "wsgid.process_group",
	"PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "HTTP_PROXY", "PHP_VALUE", "PHP_ADMIN_VALUE",
}

// TestAttackSpoof: no parameter and no header chooses what runs, where, or as what.
func TestAttackSpoof(t *testing.T) {
	a := startAttacked(t, "")
	// same asserts that everything of wsgid's own is as it would be without.
	same := func(t *testing.T, what string, v view) {
		t.Helper()
		if v.Entry != "application" || v.Process["PYTHONPATH"] != "" || v.Process["LD_PRELOAD"] != "" || v.UID != 64001 {
			t.Errorf("%s: entry %s, uid %d, environment %q", what, v.Entry, v.UID, v.Process)
		}
		for name, want := range map[string]string{
			"mod_wsgi.process_group": "only", "mod_wsgi.application_group": "", "mod_wsgi.callable_object": "application",
			"SCRIPT_FILENAME": a.Path("apps/environ.py"), "SCRIPT_NAME": "/app", "wsgi.url_scheme": "http",
			"PATH": "<absent>", "HTTP_PROXY": "<absent>", "LD_LIBRARY_PATH": "<absent>", "PATH_TRANSLATED": "<absent>", "mod_wsgi.handler_script": "",
		} {
			if got := v.env(name); got != want {
				t.Errorf("%s: %s is %q, want %q", what, name, got, want)
			}
		}
		for name := range v.Environ {
			if strings.HasPrefix(name, "WSGID_") {
				t.Errorf("%s: the application sees %s", what, name)
			}
		}
	}
	values := []string{"", "1", "0", "on", a.evil, "proxy:fcgi://localhost/" + a.evil, "%{GLOBAL}", "other_application", "../secret/evil.py", "https", "/"}

	t.Run("parameters", func(t *testing.T) {
		for _, name := range append([]string{"SCRIPT_FILENAME", "DOCUMENT_ROOT", "CONTEXT_DOCUMENT_ROOT", "CONTEXT_PREFIX", "PATH_TRANSLATED", "REDIRECT_URL", "REQUEST_URI", "FCGI_ROLE"}, internal...) {
			for _, value := range values {
				answer := askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/app", name, value, "PATH_INFO", ""))
				if answer.status() != 200 {
					t.Errorf("%s=%s: %+v", name, value, answer)
					continue
				}
				var v view
				fromJSON(t, answer.body(), &v)
				same(t, name+"="+value, v)
			}
		}
		a.unharmed(t)
	})
	for name, start := range map[string]func() *harness.Client{
		"Apache":     func() *harness.Client { return a.StartApache(harness.ApacheOptions{Config: proxyAll}).Client },
		"nginx":      a.StartNginx,
		"lighttpd":   a.StartLighttpd,
		"Caddy":      a.StartCaddy,
		"HTTP front": func() *harness.Client { return harness.NewClient(t, "http://"+a.address) },
	} {
		t.Run(name, func(t *testing.T) {
			base := start().Base
			for i, name := range append(slices.Clone(noticed), internal...) {
				if name == "CONTENT_LENGTH" || name == "HTTP_TRANSFER_ENCODING" || name == "HTTP_HOST" {
					continue // a header of that name frames the request
				}
				for j, header := range []string{name, strings.ReplaceAll(name, "_", "-"), strings.ReplaceAll(strings.ToLower(name), "_", "-"), "HTTP-" + name, "Redirect-" + name} {
					for k, value := range values[4:8] {
						if !turn(i+j+k, 3) {
							continue
						}
						got := rawHTTP(t, base, "GET /app HTTP/1.1\r\nHost: x\r\n"+header+": "+value+"\r\nConnection: close\r\n\r\n")
						a.harmless(t, header, got)
						head, _, _ := strings.Cut(got, "\r\n")
						if strings.Contains(head, " 400 ") {
							continue // a name that is no header for this server
						}
						at, end := strings.Index(got, "{\""), strings.LastIndex(got, "}")
						if !strings.Contains(head, " 200 ") || at < 0 || end < at {
							t.Errorf("%s: %.300q", header, got)
							continue
						}
						var v view
						fromJSON(t, got[at:end+1], &v)
						same(t, header+": "+value, v)
					}
				}
			}
			a.unharmed(t)
		})
	}
}

// TestAttackRepeated: each name that somebody looks at comes twice and a
// thousand times, honest first and honest last.
func TestAttackRepeated(t *testing.T) {
	a := startAttacked(t, "")
	for _, name := range append(slices.Clone(noticed), internal...) {
		for _, times := range []int{2, 1000} {
			for _, evil := range []string{"", a.evil, "-1", "chunked"} {
				for _, last := range []bool{false, true} {
					texts := []string{"REQUEST_METHOD", "GET", "SCRIPT_NAME", "/app"}
					honest := []string{name, "1"}
					if at := slices.Index(texts, name); at >= 0 {
						honest[1] = texts[at+1]
					}
					if !last {
						texts = append(texts, honest...)
					}
					for range times - 1 {
						texts = append(texts, name, evil)
					}
					if last {
						texts = append(texts, honest...)
					}
					answer := askRaw(t, a.World, fcgiRequest(texts...))
					what := fmt.Sprintf("%s %d times with %q, honest last: %v", name, times, evil, last)
					a.harmless(t, what, answer.stdout)
					// With a thousand paths the parameters are larger than they may be.
					if status := answer.status(); status == 0 || status == 502 || status == 504 || status == 431 && len(evil)*times < 40000 {
						t.Errorf("%s: %+v", what, answer)
					}
				}
			}
		}
	}
	a.unharmed(t)
}

// TestAttackValues: values that are no values, in each name, with and without
// rules for proxies that read them.
func TestAttackValues(t *testing.T) {
	a := startAttacked(t, mount("/trusting", "apps/environ.py", `trusted_proxies = ["0.0.0.0/0", "::/0"]`, allProxyHeaders)+
		mount("/every/%{ENV:nothing}", "apps/environ.py")+
		mount("/expanding", "apps/environ.py", option("application_group", "%{ENV:HTTP_X_FORWARDED_FOR}")))
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	values := []string{
		"", " ", "\x00", "a\x00b", "\r\nX-Injected: 1", "\nStatus: 200 OK\n\n", "\r", "\x1b[31m\a", string(every), "\xff\xfe", "\xc0\xae", "é", "\u202e",
		"-1", "-0", "+1", "00", "0x10", "1e3", "1,1", " 1", "1 ", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
		strings.Repeat("9", 5000), strings.Repeat("x", 60000), strings.Repeat("1.2.3.4, ", 5000), strings.Repeat("%41", 9000), strings.Repeat("/", 50000), strings.Repeat("../", 15000),
		"%", "%{GLOBAL}", "%{ENV:PATH}", "%{ENV:", "{}", "${x}", "$(id)", "`id`", "'; DROP TABLE", "<script>", "[::1]:99999", "[", "a:b:c", "@", "h:-1", ":", "::ffff:1.2.3.4%eth0",
		"chunked, chunked", "Chunked", "identity", "https://x@y:z/", "*", "CONNECT", "GET / HTTP/1.1\r\n\r\n",
	}
	for i, path := range []string{"/app", "/trusting", "/expanding"} {
		for j, name := range noticed {
			for number, value := range values {
				if !turn(i+j+number, 3) {
					continue
				}
				texts := []string{"REQUEST_METHOD", "POST", "REQUEST_URI", path, "SCRIPT_NAME", path, "REMOTE_ADDR", "10.0.0.1"}
				if name == "SCRIPT_NAME" || name == "PATH_INFO" {
					value = path + value
				}
				answer := askRaw(t, a.World, fcgiRequest(append(texts, name, value)...))
				what := fmt.Sprintf("%s, %s with value %d", path, name, number)
				a.harmless(t, what, answer.stdout)
				head, _, found := strings.Cut(answer.stdout, "\r\n\r\n")
				if answer.status() == 0 || !found || answer.status() > 500 && answer.status() != 501 {
					t.Errorf("%s: %+v", what, answer)
				}
				if strings.Contains(head, "Injected") || strings.Count(head, "Status:") != 1 || strings.ContainsAny(strings.ReplaceAll(head, "\r\n", ""), "\r\n\x00\x1b") {
					t.Errorf("%s: head %q", what, head)
				}
			}
		}
	}
	for _, record := range a.wsgid.Log.Records() {
		if strings.ContainsAny(record.Line, "\x00\x1b\a\r") || record.Fields == nil && !strings.HasPrefix(record.Line, " ") && strings.Contains(record.Line, "Injected") {
			t.Errorf("in the log: %q", record.Line)
		}
	}
	a.unharmed(t)
}

// TestAttackSizes: parameters as many and as large as they come.
func TestAttackSizes(t *testing.T) {
	a := startAttacked(t, "")
	head := fcgiPairs("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/app")
	many := func(count int, pair func(int) []byte) []byte {
		var all []byte
		for i := range count {
			all = append(all, pair(i)...)
		}
		return all
	}
	for _, row := range []struct {
		name   string
		params []byte
		status int
	}{
		{"4000 names", many(4000, func(i int) []byte { return fcgiPair("N"+strconv.Itoa(i), "v") }), 200},
		{"20000 names", many(20000, func(i int) []byte { return fcgiPair("N"+strconv.Itoa(i), "v") }), 431},
		{"a million names", many(1000000, func(i int) []byte { return fcgiPair("N"+strconv.Itoa(i), "") }), 431},
		{"20000 empty names", bytes.Repeat([]byte{0, 1, 'x'}, 20000), 431},
		{"20000 nothings", bytes.Repeat([]byte{0, 0}, 20000), 431},
		{"4000 headers of one name", many(4000, func(int) []byte { return fcgiPair("HTTP_X", "") }), 200},
		{"a value of 64000", fcgiPair("HTTP_X", strings.Repeat("x", 64000)), 200},
		{"a value of 64 KiB and more", fcgiPair("HTTP_X", strings.Repeat("x", 65537)), 431},
		{"a value of 16 MiB", fcgiPair("HTTP_X", strings.Repeat("x", 16<<20)), 431},
		{"a name of 60000", fcgiPair("HTTP_"+strings.Repeat("X", 60000), "x"), 431},
		{"a name of 64 KiB and more", fcgiPair("HTTP_"+strings.Repeat("X", 65537), "x"), 431},
		{"long forms of short lengths", append([]byte{0x80, 0, 0, 1, 0x80, 0, 0, 1}, "Nv"...), 200},
		{"a name of 2 GiB", []byte{0xff, 0xff, 0xff, 0xff, 0, 'x'}, 431},
		{"a value of 2 GiB", []byte{1, 0xff, 0xff, 0xff, 0xff, 'x'}, 431},
		{"lengths that overflow", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'}, 431},
		{"lengths that add up to 4 GiB", []byte{0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 1, 'x'}, 431},
		{"a name that is not there", []byte{9, 9, 'x'}, 400},
		{"a value that is not there", []byte{1, 9, 'x'}, 400},
		{"half a length", []byte{0x80, 0}, 400},
		{"a length and no more", []byte{1}, 400},
	} {
		answer := askRaw(t, a.World, slices.Concat(fcgiBegin(1), fcgiStream(fcgiParams, slices.Concat(head, row.params)), fcgi(fcgiStdin, 1, nil)))
		if answer.status() != row.status {
			t.Errorf("%s: %d %.300q %v, want %d", row.name, answer.status(), answer.stdout, answer.err, row.status)
		}
		a.unharmed(t)
	}
}

// TestAttackTextLog: in a log for people no URL, parameter or request line makes
// a line of its own, or reaches the terminal as more than text.
func TestAttackTextLog(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	openDirectory(t, w, "scripts")
	address := freeAddress(t)
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\nlisten \"http\" {\n  address = \""+address+"\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n}\n"+
		"log {\n  level = \"debug\"\n}\n"+group("only", "#64001", 1, 2)+mount("/w/", "scripts/")+mount("/app", "apps/environ.py")))
	wsgid := w.Start(harness.Options{})
	const forged = "2026-01-01T00:00:00.000Z [ERROR] wsgid.router: forged"
	for _, text := range []string{"\x1b]0;x\x07\x1b[31m", "\n" + forged + "\n", "\r" + forged, "\u2028" + forged, "\xc2\x9b31m", "\x00", "\x7f\b\b"} {
		for _, path := range []string{"/w/", "/nowhere/", "/app/"} {
			for _, name := range noticed {
				if name == "SCRIPT_NAME" {
					continue
				}
				askRaw(t, w, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", path+text, name, text))
			}
			rawHTTP(t, "http://"+address, "GET "+path+url.PathEscape(text)+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		}
		rawHTTP(t, "http://"+address, "GET /"+text+" HTTP/1.1\r\nHost: "+text+"\r\n\r\n")
	}
	wsgid.AwaitIdle()
	wsgid.Stop()
	if len(wsgid.Log.Find(harness.Containing("[ERROR] wsgid.router: forged"))) == 0 {
		t.Error("nothing of the attack is in the log: the test proves nothing")
	}
	for _, record := range wsgid.Log.Records() {
		if strings.HasPrefix(record.Line, forged) || strings.ContainsFunc(record.Line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) || strings.ContainsRune(record.Line, '\u2028') {
			t.Errorf("in the log: %q", record.Line)
		}
	}
}
