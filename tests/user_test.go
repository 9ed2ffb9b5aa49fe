package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestOrdinaryUser: started by an ordinary user, everything runs as that user.
func TestOrdinaryUser(t *testing.T) { inBoth(t, testOrdinaryUser) }

func testOrdinaryUser(t *testing.T, helper string) {
	harness.NeedRoot(t) // to become somebody else
	const uid = 64010
	w := newWorld(t)
	w.App("environ.py")
	w.App("body_hash.py")
	w.Write("dispatch.py", "import os\ndef application_group(environ):\n    return 'script-%d-%d' % (os.getpid(), os.getuid())\n")
	w.Configure(helper + "daemon_process \"web\" {\n  processes = 2\n  threads = 2\n}\ndispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/hash", "apps/body_hash.py") + mount("/", "apps/environ.py"))
	// Apache runs as another user: the file mode of the socket lets only its
	// owner and group in, so this Apache reaches it over TCP.
	address := freeAddress(t)
	w.Write("wsgid.hcl", w.Expand(readFile(t, w.Path("wsgid.hcl"))+"\nlisten \"tcp\" {\n  address = \""+address+"\"\n}\n"))
	wsgid := w.Start(harness.Options{UID: uid})
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPass \"/\" \"fcgi://" + address + "/\" enablereuse=on\n"})
	for range 6 {
		v := look(t, apache.Get("/"))
		if v.UID != uid || v.EUID != uid || v.GID != uid {
			t.Errorf("the application runs as %d/%d:%d", v.UID, v.EUID, v.GID)
		}
		if got := v.env("mod_wsgi.application_group"); !strings.HasSuffix(got, "-64010") {
			t.Errorf("the dispatch script ran in %s", got)
		}
	}
	upload(t, apache.Client, "/hash", payload(1<<20), false)
	for _, process := range wsgid.Mine() {
		if process.UID != uid {
			t.Errorf("runs as somebody else: %v", process)
		}
	}
	if user := wsgid.Status().Router.UID; user != uid {
		t.Errorf("status says that the router runs as %d", user)
	}
	if code, _, errs := w.CLIAs(uid, "stop", "--control", w.Control); code != 0 {
		t.Errorf("stop by the same user: %d %s", code, errs)
	}
	wsgid.AwaitExit()
	wsgid.AssertGone()
}

// TestOrdinaryUserCannotSwitch: asking for another user is an error that says so.
func TestOrdinaryUserCannotSwitch(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("web", "#64001", 1, 1) + mount("/", "apps/hello.py"))
	for _, verb := range []string{"check", "run"} {
		code, out, errs := w.CLIAs(64010, verb, "--config", w.Path("wsgid.hcl"))
		if code != 1 || !strings.Contains(out+errs, "not started as root") || !strings.Contains(out+errs, "#64001") {
			t.Errorf("%s: %d %s%s", verb, code, out, errs)
		}
	}
}
