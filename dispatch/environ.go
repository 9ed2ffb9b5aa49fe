package dispatch

import (
	"bytes"
	"strconv"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

// pair is one parameter of a request. Its slices point into the front
// connection's buffer.
type pair struct {
	name, value []byte
	next        uint16 // 1 + index of the next pair with the same hash
	computed    bool   // looked at and replaced by the router: not passed on as it came
}

// environ is the parameters of one request on their way from the front
// server's idea to what the application shall see. It is reused from one
// request to the next.
type environ struct {
	pairs []pair
	table [128]uint16 // 1 + index of the last pair with that hash
	// settings are the WSGID_ parameters, which applications do not see. The
	// listener says whether they count.
	settings []pair

	method, requestURI, queryString, scriptName, pathInfo, scriptFilename []byte
	contentLength, transferEncoding, uniqueID, remoteAddr                 []byte
	authorization, redirectAuthorization                                  []byte
	serverPort, httpHost                                                  []byte
	remoteHost, serverSignature                                           []byte
	// What a front server says that asks who is let in.
	apacheRole, remotePassword []byte
	authRequest                bool
	// serverName is SERVER_NAME, or the name of the virtual host.
	serverName []byte

	// length is CONTENT_LENGTH, -1 if it is not known.
	length int64

	// shownScriptName replaces the SCRIPT_NAME of the mapping, own are WSGID_
	// pairs for the worker: what the options of the mount lead to.
	// resource replaces the script as SCRIPT_FILENAME.
	shownScriptName []byte
	resource        string
	own             []byte
	// schemeDecided: the header of a trusted proxy said http or https.
	schemeDecided bool
}

// reset forgets the previous request.
func (e *environ) reset() {
	clear(e.pairs)
	clear(e.settings)
	*e = environ{pairs: e.pairs[:0], settings: e.settings[:0], length: -1, own: e.own[:0]}
}

// parse reads the PARAMS of a request. Names that no environment could hold,
// and everything that a client or front server must not hand to an
// application, are left out (mod_wsgi behaviour 6.1, httpoxy).
func (e *environ) parse(params []byte, limits protocol.Limits) error {
	e.reset()
	p := protocol.NewPairs(params, limits)
	for {
		name, value, ok := p.NextSane()
		if !ok {
			return p.Err()
		}
		switch {
		case !dropped(name):
			e.add(name, value)
		case e.noteDropped(name, value):
		case isSetting(name) && len(e.settings) < maxSettings:
			e.settings = append(e.settings, pair{name: name, value: value})
		}
	}
}

// add takes one parameter. Web servers send a name twice for two request
// headers, or to override a default: headers are joined, else the last wins.
func (e *environ) add(name, value []byte) {
	h := hashName(name)
	for i := e.table[h]; i != 0; i = e.pairs[i-1].next {
		old := &e.pairs[i-1]
		if !bytes.Equal(old.name, name) {
			continue
		}
		switch {
		case string(name) == "HTTP_COOKIE":
			value = joined(old.value, "; ", value)
		case bytes.HasPrefix(name, httpPrefix):
			value = joined(old.value, ", ", value)
		}
		old.value = value
		e.note(name, value)
		return
	}
	e.append(h, pair{name: name, value: value, computed: e.note(name, value)})
}

// maxPairs is how many names an index can count; the limits of PARAMS come first.
const maxPairs = 1<<16 - 1

var httpPrefix = []byte("HTTP_")

func joined(a []byte, sep string, b []byte) []byte {
	out := make([]byte, 0, len(a)+len(sep)+len(b))
	return append(append(append(out, a...), sep...), b...)
}

// hashName spreads the names of CGI, whose first letters are much alike.
func hashName(name []byte) uint8 {
	n := len(name)
	return (uint8(n)*31 ^ name[n-1]*7 ^ name[n/2]*13 ^ name[n/3]) & 127
}

// note keeps what the router itself looks at. It reports whether the router
// writes the variable anew.
func (e *environ) note(name, value []byte) (computed bool) {
	switch string(name) {
	case "REQUEST_METHOD":
		e.method = value
	case "REQUEST_URI":
		e.requestURI = value
	case "QUERY_STRING":
		e.queryString = value
		return true
	case "SCRIPT_NAME":
		e.scriptName = value
		return true
	case "PATH_INFO":
		e.pathInfo = value
		return true
	case "SCRIPT_FILENAME":
		e.scriptFilename = value
		return true
	case "CONTENT_LENGTH":
		e.contentLength = value
		return true
	case "CONTENT_TYPE":
		return len(value) == 0 // absent and empty are one, for all front servers
	case "HTTP_TRANSFER_ENCODING":
		e.transferEncoding = value
		return true
	case "UNIQUE_ID":
		e.uniqueID = value
	case "REMOTE_ADDR":
		e.remoteAddr = value
	case "HTTP_AUTHORIZATION":
		e.authorization = value
	case "REDIRECT_HTTP_AUTHORIZATION":
		e.redirectAuthorization = value
	case "SERVER_NAME":
		e.serverName = value
	case "SERVER_PORT":
		e.serverPort = value
	case "HTTP_HOST":
		e.httpHost = value
	}
	return false
}

// noteDropped keeps what the router looks at of that which no application sees,
// and says whether it is that.
func (e *environ) noteDropped(name, value []byte) bool {
	switch string(name) {
	case "REMOTE_HOST":
		e.remoteHost = value
	case "SERVER_SIGNATURE":
		e.serverSignature = value
	case "REMOTE_PASSWD":
		e.remotePassword = value
	case "FCGI_APACHE_ROLE":
		e.apacheRole = value
	case "WSGID_AUTH_REQUEST":
		e.authRequest = len(value) > 0
	default:
		return false
	}
	return true
}

// credentials are those of the client: mod_rewrite of Apache hands them over
// under another name.
func (e *environ) credentials() []byte {
	if e.authorization == nil {
		return e.redirectAuthorization
	}
	return e.authorization
}

// dropped says which parameters no application sees: those mod_wsgi leaves
// out (behaviour 6.1), the duplicates of body headers, httpoxy's, the front
// server's own process environment and switches, and names of wsgid.
func dropped(name []byte) bool {
	switch name[0] {
	case 'a':
		return isSwitch(name)
	case 'H':
		switch string(name) {
		case "HTTP_PROXY", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE":
			return true
		}
	case 'P':
		return string(name) == "PATH" || string(name) == "PATH_TRANSLATED"
	case 'G':
		return string(name) == "GATEWAY_INTERFACE"
	case 'R':
		switch string(name) {
		case "REMOTE_HOST", "REMOTE_IDENT", "REMOTE_PASSWD":
			return true
		}
		return isOldSetting(name)
	case 'S':
		return string(name) == "SERVER_SIGNATURE" || string(name) == "SHLIB_PATH"
	case 'L':
		return string(name) == "LD_LIBRARY_PATH" || string(name) == "LIBPATH"
	case 'D':
		return string(name) == "DYLD_LIBRARY_PATH"
	case 'F':
		return string(name) == "FCGI_ROLE" || string(name) == "FCGI_APACHE_ROLE"
	case 'W':
		return isSetting(name)
	case 'p':
		return isSwitch(name)
	case 'w':
		return bytes.HasPrefix(name, []byte("wsgi."))
	case 'm':
		return bytes.HasPrefix(name, []byte("mod_wsgi."))
	}
	return false
}

// lookup finds a parameter by name.
func (e *environ) lookup(name string) ([]byte, bool) {
	if p := e.find(name); p != nil {
		return p.value, true
	}
	return nil, false
}

func (e *environ) find(name string) *pair {
	if name == "" {
		return nil
	}
	for i := e.table[hashName([]byte(name))]; i != 0; i = e.pairs[i-1].next {
		if string(e.pairs[i-1].name) == name {
			return &e.pairs[i-1]
		}
	}
	return nil
}

// set gives the application a value of the router's; what the router itself
// has noted stays.
func (e *environ) set(name string, value []byte) {
	if p := e.find(name); p != nil {
		p.value = value
		return
	}
	e.append(hashName([]byte(name)), pair{name: []byte(name), value: value})
}

// append takes a variable that was not there, with the hash of its name; what is more
// than maxPairs is left out.
func (e *environ) append(h uint8, p pair) {
	if len(e.pairs) < maxPairs {
		p.next = e.table[h]
		e.pairs = append(e.pairs, p)
		e.table[h] = uint16(len(e.pairs))
	}
}

// remove takes a variable out of what the application sees.
func (e *environ) remove(name string) {
	if p := e.find(name); p != nil {
		p.name, p.computed = nil, true
	}
}

// checkBody reads CONTENT_LENGTH and Transfer-Encoding. Absent, empty and
// Caddy's -1 mean that the length is not known; the body then ends with STDIN.
func (e *environ) checkBody() *refusal {
	if len(e.transferEncoding) > 0 && !bytes.EqualFold(e.transferEncoding, []byte("chunked")) {
		return refuse(errcode.TransferEncoding, "transfer_encoding", string(e.transferEncoding))
	}
	v := e.contentLength
	if len(v) == 0 || string(v) == "-1" {
		return nil
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return refuse(errcode.BadContentLength, "content_length", string(v))
		}
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return refuse(errcode.BadContentLength, "content_length", string(v))
	}
	e.length = n
	return nil
}

// sane reports whether a front server's request id can stand in logs and
// headers as it is.
func saneID(id []byte) bool {
	if len(id) == 0 || len(id) > 63 {
		return false
	}
	for _, c := range id {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '@', c == '-', c == '_', c == '.', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}

// appendTo appends the variables of the application: what came, and the
// mapping that the router decided.
func (e *environ) appendTo(b []byte, t *target) []byte {
	for i := range e.pairs {
		if p := &e.pairs[i]; !p.computed {
			b = protocol.AppendPair(b, p.name, p.value)
		}
	}
	b = protocol.AppendPair(b, "QUERY_STRING", e.queryString)
	scriptName := t.scriptName
	if e.shownScriptName != nil {
		scriptName = e.shownScriptName
	}
	b = protocol.AppendPair(b, "SCRIPT_NAME", scriptName)
	b = protocol.AppendPair(b, "PATH_INFO", t.pathInfo)
	file := t.script
	if e.resource != "" {
		file = e.resource
	}
	b = protocol.AppendPair(b, "SCRIPT_FILENAME", file)
	if e.length >= 0 {
		var digits [20]byte
		b = protocol.AppendPair(b, "CONTENT_LENGTH", strconv.AppendInt(digits[:0], e.length, 10))
	} else if len(e.transferEncoding) > 0 {
		b = protocol.AppendPair(b, "HTTP_TRANSFER_ENCODING", e.transferEncoding)
	}
	if e.authorization == nil && len(e.redirectAuthorization) > 0 {
		b = protocol.AppendPair(b, "HTTP_AUTHORIZATION", e.redirectAuthorization)
	}
	return b
}
