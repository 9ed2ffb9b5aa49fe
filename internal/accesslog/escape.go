package accesslog

import (
	"unicode/utf8"

	"github.com/wsgid/wsgid/internal/escape"
)

// maxValue is how much of one value is logged: what Apache takes of a request line
// or a header.
const maxValue = 8190

const hexDigits = "0123456789abcdef"

// plain are the bytes that both formats write as they are.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func cut[T ~[]byte | ~string](v T) T {
	if len(v) > maxValue {
		return v[:maxValue]
	}
	return v
}

// appendText escapes as Apache does: what is not printable ASCII, quotes and backslashes.
func appendText[T ~[]byte | ~string](b []byte, v T) []byte {
	v = cut(v)
	from := 0
	for i := 0; i < len(v); i++ {
		c := v[i]
		if plain[c] {
			continue
		}
		b = append(append(b, v[from:i]...), '\\')
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, c)
		case '\b':
			b = append(b, 'b')
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		case '\t':
			b = append(b, 't')
		case '\v':
			b = append(b, 'v')
		default:
			b = append(b, 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(b, v[from:]...)
}

// appendJSON appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendJSON[T ~[]byte | ~string](b []byte, v T) []byte {
	v = cut(v)
	b = append(b, '"')
	from := 0
	for i := 0; i < len(v); {
		c := v[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(v[i:min(i+utf8.UTFMax, len(v))]))
			if r != utf8.RuneError && !escape.Special(r) {
				i += size
				continue
			}
			b = append(b, v[from:i]...)
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			i += size
			from = i
			continue
		}
		b = append(append(b, v[from:i]...), '\\')
		switch c {
		case '"', '\\':
			b = append(b, c)
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		case '\t':
			b = append(b, 't')
		default:
			b = append(b, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(b, v[from:]...), '"')
}
