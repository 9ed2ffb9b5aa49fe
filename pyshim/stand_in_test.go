package pyshim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn makes a prefix whose library says that it is a version, and is
// ctest/stand_in.c: it answers what it was told instead of starting.
func standIn(t *testing.T, name, version string) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), name)
	for _, dir := range []string{"bin", "lib"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "bin", name), []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(name, filepath.Join(home, "bin", "python3")); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(home, "lib", "lib"+name+".so.1.0")
	out, err := exec.Command("gcc", "-std=gnu11", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter", "-I.", "-fPIC", "-shared",
		`-DVERSION="`+version+`"`, "-o", library, "ctest/stand_in.c", "ctest/stand_in_rest.c").CombinedOutput()
	if err != nil {
		t.Fatalf("compile the stand-in: %v\n%s", err, out)
	}
	return home
}

// TestPythonsThatAreNotHere: what 3.14 and free-threaded builds are told when
// they start. The order is that of the calls.
func TestPythonsThatAreNotHere(t *testing.T) {
	s := newStarter(t)
	plain := standIn(t, "python3.14", "3.14.0 (main, Oct 7 2025) [GCC 14]")
	free13 := standIn(t, "python3.13t", "3.13.1 experimental free-threading build (main)")
	free14 := standIn(t, "python3.14t", "3.14.0 free-threading build (main)")
	const told14 = "program_name= /python3 install_signal_handlers=0 use_environment=1 user_site_directory=1 "
	for _, row := range []struct {
		name, home, role string
		env              []string
		want             string
	}{
		{"3.14 worker", plain, "worker", []string{"TEST_ARGUMENTS=-O", "TEST_VARIABLES=PYTHONHASHSEED=5"}, ": stand-in: -O PYTHONHASHSEED= 5 \n"},
		{"3.14 router", plain, "router", []string{"TEST_VARIABLES=PYTHONOPTIMIZE=1"}, ": " + told14 + "PYTHONOPTIMIZE= 1 \n"},
		{"3.14 asked for free-threading", plain, "worker", []string{"TEST_FREE_THREADING=1"}, "free_threading needs a free-threaded build of Python (python3.13t or later)"},
		{"3.13t worker has the GIL", free13, "worker", nil, ": stand-in: -X gil=1 \n"},
		{"3.13t worker without", free13, "worker", []string{"TEST_FREE_THREADING=1", "TEST_ARGUMENTS=-B"}, ": stand-in: -B -X gil=0 \n"},
		{"3.14t worker without", free14, "worker", []string{"TEST_FREE_THREADING=1"}, ": stand-in: -X gil=0 \n"},
		{"3.14t router has the GIL", free14, "router", nil, told14 + "PYTHON_GIL= 1 \n"},
		{"3.14t router without", free14, "router", []string{"TEST_FREE_THREADING=1"}, told14 + "PYTHON_GIL= 0 \n"},
		{"no GIL of its own before 3.12", plain, "worker", []string{"TEST_INTERPRETERS==x\town_gil\t1"}, "per_interpreter_gil needs Python 3.12 or later"},
		{"no GIL to have", free14, "worker", []string{"TEST_INTERPRETERS==x\town_gil\t1", "TEST_FREE_THREADING=1"}, ": stand-in: -X gil=0 \n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if out, err := s.run(row.role, row.home, "", "", row.env); err == nil || !strings.Contains(out, row.want) {
				t.Errorf("%v: got %s\nwant %s", err, out, row.want)
			}
		})
	}
}
