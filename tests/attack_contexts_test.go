package tests

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestAttackSettings: on a listener that trusts its front server, what comes in
// WSGID_ parameters stays within allow_override, restrict_process and the
// scripts that the configuration declares, and nothing of a client is one.
func TestAttackSettings(t *testing.T) {
	a := startAttacked(t, trusted+group("other", "#64002", 1, 2)+"dispatch_script \"{{.Dir}}/dispatch.py\" {\n  default = false\n}\n"+
		mount("/bounded", "apps/environ.py", option("process_group", "only"), `restrict_process = ["only"]`,
			`allow_override = ["process_group", "application_group", "callable_object", "restrict_process", "dispatch_script", "script_reloading", "pass_authorization", "chunked_request", "map_head_to_get", "trusted_proxy_headers", "trusted_proxies"]`)+
		mount("/nothing", "apps/environ.py", option("process_group", "only"), "allow_override = []"))
	a.Socket = a.Path("trusted.sock")
	get := func(path string, texts ...string) fcgiAnswer {
		return askRaw(t, a.World, fcgiRequest(append([]string{"REQUEST_METHOD", "GET", "SCRIPT_NAME", path}, texts...)...))
	}
	declared := a.Path("dispatch.py")

	t.Run("what is permitted works", func(t *testing.T) {
		for _, texts := range [][]string{
			{"WSGID_CALLABLE_OBJECT", "other_application", "other_application", ""},
			{"WSGID_APPLICATION_GROUP", "inner", "application", "inner"},
			{"WSGID_DISPATCH_SCRIPT", declared, "application", "dispatched"},
		} {
			answer := get("/bounded", texts[0], texts[1])
			if answer.status() != 200 {
				t.Fatalf("%s: %+v", texts[0], answer)
			}
			var v view
			fromJSON(t, answer.body(), &v)
			if v.Entry != texts[2] || v.env("mod_wsgi.application_group") != texts[3] {
				t.Errorf("%s: %s in %q", texts[0], v.Entry, v.env("mod_wsgi.application_group"))
			}
		}
	})
	t.Run("what is not is refused", func(t *testing.T) {
		for _, row := range []struct{ name, value, code string }{
			{"WSGID_PROCESS_GROUP", "other", "WSGID-1005"}, {"WSGID_PROCESS_GROUP", "missing", "WSGID-100"}, {"WSGID_PROCESS_GROUP", "%{GLOBAL}", "WSGID-100"},
			{"WSGID_PROCESS_GROUP", "%{ENV:HTTP_X}", "WSGID-100"}, {"WSGID_PROCESS_GROUP", "only\x01", "WSGID-10"},
			{"WSGID_RESTRICT_PROCESS", "other", "WSGID-1031"}, {"WSGID_RESTRICT_PROCESS", "*", "WSGID-1031"},
			{"WSGID_DISPATCH_SCRIPT", a.evil, "WSGID-1031"}, {"WSGID_DISPATCH_SCRIPT", a.Path("./dispatch.py") + "/", "WSGID-1031"}, {"WSGID_DISPATCH_SCRIPT", a.Dir + "//dispatch.py", "WSGID-1031"},
			{"WSGID_DISPATCH_SCRIPT", a.Dir + "/scripts/../dispatch.py", "WSGID-1031"}, {"WSGID_DISPATCH_SCRIPT", "dispatch.py", "WSGID-1031"}, {"WSGID_DISPATCH_SCRIPT", a.Path("linked.py"), "WSGID-1031"},
			{"WSGID_DISPATCH_SCRIPT", a.Path("apps/environ.py"), "WSGID-1031"}, {"WSGID_DISPATCH_SCRIPT", declared + " ", "WSGID-1031"}, {"WSGID_DISPATCH_SCRIPT", strings.ToUpper(declared), "WSGID-1031"},
			{"WSGID_TRUSTED_PROXIES", "everybody", "WSGID-1031"}, {"WSGID_TRUSTED_PROXY_HEADERS", "X-Whatever", "WSGID-1031"}, {"WSGID_MAP_HEAD_TO_GET", "perhaps", "WSGID-1031"},
			{"WSGID_CALLABLE_OBJECT", "os.system", "WSGID-11"}, {"WSGID_CALLABLE_OBJECT", "__builtins__", "WSGID-11"}, {"WSGID_CALLABLE_OBJECT", "not_callable", "WSGID-11"},
		} {
			if answer := get("/bounded", row.name, row.value); answer.status() < 400 || !answer.ended || !strings.Contains(answer.stdout, "X-WSGID-Error: "+row.code) {
				t.Errorf("%s=%q: %+v, want %s", row.name, row.value, answer, row.code)
			}
		}
		for name := range overridden {
			for _, path := range []string{"/nothing", "/app"} {
				if path == "/app" && !strings.HasSuffix(name, "_GROUP") && name != "WSGID_DISPATCH_SCRIPT" {
					continue // allowed by default
				}
				if answer := get(path, name, "x"); answer.status() != 500 || !strings.Contains(answer.stdout, "WSGID-1032") {
					t.Errorf("%s at %s: %+v", name, path, answer)
				}
			}
		}
		for _, name := range internal {
			if strings.HasPrefix(name, "WSGID_") && !overridden[name] && name != "WSGID_EXEC_CGI" { // that permits, and sets nothing
				ofQuestions := strings.HasPrefix(name, "WSGID_AUTH_") || name == "WSGID_ACCESS_SCRIPT" || name == "WSGID_REQUIRE" // and this is none
				if answer := get("/bounded", name, a.evil); (answer.status() < 400) != ofQuestions || ofQuestions && !strings.Contains(answer.body(), `"entry": "application"`) {
					t.Errorf("%s: %+v", name, answer)
				}
			}
		}
		for _, times := range []int{64, 65, 1000} {
			if answer := get("/bounded", slices.Repeat([]string{"WSGID_PROCESS_GROUP", "only"}, times)...); answer.status() != 200 && answer.status() != 500 {
				t.Errorf("%d times: %+v", times, answer)
			}
		}
	})
	t.Run("of a client nothing counts", func(t *testing.T) {
		for name := range overridden {
			for _, prefix := range []string{"HTTP_", "REDIRECT_", "REDIRECT_REDIRECT_", "HTTP_REDIRECT_", "X", "HTTP_X_", "http_"} {
				for _, path := range []string{"/bounded", "/nothing"} {
					answer := get(path, prefix+name, "other")
					if answer.status() != 200 {
						t.Errorf("%s%s at %s: %+v", prefix, name, path, answer)
						continue
					}
					var v view
					fromJSON(t, answer.body(), &v)
					if v.Entry != "application" || v.UID != 64001 || v.env("mod_wsgi.application_group") != "" {
						t.Errorf("%s%s: %s as %d in %q", prefix, name, v.Entry, v.UID, v.env("mod_wsgi.application_group"))
					}
				}
			}
		}
		for name, start := range map[string]func() *harness.Client{
			"Apache": func() *harness.Client { return a.StartApache(harness.ApacheOptions{Config: proxyAll}).Client },
			"nginx":  a.StartNginx, "lighttpd": a.StartLighttpd, "Caddy": a.StartCaddy,
		} {
			base := start().Base
			for variable := range overridden {
				for _, header := range []string{variable, strings.ReplaceAll(variable, "_", "-"), "REDIRECT_" + variable, "HTTP_" + variable} {
					got := rawHTTP(t, base, "GET /bounded HTTP/1.1\r\nHost: x\r\n"+header+": other_application\r\nConnection: close\r\n\r\n")
					if !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.Contains(got, `"entry": "application"`) || !strings.Contains(got, `"uid": 64001`) {
						t.Errorf("%s, header %s: %.500q", name, header, got)
					}
				}
			}
		}
	})
	a.unharmed(t)
}

// overridden are the parameters that a trusted front server may send.
var overridden = map[string]bool{
	"WSGID_PROCESS_GROUP": true, "WSGID_APPLICATION_GROUP": true, "WSGID_CALLABLE_OBJECT": true, "WSGID_RESTRICT_PROCESS": true, "WSGID_DISPATCH_SCRIPT": true,
	"WSGID_SCRIPT_RELOADING": true, "WSGID_PASS_AUTHORIZATION": true, "WSGID_CHUNKED_REQUEST": true, "WSGID_MAP_HEAD_TO_GET": true,
	"WSGID_TRUSTED_PROXY_HEADERS": true, "WSGID_TRUSTED_PROXIES": true,
	"WSGID_ACCEPT_PATH_INFO": true, "WSGID_ERROR_OVERRIDE": true, "WSGID_IGNORE_ACTIVITY": true,
}

// TestAttackCaptures: what an expression captures of a URL never makes the
// target leave its directory, and no URL makes an expression slow.
func TestAttackCaptures(t *testing.T) {
	match := func(expression, target string) string {
		return fmt.Sprintf("script_alias_match %q {\n  target = \"{{.Dir}}/%s\"\n}\n", expression, target)
	}
	a := startAttacked(t, match("^/file/([^/]*)", "scripts/$1")+match("^/any/(.*)", "scripts/$1")+match("^/suffix/(.*)", "scripts/$1.py")+match("^/twice/(.*)-(.*)", "scripts/$1$2")+
		match("^/named/([a-z]+)/([^/]+)", "scripts/$1/$2.py")+match("(?i)^/info", "scripts/one.py")+match("^/slow/(?=((a+)+)+$)b", "scripts/one.py")+match("^/linear/((a*)*)*$", "scripts/one.py"))
	base := "http://" + a.address
	get := func(target string) string {
		return rawHTTP(t, base, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	}
	for _, known := range []string{"/file/one.py", "/any/sub/two.py/x", "/suffix/one", "/twice/one-.py", "/named/sub/two", "/info"} {
		if got := get(known); !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Fatalf("%s: %.300q", known, got)
		}
	}
	captures := []string{"", ".", "..", "...", "$1", "$0", `\1`, "%24{1}", "../secret/evil.py", "../secret/evil", "/" + a.evil, a.evil, "up/secret/evil.py", "root" + a.evil, "out.py", "absolute.py", "helper", "helper.py",
		"one.py~", "__pycache__/one.cpython-311.pyc", "%00", "one%00", "one.py%00", "one%0a", "%0aone", "one.py/..%2f..%2fsecret/evil.py", strings.Repeat("a", 300), strings.Repeat("a/", 5000), strings.Repeat("../", 2000), "%ff%fe", "-", "--", "..-/secret/evil.py", "..-%2fsecret%2fevil.py"}
	for _, climb := range climbs {
		captures = append(captures, climb+"secret/evil.py", climb+"secret/evil", climb+climb+"secret/evil.py", "sub/"+climb+climb+"secret/evil.py", climb+"-secret/evil.py")
	}
	for i, capture := range captures {
		for j, prefix := range []string{"/file/", "/any/", "/suffix/", "/twice/", "/named/", "/named/sub/", "/info/", "/info"} {
			if !turn(i+j, 3) {
				continue
			}
			target := prefix + capture
			got := get(target)
			a.harmless(t, target, got)
			raw := askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", target))
			a.harmless(t, "undecoded "+target, raw.stdout)
			decoded, err := url.PathUnescape(target)
			if err == nil {
				raw = askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", decoded))
				a.harmless(t, "decoded "+target, raw.stdout)
			}
			if raw.status() == 0 || raw.status() > 500 {
				t.Errorf("%s: %+v", target, raw)
			}
		}
	}
	if got := get("/slow/" + strings.Repeat("a", 5000) + "c"); !strings.HasPrefix(got, "HTTP/1.1 500") || !strings.Contains(got, "WSGID-1030") {
		t.Errorf("an expression that backtracks: %.300q", got)
	}
	if got := get("/linear/" + strings.Repeat("a", 20000) + "c"); !strings.HasPrefix(got, "HTTP/1.1 404") {
		t.Errorf("one that does not: %.300q", got)
	}
	a.unharmed(t)
}

// TestAttackHostChoice: Host headers that try to be two hosts at once choose one
// of the configuration, the same for every way to say it, or none.
func TestAttackHostChoice(t *testing.T) {
	at := func(name string) string { return option("application_group", name) }
	a := startAttacked(t, host("one.test", mount("/site", "apps/environ.py", at("one")))+host("two.test", `server_alias = ["*.two.test"]`, mount("/site", "apps/environ.py", at("two")))+
		mount("/site", "apps/environ.py", at("none")))
	for _, row := range []struct{ host, at string }{
		{"one.test", "one"}, {"ONE.TEST.", "one"}, {"one.test:8080", "one"}, {"x.two.test", "two"},
		{"two.test.evil.test", "none"}, {"evil-two.test", "none"}, {".two.test", "none"}, {"..two.test", "none"}, {"one.test..", "none"}, {"one.test\x00", "none"},
		{"one.test, two.test", "none"}, {"one.test;x", "none"}, {"one.test/two.test", "none"}, {"x@one.test", "none"}, {"one.test@x", "none"}, {"one.test#x", "none"}, {"one.test?x", "none"},
		{`one.test\x`, "none"}, {"one.test x", "none"}, {" one.test", "none"}, {"[one.test]", "none"}, {"[one.test]:80", "none"}, {"*.two.test", "none"}, {"*", "none"}, {"%6fne.test", "none"},
		{"\xc3\xb6ne.test", "none"}, {"one\u3002test", "none"}, {"one.te\u017ft", "none"}, {strings.Repeat("x.", 20000) + "two.test", "none"}, {"", "none"}, {":80", "none"}, {"[::ffff:1.2.3.4%25eth0]", "none"},
	} {
		answer := askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/site", "HTTP_HOST", row.host))
		if answer.status() >= 400 && answer.status() < 500 && row.at == "none" {
			continue
		}
		if answer.status() != 200 {
			t.Errorf("host %.60q: %+v", row.host, answer)
			continue
		}
		var v view
		fromJSON(t, answer.body(), &v)
		if got := v.env("mod_wsgi.application_group"); got != row.at {
			t.Errorf("host %.60q: served by %s, want %s", row.host, got, row.at)
		}
	}
	// Two names at once, and an absolute URI against the header.
	for request, at := range map[string]string{
		"GET /site HTTP/1.1\r\nHost: one.test\r\nHost: two.test\r\n":             "",
		"GET http://one.test/site HTTP/1.1\r\nHost: two.test\r\n":                "one",
		"GET http://x@one.test/site HTTP/1.1\r\nHost: two.test\r\n":              "one",
		"GET /site HTTP/1.1\r\nHost: two.test\r\nX-Forwarded-Host: one.test\r\n": "two",
		"GET //one.test/site HTTP/1.1\r\nHost: two.test\r\n":                     "",
	} {
		got := rawHTTP(t, "http://"+a.address, request+"Connection: close\r\n\r\n")
		if served := strings.Contains(got, `"mod_wsgi.application_group"`); served != (at != "") || served && !strings.Contains(got, `"mod_wsgi.application_group": "`+at+`"`) {
			t.Errorf("%.60q: %.2000q, want %q", request, got, at)
		}
	}
	a.unharmed(t)
}
