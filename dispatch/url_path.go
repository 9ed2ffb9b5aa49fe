package dispatch

import "bytes"

// urlPath appends the decoded path of the request to b: SCRIPT_NAME and
// PATH_INFO together, which is the whole path with every front server, however
// it splits them. Slash runs become one and dot segments are resolved, since
// Caddy does neither. Only without both is REQUEST_URI, which is raw, decoded.
func (e *environ) urlPath(b []byte) []byte {
	at := len(b)
	b = append(append(b, e.scriptName...), e.pathInfo...)
	if len(b) == at {
		b = appendUnescaped(b, requestPath(e.requestURI))
	}
	if len(b) == at {
		return append(b, '/')
	}
	if b[at] != '/' && b[at] != '*' {
		b = append(b, 0)
		copy(b[at+1:], b[at:])
		b[at] = '/'
	}
	return b[:at+len(normalize(b[at:]))]
}

// normalize collapses slash runs and resolves dot segments in place. A path
// never climbs above its root.
func normalize(p []byte) []byte {
	if !bytes.Contains(p, []byte("//")) && !bytes.Contains(p, []byte("/.")) {
		return p
	}
	out := p[:0]
	for i := 0; i < len(p); {
		if p[i] != '/' {
			out = append(out, p[i])
			i++
			continue
		}
		for i < len(p) && p[i] == '/' {
			i++
		}
		end := i
		for end < len(p) && p[end] != '/' {
			end++
		}
		switch string(p[i:end]) {
		case ".":
			i = end
			if end == len(p) {
				out = append(out, '/')
			}
		case "..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
			i = end
			if end == len(p) {
				out = append(out, '/')
			}
		default:
			out = append(out, '/')
		}
	}
	if len(out) == 0 && len(p) > 0 {
		out = append(out, '/')
	}
	return out
}

// collapse reduces slash runs to one slash.
func collapse(p string) string {
	out := make([]byte, 0, len(p))
	for i := range len(p) {
		if p[i] != '/' || len(out) == 0 || out[len(out)-1] != '/' {
			out = append(out, p[i])
		}
	}
	return string(out)
}

// requestPath is the path of a request target: without query, and without
// scheme and authority when a client sent the absolute form.
func requestPath(target []byte) []byte {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	if len(target) > 0 && target[0] != '/' {
		i := bytes.Index(target, []byte("://"))
		if i < 0 {
			return target
		}
		target = target[i+3:]
		i = bytes.IndexByte(target, '/')
		if i < 0 {
			return nil
		}
		target = target[i:]
	}
	return target
}

// appendUnescaped decodes percent escapes once; a malformed one stays as it is.
func appendUnescaped(b, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return b
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
