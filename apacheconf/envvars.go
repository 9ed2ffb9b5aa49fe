package apacheconf

import "strings"

// ReadEnvvars reads the file of shell commands by which Debian sets the
// environment of Apache: lines "export NAME=value", with variables of earlier lines
// in them. What else a shell could do there is not understood and left out.
func ReadEnvvars(text string) map[string]string {
	values := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		exported, ok := strings.CutPrefix(line, "export ")
		if !ok && strings.ContainsAny(line, " \t") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(exported), "=")
		if !ok || name == "" || strings.ContainsAny(name, "$#`\"'()") {
			continue
		}
		if words := Words(value); len(words) > 0 {
			value = words[0]
		}
		if strings.Contains(value, "`") || strings.Contains(value, "$(") {
			continue
		}
		values[name] = expandShell(value, values)
	}
	return values
}

// expandShell replaces $NAME and ${NAME} by known values, others by nothing.
func expandShell(text string, values map[string]string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		var name string
		if inner, braced := strings.CutPrefix(rest, "{"); braced {
			name, rest, _ = strings.Cut(inner, "}")
		} else {
			end := strings.IndexFunc(rest, func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			})
			if end < 0 {
				end = len(rest)
			}
			name, rest = rest[:end], rest[end:]
		}
		out.WriteString(values[name])
		text = rest
	}
}
