package tracing

import (
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kind of a span, with the numbers of OTLP.
type Kind int

// Kinds of spans.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Span is one span without its attributes.
type Span struct {
	// Parent has the trace, its flags and the span above, zero at the root; Remote:
	// that is in another process.
	Parent Parent
	Remote bool
	State  []byte // tracestate
	ID     SpanID
	Name   string
	Kind   Kind
	Start  time.Time
	End    time.Time
}

// maxText bounds the value of an attribute, which a client may have sent.
const maxText = 1024

// Spans collects spans in the form that a batch has them in (ScopeSpans.spans of
// OTLP). One goroutine at a time uses it.
type Spans struct {
	buf   []byte
	count int
	begun int // where in buf the span that is being written begins
	flags uint32
}

// Numbers of the fields in opentelemetry/proto/trace/v1/trace.proto and common.proto.
const (
	spanTraceID    = 1
	spanID         = 2
	spanState      = 3
	spanParent     = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanStatus     = 15
	spanFlags      = 16

	statusCode  = 3
	statusError = 2

	attributeKey   = 1
	attributeValue = 2
	valueText      = 1
	valueNumber    = 3

	// Of the flags: whether the parent is remote is known, and is it.
	remoteKnown = 0x100
	remoteIs    = 0x200
)

// Reset forgets what was collected. A buffer larger than keep is given back.
func (s *Spans) Reset(keep int) {
	if cap(s.buf) > keep {
		s.buf = nil
	}
	s.buf, s.count = s.buf[:0], 0
}

// Begin writes a span. Its attributes and End follow.
func (s *Spans) Begin(p *Span) {
	s.begun = len(s.buf)
	b := appendBytes(s.buf, spanTraceID, p.Parent.Trace[:])
	b = appendBytes(b, spanID, p.ID[:])
	if len(p.State) > 0 && len(p.State) <= maxText { // a part of it would mean something else
		b = appendText(b, spanState, p.State)
	}
	s.flags = uint32(p.Parent.Flags) | remoteKnown
	if p.Parent.Span != (SpanID{}) {
		b = appendBytes(b, spanParent, p.Parent.Span[:])
		if p.Remote {
			s.flags |= remoteIs
		}
	}
	b = appendText(b, spanName, p.Name)
	b = protowire.AppendVarint(protowire.AppendTag(b, spanKind, protowire.VarintType), uint64(p.Kind))
	b = appendTime(b, spanStart, p.Start)
	s.buf = appendTime(b, spanEnd, p.End)
}

// Text adds an attribute to the span that was begun.
func (s *Spans) Text(key, value string) { s.buf = appendAttribute(s.buf, key, value) }

// Bytes is Text for a text that need not be UTF-8.
func (s *Spans) Bytes(key string, value []byte) { s.buf = appendAttribute(s.buf, key, value) }

// Number adds an attribute to the span that was begun.
func (s *Spans) Number(key string, value int) {
	n := uint64(int64(value))
	size := protowire.SizeTag(valueNumber) + protowire.SizeVarint(n)
	b := beginAttribute(s.buf, key, size)
	s.buf = protowire.AppendVarint(protowire.AppendTag(b, valueNumber, protowire.VarintType), n)
}

// End ends the span that was begun; failed: with the status of an error.
func (s *Spans) End(failed bool) {
	if failed {
		b := protowire.AppendTag(s.buf, spanStatus, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(protowire.SizeTag(statusCode)+1))
		s.buf = protowire.AppendVarint(protowire.AppendTag(b, statusCode, protowire.VarintType), statusError)
	}
	s.buf = protowire.AppendFixed32(protowire.AppendTag(s.buf, spanFlags, protowire.Fixed32Type), s.flags)
	// The length of the span comes in front of it, and is known only now.
	size := len(s.buf) - s.begun
	var head [16]byte
	prefix := protowire.AppendVarint(protowire.AppendTag(head[:0], scopeSpans, protowire.BytesType), uint64(size))
	s.buf = append(s.buf, prefix...)
	copy(s.buf[s.begun+len(prefix):], s.buf[s.begun:s.begun+size])
	copy(s.buf[s.begun:], prefix)
	s.count++
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

// appendText cuts what is too long and replaces what is no UTF-8, which no text of
// protobuf may hold.
func appendText[T string | []byte](b []byte, field protowire.Number, value T) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	text, plain := plainText(value)
	if plain {
		return append(protowire.AppendVarint(b, uint64(len(text))), text...)
	}
	return protowire.AppendBytes(b, validText(text))
}

// plainText is what of a text is kept; plain: it can stay as it is.
func plainText[T string | []byte](value T) (text T, plain bool) {
	if len(value) > maxText {
		value = value[:maxText]
	}
	for i := range len(value) {
		if value[i] >= utf8.RuneSelf {
			return value, false
		}
	}
	return value, true
}

// validText replaces bytes that are no UTF-8, and leaves out a character that was cut.
func validText[T string | []byte](value T) []byte {
	cut := len(value) == maxText
	var out []byte
	for rest := []byte(value); len(rest) > 0; {
		if cut && len(rest) < utf8.UTFMax && !utf8.FullRune(rest) {
			break
		}
		r, size := utf8.DecodeRune(rest)
		out = utf8.AppendRune(out, r)
		rest = rest[size:]
	}
	return out
}

func appendTime(b []byte, field protowire.Number, at time.Time) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), uint64(at.UnixNano()))
}

// beginAttribute writes a KeyValue up to its AnyValue, whose content has that size.
func beginAttribute(b []byte, key string, size int) []byte {
	of := protowire.SizeTag(attributeKey) + protowire.SizeBytes(len(key)) + protowire.SizeTag(attributeValue) + protowire.SizeBytes(size)
	b = protowire.AppendVarint(protowire.AppendTag(b, spanAttributes, protowire.BytesType), uint64(of))
	b = protowire.AppendString(protowire.AppendTag(b, attributeKey, protowire.BytesType), key)
	return protowire.AppendVarint(protowire.AppendTag(b, attributeValue, protowire.BytesType), uint64(size))
}

func appendAttribute[T string | []byte](b []byte, key string, value T) []byte {
	text, plain := plainText(value)
	if !plain {
		return writeAttribute(b, key, validText(text))
	}
	return writeAttribute(b, key, text)
}

func writeAttribute[T string | []byte](b []byte, key string, text T) []byte {
	b = beginAttribute(b, key, protowire.SizeTag(valueText)+protowire.SizeBytes(len(text)))
	b = protowire.AppendVarint(protowire.AppendTag(b, valueText, protowire.BytesType), uint64(len(text)))
	return append(b, text...)
}
