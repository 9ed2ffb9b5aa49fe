// Package accesslog is the formats of access logs: Apache's LogFormat and JSON,
// compiled once, and what of a request they put into a line. Whatever a client sends
// is escaped, so that it cannot end a line or a value.
//
// It must not know how requests are served, nor where the lines go.
package accesslog

import (
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
)

// Request is a request that has ended, as far as a line may tell of it.
type Request struct {
	// Start is when its parameters were complete, Duration lasts until the end of
	// the response. Wait of it was for a thread, Dispatch in scripts of the router.
	Start                    time.Time
	Duration, Wait, Dispatch time.Duration
	Status                   int
	Bytes                    int64 // of the response's body
	End                      End
	KeptAlive                bool         // the front server may use the connection again
	Code                     errcode.Code // 0: the response is not an error of wsgid's
	PID                      int          // of the worker, 0: none had it

	ID, Method, URI []byte
	Path            []byte // decoded
	Query           []byte
	Peer            []byte // whom the front server says to have the connection
	ServerName      []byte // of the virtual host
	Trace           []byte
	Script, Mount   string
	Group           string // empty: the request got to none
	Application     string
	Listener        string
	Params          Params
}

// Params are what the front server has sent, as the application sees it.
type Params interface {
	// Param gives nil for one that is not there.
	Param(name string) []byte
}

// End is how a response ended.
type End uint8

// Ends of responses.
const (
	Complete  End = iota
	Aborted       // the client, or the front server, was gone
	Truncated     // it failed half-way, and the connection was closed
)

var endNames = [...]string{"complete", "aborted", "truncated"}

func (e End) String() string { return endNames[e] }

// StatusAborted stands where the client was gone before there was a status. nginx
// has made the number known.
const StatusAborted = 499
