package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestOnlyAuthorizer: a listener with responder = false answers who is let in
// and nothing else: no application runs for whoever reaches it, on whatever
// connection, and with whatever name he gives himself.
func TestOnlyAuthorizer(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	script := w.Path("apps/authenticate.py")
	port := freeAddress(t)
	limits := "  authorizer = true\n  responder = false\n  trust_front_server = true\n}\n"
	w.Configure("listen \"unix\" {\n  path = \"{{.Dir}}/run/trusted.sock\"\n  trust_front_server = true\n}\nlisten \"unix\" {\n  path = \"{{.Dir}}/run/auth.sock\"\n" + limits + "listen \"tcp\" {\n" + option("address", port) + "\n" + limits +
		w.Expand(authScripts) + group("only", "#64001", 1, 2) + "script_root \"{{.Dir}}/apps\" {\n  process_group = \"only\"\n}\n" +
		mount("/", "apps/acceptance_environ.py", option("auth_user_script", script)))
	wsgid := w.Start(harness.Options{})
	plain := w.Socket
	w.Socket = w.Path("run/auth.sock")
	question := slices.Concat(fcgiBegin(2), fcgiStream(fcgiParams, fcgiPairs("REQUEST_METHOD", "GET", "REQUEST_URI", "/x", "FCGI_APACHE_ROLE", "AUTHENTICATOR",
		"REMOTE_USER", "alice", "REMOTE_PASSWD", "secret of alice")))
	if answer := askRaw(t, w, question); answer.status() != http.StatusOK || !answer.ended {
		t.Errorf("the question that it is there for: %+v", answer)
	}
	request := []string{"REQUEST_METHOD", "GET", "REQUEST_URI", "/x", "SCRIPT_NAME", "/x", "REMOTE_USER", "mallory", "AUTH_TYPE", "Basic"}
	for what, more := range map[string][]string{
		"nothing": {}, "the name of the role": {"FCGI_ROLE", "AUTHORIZER", "FCGI_APACHE_ROLE", "AUTHENTICATOR"}, "a group": {"WSGID_PROCESS_GROUP", "only"},
		"a handler": {"WSGID_HANDLER", "x"}, "a file": {"WSGID_EXEC_CGI", "1", "SCRIPT_FILENAME", w.Path("apps/acceptance_environ.py")}, "an empty mark": {"WSGID_AUTH_REQUEST", ""},
	} {
		answer := askRaw(t, w, fcgiRequest(append(slices.Clone(request), more...)...))
		if answer.status() != http.StatusForbidden || !strings.Contains(answer.stdout, "WSGID-1048") || !answer.ended {
			t.Errorf("a request with %s: %+v", what, answer)
		}
	}
	if answer := askRaw(t, w, fcgiRequest(append(request, "WSGID_AUTH_REQUEST", "1")...)); answer.status() == http.StatusOK {
		t.Errorf("a marked request: %+v", answer)
	}
	w.Socket = plain
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPass \"/by-port\" \"fcgi://" + port + "\" enablereuse=on\n" + harness.ProxyPass})
	for range 3 { // also on a connection that is kept
		if got := apache.Do("POST", "/by-port/x", strings.NewReader(strings.Repeat("body", 100000))); got.Status != http.StatusForbidden || !strings.Contains(got.Text(), "WSGID-1048") {
			t.Errorf("behind Apache: %d %.200s", got.Status, got.Body)
		}
	}
	wsgid.Log.Await(t, "which listener", harness.Containing("WSGID-1048", "responder = false", port))
	if requests := wsgid.AwaitIdle().Group("only").Requests; requests != 0 {
		t.Errorf("%d requests reached the application", requests)
	}
	if d := dispatchTest(t, w, true, "--uri", "/x", "--listener", port); d.Refusal == nil || d.Refusal.Code != "WSGID-1048" {
		t.Errorf("dispatch test: %+v", d)
	}
	if d := dispatchTest(t, w, false, "--uri", "/x", "--env", "WSGID_REQUIRE=valid-user"); d.Decision == nil || d.Decision.ProcessGroup != "only" {
		t.Errorf("dispatch test by the listener that serves: %+v", d)
	}
	if got := apache.Get("/x"); got.Status != http.StatusOK {
		t.Errorf("the listener for applications: %d %.200s", got.Status, got.Body)
	}
}
