package config

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// serviceLess are the options that mean nothing where no request is served.
var serviceLess = []string{"listen_backlog", "queue_length", "queue_timeout", "graceful_timeout", "socket_timeout", "maximum_requests", "maximum_requests_jitter", "inactivity_timeout", "eviction_timeout", "deadlock_timeout", "slow_request", "request_timeout", "interrupt_timeout", "stack_size"}

// service validates a group that runs import scripts only. Import scripts are
// resolved before.
func (v *validator) service(p *DaemonProcess) {
	if !p.Service() {
		return
	}
	at := v.place(p.Range, "threads")
	scripts := v.config.Preloads(p.Name)
	if len(scripts) == 0 && !v.partial {
		v.add(at, "Nothing to run", "With threads = 0 the processes of daemon_process %q only run import scripts, and there is none: add import_script \"/path/of/script.py\" { process_group = %q }.", p.Name, p.Name)
	}
	if p.ReloadOnError == ReloadKeep {
		v.add(v.place(p.Range, "reload_on_error"), "Wrong value", "reload_on_error = \"keep\" has two processes at once for a while, and a service (threads = 0) shall not run twice: take it out.")
	}
	for _, option := range serviceLess {
		if v.given(p.Range, option) {
			v.warn(v.place(p.Range, option), "Option has no effect", "%s is about requests, and with threads = 0 there are none.", option)
		}
	}
	for _, script := range scripts {
		if script.Application != "" {
			v.warn(at, "SIGTERM reaches the main interpreter only", "%s runs in the application group %q, where Python raises no SystemExit for SIGTERM: it is killed after shutdown_timeout. Use application_group = \"%%{GLOBAL}\".", script.Path, script.Application)
		}
	}
}

// watch validates the patterns and makes them absolute: relative ones belong to
// home, else to the directories of the group's scripts.
func (v *validator) watch(p *DaemonProcess) {
	var patterns []string
	for _, pattern := range p.Watch {
		if _, err := path.Match(pattern, ""); err != nil || strings.HasSuffix(pattern, "/") {
			v.add(v.place(p.Range, "watch"), "Bad pattern", "%q is no pattern of files, such as \"**/*.py\": close every [ with ], and let no slash be the last.", pattern)
			continue
		}
		if slices.Contains(strings.Split(pattern, "/"), "..") {
			v.add(v.place(p.Range, "watch"), "Bad pattern", "%q leads out of its directory: write an absolute pattern.", pattern)
			continue
		}
		if filepath.IsAbs(pattern) {
			patterns = append(patterns, pattern)
			continue
		}
		bases := v.watchBases(p)
		if len(bases) == 0 && !v.partial {
			v.add(v.place(p.Range, "watch"), "Relative to what?", "The pattern %q is relative to home, or to the directories of the group's scripts, and daemon_process %q has neither: write an absolute pattern.", pattern, p.Name)
		}
		for _, base := range bases {
			patterns = append(patterns, path.Join(escapePattern(base), pattern))
		}
	}
	if p.Watch != nil {
		p.Watch = patterns
	}
}

// watchBases are the directories that relative patterns are for.
func (v *validator) watchBases(p *DaemonProcess) []string {
	if p.Home != "" {
		return []string{p.Outside(p.Home)}
	}
	var bases []string
	add := func(dir string) {
		if filepath.IsAbs(dir) && !slices.Contains(bases, dir) {
			bases = append(bases, dir)
		}
	}
	for _, s := range v.config.Mounts() {
		if s.ProcessGroup == p.Name {
			if s.Directory {
				add(path.Clean(s.Target))
			} else {
				add(path.Dir(s.Target))
			}
		}
	}
	for _, s := range v.config.ImportScripts {
		if s.ProcessGroup == p.Name {
			add(path.Dir(s.Path))
		}
	}
	return bases
}

var patternCharacters = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)

// escapePattern makes a pattern that only the path itself matches.
func escapePattern(text string) string { return patternCharacters.Replace(text) }
