package protocol

import (
	"errors"
	"fmt"
)

// Errors of the codec. Compare with errors.Is: most are returned wrapped.
var (
	// ErrProtocol is wrapped by every error after which a connection cannot be
	// used any more because the peer broke the protocol.
	ErrProtocol = errors.New("fastcgi protocol violated")
	// ErrVersion: a record with a version other than 1. The stream cannot be
	// resynchronised.
	ErrVersion = fmt.Errorf("%w: record version is not 1", ErrProtocol)
	// ErrHTTP: the first byte of the connection is a letter, somebody speaks
	// HTTP (or TLS-less nonsense) to the FastCGI port. It also is ErrVersion.
	ErrHTTP = fmt.Errorf("%w: peer seems to speak HTTP", ErrVersion)
	// ErrShortHeader: fewer than HeaderLen bytes were given.
	ErrShortHeader = fmt.Errorf("%w: record header is too short", ErrProtocol)
	// ErrBadBegin: BEGIN_REQUEST with id 0 or a length other than 8.
	ErrBadBegin = fmt.Errorf("%w: malformed BEGIN_REQUEST", ErrProtocol)
	// ErrDuplicateID: BEGIN_REQUEST for an id that is still being processed.
	ErrDuplicateID = fmt.Errorf("%w: BEGIN_REQUEST for an active id", ErrProtocol)
	// ErrAfterEnd: data in a stream that had been closed.
	ErrAfterEnd = fmt.Errorf("%w: record in a closed stream", ErrProtocol)
	// ErrEarlyBody: more STDIN before the end of PARAMS than Config.EarlyBody.
	ErrEarlyBody = fmt.Errorf("%w: too much STDIN before the end of PARAMS", ErrProtocol)
	// ErrManagementFlood: more management records than can be answered.
	ErrManagementFlood = fmt.Errorf("%w: too many management records", ErrProtocol)
	// ErrBadEnd: END_REQUEST with a length other than 8.
	ErrBadEnd = fmt.Errorf("%w: malformed END_REQUEST", ErrProtocol)
	// ErrUnexpected: a record that the peer must not send on this side.
	ErrUnexpected = fmt.Errorf("%w: unexpected record", ErrProtocol)

	// ErrPairTruncated: a name-value pair reaches past the end of its stream.
	ErrPairTruncated = errors.New("name-value pair is cut off")
	// ErrTooLarge: a name-value pair or all of them exceed the limits.
	ErrTooLarge = errors.New("parameters exceed the limits")

	// ErrUnknownRole: a role that is not enabled; END_REQUEST was sent and the
	// connection, which has no KEEP_CONN, is to be closed.
	ErrUnknownRole = errors.New("role is not served")
	// ErrTruncated: end of file inside a record while no request was active.
	ErrTruncated = errors.New("connection ended inside a record")
	// ErrAborted: the client gave the active request up, by closing the
	// connection (it is then unusable) or by ErrAbortRecord.
	ErrAborted = errors.New("request aborted by the web server")
	// ErrAbortRecord: ABORT_REQUEST came for the active request. It also is
	// ErrAborted; the connection stays usable after END_REQUEST.
	ErrAbortRecord = fmt.Errorf("%w: ABORT_REQUEST", ErrAborted)
	// ErrEnded: END_REQUEST was written meanwhile and the next request has begun.
	ErrEnded = errors.New("request has ended")
	// ErrInterrupted: ServerConn.Interrupt was called.
	ErrInterrupted = errors.New("reading interrupted")
	// ErrReleased: ServerConn.Release was called, and nothing of a next request
	// has been read.
	ErrReleased = errors.New("connection released")

	// ErrTimeout is wrapped by the three errors below.
	ErrTimeout = errors.New("timed out")
	// ErrIdleTimeout: no request began within Config.IdleTimeout.
	ErrIdleTimeout = fmt.Errorf("waiting for a request: %w", ErrTimeout)
	// ErrHeaderTimeout: PARAMS were not complete within Config.HeaderTimeout.
	ErrHeaderTimeout = fmt.Errorf("reading request parameters: %w", ErrTimeout)
	// ErrBodyTimeout: no STDIN arrived within Config.BodyTimeout.
	ErrBodyTimeout = fmt.Errorf("reading request body: %w", ErrTimeout)
)
