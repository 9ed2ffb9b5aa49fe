package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestInclude: a configuration of several files, found by globs, in the order
// of their names; a mistake is told with the file that has it.
func TestInclude(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.App("hello.py")
	w.Write("conf.d/10-groups.hcl", group("only", "#64001", 1, 2))
	w.Write("conf.d/20-special.hcl", w.Expand(mount("/app/special", "apps/environ.py", option("callable_object", "other_application"))))
	w.Write("conf.d/30-rest.hcl", w.Expand(mount("/app", "apps/environ.py")))
	w.Write("conf.d/40-ignored.txt", "nonsense {")
	w.Configure("include = [\"conf.d/*.hcl\", \"none.d/*.hcl\"]\n" + mount("/", "apps/hello.py"))
	if code, out, errs := w.CLI("check", "--config", w.Path("wsgid.hcl")); code != 0 {
		t.Fatalf("check ended with %d: %s%s", code, out, errs)
	}
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for path, want := range map[string]string{"/app/x": "application", "/app/special": "other_application"} {
		if got := look(t, apache.Get(path)).Entry; got != want {
			t.Errorf("%s is answered by %s, want %s", path, got, want)
		}
	}
	// The other verbs find the control socket in the configuration.
	if code, out, errs := w.CLI("status", "--config", w.Path("wsgid.hcl")); code != 0 || !strings.Contains(out, "only") || !strings.Contains(out, "RESTARTS") {
		t.Errorf("status --config ended with %d: %s%s", code, out, errs)
	}
	w.Write("conf.d/30-rest.hcl", "script_alias \"/app\" {\n  tarket = \"/x\"\n}\n")
	code, out, errs := w.CLI("check", "--config", w.Path("wsgid.hcl"))
	if code != 1 || !strings.Contains(out+errs, "conf.d/30-rest.hcl line 2") || !strings.Contains(out+errs, `"target"`) {
		t.Errorf("check ended with %d: %s%s", code, out, errs)
	}
	if code, out, errs := w.CLI("stop", "--config", w.Path("wsgid.hcl")); code != 0 {
		t.Errorf("stop --config beside a mistake elsewhere ended with %d: %s%s", code, out, errs)
	}
	if code := wsgid.AwaitExit(); code != 0 {
		t.Errorf("wsgid ended with %d", code)
	}
	wsgid.AssertGone()
}
