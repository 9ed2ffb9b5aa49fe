package systemd

import (
	_ "embed"
	"strings"
)

// What stands in wsgid.service, which packages install as it is.
const (
	packagedPath   = "/usr/bin/wsgid"
	packagedConfig = "/etc/wsgid/wsgid.hcl"
)

//go:embed wsgid.service
var unit string

// reloadByNotify is the version of systemd that waits for the end of a reload by itself
// (Type=notify-reload): SIGHUP, RELOADING and READY.
const reloadByNotify = 253

// Unit is the service unit for a binary and a configuration file, both absolute, as the
// given version of systemd takes it.
func Unit(path, config string, version int) string {
	text := strings.NewReplacer(packagedPath, argument(path), packagedConfig, argument(config)).Replace(unit)
	if version < reloadByNotify {
		return text
	}
	var lines []string
	for line := range strings.Lines(text) {
		switch {
		case line == "Type=notify\n":
			lines = append(lines, "Type=notify-reload\n")
		case strings.HasPrefix(line, "ExecReload=") || strings.HasPrefix(line, "# Returns when") || strings.HasPrefix(line, "# everything serves"):
		default:
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// argument writes a word of a command line (systemd.service(5), COMMAND LINES).
func argument(word string) string {
	word = strings.NewReplacer("%", "%%", "$", "$$", `\`, `\\`, `"`, `\"`).Replace(word)
	if strings.ContainsAny(word, " \t'\";\\") {
		return `"` + word + `"`
	}
	return word
}
