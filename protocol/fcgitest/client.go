// Package fcgitest plays the web server in tests: it sends requests over any
// connection and collects the replies. No product code may import it.
package fcgitest

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wsgid/wsgid/protocol"
)

// Reply is a collected reply.
type Reply struct {
	Stdout, Stderr []byte
	// StdoutClosed is set if the empty STDOUT record came.
	StdoutClosed bool
	AppStatus    uint32
	Status       protocol.Status
}

// Pairs encodes name, value, name, value... as the content of PARAMS.
func Pairs(nv ...string) []byte {
	var b []byte
	for i := 0; i+1 < len(nv); i += 2 {
		b = protocol.AppendPair(b, nv[i], nv[i+1])
	}
	return b
}

// MapPairs encodes a map as the content of PARAMS, in no particular order.
func MapPairs(m map[string]string) []byte {
	var b []byte
	for k, v := range m {
		b = protocol.AppendPair(b, k, v)
	}
	return b
}

// Do sends one Responder request with id 1 and without KEEP_CONN and returns
// the reply. A connection that ends before END_REQUEST gives what came so far
// and an error.
func Do(conn net.Conn, pairs, body []byte) (*Reply, error) {
	return Send(conn, protocol.AppendRequest(nil, 1, protocol.Responder, 0, pairs, body))
}

// Send writes raw records while it reads the reply to id 1. A write error only
// counts if no whole reply came: an application may answer before it has read
// everything, and what was not written by then is given up.
func Send(conn net.Conn, raw []byte) (*Reply, error) {
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(raw)
		written <- err
	}()
	reply, err := Collect(protocol.NewReader(conn, 0), 1)
	if derr := conn.SetWriteDeadline(time.Unix(1, 0)); derr != nil && err == nil {
		conn.Close() // the only other way to end the writer
	}
	werr := <-written
	if err != nil {
		return reply, errors.Join(err, werr)
	}
	_ = conn.SetWriteDeadline(time.Time{}) // fails on a closed connection only
	return reply, nil
}

// Collect reads the reply to request id from rd up to END_REQUEST.
func Collect(rd *protocol.Reader, id uint16) (*Reply, error) {
	reply := &Reply{}
	r := protocol.NewReplyReader(rd, id)
	for {
		e, err := r.Next()
		if err != nil {
			return reply, fmt.Errorf("reading reply: %w", err)
		}
		switch e.Type {
		case protocol.Stdout:
			reply.Stdout = append(reply.Stdout, e.Data...)
			reply.StdoutClosed = reply.StdoutClosed || len(e.Data) == 0
		case protocol.Stderr:
			reply.Stderr = append(reply.Stderr, e.Data...)
		case protocol.EndRequest:
			reply.AppStatus, reply.Status = e.AppStatus, e.Status
			return reply, nil
		}
	}
}
