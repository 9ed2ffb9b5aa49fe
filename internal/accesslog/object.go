package accesslog

import "strconv"

// appendObject appends the line of the format "json". What a request lacks is left
// out.
func (f *Format) appendObject(b []byte, r *Request) []byte {
	at := f.stamp(r.Start)
	b = append(append(b, `{"time":"`...), at.date...)
	b = appendFraction(append(b, '.'), r.Start, 3)
	b = append(append(b, at.zone...), '"')
	b = appendMember(b, "request", r.ID)
	b = appendMember(b, "method", r.Method)
	b = appendMember(b, "uri", r.URI)
	b = appendMember(b, "protocol", r.Params.Param("SERVER_PROTOCOL"))
	host := r.Params.Param("HTTP_HOST")
	if len(host) == 0 {
		host = r.ServerName
	}
	b = appendMember(b, "host", host)
	b = appendMember(b, "client", r.Params.Param("REMOTE_ADDR"))
	b = appendMember(b, "user", r.Params.Param("REMOTE_USER"))
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), r.Bytes, 10)
	b = appendSeconds(append(b, `,"duration":`...), r.Duration)
	b = appendSeconds(append(b, `,"wait":`...), r.Wait)
	b = appendSeconds(append(b, `,"dispatch":`...), r.Dispatch)
	b = append(append(append(b, `,"end":"`...), r.End.String()...), '"')
	if r.Code != 0 {
		b = append(append(append(b, `,"code":"`...), r.Code.String()...), '"')
	}
	b = appendMember(b, "group", r.Group)
	b = appendMember(b, "application", r.Application)
	if r.PID != 0 {
		b = strconv.AppendInt(append(b, `,"pid":`...), int64(r.PID), 10)
	}
	b = appendMember(b, "mount", r.Mount)
	b = appendMember(b, "script", r.Script)
	b = appendMember(b, "listener", r.Listener)
	b = appendMember(b, "referer", r.Params.Param("HTTP_REFERER"))
	b = appendMember(b, "user_agent", r.Params.Param("HTTP_USER_AGENT"))
	b = appendMember(b, "trace", r.Trace)
	return append(b, "}\n"...)
}

// appendMember appends a text, if there is one.
func appendMember[T ~[]byte | ~string](b []byte, name string, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendJSON(b, v)
}
