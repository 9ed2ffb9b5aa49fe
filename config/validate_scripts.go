package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// urlPrefix validates the URL path of a mount.
func (v *validator) urlPrefix(at hcl.Range, block, prefix string) {
	if !strings.HasPrefix(prefix, "/") {
		v.add(at, "Wrong URL prefix", "The prefix of %s begins with a slash; %q does not.", block, prefix)
		return
	}
	for _, segment := range strings.Split(prefix, "/") {
		if segment == "." || segment == ".." {
			v.add(at, "Wrong URL prefix", "The prefix %q has the segment %q, which no URL has when it is matched.", prefix, segment)
			return
		}
	}
}

// scriptAlias validates the i-th of the script_alias blocks of one host.
func (v *validator) scriptAlias(mounts []ScriptAlias, i int) {
	s := &mounts[i]
	switch {
	case s.byFile():
		v.byFile(s)
	case s.Match:
		v.pattern(s)
	default:
		v.urlPrefix(s.Range, scriptAlias, s.Prefix)
		v.slashAtOneSide(s)
	}
	v.order(mounts, i)
	if !s.Root && v.given(s.Range, "target") {
		v.absolute(s.Range, "target", s.Target)
	}
	v.processGroup(s.Range, s.ProcessGroup, v.config.servingGroups())
	v.applicationGroup(s.Range, s.ApplicationGroup)
	v.callable(s)
	v.requestOptions(s.Range, &s.RequestOptions)
	if v.given(s.Range, "preload") && s.Preload && !s.canPreload() {
		v.add(v.place(s.Range, "preload"), "Cannot preload", "A script can be loaded before the first request only if target is a file, process_group and application_group are fixed names: take preload out.")
	}
}

// slashAtOneSide warns about a prefix with a slash at its end before a file:
// what follows would become part of the file's name (mod_wsgi behaviour 3.1).
func (v *validator) slashAtOneSide(s *ScriptAlias) {
	if len(s.Prefix) > 1 && strings.HasSuffix(s.Prefix, "/") && !s.Directory && s.Append == "" && v.given(s.Range, "target") {
		v.warn(s.Range, "Slash at one side", "The rest of the URL is appended to the target, and %q is a file: nothing but %q itself is served. Leave the slash at the end of the prefix out, or name a directory.", s.Target, s.Prefix)
	}
}

// processGroup validates which process group, one of names, runs a script.
func (v *validator) processGroup(block hcl.Range, name string, names []string) {
	at := v.place(block, "process_group")
	given := v.given(block, "process_group")
	switch {
	case name == "" && given:
		v.add(at, "No process group", "process_group is empty: name a daemon_process, or write \"%%{GLOBAL}\" for the Python inside the router.")
	case name == "" && !v.written(block, "process_group") && len(names) > 1:
		v.add(block, "Which process group?", "There are several daemon_process blocks (%s): add process_group with one of them.", strings.Join(names, ", "))
	case name == "" || v.expansion(block, "process_group", name) || slices.Contains(names, name):
	case v.declared(name):
		v.add(at, "Process group serves no requests", "daemon_process %q has threads = 0: it runs import scripts and nothing else.", name)
	default:
		v.add(at, "Unknown process group", "There is no daemon_process %q%s", name, didYouMeanOf(name, names))
	}
}

// didYouMeanOf is didYouMean, and without a near word the list.
func didYouMeanOf(name string, words []string) string {
	if similar(name, words) == "" && len(words) > 0 {
		return "; there is " + strings.Join(words, ", ") + "."
	}
	return didYouMean(name, words)
}

// applicationGroup validates the interpreter of a script.
func (v *validator) applicationGroup(block hcl.Range, name string) {
	if name == "" && v.given(block, "application_group") {
		v.add(v.place(block, "application_group"), "No application group", "application_group is empty: write \"%%{GLOBAL}\" for the main interpreter.")
		return
	}
	v.expansion(block, "application_group", name)
}

var identifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{Nd}_]*$`)

// callable validates the name of the application in the script. Only
// %{ENV:name} makes sense as an expansion there (mod_wsgi behaviour 1.1).
func (v *validator) callable(s *ScriptAlias) {
	if strings.HasPrefix(s.CallableObject, "%{ENV:") {
		v.expansion(s.Range, "callable_object", s.CallableObject)
		return
	}
	if !identifier.MatchString(s.CallableObject) {
		v.add(v.place(s.Range, "callable_object"), "Wrong callable", "callable_object is the name of a global of the script, or %%{ENV:name}; %q is neither.", s.CallableObject)
	}
}

// importScript validates an import_script block: what it names has to be known
// when a process starts.
func (v *validator) importScript(s *ImportScript) {
	if !filepath.IsAbs(s.Path) || strings.HasSuffix(s.Path, "/") {
		v.add(s.Range, "Path is not absolute", "import_script needs the absolute path of a file; %q is none.", s.Path)
	}
	if s.ProcessGroup == "" && !v.written(s.Range, "process_group") {
		s.ProcessGroup = onlyGroup(v.groupNames())
	}
	v.processGroup(s.Range, s.ProcessGroup, v.groupNames())
	v.applicationGroup(s.Range, s.ApplicationGroup)
	for _, option := range []struct{ name, value string }{{"process_group", s.ProcessGroup}, {"application_group", s.ApplicationGroup}} {
		if option.value != "" && !fixed(option.value) && expansionPattern.MatchString(option.value) {
			v.add(v.place(s.Range, option.name), "Not known at the start", "An import script runs before any request, so that %s = %q has no value then: write a fixed name or \"%%{GLOBAL}\".", option.name, option.value)
		}
	}
}
