package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBuildsThatCannotWork: without cgo, and as a static binary, wsgid could
// not load libpython; such a build fails and says why.
func TestBuildsThatCannotWork(t *testing.T) {
	for _, test := range []struct {
		name, environment string
		arguments         []string
		want              string
	}{
		{"without cgo", "CGO_ENABLED=0", nil, "wsgid_needs_cgo_and_gcc_because_it_loads_libpython_at_run_time"},
		{"static", "CGO_ENABLED=1", []string{"-ldflags=-extldflags=-static"}, "wsgid_cannot_be_linked_statically_because_it_loads_libpython_with_dlopen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			build := exec.Command("go", append([]string{"build", "-o", os.DevNull}, append(test.arguments, ".")...)...)
			build.Env = append(os.Environ(), test.environment)
			out, err := build.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
