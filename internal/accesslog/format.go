package accesslog

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// Named are the formats that have a name. JSON is one by itself.
var Named = map[string]string{
	"common":   `%h %l %u %t "%r" %>s %b`,
	"combined": `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`,
}

// JSON is the name of the format that writes an object a line.
const JSON = "json"

// Format is a format that was compiled.
type Format struct {
	pieces []piece // nil: JSON
	last   atomic.Pointer[stamp]
}

// piece is one part of a line.
type piece struct {
	text  string // what stands before it
	op    op
	name  string // parameter; number of a time
	atEnd bool   // of a time: that of the end
	times []timePiece
}

// Append appends the line of a request, with its end.
func (f *Format) Append(b []byte, r *Request) []byte {
	if f.pieces == nil {
		return f.appendObject(b, r)
	}
	for i := range f.pieces {
		b = f.appendPiece(b, &f.pieces[i], r)
	}
	return append(b, '\n')
}

// orDash appends a value, or a dash for one that is not there.
func orDash[T ~[]byte | ~string](b []byte, v T) []byte {
	if len(v) == 0 {
		return append(b, '-')
	}
	return appendText(b, v)
}

func (f *Format) appendPiece(b []byte, p *piece, r *Request) []byte {
	b = append(b, p.text...)
	switch p.op {
	case opText:
		return b
	case opParam:
		v := r.Params.Param(p.name)
		if v == nil {
			return append(b, '-')
		}
		return appendText(b, v)
	case opPeer:
		return orDash(b, r.Peer)
	case opBytes:
		return strconv.AppendInt(b, r.Bytes, 10)
	case opBytesOrDash:
		if r.Bytes == 0 {
			return append(b, '-')
		}
		return strconv.AppendInt(b, r.Bytes, 10)
	case opFile:
		return orDash(b, r.Script)
	case opID:
		return orDash(b, r.ID)
	case opMethod:
		return orDash(b, r.Method)
	case opPID:
		if r.PID == 0 {
			return append(b, '-')
		}
		return strconv.AppendInt(b, int64(r.PID), 10)
	case opQuery:
		if len(r.Query) == 0 {
			return b
		}
		return appendText(append(b, '?'), r.Query)
	case opRequestLine:
		return appendRequestLine(b, r)
	case opStatus:
		return strconv.AppendInt(b, int64(r.Status), 10)
	case opPath:
		return orDash(b, r.Path)
	case opServerName:
		return orDash(b, r.ServerName)
	case opConnection:
		return append(b, connectionSign(r))
	}
	return f.appendTimes(b, p, r)
}

// appendTimes is appendPiece for times, and for what only wsgid has.
func (f *Format) appendTimes(b []byte, p *piece, r *Request) []byte {
	t := r.Start
	if p.atEnd {
		t = t.Add(r.Duration)
	}
	switch p.op {
	case opStamp:
		return append(b, f.stamp(t).clf...)
	case opTime:
		return appendTime(b, p.name, t)
	case opStrftime:
		local := t.Local()
		for _, part := range p.times {
			if part.layout == "" {
				b = append(b, part.text...)
			} else {
				b = local.AppendFormat(b, part.layout)
			}
		}
		return b
	case opSeconds:
		return strconv.AppendInt(b, int64(r.Duration.Seconds()), 10)
	case opMilliseconds:
		return strconv.AppendInt(b, r.Duration.Milliseconds(), 10)
	case opMicroseconds:
		return strconv.AppendInt(b, r.Duration.Microseconds(), 10)
	case opDuration:
		return appendSeconds(b, r.Duration)
	case opWait:
		return appendSeconds(b, r.Wait)
	case opDispatch:
		return appendSeconds(b, r.Dispatch)
	case opGroup:
		return orDash(b, r.Group)
	case opApplication:
		return orDash(b, r.Application)
	case opMount:
		return orDash(b, r.Mount)
	case opListener:
		return orDash(b, r.Listener)
	case opCode:
		if r.Code == 0 {
			return append(b, '-')
		}
		return append(b, r.Code.String()...)
	case opEnd:
		return append(b, r.End.String()...)
	default: // opTrace
		return orDash(b, r.Trace)
	}
}

// appendRequestLine makes the line that the client has sent to the front server.
func appendRequestLine(b []byte, r *Request) []byte {
	if len(r.Method) == 0 {
		return append(b, '-')
	}
	b = appendText(b, r.Method)
	b = appendText(append(b, ' '), r.URI)
	if protocol := r.Params.Param("SERVER_PROTOCOL"); len(protocol) > 0 {
		b = appendText(append(b, ' '), protocol)
	}
	return b
}

// connectionSign is Apache's for the state of the connection after the response.
func connectionSign(r *Request) byte {
	switch {
	case r.End != Complete:
		return 'X'
	case r.KeptAlive:
		return '+'
	}
	return '-'
}

// headerParam is the parameter that has a header of the request.
func headerParam(name string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Type":
		return "CONTENT_TYPE"
	case "Content-Length":
		return "CONTENT_LENGTH"
	}
	return "HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
