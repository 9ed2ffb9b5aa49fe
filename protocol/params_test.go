package protocol

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestPairForms(t *testing.T) {
	for _, row := range []struct {
		in    string
		name  string
		value string
		err   error
	}{
		{in: ""},
		{in: "\x01\x02abb", name: "a", value: "bb"},
		{in: "\x00\x00"},
		{in: "\x80\x00\x00\x01\x02abb", name: "a", value: "bb"},             // long form of a short name
		{in: "\x01\x80\x00\x00\x02abb", name: "a", value: "bb"},             // of a short value
		{in: "\x80\x00\x00\x01\x80\x00\x00\x02abb", name: "a", value: "bb"}, // of both
		{in: "\x01", err: ErrPairTruncated},
		{in: "\x80\x00\x00", err: ErrPairTruncated},
		{in: "\x01\x80", err: ErrPairTruncated},
		{in: "\x01\x02ab", err: ErrPairTruncated},
		{in: "\x80\x00\x0f\xff\x00", err: ErrPairTruncated},
		{in: "\x80\x00\x10\x01\x00", err: ErrTooLarge},
		{in: "\x00\xff\xff\xff\xff", err: ErrTooLarge},
		{in: "\xff\xff\xff\xff\xff\xff\xff\xff", err: ErrTooLarge},
	} {
		p := NewPairs([]byte(row.in), Limits{})
		n, v, _ := p.Next()
		if string(n) != row.name || string(v) != row.value || !errors.Is(p.Err(), row.err) {
			t.Errorf("%q: %q %q %v", row.in, n, v, p.Err())
		}
	}
}

func TestPairSizes(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 65535, 300000} {
		s := strings.Repeat("x", n)
		b := AppendPair(nil, "N", s)
		p := NewPairs(b, Limits{})
		if name, value, ok := p.Next(); !ok || string(name) != "N" || string(value) != s || len(b) != PairSize(1, n) {
			t.Errorf("value of %d bytes: %v", n, p.Err())
		}
	}
}

// The slices of a pair cannot be appended to over the following pair.
func TestPairCapacity(t *testing.T) {
	p := NewPairs([]byte(getPairs("A", "1", "B", "2")), Limits{})
	n, v, _ := p.Next()
	_, _ = append(n, 'x'), append(v, 'x')
	if n, v, _ := p.Next(); string(n) != "B" || string(v) != "2" {
		t.Errorf("overwritten: %q %q", n, v)
	}
}

func TestSane(t *testing.T) {
	for _, row := range []struct {
		name, value string
		want        bool
	}{
		{"A", "", true}, {"proxy-nokeepalive", "1", true}, {"HTTP_\xe9", "\xff\n", true},
		{"", "x", false}, {"A=B", "x", false}, {"A\x00", "x", false}, {"A\n", "x", false},
		{"A\x7f", "x", false}, {"A", "x\x00y", false}, {"LONG_NAME_WITH_CONTROL\x1f", "", false},
		{"LONG_NAME_WITH=", "", false}, {"LONG_NAM\x00_WITH_NUL", "", false}, {"SPACE IN NAME", "", true},
	} {
		if got := Sane([]byte(row.name), []byte(row.value)); got != row.want {
			t.Errorf("%q=%q: %v", row.name, row.value, got)
		}
	}
	// Each byte at each place.
	for c := range 256 {
		for at := range 20 {
			name := bytes.Repeat([]byte{'N'}, 20)
			name[at] = byte(c)
			if want := c >= 0x20 && c != '=' && c != 0x7f; Sane(name, nil) != want {
				t.Fatalf("byte %#x at %d: want %v", c, at, want)
			}
		}
	}
}

// No record is ever written over 65535 bytes, nor with a length that wrapped.
func TestAppendStreamSplits(t *testing.T) {
	for _, n := range []int{0, 1, 65535, 65536, 200000} {
		data := bytes.Repeat([]byte("abc"), n/3+1)[:n]
		b := AppendStreamEnd(AppendStream(nil, Stdout, 1, data), Stdout, 1)
		rd := NewReader(bytes.NewReader(b), 0)
		var got []byte
		for {
			h, raw, err := rd.Record()
			if err != nil || h.Type != Stdout || h.ID != 1 {
				t.Fatal(h, err)
			}
			if h.ContentLength == 0 {
				break
			}
			got = append(got, raw[HeaderLen:]...)
		}
		if !bytes.Equal(got, data) || len(rd.Buffered()) != 0 {
			t.Errorf("%d bytes: got %d", n, len(got))
		}
	}
	for _, bad := range [][2]int{{65536, 0}, {-1, 0}, {0, 256}, {0, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("lengths %v were written", bad)
				}
			}()
			PutHeader(make([]byte, HeaderLen), Stdout, 1, bad[0], bad[1])
		}()
	}
}

func TestParseHeader(t *testing.T) {
	b := AppendHeader(nil, Data, 0xfffe, 0xff01, 7)
	if h, err := ParseHeader(b); err != nil || h != (Header{Data, 0xfffe, 0xff01, 7}) {
		t.Errorf("%+v %v", h, err)
	}
	if _, err := ParseHeader(b[:7]); !errors.Is(err, ErrShortHeader) {
		t.Errorf("short header: %v", err)
	}
	if _, err := ParseHeader([]byte{3}); !errors.Is(err, ErrVersion) {
		t.Errorf("version 3: %v", err)
	}
	if RecordType(0).String() != "UNASSIGNED" || RecordType(12).String() != "UNASSIGNED" || Params.String() != "PARAMS" {
		t.Error("names of types")
	}
}
