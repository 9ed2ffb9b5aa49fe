package tracing

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// TraceID is the id of a whole trace; zeros: none.
type TraceID [16]byte

// SpanID is the id of one span in it; zeros: none.
type SpanID [8]byte

// Flags of a traceparent: those that the recommendation defines. Others are not
// passed on, as it demands.
const (
	Sampled    = 0x01 // the caller records the trace
	random     = 0x02 // the right half of the trace id is random
	knownFlags = Sampled | random
)

// Parent is what a traceparent header says: the trace, the caller's span, and flags.
type Parent struct {
	Trace TraceID
	Span  SpanID
	Flags byte
}

// ParentLen is the length of a traceparent of version 00, and SpanOffset where in
// it the span id stands.
const (
	ParentLen  = 55
	SpanOffset = 36
)

// ParseParent reads a traceparent header (W3C Trace Context, 3.2.2). Two headers,
// which arrive joined by a comma, are none.
func ParseParent(value []byte) (p Parent, ok bool) {
	if len(value) < ParentLen || value[2] != '-' || value[35] != '-' || value[52] != '-' {
		return Parent{}, false
	}
	var version, flags [1]byte
	if !parseHex(version[:], value[:2]) || !parseHex(p.Trace[:], value[3:35]) ||
		!parseHex(p.Span[:], value[SpanOffset:52]) || !parseHex(flags[:], value[53:55]) {
		return Parent{}, false
	}
	switch {
	case version[0] == 0xff, p.Trace == TraceID{}, p.Span == SpanID{}:
		return Parent{}, false
	case len(value) > ParentLen && (version[0] == 0 || value[ParentLen] != '-'):
		return Parent{}, false // a later version may go on, after a dash
	}
	p.Flags = flags[0] & knownFlags
	return p, true
}

// parseHex is strict: the recommendation has lower case only.
func parseHex(to, from []byte) bool {
	for _, c := range from {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(to, from)
	return err == nil
}

// Append writes p as a traceparent of version 00.
func (p *Parent) Append(b []byte) []byte {
	b = hex.AppendEncode(append(b, "00-"...), p.Trace[:])
	b = hex.AppendEncode(append(b, '-'), p.Span[:])
	return hex.AppendEncode(append(b, '-'), []byte{p.Flags})
}

// NewTraceID makes one at random. Ids need not be secret.
func NewTraceID() (id TraceID) {
	for id == (TraceID{}) {
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id
}

// NewSpanID makes one at random.
func NewSpanID() (id SpanID) {
	for id == (SpanID{}) {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

// Sampler decides about traces that begin here: a share of them, by their ids, so
// that others who go by the id decide alike.
type Sampler struct{ below uint64 }

// NewSampler makes one that takes a share from 0 to 1.
func NewSampler(share float64) Sampler { return Sampler{uint64(share * (1 << 63))} }

// Takes says whether the trace is recorded.
func (s Sampler) Takes(id TraceID) bool { return binary.BigEndian.Uint64(id[8:])>>1 < s.below }

// Begin begins a trace. The flag that its id is random is left out though it is:
// there are receivers that take no header with it.
func (s Sampler) Begin() Parent {
	p := Parent{Trace: NewTraceID()}
	if s.Takes(p.Trace) {
		p.Flags = Sampled
	}
	return p
}
