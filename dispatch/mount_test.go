package dispatch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

func mustWrite(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustLink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestMounts(t *testing.T) {
	dir := t.TempDir()
	scripts := filepath.Join(dir, "scripts")
	mustWrite(t, filepath.Join(scripts, "foo"))
	mustWrite(t, filepath.Join(scripts, "sub", "bar.wsgi"))
	mustWrite(t, filepath.Join(dir, "outside.wsgi"))
	mustLink(t, filepath.Join(dir, "outside.wsgi"), filepath.Join(scripts, "out"))
	mustLink(t, dir, filepath.Join(scripts, "up"))
	mustLink(t, "foo", filepath.Join(scripts, "link"))
	linked := filepath.Join(dir, "linked")
	mustLink(t, scripts, linked)
	table := newMountTable([]wire.Mount{
		{Prefix: "/first", Target: "/a/first.wsgi"},
		{Prefix: "/first/longer", Target: "/a/never.wsgi"},
		{Prefix: "/name", Target: "/a/app.wsgi"},
		{Prefix: "/t/", Target: "/a/app.py"},
		{Prefix: "/w/", Target: scripts, Directory: true},
		{Prefix: "/v", Target: linked, Directory: true},
		{Prefix: "/double//slash", Target: "/a/double.wsgi"},
		{Prefix: "/%41", Target: "/a/percent.wsgi"},
		{Prefix: "/caf\xc3\xa9", Target: "/a/cafe.wsgi"},
	})
	root := newMountTable([]wire.Mount{{Prefix: "/", Target: "/a/app.wsgi"}})
	rootDir := newMountTable([]wire.Mount{{Prefix: "/", Target: scripts, Directory: true}})
	s := func(name string) string { return filepath.Join(scripts, name) }
	tests := []struct {
		table                       mountTable
		scriptName, pathInfo, front string
		script, wantName, wantInfo  string
		code                        errcode.Code
	}{
		{table: root, pathInfo: "/x/y", script: "/a/app.wsgi", wantInfo: "/x/y"},
		{table: root, pathInfo: "/", script: "/a/app.wsgi", wantInfo: "/"},
		{table: root, scriptName: "/x", pathInfo: "/y", script: "/a/app.wsgi", wantInfo: "/x/y"},
		{table: root, pathInfo: "//x///y/", script: "/a/app.wsgi", wantInfo: "/x/y/"},
		{table: root, pathInfo: "/a/../../etc/./x/..", script: "/a/app.wsgi", wantInfo: "/etc/"},
		{table: root, script: "/a/app.wsgi", wantInfo: "/"},
		{table: table, pathInfo: "/name", script: "/a/app.wsgi", wantName: "/name"},
		{table: table, pathInfo: "/name/", script: "/a/app.wsgi", wantName: "/name", wantInfo: "/"},
		{table: table, scriptName: "/name/x", script: "/a/app.wsgi", wantName: "/name", wantInfo: "/x"},
		{table: table, scriptName: "/name", pathInfo: "/x\r\n", script: "/a/app.wsgi", wantName: "/name", wantInfo: "/x\r\n"},
		{table: table, pathInfo: "/names", code: errcode.NoMount},
		{table: table, pathInfo: "/Name", code: errcode.NoMount},
		{table: table, pathInfo: "/first/longer", script: "/a/first.wsgi", wantName: "/first", wantInfo: "/longer"},
		{table: table, pathInfo: "/name/../t/", script: "/a/app.py", wantName: "/t/"},
		{table: table, pathInfo: "/t/x", code: errcode.ScriptNotFound},
		{table: table, pathInfo: "/t", code: errcode.NoMount},
		{table: table, pathInfo: "/w/foo/bar", script: s("foo"), wantName: "/w/foo", wantInfo: "/bar"},
		{table: table, pathInfo: "/w/foo", script: s("foo"), wantName: "/w/foo"},
		{table: table, pathInfo: "/w/sub/bar.wsgi/x", script: s("sub/bar.wsgi"), wantName: "/w/sub/bar.wsgi", wantInfo: "/x"},
		{table: table, pathInfo: "/w/missing", code: errcode.ScriptNotFound},
		{table: table, pathInfo: "/w/", code: errcode.DirectoryTarget},
		{table: table, pathInfo: "/w/sub", code: errcode.DirectoryTarget},
		{table: table, pathInfo: "/w/sub/", code: errcode.DirectoryTarget},
		{table: table, pathInfo: "/w", code: errcode.NoMount},
		{table: table, pathInfo: "/w/../outside.wsgi", code: errcode.NoMount},
		{table: table, pathInfo: "/w/out", code: errcode.OutsideRoots},
		{table: table, pathInfo: "/w/up/outside.wsgi", code: errcode.OutsideRoots},
		{table: table, pathInfo: "/w/link/x", script: s("link"), wantName: "/w/link", wantInfo: "/x"},
		{table: table, pathInfo: "/w/fo\x00o", code: errcode.ScriptNotFound},
		{table: table, pathInfo: "/v", code: errcode.DirectoryTarget},
		{table: table, pathInfo: "/v/foo", script: linked + "/foo", wantName: "/v/foo"},
		{table: rootDir, pathInfo: "/foo/x", script: s("foo"), wantName: "/foo", wantInfo: "/x"},
		{table: rootDir, pathInfo: "/", code: errcode.DirectoryTarget},
		{table: table, pathInfo: "/double///slash/x", script: "/a/double.wsgi", wantName: "/double/slash", wantInfo: "/x"},
		{table: table, pathInfo: "/A", code: errcode.NoMount},
		{table: table, pathInfo: "/%41", script: "/a/percent.wsgi", wantName: "/%41"},
		{table: table, pathInfo: "/caf\xc3\xa9/x", script: "/a/cafe.wsgi", wantName: "/caf\xc3\xa9", wantInfo: "/x"},

		// The front server's own mapping, where no mount matches.
		{table: table, scriptName: "/other", pathInfo: "/x//y", front: "proxy:fcgi://localhost/a/app.wsgi",
			script: "/a/app.wsgi", wantName: "/other", wantInfo: "/x/y"},
		{table: table, scriptName: "/other", front: "proxy:unix:/run/s.sock|fcgi://h:9000//a/app.wsgi", script: "/a/app.wsgi", wantName: "/other"},
		{table: table, scriptName: "/other", front: "/a/app.wsgi", script: "/a/app.wsgi", wantName: "/other"},
		{table: table, scriptName: "/o/foo", pathInfo: "/x", front: "proxy:fcgi://h" + s("foo"), script: s("foo"), wantName: "/o/foo", wantInfo: "/x"},
		{table: table, scriptName: "/o/foo", front: s("sub/../../outside.wsgi"), code: errcode.OutsideRoots},
		{table: table, scriptName: "/o/foo", front: s("foo/more"), code: errcode.NoMount},
		{table: table, scriptName: "/o/foo", front: "/etc/passwd", code: errcode.OutsideRoots},
		{table: table, scriptName: "/o/foo", front: "/no/such", code: errcode.NoMount},
		{table: table, scriptName: "/o/foo", front: s("out"), code: errcode.OutsideRoots},

		// The URL in the place of a file: the client has chosen it.
		{table: table, scriptName: "/a/app.wsgi", front: "proxy:fcgi://h/a/app.wsgi", code: errcode.NoMount},
		{table: table, scriptName: "/a/app.wsgi/", front: "proxy:fcgi://h/a/app.wsgi/", code: errcode.NoMount},
		{table: table, scriptName: "/pp/a/app.wsgi", front: "proxy:fcgi://h/a/app.wsgi", code: errcode.NoMount},
		{table: table, scriptName: "/a", pathInfo: "/app.wsgi", front: "/a/app.wsgi", code: errcode.NoMount},
		{table: table, pathInfo: "/a/./x/..//app.wsgi", front: "/a/./x/..//app.wsgi", code: errcode.NoMount},
		{table: table, scriptName: s("foo"), front: "proxy:fcgi://h" + s("foo"), code: errcode.NoMount},
		{table: table, scriptName: "/etc/passwd", front: "proxy:fcgi://h/etc/passwd", code: errcode.NoMount},
	}
	for _, tt := range tests {
		var e environ
		kv := []string{"SCRIPT_NAME", tt.scriptName, "PATH_INFO", tt.pathInfo}
		if tt.front != "" {
			kv = append(kv, "SCRIPT_FILENAME", tt.front)
		}
		var b []byte
		for i := 0; i < len(kv); i += 2 {
			b = protocol.AppendPair(b, kv[i], kv[i+1])
		}
		p := protocol.NewPairs(b, protocol.Limits{})
		e.reset()
		for {
			name, value, ok := p.Next()
			if !ok {
				break
			}
			e.add(name, value)
		}
		got, r := tt.table.find(&e, e.urlPath(nil))
		if tt.code != 0 {
			if r == nil || r.code != tt.code {
				t.Errorf("%q %q %q: %+v %+v, want %s", tt.scriptName, tt.pathInfo, tt.front, got, r, tt.code)
			}
			continue
		}
		if r != nil || got.script != tt.script || string(got.scriptName) != tt.wantName || string(got.pathInfo) != tt.wantInfo {
			t.Errorf("%q %q %q: script %q name %q info %q refusal %+v", tt.scriptName, tt.pathInfo, tt.front,
				got.script, got.scriptName, got.pathInfo, r)
		}
	}
}

func TestURLPathFromRequestURI(t *testing.T) {
	for uri, want := range map[string]string{
		"/a%20b//c?x=/y":          "/a b/c",
		"http://h:1/x/../y%2Fz?q": "/y/z",
		"http://h":                "/",
		"":                        "/",
		"/%zz%4":                  "/%zz%4",
		"/..%2f..%2fx":            "/x",
	} {
		var e environ
		if err := e.parse(pairsOf("REQUEST_URI", uri), protocol.Limits{}); err != nil {
			t.Fatal(err)
		}
		if got := string(e.urlPath(nil)); got != want {
			t.Errorf("%q: %q, want %q", uri, got, want)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("/a/../b//c/./d/..")
	f.Add("/../../..")
	f.Fuzz(func(t *testing.T, s string) {
		p := normalize([]byte("/" + s))
		if len(p) == 0 || p[0] != '/' {
			t.Fatalf("%q became %q", s, p)
		}
		again := string(normalize([]byte(string(p))))
		if again != string(p) {
			t.Fatalf("%q: %q, then %q", s, p, again)
		}
	})
}
