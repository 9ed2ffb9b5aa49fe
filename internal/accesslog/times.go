package accesslog

import (
	"strconv"
	"strings"
	"time"
)

// clfLayout is Apache's time.
const clfLayout = "[02/Jan/2006:15:04:05 -0700]"

// stamp is a second as it is written: most requests begin in the one that the
// request before began in.
type stamp struct {
	second          int64
	clf, date, zone string
}

func (f *Format) stamp(t time.Time) *stamp {
	s := f.last.Load()
	if second := t.Unix(); s == nil || s.second != second {
		t = t.Local()
		s = &stamp{second, t.Format(clfLayout), t.Format("2006-01-02T15:04:05"), t.Format("Z07:00")}
		f.last.Store(s)
	}
	return s
}

// appendFraction appends the first digits of what t is past its second.
func appendFraction(b []byte, t time.Time, digits int) []byte {
	n := t.Nanosecond()
	for unit := 100_000_000; digits > 0; digits-- {
		b = append(b, byte('0'+n/unit%10))
		unit /= 10
	}
	return b
}

// appendSeconds appends seconds with their microseconds.
func appendSeconds(b []byte, d time.Duration) []byte {
	micro := max(0, d.Microseconds())
	b = append(strconv.AppendInt(b, micro/1e6, 10), '.')
	for unit := int64(100_000); unit > 0; unit /= 10 {
		b = append(b, byte('0'+micro/unit%10))
	}
	return b
}

// layouts are what is known of strftime, in the words of time.Format.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'D': "01/02/06", 'e': "_2", 'F': "2006-01-02",
	'H': "15", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'p': "PM", 'R': "15:04", 'S': "05", 'T': "15:04:05",
	'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// timePiece is part of a time: a layout, or text if that is empty.
type timePiece struct{ layout, text string }

// parseTime reads the argument of %{…}t.
func parseTime(argument string) (piece, string) {
	p := piece{op: opTime}
	if rest, found := strings.CutPrefix(argument, "end:"); found {
		argument, p.atEnd = rest, true
	} else {
		argument = strings.TrimPrefix(argument, "begin:")
	}
	switch argument {
	case "sec", "msec", "usec", "msec_frac", "usec_frac":
		p.name = argument
		return p, ""
	}
	p.op = opStrftime
	for i := 0; i < len(argument); i++ {
		if argument[i] != '%' {
			p.times = append(p.times, timePiece{text: argument[i : i+1]})
			continue
		}
		if i++; i == len(argument) {
			return p, "it ends in a percent sign"
		}
		layout := layouts[argument[i]]
		switch {
		case argument[i] == '%':
			p.times = append(p.times, timePiece{text: "%"})
		case layout == "":
			return p, "%" + argument[i:i+1] + " is no part of a time that wsgid knows"
		default:
			p.times = append(p.times, timePiece{layout: layout})
		}
	}
	if len(p.times) == 0 {
		return p, "it names no time"
	}
	return p, ""
}

// appendTime appends one of the numbers that Apache has for a time.
func appendTime(b []byte, name string, t time.Time) []byte {
	switch name {
	case "msec":
		return strconv.AppendInt(b, t.UnixMilli(), 10)
	case "usec":
		return strconv.AppendInt(b, t.UnixMicro(), 10)
	case "msec_frac":
		return appendFraction(b, t, 3)
	case "usec_frac":
		return appendFraction(b, t, 6)
	}
	return strconv.AppendInt(b, t.Unix(), 10)
}
