package harness

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"text/template"
)

// World is the throw-away directory of one test, and what runs in it.
type World struct {
	T testing.TB
	// Dir is short (sockets have paths of at most 107 bytes) and readable by all users.
	Dir string
	// Binary is this world's own link to wsgid: whatever runs from it belongs to this test.
	Binary string
	// cli is the binary for verbs other than run and serve.
	cli string
	// Socket is the FastCGI listener, Control the control socket, PIDFile the
	// pid file of the configuration that Configure writes.
	Socket, Control, PIDFile string
	// Environment is added to that of the verbs that CLI runs.
	Environment []string
}

// New makes a world that is removed at the end of the test.
func New(t testing.TB, binary *Binary) *World {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid-")
	if err != nil {
		t.Fatal(err)
	}
	w := &World{T: t, Dir: dir, cli: binary.CLI}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.must(os.Chmod(dir, 0o755))
	w.must(os.Mkdir(w.Path("run"), 0o755))
	w.Binary = w.Path("wsgid")
	w.must(os.Link(binary.Path, w.Binary))
	w.Socket, w.Control, w.PIDFile = w.Path("run/wsgid.sock"), w.Path("run/control.sock"), w.Path("run/wsgid.pid")
	return w
}

// Path of a file in the world.
func (w *World) Path(name string) string { return filepath.Join(w.Dir, name) }

// Write writes a file that everybody can read, and returns its path. A file
// that exists is replaced at once, as an editor or a deployment does it.
func (w *World) Write(name, content string) string {
	w.T.Helper()
	path := w.Path(name)
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path+".new", []byte(content), 0o644))
	w.must(os.Rename(path+".new", path))
	return path
}

// App copies one of tests/apps (a file or a directory) into the world, where
// the users of the groups can read it, and returns its path.
func (w *World) App(name string) string {
	w.T.Helper()
	target := w.Path(filepath.Join("apps", name))
	source := filepath.Join(Apps(), name)
	w.must(filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("walking %s: %w", path, err)
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return fmt.Errorf("naming %s: %w", path, err)
		}
		to := filepath.Join(target, relative)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if strings.HasSuffix(path, ".pyc") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o644)
	}))
	return target
}

// Apps is the directory of the small applications, tests/apps.
func Apps() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../apps")
}

// Configure writes wsgid.hcl: a FastCGI listener, the control socket, JSON
// logs, and body. In body {{.Dir}} is the world's directory.
func (w *World) Configure(body string) string {
	w.T.Helper()
	return w.Write("wsgid.hcl", w.Expand(`
listen "unix" {
  path = "{{.Socket}}"
}
control {
  path     = "{{.Control}}"
  pid_file = "{{.PIDFile}}"
}
log {
  format = "json"
  level  = "debug"
}
`)+w.Expand(body))
}

// Expand fills {{.Dir}}, {{.Socket}}, {{.Control}} and {{.PIDFile}} in.
func (w *World) Expand(text string) string {
	w.T.Helper()
	parsed, err := template.New("text").Parse(text)
	w.must(err)
	var out strings.Builder
	w.must(parsed.Execute(&out, w))
	return out.String()
}

func (w *World) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}
