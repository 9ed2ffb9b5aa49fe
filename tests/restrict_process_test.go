package tests

import (
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestRestrictProcess: a dispatch script and an expansion that listens to the
// client choose among the permitted process groups and no others.
func TestRestrictProcess(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("dispatch.py", "def process_group(environ):\n    return environ.get('HTTP_X_GROUP')\n")
	w.Configure(group("a", "#64001", 1, 2) + group("b", "#64002", 1, 2) + group("c", "#64003", 1, 2) +
		"router {\n  restrict_process = [\"a\", \"b\"]\n}\ndispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/env", "apps/environ.py", option("process_group", "%{ENV:HTTP_X_OTHER}")) +
		mount("/own", "apps/environ.py", option("process_group", "c"), `restrict_process = ["c", "%{GLOBAL}"]`) +
		mount("/", "apps/environ.py", option("process_group", "a")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	router := wsgid.Status().Router.UID
	for _, row := range []struct {
		path, header string
		uid          int // 0: refused
	}{
		{"/", "", 64001}, {"/", "X-Group: b", 64002}, {"/", "X-Group: c", 0}, {"/", "X-Group: %{GLOBAL}", 0},
		{"/own", "", 64003}, {"/own", "X-Group: %{GLOBAL}", router}, {"/own", "X-Group: a", 0},
		{"/env", "X-Other: b", 64002}, {"/env", "X-Other: c", 0}, {"/env", "X-Group: a", 64001},
	} {
		var headers []string
		if row.header != "" {
			headers = append(headers, row.header)
		}
		mark := wsgid.Log.Mark()
		got := apache.Get(row.path, headers...)
		if row.uid == 0 {
			wantError(t, got, 500, "WSGID-1005")
			wsgid.Log.AwaitFrom(t, mark, "the refusal with its reason", harness.Containing("WSGID-1005", `"restrict_process":`, `"@level":"error"`))
			continue
		}
		if v := look(t, got); v.UID != row.uid {
			t.Errorf("%s %s: uid %d, want %d", row.path, row.header, v.UID, row.uid)
		}
	}
}
