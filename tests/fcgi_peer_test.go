package tests

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// Kinds of FastCGI records.
const (
	beginRequest = 1
	endRequest   = 3
	fcgiParams   = 4
	fcgiStdin    = 5
	fcgiStdout   = 6
	fcgiStderr   = 7
)

// fcgi is one FastCGI record.
func fcgi(kind byte, id uint16, content []byte) []byte {
	header := []byte{1, kind, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(header[2:], id)
	binary.BigEndian.PutUint16(header[4:], uint16(len(content)))
	return append(header, content...)
}

// fcgiStream is content in as many records as it needs, and the empty one.
func fcgiStream(kind byte, content []byte) []byte {
	var out []byte
	for len(content) > 0 {
		n := min(len(content), 65535)
		out = append(out, fcgi(kind, 1, content[:n])...)
		content = content[n:]
	}
	return append(out, fcgi(kind, 1, nil)...)
}

// fcgiPair is a name-value pair.
func fcgiPair(name, value string) []byte {
	var out []byte
	for _, length := range []int{len(name), len(value)} {
		if length < 128 {
			out = append(out, byte(length))
		} else {
			out = binary.BigEndian.AppendUint32(out, uint32(length)|1<<31)
		}
	}
	return append(append(out, name...), value...)
}

// fcgiPairs are pairs of names and values, in order.
func fcgiPairs(texts ...string) []byte {
	var out []byte
	for i := 0; i < len(texts); i += 2 {
		out = append(out, fcgiPair(texts[i], texts[i+1])...)
	}
	return out
}

// fcgiBegin begins request 1 in a role; the connection ends with the request.
func fcgiBegin(role byte) []byte { return fcgi(beginRequest, 1, []byte{0, role, 0, 0, 0, 0, 0, 0}) }

// fcgiRequest is a whole Responder request without a body.
func fcgiRequest(texts ...string) []byte {
	return bytes.Join([][]byte{fcgiBegin(1), fcgiStream(fcgiParams, fcgiPairs(texts...)), fcgi(fcgiStdin, 1, nil)}, nil)
}

// fcgiRecord is a record as it was read.
type fcgiRecord struct {
	kind    byte
	id      uint16
	content []byte
}

func readRecord(in io.Reader) (fcgiRecord, error) {
	var header [8]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return fcgiRecord{}, err
	}
	length := int(binary.BigEndian.Uint16(header[4:]))
	content := make([]byte, length+int(header[6]))
	if _, err := io.ReadFull(in, content); err != nil {
		return fcgiRecord{}, err
	}
	return fcgiRecord{header[1], binary.BigEndian.Uint16(header[2:]), content[:length]}, nil
}

// fcgiAnswer is what came back for a request: until END_REQUEST, or until the
// connection ended without one.
type fcgiAnswer struct {
	stdout, stderr string
	ended          bool // by END_REQUEST
	err            error
}

// status is the number in the Status line; 0 without one.
func (a fcgiAnswer) status() int {
	var number int
	if _, err := fmt.Sscanf(a.stdout, "Status: %d", &number); err != nil {
		return 0
	}
	return number
}

// body is what follows the header block.
func (a fcgiAnswer) body() string {
	_, body, _ := strings.Cut(a.stdout, "\r\n\r\n")
	return body
}

func readAnswer(in io.Reader) fcgiAnswer {
	var a fcgiAnswer
	for {
		record, err := readRecord(in)
		if err != nil {
			a.err = err
			return a
		}
		switch record.kind {
		case fcgiStdout:
			a.stdout += string(record.content)
		case fcgiStderr:
			a.stderr += string(record.content)
		case endRequest:
			a.ended = true
			return a
		}
	}
}

func dial(t testing.TB, w *harness.World) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", w.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// askRaw sends bytes to wsgid's FastCGI listener and reads one answer. A peer
// that is hung up on may find that out while it still sends.
func askRaw(t testing.TB, w *harness.World, sent []byte) fcgiAnswer {
	t.Helper()
	conn := dial(t, w)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = conn.Write(sent) // see above
	}()
	answer := readAnswer(bufio.NewReader(conn))
	conn.Close()
	<-written
	if isTimeout(answer.err) {
		t.Errorf("no answer and no end: %.200q", answer.stdout)
	}
	return answer
}

// rawHTTP sends bytes to an HTTP server and reads until it hangs up.
func rawHTTP(t testing.TB, base, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, request) // it may be hung up on meanwhile
	}()
	answer, err := io.ReadAll(conn)
	if isTimeout(err) {
		t.Errorf("no end of the answer %.300q to %.300q", answer, request)
	}
	conn.Close()
	<-written
	return string(answer)
}
