package supervisor

import (
	"bytes"
	"strings"
)

// block is what a joined event is made of.
type block int

const (
	blockNone      block = iota
	blockTraceback       // a traceback of Python: ends with the first line that is not indented
	blockAfter           // behind a traceback: a chained one may follow
	blockSticky          // a fatal error of Python or a panic of Go: everything until a pause
)

// between is how many lines stand between two tracebacks of a chain: one of text, and an
// empty one before and after it. More are not kept, whatever a child writes.
const between = 3

// lineJoiner cuts a byte stream into lines and puts those of a traceback
// together. It is used by one goroutine.
type lineJoiner struct {
	emit func(text string, traceback bool)
	// apart: each line, as it is, is an event.
	apart bool

	partial  []byte // a line without its end
	lost     int    // bytes of it that are beyond maxEvent
	held     strings.Builder
	heldLost int      // the same of held
	lines    []string // after the traceback: may still turn out to belong to it
	kind     block
}

// pending says whether something waits for more that a pause should release.
// A line without its end waits for ever: it is never cut in two.
func (j *lineJoiner) pending() bool { return j.kind != blockNone }

// write takes bytes as they come.
func (j *lineJoiner) write(data []byte) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			j.keep(data)
			return
		}
		if len(j.partial) == 0 && end <= maxEvent {
			j.line(string(data[:end]))
		} else {
			j.keep(data[:end])
			j.endPartial()
		}
		data = data[end+1:]
	}
}

// keep holds a part of a line.
func (j *lineJoiner) keep(data []byte) {
	room := min(len(data), maxEvent-len(j.partial))
	j.partial = append(j.partial, data[:room]...)
	j.lost += len(data) - room
}

func (j *lineJoiner) endPartial() {
	line := clipped(string(j.partial), j.lost)
	j.partial, j.lost = nil, 0
	j.line(line)
}

func (j *lineJoiner) line(line string) {
	if j.apart {
		j.emit(line, false)
		return
	}
	line = strings.TrimSuffix(line, "\r")
	switch j.kind {
	case blockTraceback:
		j.hold(line)
		if line != "" && line[0] != ' ' && line[0] != '\t' && !startsTraceback(line) {
			j.kind = blockAfter
		}
		return
	case blockSticky:
		j.hold(line)
		return
	case blockAfter:
		if len(j.lines) == between && !startsTraceback(line) {
			j.flush() // not what Python writes
			break
		}
		if line == "" || strings.HasPrefix(line, "During handling of the above exception") ||
			strings.HasPrefix(line, "The above exception was the direct cause") {
			j.lines = append(j.lines, line)
			return
		}
		if startsTraceback(line) && len(j.lines) > 1 {
			for _, line := range j.lines {
				j.hold(line)
			}
			j.lines = nil
			j.hold(line)
			j.kind = blockTraceback
			return
		}
		j.flush()
	}
	switch {
	case startsTraceback(line) || strings.HasPrefix(line, "Exception in thread ") ||
		strings.HasPrefix(line, "Exception ignored in"):
		j.kind = blockTraceback
		j.hold(line) // a head line is not indented, and must not end the block
	case strings.HasPrefix(line, "Fatal Python error: ") || strings.HasPrefix(line, "panic: ") ||
		strings.HasPrefix(line, "fatal error: "):
		j.kind = blockSticky
		j.hold(line)
	case strings.TrimSpace(line) == "":
	default:
		j.emit(line, false)
	}
}

func startsTraceback(line string) bool {
	return strings.HasPrefix(line, "Traceback (most recent call last):")
}

// hold adds a line to the event.
func (j *lineJoiner) hold(line string) {
	if j.held.Len() > 0 {
		line = "\n" + line
	}
	room := min(len(line), maxEvent-j.held.Len()) // never beyond: only here is something added
	j.held.WriteString(line[:room])
	j.heldLost += len(line) - room
}

// flush passes on what is held: a pause, or the next event, ends it.
func (j *lineJoiner) flush() {
	if j.held.Len() > 0 {
		j.emit(clipped(j.held.String(), j.heldLost), true)
	}
	j.held.Reset()
	j.heldLost = 0
	for _, line := range j.lines {
		if line != "" {
			j.emit(line, false)
		}
	}
	j.lines = nil
	j.kind = blockNone
}

// flushAll is flush at the end of the stream: a line without its end counts.
func (j *lineJoiner) flushAll() {
	if len(j.partial) > 0 {
		j.endPartial()
	}
	j.flush()
}
