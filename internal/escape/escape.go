// Package escape makes text of strangers (request lines, output of
// applications) harmless for a terminal and a log: control bytes and bytes
// that are no UTF-8 become \xnn. It must not know where the text comes from.
package escape

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line escapes every control character, line ends included.
func Line(text string) string { return escape(text, false) }

// Text escapes every control character but line feed and tab.
func Text(text string) string { return escape(text, true) }

func escape(text string, lines bool) string {
	clean := true
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < 0x20 || c >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var out strings.Builder
	out.Grow(len(text) + 16)
	for len(text) > 0 {
		c, size := utf8.DecodeRuneInString(text)
		switch {
		case c == utf8.RuneError && size == 1:
			out.WriteString(`\x`)
			out.WriteString(strconv.FormatUint(uint64(text[0])|0x100, 16)[1:])
		case lines && (c == '\n' || c == '\t'):
			out.WriteByte(byte(c))
		case Special(c):
			quoted := strconv.QuoteRuneToASCII(c)
			out.WriteString(quoted[1 : len(quoted)-1])
		default:
			out.WriteString(text[:size])
		}
		text = text[size:]
	}
	return out.String()
}

// JSON escapes in the text of a JSON value what Line escapes in a line, so that it
// says the same.
func JSON(text string) string {
	if !strings.ContainsFunc(text, Special) {
		return text
	}
	var out strings.Builder
	for _, c := range text {
		if Special(c) { // in JSON they stand in strings alone, and none is beyond 16 bits
			out.WriteString(`\u`)
			out.WriteString(strconv.FormatInt(int64(c)|0x10000, 16)[1:])
			continue
		}
		out.WriteRune(c)
	}
	return out.String()
}

// Special says whether c can do something to a terminal, such as change the order in
// which it shows the rest, or is a line end for some readers.
func Special(c rune) bool {
	return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069'
}
