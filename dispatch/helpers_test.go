package dispatch

import (
	"bytes"
	"sync"
	"time"

	"github.com/wsgid/wsgid/protocol"
)

// longWait is for what surely comes; only a failing test waits so long.
const longWait = time.Minute

// syncBuffer is a log that a test may read while the router writes.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func requestBytes(id uint16, flags byte, body []byte, kv ...string) []byte {
	return protocol.AppendRequest(nil, id, protocol.Responder, flags, pairsOf(kv...), body)
}
