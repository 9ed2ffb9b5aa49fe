package dispatch

import (
	"errors"
	"fmt"
	"strings"
)

// hidden takes the password that a script was called with out of what its
// exception says, as it is and as repr writes it.
func hidden(err error, password []byte) error {
	var e *ScriptError
	if len(password) == 0 || !errors.As(err, &e) {
		return err
	}
	var plain, shown strings.Builder
	for _, c := range password { // the script has it as latin-1
		plain.WriteRune(rune(c))
		shown.WriteString(represented(c))
	}
	quoted := strings.ReplaceAll(shown.String(), "'", `\'`)
	const cover = "(password)"
	replacer := strings.NewReplacer(quoted, cover, shown.String(), cover, plain.String(), cover)
	covered := *e
	covered.Message, covered.Traceback = replacer.Replace(e.Message), replacer.Replace(e.Traceback)
	return &covered
}

// represented is a character of latin-1 as Python's repr of a str has it, but
// for quotes.
func represented(c byte) string {
	switch {
	case c == '\\':
		return `\\`
	case c == '\n':
		return `\n`
	case c == '\r':
		return `\r`
	case c == '\t':
		return `\t`
	case c < ' ', c >= 0x7f && c <= 0xa0, c == 0xad:
		return fmt.Sprintf(`\x%02x`, c)
	}
	return string(rune(c))
}
