package protocol

import (
	"bytes"
	"encoding/binary"
)

// maxPairLen is the largest length that the four-byte form can express.
const maxPairLen = 1<<31 - 1

// Limits bound what a PARAMS stream may contain. A zero field means the
// default, so that no limit can be switched off by forgetting it.
type Limits struct {
	Total int // bytes of the whole stream, default 1 MiB
	Pairs int // number of pairs, default 4096
	Name  int // bytes of one name, default 4096
	Value int // bytes of one value, default 512 KiB
}

// DefaultLimits are well above what web servers send: nginx gives up at 64 KiB
// in total, Apache leaves out variables over 16 KiB.
var DefaultLimits = Limits{Total: 1 << 20, Pairs: 4096, Name: 4096, Value: 512 << 10}

// withDefaults replaces unset fields.
func (l Limits) withDefaults() Limits {
	if l.Total <= 0 {
		l.Total = DefaultLimits.Total
	}
	if l.Pairs <= 0 {
		l.Pairs = DefaultLimits.Pairs
	}
	if l.Name <= 0 {
		l.Name = DefaultLimits.Name
	}
	if l.Value <= 0 {
		l.Value = DefaultLimits.Value
	}
	return l
}

// AppendPair appends one name-value pair (FastCGI 1.0 section 3.4), with the
// short form of a length wherever it fits. A length over 2 GiB cannot be
// expressed and panics.
func AppendPair[N, V []byte | string](b []byte, name N, value V) []byte {
	b = appendLength(b, len(name))
	b = appendLength(b, len(value))
	b = append(b, name...)
	return append(b, value...)
}

func appendLength(b []byte, n int) []byte {
	if n < 0x80 {
		return append(b, byte(n))
	}
	if n > maxPairLen {
		panic("protocol: name-value length out of range")
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31)
}

// PairSize is the number of bytes that AppendPair will append.
func PairSize(nameLen, valueLen int) int {
	n := nameLen + valueLen + 2
	if nameLen >= 0x80 {
		n += 3
	}
	if valueLen >= 0x80 {
		n += 3
	}
	return n
}

// Pairs iterates over a complete stream of name-value pairs in place. The
// zero value is an empty stream. The slices it returns point into the stream.
type Pairs struct {
	rest   []byte
	limits Limits
	count  int
	err    error
}

// NewPairs returns an iterator over b that holds it to limits.
func NewPairs(b []byte, limits Limits) Pairs {
	p := Pairs{rest: b, limits: limits.withDefaults()}
	if len(b) > p.limits.Total {
		p.rest, p.err = nil, ErrTooLarge
	}
	return p
}

// Next returns the next pair, however odd it is. ok is false at the end of the
// stream and at an error; Err tells which.
func (p *Pairs) Next() (name, value []byte, ok bool) {
	b := p.rest
	if len(b) == 0 {
		return nil, nil, false
	}
	var nameLen, valueLen, at int64
	if len(b) >= 2 && b[0]|b[1] < 0x80 { // nearly every pair: two short lengths
		nameLen, valueLen, at = int64(b[0]), int64(b[1]), 2
	} else {
		var n int64
		if nameLen, n = pairLength(b); n == 0 {
			return p.fail(ErrPairTruncated)
		}
		at = n
		if valueLen, n = pairLength(b[at:]); n == 0 {
			return p.fail(ErrPairTruncated)
		}
		at += n
	}
	// Limits come first: a pair that is both too long and cut off is too long.
	if nameLen > int64(p.limits.Name) || valueLen > int64(p.limits.Value) || p.count >= p.limits.Pairs {
		return p.fail(ErrTooLarge)
	}
	// In 64 bits two 31-bit lengths cannot overflow (CVE-2025-23016).
	end := at + nameLen + valueLen
	if end > int64(len(b)) {
		return p.fail(ErrPairTruncated)
	}
	p.count++
	p.rest = b[end:]
	mid := at + nameLen
	return b[at:mid:mid], b[mid:end:end], true
}

// NextSane is Next without the pairs that Sane refuses.
func (p *Pairs) NextSane() (name, value []byte, ok bool) {
	for {
		name, value, ok = p.Next()
		if !ok || Sane(name, value) {
			return name, value, ok
		}
	}
}

// Err returns ErrPairTruncated or ErrTooLarge, or nil if the stream was sound
// as far as it was read.
func (p *Pairs) Err() error { return p.err }

// Count is the number of pairs returned so far, refused ones included.
func (p *Pairs) Count() int { return p.count }

func (p *Pairs) fail(err error) ([]byte, []byte, bool) {
	p.rest, p.err = nil, err
	return nil, nil, false
}

// pairLength reads one length and says how many bytes it took; 0: cut off.
func pairLength(b []byte) (length, size int64) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] < 0x80 {
		return int64(b[0]), 1
	}
	if len(b) < 4 {
		return 0, 0
	}
	return int64(binary.BigEndian.Uint32(b) &^ (1 << 31)), 4
}

// Sane reports whether a pair may be passed on. A name that is empty or holds
// NUL, '=' or another control byte, or a value with NUL, would become another
// variable, or be cut, in an environment or in a C string.
func Sane(name, value []byte) bool {
	if len(name) == 0 {
		return false
	}
	for len(name) >= 8 {
		if badName(binary.LittleEndian.Uint64(name)) {
			return false
		}
		name = name[8:]
	}
	for _, c := range name {
		if c < 0x20 || c == '=' || c == 0x7f {
			return false
		}
	}
	return bytes.IndexByte(value, 0) < 0
}

// badName looks at eight bytes of a name at once, which matters with forty
// names a request: each term has the top bit set of some byte only if one is
// below 0x20, '=' or 0x7f (the "has a byte less than n" and "has a zero byte"
// of Bit Twiddling Hacks, both exact as a yes or no).
func badName(x uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	eq, del := x^(ones*'='), x^(ones*0x7f)
	return ((x-ones*0x20)&^x|(eq-ones)&^eq|(del-ones)&^del)&tops != 0
}

// CheckPairs walks a whole stream and returns the number of pairs and the
// first error.
func CheckPairs(b []byte, limits Limits) (int, error) {
	p := NewPairs(b, limits)
	for {
		if _, _, ok := p.Next(); !ok {
			return p.count, p.err
		}
	}
}

// AppendGetValues appends a GET_VALUES record asking for names, which together
// must fit one record.
func AppendGetValues(b []byte, names ...string) []byte {
	return appendPairsRecord(b, GetValues, func(c []byte) []byte {
		for _, n := range names {
			c = AppendPair(c, n, "")
		}
		return c
	})
}

// AppendGetValuesResult appends a GET_VALUES_RESULT record whose content is
// pairs, as AppendPair wrote them, at most MaxContent bytes.
func AppendGetValuesResult(b, pairs []byte) []byte {
	b = AppendHeader(b, GetValuesResult, 0, len(pairs), 0)
	return append(b, pairs...)
}

func appendPairsRecord(b []byte, t RecordType, fill func([]byte) []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, HeaderLen)...)
	b = fill(b)
	PutHeader(b[at:], t, 0, len(b)-at-HeaderLen, 0)
	return b
}
