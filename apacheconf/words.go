package apacheconf

import (
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

func blank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' || c == '\n'
}

// cutWord takes the first word as Apache does (ap_getword_conf), quotes and
// their escapes resolved, and gives what follows without blanks before it.
func cutWord(text string) (word, rest string) {
	text = strings.TrimLeft(text, " \t\v\f\r\n")
	if text == "" {
		return "", ""
	}
	quote := text[0]
	if quote != '"' && quote != '\'' {
		end := 0
		for end < len(text) && !blank(text[end]) {
			end++
		}
		return text[:end], strings.TrimLeft(text[end:], " \t\v\f\r\n")
	}
	end := 1
	for end < len(text) && text[end] != quote {
		if text[end] == '\\' && end+1 < len(text) && (text[end+1] == quote || text[end+1] == '\\') {
			end++
		}
		end++
	}
	var out strings.Builder
	for i := 1; i < end && i < len(text); i++ {
		if text[i] == '\\' && i+1 < end && (text[i+1] == quote || text[i+1] == '\\') {
			i++
		}
		out.WriteByte(text[i])
	}
	return out.String(), strings.TrimLeft(text[min(end+1, len(text)):], " \t\v\f\r\n")
}

// Words splits arguments; an unclosed quote ends with them.
func Words(args string) []string {
	var words []string
	for args = strings.TrimLeft(args, " \t\v\f\r\n"); args != ""; {
		var word string
		word, args = cutWord(args)
		words = append(words, word)
	}
	return words
}

// optionWords is Words for a directive of mod_wsgi: behind the first n words, what
// follows the = of an option may be quoted.
func optionWords(args string, n int) []string {
	var words []string
	for args = strings.TrimLeft(args, " \t\v\f\r\n"); args != ""; n-- {
		name := ""
		if end := strings.IndexFunc(args, func(r rune) bool { return r == '=' || r < 128 && blank(byte(r)) }); n <= 0 && end > 0 && args[end] == '=' {
			name, args = args[:end+1], args[end+1:]
			if args == "" || blank(args[0]) {
				words = append(words, name)
				args = strings.TrimLeft(args, " \t\v\f\r\n")
				continue
			}
		}
		var word string
		word, args = cutWord(args)
		words = append(words, name+word)
	}
	return words
}

// Quote writes a word so that Apache reads it as it is.
func Quote(word string) string {
	plain := word != "" && word[0] != '#' && !strings.HasSuffix(word, `\`)
	for i := 0; i < len(word) && plain; i++ {
		plain = !blank(word[i]) && word[i] != '"' && word[i] != '\'' && word[i] != '>' && word[i] != '<'
	}
	if plain {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}
