package config

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// restrictProcess validates the names of a restrict_process.
func (v *validator) restrictProcess(block hcl.Range, o *RequestOptions) {
	if !v.given(block, "restrict_process") {
		return
	}
	at := v.place(block, "restrict_process")
	if len(o.RestrictProcess) == 0 {
		v.add(at, "No process group is left", "restrict_process names none, so that no request could be served: name those that may serve, or take it out.")
	}
	names := v.config.servingGroups()
	for _, name := range o.RestrictProcess {
		if name == "%{GLOBAL}" && v.config.Router.RestrictEmbedded {
			v.add(at, "Embedded applications are not permitted", "restrict_process names \"%%{GLOBAL}\", and restrict_embedded of router is true: take one of them out.")
		}
		if v.serves(name) {
			continue
		}
		v.add(at, "Unknown process group", "restrict_process names %q, and there is no daemon_process of that name that serves requests%s", name, didYouMeanOf(name, names))
	}
}

// serves says whether there is a process group of that name for requests.
func (v *validator) serves(name string) bool {
	return name == "%{GLOBAL}" || slices.Contains(v.config.servingGroups(), name)
}

// restricted says of a mount whose process group is fixed whether it may serve.
func (v *validator) restricted(s *ScriptAlias) {
	if !fixed(s.ProcessGroup) || slices.Contains(s.RestrictProcess, s.ProcessGroup) {
		return
	}
	if len(s.RestrictProcess) == 0 || slices.ContainsFunc(s.RestrictProcess, func(name string) bool { return !v.serves(name) }) {
		return // no restriction, or one that was complained about
	}
	const title = "Process group is not permitted"
	at, allowed := v.place(s.Range, "process_group"), strings.Join(s.RestrictProcess, ", ")
	chooser := v.chooser(s)
	if chooser == "" {
		v.add(at, title, "restrict_process permits %s, and the process group is %q: every request would be answered with 500.", allowed, s.ProcessGroup)
		return
	}
	v.warn(at, title, "restrict_process permits %s, and the process group is %q: requests that %s leaves there are answered with 500.", allowed, s.ProcessGroup, chooser)
}

// chooser is who may choose another process group for a request of the mount;
// empty: nobody.
func (v *validator) chooser(s *ScriptAlias) string {
	switch {
	case v.config.Scripted(s):
		return "the dispatch script"
	case v.config.Overridable(s, "process_group"):
		return "the web server's configuration"
	}
	return ""
}
