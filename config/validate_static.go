package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// staticScripts refuses directories of static files that hold a script: its
// source, and the settings beside it, could be read by everybody.
func (v *validator) staticScripts() {
	for i := range v.config.Listeners {
		for _, s := range v.config.Listeners[i].Static {
			for _, script := range v.config.scriptPaths() {
				if holds(s.Dir, script) {
					v.add(v.place(s.Range, "dir"), "Scripts would be served as files", "%s holds %s: everybody could read the source of the script and of what lies beside it. Serve a directory that holds only what the public may read.", s.Dir, script)
					break
				}
			}
		}
	}
}

// scriptPaths are the files that are run, and the directories of such files.
func (c *Config) scriptPaths() []string {
	var paths []string
	mounts := slices.Clone(c.ScriptAliases)
	for i := range c.VirtualHosts {
		mounts = append(mounts, c.VirtualHosts[i].ScriptAliases...)
	}
	for i := range mounts {
		paths = append(paths, mounts[i].Target)
	}
	for i := range c.DispatchScripts {
		paths = append(paths, c.DispatchScripts[i].Path)
	}
	for _, scripts := range [][]AuthScript{c.AuthUserScripts, c.AuthGroupScripts, c.AccessScripts} {
		for i := range scripts {
			paths = append(paths, scripts[i].Path)
		}
	}
	for i := range c.ImportScripts {
		paths = append(paths, c.ImportScripts[i].Path)
	}
	return paths
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
