package dispatch

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/urlpattern"
	"github.com/wsgid/wsgid/internal/wire"
)

// mount is a wire.Mount prepared for matching.
type mount struct {
	wire.Mount
	prefix []byte // slash runs collapsed
	// pattern is there instead with Match.
	pattern *urlpattern.Pattern
	fixed   *route // the decision, when nothing in it needs a request but a script
	// script decides about each request; nil: none does.
	script *script
	guard  *guard // who may use it; nil: everybody
	// proxies is nil where no header of a proxy is looked at; adjusts says that
	// anything of a request is changed at all.
	proxies *proxyRules
	adjusts bool
	// overridable are the settings in AllowOverride, one bit each.
	overridable uint64
	title       string // for logs
}

// target is what a URL was mapped to.
type target struct {
	mount      *mount
	script     string
	scriptName []byte
	pathInfo   []byte
}

// mountTable is the mounts in the order of the configuration.
type mountTable []*mount

func newMountTable(mounts []wire.Mount) mountTable {
	table := make(mountTable, len(mounts))
	for i, m := range mounts {
		table[i] = &mount{Mount: m, overridable: settingMask(m.AllowOverride)}
		table[i].prepare()
		table[i].title = m.Prefix
		switch {
		case m.Root, m.Handler != "":
			table[i].prefix = noURL
			table[i].title = cmp.Or(m.Handler, m.Target)
		case m.Match:
			table[i].pattern = urlpattern.MustCompile(m.Prefix) // validated
		default:
			table[i].prefix = []byte(collapse(m.Prefix))
		}
	}
	return table
}

// noURL matches none: no path that comes here has a NUL.
var noURL = []byte{0}

// prepare works out what the options of the mount lead to.
func (m *mount) prepare() {
	m.proxies = newProxyRules(m.TrustedProxyHeaders, m.TrustedProxies)
	m.adjusts = m.DropAuthorization || m.RefuseChunked || m.RefusePathInfo || m.MapHeadToGet || m.proxies != nil
}

// match reports whether path lies under the mount: literally, bytewise, on a
// path-segment boundary (mod_wsgi behaviour 3.1).
func (m *mount) match(path []byte) bool {
	n := len(m.prefix)
	if !bytes.HasPrefix(path, m.prefix) {
		return false
	}
	return len(path) == n || path[n] == '/' || (n > 0 && m.prefix[n-1] == '/')
}

// find maps a normalised URL path: the first mount that matches decides. Only
// if none does may the front server's own mapping count.
func (t mountTable) find(e *environ, path []byte) (target, *refusal) {
	if m, found, r := t.mapped(path); m != nil {
		return found, r
	}
	return t.fromFront(e, path)
}

// mapped gives the first mount that matches a normalised URL path, and what it
// makes of it; nil: none matches.
func (t mountTable) mapped(path []byte) (*mount, target, *refusal) {
	for _, m := range t {
		if m.pattern != nil {
			at, r := m.search(path)
			if r == nil && at == nil {
				continue
			}
			var found target
			if r == nil {
				found, r = m.substitute(path, at)
			}
			return m, found, r
		}
		if m.match(path) {
			found, r := m.resolve(path)
			return m, found, r
		}
	}
	return nil, target{}, nil
}

// resolve splits path into script, SCRIPT_NAME and PATH_INFO (mod_wsgi
// behaviour 3.2).
func (m *mount) resolve(path []byte) (target, *refusal) {
	n := len(m.prefix)
	switch {
	case m.Append != "":
		return m.join(path, []byte(m.Append), n)
	case m.Directory:
		return m.resolveDirectory(path)
	case n == 1: // "/": SCRIPT_NAME is empty and the whole path is PATH_INFO
		return target{m, m.Target, path[:0], path}, nil
	case m.prefix[n-1] != '/':
		return target{m, m.Target, path[:n], path[n:]}, nil
	case len(path) == n:
		return target{m, m.Target, path, path[n:]}, nil
	}
	// The remainder is appended to the target, "/t/" → app.py makes /t/x the
	// file app.pyx, which is never what a file target has.
	return target{}, refuse(errcode.ScriptNotFound, "path", string(path), "target", m.Target)
}

// resolveDirectory walks from the target directory forwards to the first
// regular file. It never looks for a file by trimming the path from the end.
func (m *mount) resolveDirectory(path []byte) (target, *refusal) {
	at := len(m.prefix)
	if at > 0 && m.prefix[at-1] == '/' {
		at--
	}
	script, end, r := walk(m.Target, path, at)
	if r != nil {
		return target{}, r
	}
	return target{m, script, path[:end], path[end:]}, nil
}

// walk descends from dir along path[at:], which is normalised, and returns the
// first regular file and where its name ends in path. A symbolic link may not
// lead out of dir.
func walk(dir string, path []byte, at int) (script string, end int, r *refusal) {
	missing := func() *refusal { return refuse(errcode.ScriptNotFound, "path", string(path), "directory", dir) }
	if bytes.IndexByte(path, 0) >= 0 {
		return "", 0, missing()
	}
	script = strings.TrimSuffix(dir, "/")
	var real string
	for {
		for at < len(path) && path[at] == '/' {
			at++
		}
		if at == len(path) {
			return "", 0, refuse(errcode.DirectoryTarget, "path", string(path), "directory", script)
		}
		end = at + bytes.IndexByte(path[at:], '/')
		if end < at {
			end = len(path)
		}
		script += "/" + string(path[at:end])
		info, err := os.Lstat(script)
		if err != nil {
			return "", 0, missing()
		}
		if info.Mode()&os.ModeSymlink != 0 {
			if real == "" {
				if real, err = filepath.EvalSymlinks(dir); err != nil {
					return "", 0, missing()
				}
			}
			dest, err := filepath.EvalSymlinks(script)
			if err != nil {
				return "", 0, missing()
			}
			if !within(real, dest) {
				return "", 0, refuse(errcode.OutsideRoots, "script", script, "link_target", dest)
			}
			if info, err = os.Stat(dest); err != nil {
				return "", 0, missing()
			}
		}
		switch {
		case info.Mode().IsRegular():
			return script, end, nil
		case !info.IsDir():
			return "", 0, missing()
		}
		at = end
	}
}

// within reports whether the clean absolute path p is dir or lies below it.
func within(dir, p string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// fromFront uses the front server's own mapping (Apache Alias and SetHandler)
// when the file is one that the configuration names; nothing that comes over
// the wire may choose another, and no client may choose at all.
func (t mountTable) fromFront(e *environ, path []byte) (target, *refusal) {
	file := frontFile(e.scriptFilename)
	if file != "" && !namesFile(path, file) {
		for _, m := range t {
			if r := m.frontTarget(e, file); r != nil {
				return *r, nil
			}
		}
		if m := t.root(file); m != nil {
			return target{}, refuse(errcode.ExecForbidden, "script", file, "reason", "the listener has no trust_front_server")
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return target{}, refuse(errcode.OutsideRoots, "script", file)
		}
	}
	return target{}, refuse(errcode.NoMount, "script_name", string(e.scriptName), "path_info", string(e.pathInfo))
}

// namesFile reports whether the URL path ends with the path of the file: the
// front server has mapped nothing then, but written the URL into
// SCRIPT_FILENAME, as Apache's ProxyPass and Caddy without a root do. The
// client would reach an application past its mount, and past what the front
// server's configuration says about the mount's URL.
func namesFile(path []byte, file string) bool {
	return bytes.HasSuffix(bytes.TrimRight(path, "/"), []byte(file))
}

func (m *mount) frontTarget(e *environ, file string) *target {
	if m.Match && m.Append != "" || m.Root || m.Handler != "" {
		return nil // the request has to match, or the web server to say more
	}
	if !m.Directory {
		if file != filepath.Clean(m.Target) {
			return nil
		}
	} else {
		dir := filepath.Clean(m.Target)
		if file == dir || !within(dir, file) {
			return nil
		}
		script, end, r := walk(dir, []byte(file), len(strings.TrimSuffix(dir, "/")))
		if r != nil || end != len(file) {
			return nil
		}
		file = script
	}
	return &target{m, file, collapseBytes(e.scriptName), collapseBytes(e.pathInfo)}
}

func collapseBytes(p []byte) []byte {
	if !bytes.Contains(p, []byte("//")) {
		return p
	}
	return []byte(collapse(string(p)))
}

// frontFile is the path in SCRIPT_FILENAME as a web server sends it, cleaned;
// empty if there is none. Apache writes proxy:fcgi://HOST[:PORT]/path, also
// with // after the host.
func frontFile(v []byte) string {
	s := string(v)
	if rest, ok := strings.CutPrefix(s, "proxy:"); ok {
		if strings.HasPrefix(rest, "unix:") {
			rest = rest[strings.IndexByte(rest, '|')+1:]
		}
		if i := strings.Index(rest, "://"); i >= 0 {
			rest = rest[i+3:]
			i = strings.IndexByte(rest, '/')
			if i < 0 {
				return ""
			}
			rest = rest[i:]
		}
		s = rest
	}
	if !strings.HasPrefix(s, "/") || strings.IndexByte(s, 0) >= 0 {
		return ""
	}
	return filepath.Clean(s)
}
