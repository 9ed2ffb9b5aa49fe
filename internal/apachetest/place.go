package apachetest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Place is a directory that stands for Prefix.
type Place struct {
	Dir string
	// Root is the ServerRoot: configurations and their folders lie there.
	Root        string
	environment map[string]string
	logs        string
}

// NewPlace makes one, which goes with the test.
func NewPlace(t testing.TB) *Place {
	t.Helper()
	dir := t.TempDir()
	p := &Place{Dir: dir, Root: filepath.Join(dir, "conf"), logs: filepath.Join(dir, "log")}
	p.environment = map[string]string{"APACHE_LOG_DIR": p.logs, "APACHE_RUN_DIR": filepath.Join(dir, "run")}
	for _, name := range []string{p.Root, p.logs, filepath.Join(dir, "run"), filepath.Join(p.Root, "logs")} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(modules, filepath.Join(p.Root, "modules")); err != nil {
		t.Fatal(err)
	}
	return p
}

// AccessDir is where Put puts a .htaccess.
func (p *Place) AccessDir() string { return filepath.Join(p.Dir, "htdocs") }

// Environment looks up a variable that Apache is started with there.
func (p *Place) Environment(name string) (value string, known bool) {
	value, known = p.environment[name]
	return value, known
}

// Here is a text with the place put for Prefix.
func (p *Place) Here(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte(Prefix), []byte(p.Dir))
}

// Put writes a configuration into the place, with the files that it includes, and
// makes what they name. It gives the name of the file; of one for .htaccess, of a
// file that allows it.
func (p *Place) Put(t testing.TB, c *Configuration) string {
	t.Helper()
	name := filepath.Join(p.Root, c.Name)
	if c.Access() {
		p.write(t, filepath.Join(p.AccessDir(), ".htaccess"), c.Source)
		p.write(t, name, fmt.Appendf(nil, "DocumentRoot %[1]q\n<Directory %[1]q>\n    AllowOverride All\n    Require all granted\n</Directory>\n", p.AccessDir()))
	} else {
		p.write(t, name, c.Source)
	}
	err := filepath.WalkDir(c.Folder(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading what is included: %w", err)
		}
		below, err := filepath.Rel(filepath.Dir(c.Path), path)
		if err == nil {
			p.write(t, filepath.Join(p.Root, below), source)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return name
}

// named finds what configurations name below Prefix.
var named = regexp.MustCompile(Prefix + `/[^\s"':;,<>]*`)

// write is for configurations.
func (p *Place) write(t testing.TB, name string, source []byte) {
	t.Helper()
	for _, path := range named.FindAllString(string(source), -1) {
		if end := strings.IndexAny(path, `$*?[(\{|=^%`); end >= 0 { // a pattern: where it begins
			path = path[:strings.LastIndexByte(path[:end], '/')]
		}
		if rest := strings.TrimPrefix(filepath.Clean(path), Prefix); rest != "" && !strings.HasPrefix(rest, "/conf/") {
			p.create(t, filepath.Join(p.Dir, rest))
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, p.Here(source), 0o644); err != nil {
		t.Fatal(err)
	}
}

const application = `def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("SCRIPT_NAME", "").encode("latin-1")]


app = main = handle_request = application
`

// create makes what a configuration names, unless it is there: the ending says
// what it is, a name without one is a directory but for programs in bin.
func (p *Place) create(t testing.TB, name string) {
	t.Helper()
	var content []byte
	switch ext := filepath.Ext(name); {
	case ext == ".py" || ext == ".wsgi" || filepath.Base(filepath.Dir(name)) == "bin":
		content = []byte(application)
	case ext == ".pem" || ext == ".crt" || ext == ".key":
		certificate, key := SelfSigned(t, "example.org", "*.example.org")
		content = append(certificate, key...) // a configuration may name it as either
	case ext == ".html" || ext == ".txt" || ext == ".ico" || ext == ".htpasswd" || ext == ".groups":
		content = []byte("\n")
	case ext == ".log" || ext == ".pid":
		name = filepath.Dir(name)
		fallthrough
	default:
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := os.Stat(name); err == nil {
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
