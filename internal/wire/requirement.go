package wire

import "strings"

// Requirement is one way to be let in; exactly one field is set.
type Requirement struct {
	ValidUser bool     `json:"valid_user,omitempty"`
	Users     []string `json:"users,omitempty"`
	Groups    []string `json:"groups,omitempty"` // any of them, of the group script
}

// ParseRequirement reads an entry of require: valid-user, user NAME… or
// wsgi-group NAME…, a name with blanks in quotes.
func ParseRequirement(text string) (r Requirement, ok bool) {
	words, rest, ok := requirementWords(text, " ")
	if !ok || rest != "" {
		return r, false
	}
	return requirementOf(words)
}

// ParseRequirements reads several entries with semicolons between; a name with
// semicolons stands in quotes as well.
func ParseRequirements(text string) (all []Requirement, ok bool) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		words, rest, ok := requirementWords(text, " ;")
		if !ok {
			return nil, false
		}
		r, ok := requirementOf(words)
		if !ok {
			return nil, false
		}
		all, text = append(all, r), strings.TrimPrefix(rest, ";")
	}
	return all, len(all) > 0
}

func requirementOf(words []string) (Requirement, bool) {
	if len(words) == 0 {
		return Requirement{}, false
	}
	kind, names := words[0], words[1:]
	switch {
	case kind == "valid-user" && len(names) == 0:
		return Requirement{ValidUser: true}, true
	case kind == "user" && len(names) > 0:
		return Requirement{Users: names}, true
	case kind == "wsgi-group" && len(names) > 0:
		return Requirement{Groups: names}, true
	}
	return Requirement{}, false
}

// requirementWords splits at blanks up to the first semicolon outside of quotes,
// if ends, the characters that end a word, has one; rest begins with it.
func requirementWords(text, ends string) (words []string, rest string, ok bool) {
	for text = strings.TrimSpace(text); text != "" && (text[0] != ';' || !strings.Contains(ends, ";")); text = strings.TrimSpace(text) {
		var word string
		if quoted, is := strings.CutPrefix(text, `"`); is {
			var found bool
			if word, text, found = strings.Cut(quoted, `"`); word == "" || !found {
				return nil, "", false
			}
		} else {
			end := strings.IndexAny(text, ends)
			if end < 0 {
				end = len(text)
			}
			word, text = text[:end], text[end:]
		}
		words = append(words, word)
	}
	return words, text, true
}
