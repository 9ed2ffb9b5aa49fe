// Package boot is the Go side of the boot block: what the supervisor tells a
// child before anything else runs in it (docs/internals.md section 1). It
// encodes the block and puts it into a sealed memfd.
//
// It must not know what the names mean: the supervisor chooses them, the C
// constructor in pyshim acts on them.
package boot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Magic is the first string of a block.
const Magic = "wsgid-boot 1"

// Variable is the one environment variable that names the descriptor.
const Variable = "WSGID_BOOT_FD"

// Pair is one name with its value.
type Pair struct{ Name, Value string }

// Block is an ordered set of names and values; lists are repeated names. The
// zero value is empty and ready for use.
type Block struct {
	pairs []Pair
	err   error
}

// Set appends a pair. A NUL byte, which the encoding cannot carry, is reported
// by Encode.
func (b *Block) Set(name, value string) {
	if strings.IndexByte(value, 0) >= 0 || strings.IndexByte(name, 0) >= 0 {
		b.err = errors.Join(b.err, fmt.Errorf("boot block: %q holds a NUL byte", name))
		return
	}
	b.pairs = append(b.pairs, Pair{name, value})
}

// SetInt appends a decimal number.
func (b *Block) SetInt(name string, value int64) { b.Set(name, strconv.FormatInt(value, 10)) }

// SetBool appends 1 or 0.
func (b *Block) SetBool(name string, value bool) {
	if value {
		b.Set(name, "1")
		return
	}
	b.Set(name, "0")
}

// SetOptional appends a pair unless the value is empty.
func (b *Block) SetOptional(name, value string) {
	if value != "" {
		b.Set(name, value)
	}
}

// SetList appends one pair for each value.
func (b *Block) SetList(name string, values []string) {
	for _, value := range values {
		b.Set(name, value)
	}
}

// Encode is the block as it lies in the memfd.
func (b *Block) Encode() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	var out bytes.Buffer
	out.WriteString(Magic)
	out.WriteByte(0)
	for _, pair := range b.pairs {
		out.WriteString(pair.Name)
		out.WriteByte(0)
		out.WriteString(pair.Value)
		out.WriteByte(0)
	}
	return out.Bytes(), nil
}

// File encodes the block into a new sealed memfd, close-on-exec. The caller
// closes it.
func (b *Block) File() (*os.File, error) {
	data, err := b.Encode()
	if err != nil {
		return nil, err
	}
	return SealedFile("wsgid-boot", data)
}

// Decoded is a block as a child sees it.
type Decoded []Pair

// Decode parses what Encode wrote.
func Decode(data []byte) (Decoded, error) {
	if len(data) == 0 || data[len(data)-1] != 0 {
		return nil, errors.New("boot block: does not end in NUL")
	}
	words := strings.Split(string(data[:len(data)-1]), "\x00")
	if words[0] != Magic {
		return nil, errors.New("boot block: bad first string")
	}
	if len(words)%2 != 1 {
		return nil, errors.New("boot block: name without value")
	}
	decoded := make(Decoded, 0, len(words)/2)
	for i := 1; i < len(words); i += 2 {
		decoded = append(decoded, Pair{words[i], words[i+1]})
	}
	return decoded, nil
}

// Get is the first value of name, or empty.
func (d Decoded) Get(name string) string {
	for _, pair := range d {
		if pair.Name == name {
			return pair.Value
		}
	}
	return ""
}

// Number is the first value of name as a number; ok is false when it is absent
// or malformed.
func (d Decoded) Number(name string) (value int64, ok bool) {
	value, err := strconv.ParseInt(d.Get(name), 10, 64)
	return value, err == nil
}

// List is every value of name, in order.
func (d Decoded) List(name string) []string {
	var values []string
	for _, pair := range d {
		if pair.Name == name {
			values = append(values, pair.Value)
		}
	}
	return values
}
