package dispatch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/wsgid/wsgid/internal/errcode"
)

// Parameters by which a trusted web server says what a file is for: that it
// may run, the twin of Options ExecCGI, and which handler_script serves it.
const (
	execParameter    = "WSGID_EXEC_CGI"
	handlerParameter = "WSGID_HANDLER"
)

// isMark reports whether a parameter is one of these, and no setting.
func isMark(name []byte) bool {
	switch string(name) {
	case execParameter, handlerParameter, hostParameter:
		return true
	}
	return askingSetting(name) >= 0
}

// mark is the value of one of these; of several the last counts.
func (e *environ) mark(name string) string {
	var value string
	for _, p := range e.settings {
		if string(p.name) == name {
			value = string(p.value)
		}
	}
	return value
}

// mapRequest finds what serves the request. A trusted web server's handler, and
// its mapping into a script_root, come before the URL, as in mod_wsgi Alias
// comes before WSGIScriptAlias.
func (x *exchange) mapRequest(mounts mountTable) (target, *refusal) {
	e := &x.env
	if !x.listener.TrustFrontServer || !x.router.roots && len(e.settings) == 0 {
		return mounts.find(e, x.path)
	}
	may := false
	if value := e.mark(execParameter); value != "" {
		if err := setTruth(&may, value, true); err != nil {
			return target{}, refuse(errcode.WrongSetting, "parameter", execParameter, "value", value, "reason", err.Error())
		}
	}
	if handler := e.mark(handlerParameter); handler != "" {
		return mounts.handled(e, x.path, handler)
	}
	m, file := mounts.rootOf(e, x.path)
	if m == nil {
		return mounts.find(e, x.path)
	}
	if may {
		if by, t, r := mounts.mapped(x.path); by != nil && r == nil && filepath.Clean(t.script) == file {
			return t, nil // the web server's alias and the mount are one and the same
		}
		return m.run(e, file)
	}
	if t, r := mounts.find(e, x.path); r == nil && filepath.Clean(t.script) == file {
		return t, nil // as with mod_wsgi: it is aliased
	}
	return target{}, refuse(errcode.ExecForbidden, "script", file, "reason", "the web server's configuration does not set "+execParameter)
}

// root is the script_root that holds the file, or nil.
func (t mountTable) root(file string) *mount {
	for _, m := range t {
		if m.Root && within(filepath.Clean(m.Target), file) {
			return m
		}
	}
	return nil
}

// rootOf finds the script_root that holds the file of the request, and that file.
func (t mountTable) rootOf(e *environ, path []byte) (*mount, string) {
	file := frontFile(e.scriptFilename)
	if file == "" || namesFile(path, file) {
		return nil, "" // no file, or one that the client has chosen
	}
	m := t.root(file)
	if bytes.IndexByte(e.scriptFilename, '%') < 0 {
		return m, file
	}
	if m != nil {
		if _, err := os.Lstat(file); err == nil {
			return m, file
		}
	}
	// Apache 2.4.60 to 2.4.62 encode the file once more. Others do not, and a
	// client could reach a file past what their configuration says about it:
	// the end of the URL has to say the same.
	decoded := frontFile(appendUnescaped(nil, e.scriptFilename))
	if other := t.root(decoded); other != nil && !namesFile(path, decoded) &&
		bytes.HasSuffix(collapseBytes(e.scriptName), []byte(decoded[len(filepath.Clean(other.Target)):])) {
		return other, decoded
	}
	return m, file
}

// run maps the request to a script of the directory (mod_wsgi behaviour 3.3).
func (m *mount) run(e *environ, file string) (target, *refusal) {
	name, info := collapseBytes(e.scriptName), collapseBytes(e.pathInfo)
	dir := filepath.Clean(m.Target)
	script, end, r := walk(dir, []byte(file), len(dir))
	if r != nil {
		return target{}, r
	}
	rest := []byte(file[end:])
	if bytes.HasSuffix(e.scriptFilename, []byte("/")) {
		rest = append(rest, '/') // frontFile has none
	}
	if len(rest) > 0 {
		// The web server has not split the path, as nginx does not by itself.
		if !bytes.HasSuffix(name, rest) || len(info) > 0 {
			return target{}, refuse(errcode.ScriptNotFound, "path", file, "directory", dir)
		}
		name, info = name[:len(name)-len(rest)], name[len(name)-len(rest):]
	}
	return target{m, script, name, info}, nil
}

// handled maps the request to a handler_script. The file is not looked at
// (mod_wsgi behaviour 3.3): it may be none.
func (t mountTable) handled(e *environ, path []byte, handler string) (target, *refusal) {
	for _, m := range t {
		if m.Handler != handler {
			continue
		}
		file := frontFile(e.scriptFilename)
		if decoded := frontFile(appendUnescaped(nil, e.scriptFilename)); decoded != file && !lastOf(e.scriptName, file) && lastOf(e.scriptName, decoded) {
			file = decoded // Apache 2.4.60 to 2.4.62
		}
		if file == "" || namesFile(path, file) {
			return target{}, refuse(errcode.OutsideRoots, "handler_script", handler, "script_filename", string(e.scriptFilename),
				"reason", "the web server has mapped the URL to no file")
		}
		e.resource = file
		return target{m, m.Target, collapseBytes(e.scriptName), collapseBytes(e.pathInfo)}, nil
	}
	return target{}, refuse(errcode.WrongSetting, "parameter", handlerParameter, "value", handler, "reason", "there is no handler_script of this name")
}

// lastOf reports whether the URL ends with the file's name.
func lastOf(url []byte, file string) bool {
	return file != "" && bytes.HasSuffix(url, []byte(file[strings.LastIndexByte(file, '/'):]))
}
