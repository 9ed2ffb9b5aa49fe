package config

import (
	"iter"
	"path/filepath"
	"strings"
)

// staticScripts refuses directories of static files that hold a script: its
// source, and the settings beside it, could be read by everybody.
func (v *validator) staticScripts() {
	for i := range v.config.Listeners {
		for _, s := range v.config.Listeners[i].Static {
			for script := range v.config.scriptPaths() {
				if holds(s.Dir, script) {
					v.add(v.place(s.Range, "dir"), "Scripts would be served as files", "%s holds %s: everybody could read the source of the script and of what lies beside it. Serve a directory that holds only what the public may read.", s.Dir, script)
					break
				}
			}
		}
	}
}

// scriptPaths yields every file that is run, and every directory of such files.
func (c *Config) scriptPaths() iter.Seq[string] {
	return func(yield func(string) bool) {
		mounts := [][]ScriptAlias{c.ScriptAliases}
		for i := range c.VirtualHosts {
			mounts = append(mounts, c.VirtualHosts[i].ScriptAliases)
		}
		for _, list := range mounts {
			for i := range list {
				if !yield(list[i].Target) {
					return
				}
			}
		}
		for i := range c.DispatchScripts {
			if !yield(c.DispatchScripts[i].Path) {
				return
			}
		}
		for i := range c.ImportScripts {
			if !yield(c.ImportScripts[i].Path) {
				return
			}
		}
	}
}

// holds says whether path lies in dir or is dir, by name or where symbolic
// links lead to.
func holds(dir, path string) bool {
	if !filepath.IsAbs(dir) || !filepath.IsAbs(path) {
		return false // reported already
	}
	return below(dir, path) || below(followed(dir), followed(path))
}

func below(dir, path string) bool {
	dir, path = filepath.Clean(dir), filepath.Clean(path)
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// followed is path without symbolic links, as far as there are files to look at.
func followed(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
