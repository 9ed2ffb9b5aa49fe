package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scriptConn plays the web server: each Read gets the next piece, at the end
// of which comes final (io.EOF if unset). Writes are collected.
type scriptConn struct {
	pieces [][]byte
	final  error
	reads  int
	out    bytes.Buffer
}

func (c *scriptConn) Read(p []byte) (int, error) {
	c.reads++
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		if c.final != nil {
			return 0, c.final
		}
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

func whole(b []byte) [][]byte { return [][]byte{b} }

// cut returns b in pieces of n bytes.
func cut(b []byte, n int) [][]byte {
	var p [][]byte
	for len(b) > n {
		p = append(p, b[:n])
		b = b[n:]
	}
	return append(p, b)
}

// trace is one recorded connection with its decoded form.
type trace struct {
	File     string         `json:"file"`
	Length   int            `json:"length"`
	Response string         `json:"response_file"`
	Records  [][4]any       `json:"records"`
	Requests []traceRequest `json:"requests"`
	raw      []byte
}

type traceRequest struct {
	ID       uint16
	Role     string
	Flags    byte
	KeepConn bool   `json:"keep_conn"`
	Bytes    int    `json:"params_bytes"`
	Params   []pair `json:"params"`
	PEOF     bool   `json:"params_eof"`
	StdinLen int    `json:"stdin_length"`
	StdinEOF bool   `json:"stdin_eof"`
	Aborted  bool
}

type pair struct{ Name, Value string }

func (p *pair) UnmarshalJSON(b []byte) error {
	var v struct {
		Name, Value string
		B64         string `json:"value_b64"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*p = pair{v.Name, v.Value}
	if v.B64 != "" {
		raw, err := base64.StdEncoding.DecodeString(v.B64)
		p.Value = string(raw)
		return err
	}
	return nil
}

// loadTraces reads all recorded connections.
func loadTraces(t testing.TB) []trace {
	t.Helper()
	files, err := filepath.Glob("testdata/fcgi/*.json")
	if err != nil || len(files) < 100 {
		t.Fatalf("traces missing: %d files, %v", len(files), err)
	}
	var all []trace
	for _, f := range files {
		var d struct{ Connections []trace }
		if err := json.Unmarshal(readFile(t, f), &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, c := range d.Connections {
			c.raw = readFile(t, "testdata/fcgi/"+c.File)
			if len(c.raw) != c.Length {
				t.Fatalf("%s has %d bytes, want %d", c.File, len(c.raw), c.Length)
			}
			all = append(all, c)
		}
	}
	return all
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// served is what serve made of one request.
type served struct {
	req      Request
	pairs    []pair
	body     []byte
	err      error // of ReadRequest
	bodyErr  error
	stdinEOF bool
}

// serve runs a connection to its end, answering each request with END_REQUEST.
// stopAfter bytes of a body the request is answered early; -1: never.
func serve(s *ServerConn, stopAfter func(i int) int) ([]served, error) {
	var all []served
	for {
		req, err := s.ReadRequest()
		if req == nil {
			return all, err
		}
		v := served{req: *req, err: err}
		v.req.Params = bytes.Clone(req.Params)
		p := req.Pairs()
		for {
			n, val, ok := p.Next()
			if !ok {
				break
			}
			v.pairs = append(v.pairs, pair{string(n), string(val)})
		}
		stop := -1
		if stopAfter != nil {
			stop = stopAfter(len(all))
		}
		ended := false
		for err == nil {
			if stop >= 0 && len(v.body) >= stop && !ended {
				ended = true
				end(s, req)
			}
			var c []byte
			c, v.bodyErr = s.NextStdin()
			if v.bodyErr != nil {
				break
			}
			v.body = append(v.body, c...)
		}
		v.stdinEOF = errors.Is(v.bodyErr, io.EOF)
		if !bytes.Equal(v.req.Params, req.Params) {
			v.err = errors.New("parameters changed while the body was read")
		}
		all = append(all, v)
		if v.err != nil {
			if st := RejectStatus(v.err); st != 0 {
				s.WriteEnd(AppendPlainReply(nil, req.ID, st, "x", ""))
			}
			return all, v.err
		}
		if !ended {
			end(s, req)
		}
		if errors.Is(v.bodyErr, ErrProtocol) || errors.Is(v.bodyErr, ErrAborted) && !errors.Is(v.bodyErr, ErrAbortRecord) {
			return all, v.bodyErr
		}
		s.Finish()
	}
}

func end(s *ServerConn, req *Request) {
	s.WriteEnd(AppendEndRequest(nil, req.ID, 0, RequestComplete))
}

// typeOf is the inverse of RecordType.String.
func typeOf(name string) RecordType {
	for i, n := range typeNames {
		if n == name && n != "" {
			return RecordType(i)
		}
	}
	return 0
}

func isHTTP(file string) bool { return strings.Contains(file, "hcheck-http") }
