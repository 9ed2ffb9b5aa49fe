package dispatch

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// mapped is where a path ends in one mount: script, SCRIPT_NAME and PATH_INFO,
// or a code.
type mapped struct {
	script, name, info string
	code               errcode.Code
}

func mapPath(t *testing.T, mounts []wire.Mount, path string) mapped {
	t.Helper()
	var e environ
	if err := e.parse(pairsOf("SCRIPT_NAME", path), protocol.Limits{}); err != nil {
		t.Fatal(err)
	}
	got, r := newMountTable(mounts).find(&e, e.urlPath(nil))
	if r != nil {
		return mapped{code: r.code}
	}
	return mapped{script: got.script, name: string(got.scriptName), info: string(got.pathInfo)}
}

// TestPatterns are the rows about WSGIScriptAliasMatch and about targets with
// something behind a file of the mod_wsgi behaviour, sections 3.1, 3.2, 14.3.
func TestPatterns(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"app.py", "w/foo.wsgi", "w/sub/x.wsgi", "w/a$1.wsgi", "secret.wsgi", "w/caf\xc3\xa9.wsgi"} {
		mustWrite(t, at(name))
	}
	mustLink(t, at("secret.wsgi"), at("w/out.wsgi"))
	mustLink(t, dir, at("w/up"))
	mustLink(t, at("w/foo.wsgi"), at("w/in.wsgi"))
	file := func(pattern, more string) wire.Mount {
		return wire.Mount{Prefix: pattern, Match: true, Target: at("app.py"), Append: more}
	}
	below := func(pattern, more string) wire.Mount {
		return wire.Mount{Prefix: pattern, Match: true, Target: at("w"), Directory: true, Append: more}
	}
	for _, tt := range []struct {
		mount wire.Mount
		path  string
		want  mapped
	}{
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/foo/bar", mapped{script: at("w/foo.wsgi"), name: "/w/foo", info: "/bar"}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/foo", mapped{script: at("w/foo.wsgi"), name: "/w/foo"}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/foo/", mapped{script: at("w/foo.wsgi"), name: "/w/foo", info: "/"}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "//w///foo//bar", mapped{script: at("w/foo.wsgi"), name: "/w/foo", info: "/bar"}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/missing/bar", mapped{code: errcode.ScriptNotFound}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/", mapped{code: errcode.NoMount}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/W/foo", mapped{code: errcode.NoMount}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/caf\xc3\xa9/x", mapped{script: at("w/caf\xc3\xa9.wsgi"), name: "/w/caf\xc3\xa9", info: "/x"}},
		{below(`^/w/([a-z]+)`, "/$1.wsgi"), "/w/foo2/bar", mapped{code: errcode.ScriptNotFound}}, // foo.wsgi2
		{below(`^/w/(.*)$`, "/$1"), "/w/sub/x.wsgi/more", mapped{script: at("w/sub/x.wsgi"), name: "/w/sub/x.wsgi", info: "/more"}},
		{below(`^/w/(.*)$`, "/$1"), "/w/sub", mapped{code: errcode.DirectoryTarget}},
		{below(`^/x`, `/a\$1.wsgi$2`), "/x/y", mapped{script: at("w/a$1.wsgi"), name: "/x", info: "/y"}},
		{below(`^/foo`, "$0.wsgi"), "/foo/y", mapped{script: at("w/foo.wsgi"), name: "/foo", info: "/y"}},
		{below(`^/foo`, "$0.wsgi"), "/foo.wsgi/y", mapped{code: errcode.ScriptNotFound}}, // foo.wsgi.wsgi
		{below(`^/(f)(o)(o)|(b)`, "/$1$2$3$4$9.wsgi"), "/foo/b", mapped{script: at("w/foo.wsgi"), name: "/foo", info: "/b"}},

		// Nothing leads out of the directory.
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/../secret", mapped{code: errcode.NoMount}},
		{below(`^/w/(.*)$`, "/$1"), "/w/../../secret.wsgi", mapped{code: errcode.NoMount}},
		{below(`^/w/(\.)/?(\.)`, "/$1$2"), "/w/.x/.x", mapped{code: errcode.NoMount}},
		{below(`^/w/(\.)x(\.)x`, "/$1$2"), "/w/.x.x/secret.wsgi", mapped{code: errcode.OutsideRoots}},
		{below(`^/w/(\.)x`, "/$1"), "/w/.x/foo.wsgi", mapped{code: errcode.OutsideRoots}},
		{below(`^/w/(.)`, "/$1./"), "/w/.a/secret.wsgi", mapped{code: errcode.OutsideRoots}},
		{below(`^/w/([^/]+)`, "/$1"), "/w/%2e%2e/secret.wsgi", mapped{code: errcode.ScriptNotFound}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/out", mapped{code: errcode.OutsideRoots}},
		{below(`^/w/(.*)$`, "/$1"), "/w/up/secret.wsgi", mapped{code: errcode.OutsideRoots}},
		{below(`^/w/([^/]+)`, "/$1.wsgi"), "/w/in/x", mapped{script: at("w/in.wsgi"), name: "/w/in", info: "/x"}},

		// SCRIPT_NAME is what the path and the new PATH_INFO do not share.
		{file(`^/(adm|img)`, "/$1"), "/adm/1", mapped{script: at("app.py"), info: "/adm/1"}},
		{file(`^/(adm|img)`, "/$1"), "/admx/1", mapped{script: at("app.py"), info: "/admx/1"}},
		{file(`^/(adm|img)`, "/$1"), "/adm", mapped{script: at("app.py"), info: "/adm"}},
		{file(`^/x/(adm)`, "/$1"), "/x/adm/1", mapped{script: at("app.py"), name: "/x", info: "/adm/1"}},
		{file(`^/([a-z]+)/([a-z]+)`, "/$2/$1"), "/a/b/c", mapped{script: at("app.py"), name: "/a/b", info: "/b/a/c"}},
		{file(`^/t/`, "/ex"), "/t/tra", mapped{script: at("app.py"), name: "/t", info: "/extra"}},
		{file(`^/t/x`, "/e"), "/t/xtra", mapped{script: at("app.py"), name: "/t/xtra", info: "/etra"}},
		{file(`/anywhere`, ""), "/foo/anywhere/x", mapped{script: at("app.py"), name: "/foo/anywhere", info: "/x"}},
		{file(`/anywhere`, ""), "/foo/anywhere", mapped{script: at("app.py"), name: "/foo/anywhere"}},
		{file(`/anywhere`, ""), "/foo/anywherex", mapped{code: errcode.ScriptNotFound}}, // app.pyx

		// The whole of / is the rest of the path; an empty match at 0 is none.
		{file(`^/`, ""), "/x/y", mapped{script: at("app.py"), info: "/x/y"}},
		{file(`^/`, ""), "/", mapped{script: at("app.py"), info: "/"}},
		{file(`^`, ""), "/x", mapped{code: errcode.NoMount}},
		{file(`x*`, ""), "/x", mapped{code: errcode.NoMount}},
		{file(`$`, ""), "/x", mapped{script: at("app.py"), name: "/x"}},

		// Case, encodings, a line end.
		{file(`(?i)^/Name`, ""), "/nAME/x", mapped{script: at("app.py"), name: "/nAME", info: "/x"}},
		{file(`^/a%20b`, ""), "/a%20b/x", mapped{script: at("app.py"), name: "/a%20b", info: "/x"}},
		{file(`^/a b`, ""), "/a b/x", mapped{script: at("app.py"), name: "/a b", info: "/x"}},
		{file(`^/a.b`, ""), "/a\nb/x\r\n", mapped{script: at("app.py"), name: "/a\nb", info: "/x\r\n"}},

		// Lookaround.
		{file(`^/(?!static/)[a-z]+`, ""), "/app/x", mapped{script: at("app.py"), name: "/app", info: "/x"}},
		{file(`^/(?!static/)[a-z]+`, ""), "/static/x", mapped{code: errcode.NoMount}},
		{file(`^/(?!x)(a|aa|a.)+$`, ""), "/" + strings.Repeat("a", 60000) + "b\n/", mapped{code: errcode.PatternTimeout}},

		// A directory as it is written: joined as text.
		{wire.Mount{Prefix: `^/w/`, Match: true, Target: at("w") + "/", Directory: true}, "/w/foo.wsgi/x", mapped{script: at("w/foo.wsgi"), name: "/w/foo.wsgi", info: "/x"}},
		{wire.Mount{Prefix: `^/w/`, Match: true, Target: at("w") + "/", Directory: true}, "/w/", mapped{code: errcode.DirectoryTarget}},
		{wire.Mount{Prefix: `^/w`, Match: true, Target: at("w"), Directory: true}, "/w/foo.wsgi/x", mapped{script: at("w/foo.wsgi"), name: "/w/foo.wsgi", info: "/x"}},
		{wire.Mount{Prefix: `^/w`, Match: true, Target: at("w"), Directory: true}, "/w", mapped{code: errcode.DirectoryTarget}},
		{wire.Mount{Prefix: `^/w/`, Match: true, Target: at("w"), Directory: true}, "/w/foo.wsgi", mapped{code: errcode.ScriptNotFound}},

		// Prefixes whose target goes on behind the file.
		{wire.Mount{Prefix: "/t", Target: at("app.py"), Append: "/"}, "/t", mapped{script: at("app.py"), name: "/t", info: "/"}},
		{wire.Mount{Prefix: "/t", Target: at("app.py"), Append: "/"}, "/t/x", mapped{script: at("app.py"), name: "/t", info: "/x"}},
		{wire.Mount{Prefix: "/t", Target: at("app.py"), Append: "/extra"}, "/t", mapped{script: at("app.py"), name: "/t", info: "/extra"}},
		{wire.Mount{Prefix: "/t", Target: at("app.py"), Append: "/extra"}, "/t/x", mapped{script: at("app.py"), name: "/t", info: "/extra/x"}},
		{wire.Mount{Prefix: "/t", Target: at("app.py"), Append: "/$1"}, "/t/x", mapped{script: at("app.py"), name: "/t", info: "/$1/x"}},
		{wire.Mount{Prefix: "/t/", Target: at("app.py"), Append: "/"}, "/t/x", mapped{script: at("app.py"), name: "/t", info: "/x"}},
		{wire.Mount{Prefix: "/", Target: at("app.py"), Append: "/extra"}, "/x", mapped{script: at("app.py"), info: "/extra/x"}},
	} {
		if got := mapPath(t, []wire.Mount{tt.mount}, tt.path); got != tt.want {
			t.Errorf("%s → %s%s, %.200q: %+v, want %+v", tt.mount.Prefix, tt.mount.Target, tt.mount.Append, tt.path, got, tt.want)
		}
	}

	// One list: the first that matches, a prefix or an expression.
	list := []wire.Mount{
		{Prefix: "/first", Target: "/a/first"},
		{Prefix: `^/(first|second)`, Match: true, Target: "/a/match"},
		{Prefix: "/second", Target: "/a/second"},
		{Prefix: "/third", Target: "/a/third"},
		{Prefix: `.`, Match: true, Target: "/a/rest", Append: "/"},
	}
	for path, want := range map[string]string{"/first/x": "/a/first", "/second/x": "/a/match", "/third": "/a/third", "/firstx": "", "/x": "/a/rest"} {
		if got := mapPath(t, list, path); got.script != want {
			t.Errorf("%s: %+v, want %q", path, got, want)
		}
	}
}

// TestPatternFront: what the front server has mapped itself chooses no file of
// a target that only an expression completes.
func TestPatternFront(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "w/foo.wsgi"))
	var e environ
	if err := e.parse(pairsOf("SCRIPT_NAME", "/y", "SCRIPT_FILENAME", filepath.Join(dir, "w/foo.wsgi")), protocol.Limits{}); err != nil {
		t.Fatal(err)
	}
	mounts := newMountTable([]wire.Mount{{Prefix: `^/x/(.*)`, Match: true, Target: filepath.Join(dir, "w"), Directory: true, Append: "/$1"}})
	if got, r := mounts.find(&e, e.urlPath(nil)); r == nil || r.code != errcode.OutsideRoots {
		t.Errorf("%+v %+v", got, r)
	}
}

// BenchmarkFind: what it costs to find the mount of a path.
func BenchmarkFind(b *testing.B) {
	for name, mounts := range map[string][]wire.Mount{
		"prefix":       {{Prefix: "/sites", Target: "/srv/site.wsgi"}},
		"expression":   {{Prefix: "^/sites/([a-z]+)", Match: true, Target: "/srv/site.wsgi", Append: "/$1"}},
		"backtracking": {{Prefix: "^/sites/(?!x)([a-z]+)", Match: true, Target: "/srv/site.wsgi", Append: "/$1"}},
	} {
		b.Run(name, func(b *testing.B) {
			table, path := newMountTable(mounts), []byte("/sites/shop/cart/items/17")
			var e environ
			b.ReportAllocs()
			for b.Loop() {
				if _, r := table.find(&e, path); r != nil {
					b.Fatal(r)
				}
			}
		})
	}
}
