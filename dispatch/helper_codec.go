package dispatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wsgid/wsgid/protocol"
)

// What router and dispatch helper say to each other (docs/internals.md section
// 9): a length and so many bytes of name-value pairs, a call one way, its
// answer the other. The router believes nothing of an answer but its form.

const (
	frameHeader = 4
	// maxCall is more than max_header_bytes can be.
	maxCall = 32 << 20
	// maxAnswer bounds what a helper can make the router hold for a call, and
	// maxAnswerText each text in it but those of a decision.
	maxAnswer     = 1 << 20
	maxAnswerText = 128 << 10
)

// errAnswer is an answer that no helper of ours gives.
var errAnswer = errors.New("malformed answer of the dispatch helper")

// beginFrame leaves room for the length that endFrame puts in.
func beginFrame(b []byte) []byte { return append(b[:0], 0, 0, 0, 0) }

func endFrame(b []byte) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-frameHeader))
	return b
}

// appendCall encodes a call, or with nil the question whether Python's lock
// can be had, as a frame into the buffer b. left is the time until the helper
// interrupts it.
func appendCall(b []byte, c *ScriptCall, left time.Duration) []byte {
	b = beginFrame(b)
	if c == nil {
		return endFrame(protocol.AppendPair(b, "probe", ""))
	}
	var digits [20]byte
	b = protocol.AppendPair(b, "kind", strconv.AppendInt(digits[:0], int64(c.Kind), 10))
	b = protocol.AppendPair(b, "script", c.Script)
	b = protocol.AppendPair(b, "application", c.ApplicationGroup)
	b = protocol.AppendPair(b, "request", c.RequestID)
	if c.ErrorLog != "" {
		b = protocol.AppendPair(b, "error_log", c.ErrorLog)
	}
	if c.Trace != "" {
		b = protocol.AppendPair(b, "trace", c.Trace)
	}
	b = protocol.AppendPair(b, "time", strconv.AppendInt(digits[:0], left.Microseconds(), 10))
	if c.Check {
		b = protocol.AppendPair(b, "check", "")
	}
	if c.KeepLastGood {
		b = protocol.AppendPair(b, "keep", "")
	}
	if c.First != nil {
		b = protocol.AppendPair(b, "first", c.First)
	}
	if c.Second != nil {
		b = protocol.AppendPair(b, "second", c.Second)
	}
	return endFrame(protocol.AppendPair(b, "environ", c.Params))
}

// framePairs iterates over a frame of at most limit bytes. A user may be in
// thousands of groups.
func framePairs(frame []byte, limit int) protocol.Pairs {
	return protocol.NewPairs(frame, protocol.Limits{Total: limit, Pairs: 1 << 16, Name: 32, Value: limit})
}

// parseCall decodes what appendCall encoded, without the frame's length. The
// environ stays in the frame.
func parseCall(frame []byte) (c *ScriptCall, left time.Duration, probe bool, err error) {
	c = new(ScriptCall)
	pairs := framePairs(frame, maxCall)
	for {
		name, value, ok := pairs.Next()
		if !ok {
			break
		}
		switch string(name) {
		case "probe":
			probe = true
		case "kind":
			var kind int
			kind, err = strconv.Atoi(string(value))
			c.Kind = ScriptKind(kind)
		case "script":
			c.Script = string(value)
		case "application":
			c.ApplicationGroup = string(value)
		case "request":
			c.RequestID = string(value)
		case "error_log":
			c.ErrorLog = string(value)
		case "trace":
			c.Trace = string(value)
		case "time":
			var micros int64
			micros, err = strconv.ParseInt(string(value), 10, 64)
			left = time.Duration(micros) * time.Microsecond
		case "check":
			c.Check = true
		case "keep":
			c.KeepLastGood = true
		case "first":
			c.First = value
		case "second":
			c.Second = value
		case "environ":
			c.Params = value
		default:
			err = fmt.Errorf("unknown part %q", name)
		}
		if err != nil {
			return nil, 0, false, fmt.Errorf("malformed call: %w", err)
		}
	}
	if err := pairs.Err(); err != nil {
		return nil, 0, false, fmt.Errorf("malformed call: %w", err)
	}
	return c, left, probe, nil
}

// appendAnswer encodes what came of a call as a frame into the buffer b.
func appendAnswer(b []byte, a *ScriptAnswer, err error) []byte {
	b = beginFrame(b)
	if err == nil {
		b = appendOverride(b, "process_group", a.ProcessGroup)
		b = appendOverride(b, "application_group", a.ApplicationGroup)
		b = appendOverride(b, "callable_object", a.CallableObject)
		if a.Verdict != VerdictNone {
			b = protocol.AppendPair(b, "verdict", strconv.Itoa(int(a.Verdict)))
		}
		if a.Text != "" {
			b = protocol.AppendPair(b, "text", a.Text)
		}
		for _, group := range a.Groups {
			b = protocol.AppendPair(b, "group", group)
		}
		if a.LoadError != "" {
			b = protocol.AppendPair(b, "load_error", endOf(a.LoadError))
		}
		if len(b) <= frameHeader+maxAnswer {
			return endFrame(b)
		}
		b = beginFrame(b)
		err = &ScriptError{Kind: ScriptValue, Message: fmt.Sprintf("returned more than %d bytes", maxAnswer)}
	}
	var e *ScriptError
	if !errors.As(err, &e) {
		e = &ScriptError{Kind: ScriptRaised, Message: err.Error()}
	}
	b = protocol.AppendPair(b, "error", strconv.Itoa(int(e.Kind)))
	b = protocol.AppendPair(b, "function", endOf(e.Function))
	b = protocol.AppendPair(b, "line", strconv.Itoa(e.Line))
	b = protocol.AppendPair(b, "message", endOf(e.Message))
	b = protocol.AppendPair(b, "traceback", endOf(e.Traceback))
	return endFrame(protocol.AppendPair(b, "value", endOf(e.Value)))
}

func appendOverride(b []byte, name string, o Override) []byte {
	if !o.Set {
		return b
	}
	return protocol.AppendPair(b, name, o.Value)
}

// endOf cuts a text that is too long: what a traceback ends with matters.
func endOf(text string) string {
	if len(text) <= maxAnswerText {
		return text
	}
	return "…" + text[len(text)-maxAnswerText+len("…"):]
}

// parseAnswer decodes an answer, whoever wrote it, without the frame's length.
// No text in it holds a NUL, as those of pyshim hold none: they go into the
// parameters of a worker. What they mean, and whether they may be what they
// are, is judged like the answers of this process's own Python.
func parseAnswer(frame []byte, script string) (ScriptAnswer, error) {
	var a ScriptAnswer
	e := ScriptError{Script: script}
	failed := false
	pairs := framePairs(frame, maxAnswer)
	for {
		name, value, ok := pairs.Next()
		if !ok {
			break
		}
		var err error
		switch string(name) {
		case "process_group":
			a.ProcessGroup, err = parseOverride(value)
		case "application_group":
			a.ApplicationGroup, err = parseOverride(value)
		case "callable_object":
			a.CallableObject, err = parseOverride(value)
		case "verdict":
			a.Verdict, err = parseVerdict(value)
		case "text":
			a.Text, err = parseText(value)
		case "group":
			var group string
			group, err = parseText(value)
			a.Groups = append(a.Groups, group)
		case "load_error":
			a.LoadError = string(value)
		case "error":
			failed = true
			e.Kind, err = parseKind(value)
		case "function":
			e.Function = string(value)
		case "line":
			e.Line, err = strconv.Atoi(string(value))
		case "message":
			e.Message = string(value)
		case "traceback":
			e.Traceback = string(value)
		case "value":
			e.Value = string(value)
		default:
			err = errAnswer
		}
		if err != nil {
			return ScriptAnswer{}, errAnswer
		}
	}
	switch {
	case pairs.Err() != nil:
		return ScriptAnswer{}, errAnswer
	case failed:
		return ScriptAnswer{}, &e
	}
	return a, nil
}

func parseOverride(value []byte) (Override, error) {
	text, err := parseText(value)
	return Override{Set: true, Value: text}, err
}

func parseText(value []byte) (string, error) {
	if bytes.IndexByte(value, 0) >= 0 {
		return "", errAnswer
	}
	return string(value), nil
}

func parseVerdict(value []byte) (Verdict, error) {
	verdict, err := strconv.Atoi(string(value))
	if err != nil || verdict <= int(VerdictNone) || verdict > int(VerdictUnknown) {
		return VerdictNone, errAnswer
	}
	return Verdict(verdict), nil
}

// parseKind takes the kinds that a script can cause.
func parseKind(value []byte) (ScriptErrorKind, error) {
	kind, err := strconv.Atoi(string(value))
	if err != nil || kind < 0 || ScriptErrorKind(kind) > ScriptLimit {
		return 0, errAnswer
	}
	return ScriptErrorKind(kind), nil
}
