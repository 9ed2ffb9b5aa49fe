package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPeersServe: every server that the tests have installed starts from the configuration that
// the benchmark writes for it, and answers without an error.
func TestPeersServe(t *testing.T) {
	dir := t.TempDir()
	for name, pkg := range map[string]string{"wsgid": "../../cmd/wsgid", "bench": "."} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, out)
		}
	}
	servers := slices.DeleteFunc(peerNames(peers()), func(name string) bool { return name == "uwsgi" || name == "gunicorn" })
	bench := exec.Command(filepath.Join(dir, "bench"), "-wsgid", filepath.Join(dir, "wsgid"), "-only", strings.Join(servers, ","),
		"-workloads", "hello-1,stream", "-rounds", "1", "-seconds", "0.05")
	out, err := bench.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, p := range peers() {
		if slices.Contains(servers, p.name) && strings.Count(string(out), "| "+p.title+" |") != 3 { // two workloads, and the memory
			t.Errorf("%s is missing:\n%s", p.name, out)
		}
	}
	if !strings.Contains(string(out), "errors of wsgid in all workloads: 0.00, wanted at most 0: **met**") {
		t.Errorf("%s", out)
	}
}
