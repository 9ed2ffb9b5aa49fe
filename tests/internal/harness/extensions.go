package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Extensions compiles the extension modules of pyshim/testdata/extensions into
// the world, for any Python with a GIL, and returns their directory.
func (w *World) Extensions() string {
	w.T.Helper()
	Need(w.T, "gcc")
	_, file, _, _ := runtime.Caller(0)
	sources, err := filepath.Glob(filepath.Join(filepath.Dir(file), "../../../pyshim/testdata/extensions/*.c"))
	w.must(err)
	dir := w.Path("extensions")
	w.must(os.MkdirAll(dir, 0o755))
	for _, source := range sources {
		target := filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".c")+".so")
		if out, err := exec.Command("gcc", "-std=gnu11", "-O1", "-fPIC", "-shared", "-o", target, source).CombinedOutput(); err != nil {
			w.T.Fatalf("compiling %s: %v\n%s", source, err, out)
		}
	}
	return dir
}
