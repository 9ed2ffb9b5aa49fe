package accesslog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// op is what a piece writes.
type op uint8

const (
	opText op = iota // nothing but its text
	opParam
	opPeer
	opBytes
	opBytesOrDash
	opFile
	opID
	opMethod
	opPID
	opQuery
	opRequestLine
	opStatus
	opPath
	opServerName
	opConnection
	opStamp
	opTime
	opStrftime
	opSeconds
	opMilliseconds
	opMicroseconds
	opDuration
	opWait
	opDispatch
	opGroup
	opApplication
	opMount
	opListener
	opCode
	opEnd
	opTrace
)

// bare are the directives without an argument.
var bare = map[byte]piece{
	'a': {op: opParam, name: "REMOTE_ADDR"}, 'h': {op: opParam, name: "REMOTE_ADDR"}, 'A': {op: opParam, name: "SERVER_ADDR"},
	'B': {op: opBytes}, 'b': {op: opBytesOrDash}, 'D': {op: opMicroseconds}, 'f': {op: opFile}, 'H': {op: opParam, name: "SERVER_PROTOCOL"},
	'l': {text: "-"}, 'L': {op: opID}, 'm': {op: opMethod}, 'p': {op: opParam, name: "SERVER_PORT"}, 'P': {op: opPID}, 'q': {op: opQuery},
	'r': {op: opRequestLine}, 's': {op: opStatus}, 't': {op: opStamp}, 'T': {op: opSeconds}, 'u': {op: opParam, name: "REMOTE_USER"},
	'U': {op: opPath}, 'v': {op: opServerName}, 'V': {op: opParam, name: "SERVER_NAME"}, 'X': {op: opConnection},
}

// arguments are the directives whose argument is one of few.
var arguments = map[byte]map[string]piece{
	'a': {"c": {op: opPeer}},
	'p': {
		"canonical": {op: opParam, name: "SERVER_PORT"}, "local": {op: opParam, name: "SERVER_PORT"},
		"remote": {op: opParam, name: "REMOTE_PORT"},
	},
	'P': {"pid": {op: opPID}},
	'T': {"s": {op: opSeconds}, "ms": {op: opMilliseconds}, "us": {op: opMicroseconds}},
	'x': {
		own + "duration": {op: opDuration}, own + "wait": {op: opWait}, own + "dispatch": {op: opDispatch}, own + "group": {op: opGroup},
		own + "application": {op: opApplication}, own + "mount": {op: opMount}, own + "listener": {op: opListener},
		own + "code": {op: opCode}, own + "end": {op: opEnd}, own + "trace": {op: opTrace},
	},
}

// own begins the names of what only wsgid has.
const own = "wsgid:"

// foreign are directives of Apache that cannot be here, and why.
var foreign = map[byte]string{
	'I': "wsgid does not see the client's connection", 'O': "wsgid does not see the client's connection: %B are the bytes of the body",
	'S': "wsgid does not see the client's connection", 'k': "wsgid does not see the client's connection",
	'o': "headers of the response are passed on unread", 'n': "there are no notes; %{NAME}e is a parameter of the web server",
	'C': "a cookie has no directive of its own: %{Cookie}i are all", 'R': "it is the web server's handler",
	'^': "trailers do not get here",
}

// Error is a format that is wrong.
type Error struct {
	// Directive is as it stands in the format.
	Directive string
	// Why it is wrong, without a full stop.
	Why string
	// Word is what nobody knows, and Known is what it could have been; empty: nothing
	// comes near.
	Word  string
	Known []string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Directive, e.Why) }

// Parse compiles a format: the name of one, or text with Apache's directives. Its
// error is an *Error.
func Parse(format string) (*Format, error) {
	if format == JSON {
		return &Format{}, nil
	}
	if text, named := Named[format]; named {
		format = text
	} else if !strings.Contains(format, "%") {
		return nil, &Error{Directive: format, Why: "it is no name of a format, and has no directive", Word: format, Known: append(slices.Sorted(maps.Keys(Named)), JSON)}
	}
	f, before := &Format{}, ""
	for rest := format; rest != ""; {
		text, _, found := strings.Cut(rest, "%")
		before += text
		rest = rest[len(text):]
		if !found {
			break
		}
		p, size, err := parseDirective(rest)
		if err != nil {
			return nil, err
		}
		p.text = before + p.text
		if before = ""; p.op == opText {
			before = p.text
		} else {
			f.pieces = append(f.pieces, p)
		}
		rest = rest[size:]
	}
	if before != "" {
		f.pieces = append(f.pieces, piece{text: before})
	}
	return f, nil
}

// parseDirective reads the directive that text begins with, and gives its length.
func parseDirective(text string) (piece, int, error) {
	at := 1
	for at < len(text) && (text[at] == '>' || text[at] == '<') { // a request is one here, not several
		at++
	}
	argument, hasArgument := "", false
	if at < len(text) && text[at] == '{' {
		end := strings.IndexByte(text[at:], '}')
		if end < 0 {
			return piece{}, 0, &Error{Directive: text, Why: "the brace is not closed"}
		}
		argument, hasArgument = text[at+1:at+end], true
		at += end + 1
	}
	if at == len(text) {
		return piece{}, 0, &Error{Directive: text, Why: "the letter is missing that says what to write"}
	}
	letter := text[at]
	whole := text[:at+1]
	wrong := func(why, word string, known []string) error {
		return &Error{Directive: whole, Why: why, Word: word, Known: known}
	}
	if why, is := foreign[letter]; is {
		return piece{}, 0, wrong(why, "", nil)
	}
	switch {
	case letter == '%' && !hasArgument:
		return piece{text: "%"}, at + 1, nil
	case letter == '!' || letter >= '0' && letter <= '9':
		return piece{}, 0, wrong("conditions on the status are not known", "", nil)
	case !hasArgument:
		if p, known := bare[letter]; known {
			return p, at + 1, nil
		}
		if letter == 'e' || letter == 'i' || letter == 'x' {
			return piece{}, 0, wrong("it needs a name in braces, such as "+map[byte]string{'e': "%{UNIQUE_ID}e", 'i': "%{Referer}i", 'x': "%{" + own + "wait}x"}[letter], "", nil)
		}
	case letter == 'e' && argument != "":
		return piece{op: opParam, name: argument}, at + 1, nil
	case letter == 'i' && argument != "":
		return piece{op: opParam, name: headerParam(argument)}, at + 1, nil
	case letter == 't' && argument != "":
		p, why := parseTime(argument)
		if why != "" {
			return p, 0, wrong(why, "", nil)
		}
		return p, at + 1, nil
	case arguments[letter] != nil:
		names := arguments[letter]
		if p, known := names[argument]; known {
			return p, at + 1, nil
		}
		return piece{}, 0, wrong(fmt.Sprintf("%%{…}%c has one of %s in its braces", letter, strings.Join(slices.Sorted(maps.Keys(names)), ", ")), argument, slices.Sorted(maps.Keys(names)))
	}
	return piece{}, 0, wrong("there is no such directive; see docs/access-log.md", "", nil)
}
