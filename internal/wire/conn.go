package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// MaxLine bounds one message in bytes. A configuration of thousands of mounts
// stays far below it; what is longer is not one of ours.
const MaxLine = 16 << 20

// Conn carries messages over a stream: a net.Conn or an *os.File of a socket
// pair. Send may be called from several goroutines, Receive from one at a time.
type Conn struct {
	stream io.ReadWriteCloser
	in     *bufio.Reader

	mu  sync.Mutex // one line at a time
	out []byte
}

// NewConn returns a Conn over stream, which it owns from then on.
func NewConn(stream io.ReadWriteCloser) *Conn {
	return &Conn{stream: stream, in: bufio.NewReader(stream)}
}

// Send writes one message. It blocks while the peer does not read.
func (c *Conn) Send(m *Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding %s message: %w", m.Type, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(append(c.out[:0], line...), '\n')
	if _, err := c.stream.Write(c.out); err != nil {
		return fmt.Errorf("sending %s message: %w", m.Type, err)
	}
	if cap(c.out) > 64<<10 {
		c.out = nil // one large configuration is no reason to keep its size
	}
	return nil
}

// Receive waits for the next message. It returns io.EOF, unwrapped, when the
// peer has closed its side between two messages.
func (c *Conn) Receive() (*Message, error) {
	line, err := c.readLine()
	if err != nil {
		return nil, err
	}
	m := new(Message)
	if err := json.Unmarshal(line, m); err != nil {
		return nil, fmt.Errorf("decoding message: %w", err)
	}
	return m, nil
}

func (c *Conn) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := c.in.ReadSlice('\n')
		if len(line)+len(part) > MaxLine {
			return nil, fmt.Errorf("receiving message: longer than %d bytes", MaxLine)
		}
		if err == nil && line == nil {
			return part, nil
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("receiving message: %w", io.ErrUnexpectedEOF)
		default:
			return nil, fmt.Errorf("receiving message: %w", err)
		}
	}
}

// Close closes the stream; a blocked Receive or Send returns.
func (c *Conn) Close() error { return c.stream.Close() }
