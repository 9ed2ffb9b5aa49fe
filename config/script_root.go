package config

import "path/filepath"

// handlerCallable is the entry point of every handler_script (mod_wsgi
// behaviour 3.3).
const handlerCallable = "handle_request"

// byFile says whether the web server chooses the mount, by the file that it
// maps the URL to, and not the URL: script_root and handler_script.
func (s *ScriptAlias) byFile() bool { return s.Root || s.Handler != "" }

// byFile validates what is special about script_root and handler_script.
func (v *validator) byFile(s *ScriptAlias) {
	switch {
	case s.Root && (!filepath.IsAbs(s.Target) || filepath.Clean(s.Target) == "/"):
		v.add(s.Range, "Wrong directory", "The label of script_root is the absolute path of the directory of scripts, not \"/\"; %q is not.", s.Target)
	case !s.Root && s.Directory && v.given(s.Range, "target"):
		v.add(v.place(s.Range, "target"), "Target is a directory", "handler_script %q is one script for all files: name a file.", s.Handler)
	}
	if !v.config.Trusts() && !v.partial {
		v.add(s.Range, "Nobody can ask for it", "%s is for requests whose web server says what they are for (%s), and no listen block has trust_front_server = true: add it to the listener of the web server.",
			s.Title(), map[bool]string{true: "WSGID_EXEC_CGI", false: "WSGID_HANDLER"}[s.Root])
	}
}
