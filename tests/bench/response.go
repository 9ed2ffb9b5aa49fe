package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// response follows one HTTP/1.1 response as its bytes arrive. It allocates
// only when a head comes in pieces.
type response struct {
	state   responseState
	head    []byte // a head not complete yet
	left    int    // bytes of the body or of the chunk still to come
	size    int    // bytes of body seen
	status  int
	closing bool // the server will close the connection
	line    int  // value of the chunk size line so far, -1 before a digit
	ext     bool // behind the digits of a chunk size line
}

type responseState int

const (
	inHead responseState = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	atEnd
)

var (
	headEnd          = []byte("\r\n\r\n")
	contentLength    = []byte("Content-Length")
	transferEncoding = []byte("Transfer-Encoding")
	connectionHeader = []byte("Connection")

	errExtra = errors.New("bytes behind the response")
	errChunk = errors.New("malformed chunk")
)

// reset prepares for the next response of the connection.
func (r *response) reset() {
	*r = response{head: r.head[:0], line: -1}
}

// feed takes what was read and tells whether the response is complete.
func (r *response) feed(data []byte) (bool, error) {
	for len(data) > 0 {
		switch r.state {
		case inHead:
			rest, err := r.feedHead(data)
			if err != nil {
				return false, err
			}
			data = rest
		case inBody, inChunk:
			n := min(len(data), r.left)
			r.left -= n
			r.size += n
			data = data[n:]
			if r.left == 0 {
				if r.state == inBody {
					r.state = atEnd
				} else {
					r.state = inChunkEnd
				}
			}
		case inChunkEnd:
			if data[0] == '\n' {
				r.state, r.line, r.ext = inChunkSize, -1, false
			}
			data = data[1:]
		case inChunkSize:
			if err := r.feedChunkSize(data[0]); err != nil {
				return false, err
			}
			data = data[1:]
		case inTrailer:
			// Apache sends no trailers: the last line is empty.
			if data[0] == '\n' {
				r.state = atEnd
			}
			data = data[1:]
		case atEnd:
			return true, errExtra
		}
	}
	return r.state == atEnd, nil
}

func (r *response) feedHead(data []byte) (rest []byte, err error) {
	head := data
	if len(r.head) > 0 {
		r.head = append(r.head, data...)
		head = r.head
	}
	end := bytes.Index(head, headEnd)
	if end < 0 {
		if len(r.head) == 0 {
			r.head = append(r.head, data...)
		}
		return nil, nil
	}
	rest = data[len(data)-(len(head)-end-len(headEnd)):]
	head = head[:end]
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return nil, fmt.Errorf("malformed head %.40q", head)
	}
	if r.status, err = strconv.Atoi(string(head[9:12])); err != nil {
		return nil, fmt.Errorf("malformed status: %w", err)
	}
	r.state, r.left = atEnd, 0
	for len(head) > 0 {
		line := head
		if i := bytes.Index(head, headEnd[:2]); i >= 0 {
			line, head = head[:i], head[i+2:]
		} else {
			head = nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
		switch {
		case bytes.EqualFold(name, contentLength):
			if r.left, err = strconv.Atoi(string(value)); err != nil {
				return nil, fmt.Errorf("malformed Content-Length: %w", err)
			}
			if r.left > 0 {
				r.state = inBody
			}
		case bytes.EqualFold(name, transferEncoding):
			r.state = inChunkSize
		case bytes.EqualFold(name, connectionHeader):
			r.closing = bytes.EqualFold(value, []byte("close"))
		}
	}
	return rest, nil
}

func (r *response) feedChunkSize(c byte) error {
	switch {
	case c == '\n':
		if r.line < 0 {
			return errChunk
		}
		r.left = r.line
		if r.left == 0 {
			r.state = inTrailer
		} else {
			r.state = inChunk
		}
	case c == '\r' || c == ';' || c == ' ' || r.ext:
		r.ext = true
	default:
		digit, err := strconv.ParseUint(string(rune(c)), 16, 8)
		if err != nil {
			return errChunk
		}
		r.line = max(r.line, 0)<<4 | int(digit)
	}
	return nil
}
