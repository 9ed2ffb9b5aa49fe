package dispatch

import (
	"bytes"
	"net/http"

	"github.com/wsgid/wsgid/internal/errcode"
)

// maxKept is how much of a header line is kept that arrives in pieces: what the
// lines begin with that are looked at.
const maxKept = 40

// meter watches an answer on its way: the lines of its head for the status, then
// how many bytes follow. Nothing is watched by a nil meter.
type meter struct {
	status int // 0: not known yet
	code   errcode.Code
	bytes  int64 // of the body

	inBody, moved bool // moved: there is a Location
	kept          [maxKept]byte
	keptLen       int // of a line whose end has not come; more may have been dropped
}

// take looks at the next part of the answer.
func (m *meter) take(b []byte) {
	switch {
	case m == nil:
	case m.inBody:
		m.bytes += int64(len(b))
	default:
		m.takeHead(b)
	}
}

// passed counts n bytes that nobody has seen here.
func (m *meter) passed(n int) {
	if m != nil {
		m.bytes += int64(n)
	}
}

// inHead: what comes next has to be seen.
func (m *meter) inHead() bool { return m != nil && !m.inBody }

func (m *meter) takeHead(b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			m.keptLen += copy(m.kept[m.keptLen:], b)
			return
		}
		line := b[:end]
		if m.keptLen > 0 {
			m.keptLen += copy(m.kept[m.keptLen:], line)
			line = m.kept[:m.keptLen]
			m.keptLen = 0
		}
		b = b[end+1:]
		if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) > 0 {
			m.header(line)
			continue
		}
		m.inBody, m.bytes = true, int64(len(b))
		switch {
		case m.status != 0:
		case m.moved: // CGI's own way to say so
			m.status = http.StatusFound
		default:
			m.status = http.StatusOK
		}
		return
	}
}

// header notes what a line of the head says, as the worker writes it (docs/internals.md
// section 5). An application may write the second: it is for display.
func (m *meter) header(line []byte) {
	switch line[0] | 0x20 { // most lines are none of these
	case 's':
		if value, is := headerValue(line, "Status:"); is {
			if n := threeDigits(value); n >= http.StatusContinue {
				m.status = n
			}
		}
	case 'x':
		value, is := headerValue(line, "X-WSGID-Error:")
		if !is {
			return
		}
		if number, is := headerValue(value, "WSGID-"); is && len(number) == 4 {
			if entry, known := entries[errcode.Code(threeDigits(number[:3])*10+int(number[3]-'0'))]; known {
				m.code = entry.Code
			}
		}
	case 'l':
		if _, is := headerValue(line, "Location:"); is {
			m.moved = true
		}
	}
}

// headerValue gives what follows a name, whatever the case of its letters.
func headerValue(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	value := line[len(name):]
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	return value, true
}

// threeDigits is the number that v begins with, -1 if that does not have three digits.
func threeDigits(v []byte) int {
	n := 0
	for i := range 3 {
		if i >= len(v) || v[i] < '0' || v[i] > '9' {
			return -1
		}
		n = n*10 + int(v[i]-'0')
	}
	if len(v) > 3 && v[3] >= '0' && v[3] <= '9' {
		return -1
	}
	return n
}
