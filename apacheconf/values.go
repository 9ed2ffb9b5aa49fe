package apacheconf

import (
	"errors"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

func flag(value string) bool { return equalFold(value, "On") || equalFold(value, "Off") }

func octal(value string) bool {
	_, err := strconv.ParseUint(value, 8, 32)
	return err == nil
}

func positive(value string) bool {
	n, err := strconv.ParseFloat(value, 64)
	return err == nil && n > 0
}

// acceptMutexes are the kinds of locks of Apache that mod_wsgi knows by name.
var acceptMutexes = []string{"default", "flock", "fcntl", "sysvsem", "posixsem", "pthread"}

// checkValues validates what arguments are, beyond their form, as mod_wsgi does when
// Apache starts (behaviour spec section 1).
func (i *Item) checkValues(known string) *SyntaxError {
	word := ""
	if len(i.Words) > 0 {
		word = i.Words[0]
	}
	switch known {
	case "WSGIScriptAliasMatch":
		if problem := brokenPattern(word); problem != "" {
			return i.Problem("mend the regular expression", "WSGIScriptAliasMatch: %s", problem)
		}
	case "WSGIMapHEADToGET":
		if !flag(word) && !equalFold(word, "Auto") {
			return i.Problem("write On, Off or Auto", "%q is none of On, Off and Auto", word)
		}
	case "WSGIAcceptMutex":
		if !slices.ContainsFunc(acceptMutexes, func(name string) bool { return equalFold(name, word) }) {
			return i.Problem("there are "+strings.Join(acceptMutexes, ", "), "there is no lock %q", word)
		}
	case "WSGIPythonHashSeed":
		if _, err := strconv.ParseUint(word, 10, 32); err != nil && word != "random" {
			return i.Problem("write random, or a number from 0 to 4294967295", "%q is no seed", word)
		}
	case "WSGISwitchInterval":
		if !positive(word) {
			return i.Problem("write such as WSGISwitchInterval 0.005", "%q is no number of seconds above 0", word)
		}
	case "WSGITrustedProxies":
		for _, word := range i.Words {
			if strings.Trim(word, "0123456789abcdef:./") != "" || word == "" {
				return i.Problem("write an address, or one with a network mask", "%q is no address in digits and lower case", word)
			}
		}
	}
	return nil
}

// checkOption validates the value of an option that more than one directive has.
func (i *Item) checkOption(name, value string) *SyntaxError {
	switch name {
	case "process-group", "application-group", "callable-object":
		if value == "" {
			return i.Problem("name one, or take the option out", "%s= is empty", name)
		}
	case "pass-authorization":
		if !flag(value) {
			return i.Problem("write On or Off", "pass-authorization=%s is neither On nor Off", value)
		}
	}
	return nil
}

// brokenPattern says what no regular expression has, Apache's or Go's; empty:
// nothing that both would refuse.
func brokenPattern(pattern string) string {
	_, err := syntax.Parse(pattern, syntax.Perl)
	var problem *syntax.Error
	if !errors.As(err, &problem) {
		return ""
	}
	switch problem.Code {
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen, syntax.ErrMissingBracket, syntax.ErrTrailingBackslash:
		return problem.Error()
	}
	return "" // Apache's has more than Go's, such as (?=…)
}
