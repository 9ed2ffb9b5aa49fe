package protocol

import (
	"fmt"
	"io"
)

// AppendRequest appends a whole request: BEGIN_REQUEST, PARAMS (pairs as
// AppendPair wrote them) and its end, stdin and its end.
func AppendRequest(b []byte, id uint16, role Role, flags byte, pairs, stdin []byte) []byte {
	b = AppendRequestHead(b, id, role, flags, pairs)
	b = AppendStream(b, Stdin, id, stdin)
	return AppendStreamEnd(b, Stdin, id)
}

// AppendRequestHead appends the part of a request that precedes STDIN.
func AppendRequestHead(b []byte, id uint16, role Role, flags byte, pairs []byte) []byte {
	b = AppendBeginRequest(b, id, role, flags)
	b = AppendStream(b, Params, id, pairs)
	return AppendStreamEnd(b, Params, id)
}

// Event is one step of a reply.
type Event struct {
	// Type is Stdout, Stderr or EndRequest.
	Type RecordType
	// Data is a piece of the stream, valid until the next call. Empty with
	// Stdout or Stderr: an empty record, which closes the stream.
	Data []byte
	// AppStatus and Status are set with EndRequest.
	AppStatus uint32
	Status    Status
}

// ReplyReader reads the replies to requests of one id, one request at a time.
// It hands on what has arrived without waiting for whole records.
type ReplyReader struct {
	rd       *Reader
	id       uint16
	stream   RecordType // of the current record, 0 between records
	outEnded bool       // STDOUT was closed
}

// NewReplyReader returns a ReplyReader for the request id on rd.
func NewReplyReader(rd *Reader, id uint16) *ReplyReader {
	return &ReplyReader{rd: rd, id: id}
}

// Reset makes r ready for the next request on the same connection.
func (r *ReplyReader) Reset(id uint16) { *r = ReplyReader{rd: r.rd, id: id} }

// Next returns the next event; with EndRequest the reply is over. The end of
// the connection before that is io.ErrUnexpectedEOF, or io.EOF if it came
// between two records. A record of another id, of another type or in a stream
// that was closed is an ErrProtocol.
func (r *ReplyReader) Next() (Event, error) {
	if r.stream != 0 {
		c, err := r.rd.Chunk()
		if err != nil {
			return Event{}, err
		}
		if len(c) > 0 {
			return Event{Type: r.stream, Data: c}, nil
		}
		r.stream = 0
	}
	h, err := r.rd.Next()
	if err != nil {
		return Event{}, err
	}
	if h.ID != r.id {
		return Event{}, fmt.Errorf("%w: %s with id %d instead of %d", ErrUnexpected, h.Type, h.ID, r.id)
	}
	switch h.Type {
	case Stdout, Stderr:
		return r.data(h)
	case EndRequest:
		return r.end(h)
	}
	return Event{}, fmt.Errorf("%w: %s in a reply", ErrUnexpected, h.Type)
}

func (r *ReplyReader) data(h Header) (Event, error) {
	// Only STDOUT is held to its end: an empty STDERR record is a worker's sign
	// of acceptance as well, and messages may follow it.
	if h.Type == Stdout && r.outEnded {
		return Event{}, ErrAfterEnd
	}
	if h.ContentLength == 0 {
		r.outEnded = r.outEnded || h.Type == Stdout
		return Event{Type: h.Type}, nil
	}
	c, err := r.rd.Chunk()
	if err != nil {
		return Event{}, err
	}
	r.stream = h.Type
	return Event{Type: h.Type, Data: c}, nil
}

func (r *ReplyReader) end(h Header) (Event, error) {
	if h.ContentLength != discreteLen {
		return Event{}, ErrBadEnd
	}
	c, err := r.rd.Content()
	if err != nil {
		return Event{}, err
	}
	app, status, err := EndContent(c)
	return Event{Type: EndRequest, AppStatus: app, Status: status}, err
}

// ExchangeValues asks the peer for names with GET_VALUES and returns the pairs of
// its GET_VALUES_RESULT. rd reads from the same connection as w writes to;
// nothing else may be under way on it.
func ExchangeValues(w io.Writer, rd *Reader, names ...string) (map[string]string, error) {
	if _, err := w.Write(AppendGetValues(nil, names...)); err != nil {
		return nil, fmt.Errorf("sending GET_VALUES: %w", err)
	}
	h, err := rd.Next()
	if err != nil {
		return nil, fmt.Errorf("waiting for GET_VALUES_RESULT: %w", err)
	}
	if h.ID != 0 || h.Type != GetValuesResult {
		return nil, fmt.Errorf("%w: %s in answer to GET_VALUES", ErrUnexpected, h.Type)
	}
	c, err := rd.Content()
	if err != nil {
		return nil, fmt.Errorf("reading GET_VALUES_RESULT: %w", err)
	}
	values := map[string]string{}
	p := NewPairs(c, Limits{})
	for {
		name, value, ok := p.Next()
		if !ok {
			break
		}
		values[string(name)] = string(value)
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("reading GET_VALUES_RESULT: %w", err)
	}
	return values, nil
}
