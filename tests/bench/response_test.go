package main

import (
	"strings"
	"testing"
)

func TestResponse(t *testing.T) {
	tests := []struct {
		name, in     string
		status, size int
		closing      bool
		wrong        string // of the error, if it is one
		open         bool   // not complete
	}{
		{name: "length", in: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, size: 5},
		{name: "empty", in: "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", status: 200, closing: true},
		{name: "chunks", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1A;x=1\r\n" + strings.Repeat("y", 26) + "\r\n0\r\n\r\n", status: 200, size: 31},
		{name: "refused", in: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", status: 503, size: 2},
		{name: "short", in: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", status: 200, size: 4, open: true},
		{name: "head only", in: "HTTP/1.1 200 OK\r\nContent-Le", open: true},
		{name: "too much", in: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhello", status: 200, size: 1, wrong: "behind"},
		{name: "no HTTP", in: "SSH-2.0-OpenSSH_9.2\r\n\r\n", wrong: "malformed head"},
		{name: "bad chunk", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", status: 200, wrong: "chunk"},
	}
	for _, test := range tests {
		for _, step := range []int{1, 3, 7, len(test.in)} {
			var r response
			r.reset()
			var done bool
			var err error
			for rest := test.in; rest != "" && err == nil; {
				n := min(step, len(rest))
				done, err = r.feed([]byte(rest[:n]))
				rest = rest[n:]
			}
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("%s by %d: error %v, want %q", test.name, step, err, test.wrong)
				}
				continue
			}
			if err != nil || done == test.open || r.status != test.status || r.size != test.size || r.closing != test.closing {
				t.Errorf("%s by %d: done %v, error %v, %+v", test.name, step, done, err, r)
			}
		}
	}
}
