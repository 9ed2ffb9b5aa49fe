package config

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// sandbox validates what shuts the processes of a group in. The mounts are
// resolved before.
func (v *validator) sandbox(p *DaemonProcess) {
	v.sandboxNeedsRoot(p)
	if v.absolute(p.Range, "chroot", p.Chroot) && p.Chroot != "" {
		v.chroot(p)
	}
	if v.given(p.Range, "private_tmp_size") && !p.PrivateTmp {
		v.warn(v.place(p.Range, "private_tmp_size"), "Option without effect", "private_tmp_size is the size of a private /tmp: add private_tmp = true, or take it out.")
	}
	for _, list := range []struct {
		name  string
		paths []string
	}{{"read_only_paths", p.ReadOnlyPaths}, {"read_write_paths", p.ReadWritePaths}, {"inaccessible_paths", p.InaccessiblePaths}} {
		v.sandboxPaths(p.Range, list.name, list.paths)
		for _, path := range list.paths {
			if p.PrivateTmp && hiddenByTmp(bare(path)) {
				v.add(v.place(p.Range, list.name), "Path is hidden", "%q lies in /tmp, which private_tmp replaces by an empty one: take one of them out.", path)
			}
			if list.name != "inaccessible_paths" {
				v.reachable(p, list.name, bare(path))
			}
		}
	}
	v.sameTwice(p)
	if p.Landlock != nil {
		v.landlock(p)
	}
	if !v.partial {
		v.sandboxScripts(p)
	}
}

// sandboxNeedsRoot refuses to an ordinary user what the kernel would refuse.
func (v *validator) sandboxNeedsRoot(p *DaemonProcess) {
	if v.identity.Root() {
		return
	}
	refuse := func(option string) {
		v.add(v.place(p.Range, option), "Not permitted", "wsgid is not started as root but as %s, and %s needs root: start it as root or take the option out.", v.identity.userName(), option)
	}
	if p.Chroot != "" {
		refuse("chroot")
	}
	for _, option := range []string{"read_only_paths", "read_write_paths", "inaccessible_paths"} {
		if v.given(p.Range, option) {
			refuse(option)
		}
	}
	if p.PrivateTmp {
		refuse("private_tmp")
	}
	if p.OOMScoreAdjust != nil && *p.OOMScoreAdjust < 0 {
		v.add(v.place(p.Range, "oom_score_adjust"), "Not permitted", "wsgid is not started as root but as %s, who may only raise the score: 0 to 1000.", v.identity.userName())
	}
}

// chroot validates a root directory and what must lie in it.
func (v *validator) chroot(p *DaemonProcess) {
	at := v.place(p.Range, "chroot")
	if clean := filepath.Clean(p.Chroot); clean == "/" {
		v.add(at, "Wrong value", "chroot = \"/\" changes nothing: name a directory that holds what the processes need, or take the option out.")
	} else if clean != p.Chroot {
		v.add(at, "Path is not plain", "Write %q without empty segments, \".\", \"..\" and slash at the end: %q.", p.Chroot, clean)
	}
	prefixed := func(option, path string) {
		if path != "" && below(p.Chroot, path) {
			inside, _ := p.Inside(path)
			v.add(v.place(p.Range, option), "Path is inside the root directory already", "%s is looked up inside chroot, so that %q would be %q: write %q.", option, path, p.Outside(path), inside)
		}
	}
	prefixed("home", p.Home)
	prefixed("python", p.Python)
	prefixed("python_home", p.PythonHome)
	for _, path := range p.PythonPath {
		prefixed("python_path", path)
	}
	for _, pattern := range p.Watch {
		if _, ok := p.Inside(pattern); !ok {
			v.add(v.place(p.Range, "watch"), "Path is outside of the root directory", "The processes cannot see %q: a pattern of watch is a path of the machine, and chroot is %s.", pattern, p.Chroot)
		}
	}
}

// bare is a path without the mark that it need not exist.
func bare(path string) string { return strings.TrimPrefix(path, "-") }

func hiddenByTmp(path string) bool { return below("/tmp", path) || below("/var/tmp", path) }

// sandboxPaths validates a list of paths.
func (v *validator) sandboxPaths(block hcl.Range, option string, paths []string) {
	for _, path := range paths {
		switch clean := filepath.Clean(bare(path)); {
		case !filepath.IsAbs(bare(path)):
			v.add(v.place(block, option), "Path is not absolute", "Option %q needs absolute paths, \"-\" before those that need not exist; %q is none.", option, path)
		case clean != bare(path):
			v.add(v.place(block, option), "Path is not plain", "Write %q without empty segments, \".\", \"..\" and slash at the end: %q.", bare(path), clean)
		}
	}
}

// reachable refuses what lies in a path that cannot be entered.
func (v *validator) reachable(p *DaemonProcess, option, path string) {
	for _, hidden := range p.InaccessiblePaths {
		if hidden != "/" && path != bare(hidden) && below(bare(hidden), path) {
			v.add(v.place(p.Range, option), "Path is inaccessible", "%q lies in %q of inaccessible_paths: nothing in there can be reached.", path, bare(hidden))
		}
	}
}

// sameTwice refuses a path in two of the lists.
func (v *validator) sameTwice(p *DaemonProcess) {
	seen := map[string]string{}
	for _, list := range []struct {
		name  string
		paths []string
	}{{"read_only_paths", p.ReadOnlyPaths}, {"read_write_paths", p.ReadWritePaths}, {"inaccessible_paths", p.InaccessiblePaths}} {
		for _, path := range list.paths {
			if other, twice := seen[bare(path)]; twice {
				v.add(v.place(p.Range, list.name), "Path is there twice", "%q stands in %s already.", bare(path), other)
			}
			seen[bare(path)] = list.name
		}
	}
	if slices.Contains(p.InaccessiblePaths, "/") {
		v.add(v.place(p.Range, "inaccessible_paths"), "Wrong value", "Without \"/\" there is nothing to run: name the directories that shall be inaccessible.")
	}
}

// landlock validates the landlock block.
func (v *validator) landlock(p *DaemonProcess) {
	block, l := v.landlocks[p.Range], p.Landlock
	v.sandboxPaths(block, "read", l.Read)
	v.sandboxPaths(block, "write", l.Write)
	v.sandboxPaths(block, "execute", l.Execute)
	if len(l.Read)+len(l.Write)+len(l.Execute) == 0 && !v.partial {
		v.add(block, "Nothing is left", "landlock forbids whatever it does not name, and it names nothing: add read = [\"/usr\", \"/etc\", …] with all that Python and the application read.")
	}
	if !p.NoNewPrivileges && !v.identity.Root() {
		v.add(block, "Not permitted", "wsgid is not started as root but as %s, and then the kernel wants no_new_privileges = true for landlock.", v.identity.userName())
	}
}

// sandboxScripts refuses scripts that the processes could not read. Those of
// requests whose group is not known yet are left to the processes.
func (v *validator) sandboxScripts(p *DaemonProcess) {
	check := func(block hcl.Range, option, path string) {
		at := v.place(block, option)
		inside, ok := p.Inside(path)
		switch {
		case !filepath.IsAbs(path):
		case !ok:
			v.add(at, "Script is outside of the root directory", "daemon_process %q has chroot = %q and could not see %s. Paths of scripts are those of the machine: put it there, such as %s.", p.Name, p.Chroot, path, p.Outside(path))
		case p.PrivateTmp && hiddenByTmp(inside):
			v.add(at, "Script is hidden", "daemon_process %q has a private /tmp, in which there is no %s: keep scripts elsewhere.", p.Name, inside)
		case slices.ContainsFunc(p.InaccessiblePaths, func(hidden string) bool { return below(bare(hidden), inside) }):
			v.add(at, "Script is inaccessible", "%s lies in inaccessible_paths of daemon_process %q.", inside, p.Name)
		case p.Landlock != nil && !p.Landlock.lets(inside):
			v.add(at, "Script cannot be read", "The landlock block of daemon_process %q names no directory that %s lies in: add it to read.", p.Name, inside)
		}
	}
	for _, s := range v.config.Mounts() {
		if s.ProcessGroup == p.Name {
			check(s.Range, "target", filepath.Clean(s.Target))
		}
	}
	for _, s := range v.config.ImportScripts {
		if s.ProcessGroup == p.Name {
			check(s.Range, "", filepath.Clean(s.Path))
		}
	}
}

// lets says whether path may be read, by name or where symbolic links lead to.
func (l *Landlock) lets(path string) bool {
	for _, allowed := range slices.Concat(l.Read, l.Write, l.Execute) {
		if holds(bare(allowed), path) {
			return true
		}
	}
	return false
}
