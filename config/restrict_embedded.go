package config

// asksScripts says whether the router's own Python has something to do that is
// no application.
func (c *Config) asksScripts() bool { return len(c.DispatchScripts) > 0 }

// restrictEmbedded validates what restrict_embedded leaves without a process.
func (v *validator) restrictEmbedded() {
	c := &v.config
	if !c.Router.RestrictEmbedded {
		return
	}
	for _, s := range c.Mounts() {
		if s.ProcessGroup != "%{GLOBAL}" {
			continue
		}
		const title = "Embedded applications are not permitted"
		at := v.place(s.Range, "process_group")
		if chooser := v.chooser(s); chooser != "" {
			v.warn(at, title, "restrict_embedded is true, and the process group is \"%%{GLOBAL}\": requests that %s leaves there are answered with 500.", chooser)
		} else {
			v.add(at, title, "restrict_embedded is true, and the process group is \"%%{GLOBAL}\": every request would be answered with 500. Name a daemon_process, or take restrict_embedded out.")
		}
		if v.given(s.Range, "preload") && s.Preload {
			v.add(v.place(s.Range, "preload"), "Cannot preload", "restrict_embedded is true, so that the router imports no application: take preload out.")
		}
	}
	for i := range c.ImportScripts {
		if s := &c.ImportScripts[i]; s.ProcessGroup == "%{GLOBAL}" && !c.asksScripts() {
			v.add(s.Range, "Import script is never run", "restrict_embedded is true and the router asks no script, so that it has no Python: name a daemon_process, or take restrict_embedded out.")
		}
	}
}
