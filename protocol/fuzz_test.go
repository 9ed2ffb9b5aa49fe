package protocol

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// fuzzLimits are small, so that the fuzzer reaches them.
var fuzzLimits = Limits{Total: 70000, Pairs: 100, Name: 300, Value: 20000}

// FuzzRecords: a server connection on arbitrary bytes ends without a panic,
// writes only whole sound records, holds little memory, and does the same
// however the bytes are cut.
func FuzzRecords(f *testing.F) {
	for _, tr := range loadTraces(f) {
		if len(tr.raw) < 20000 {
			f.Add(tr.raw, uint16(1000), tr.Requests != nil)
		}
	}
	f.Add(join(begin(1, 1, 1), rec(Stdin, 1, "x"), rec(AbortRequest, 1, ""), rec(GetValues, 0, "\x00\x00")), uint16(3), false)
	f.Fuzz(func(t *testing.T, in []byte, step uint16, early bool) {
		cfg := Config{AllowAuthorizer: true, BufferSize: 1024, EarlyBody: 500, Limits: fuzzLimits, MaxConns: 1}
		stop := func(int) int {
			if early {
				return 0
			}
			return -1
		}
		var outs [2][]byte
		var sums [2]int
		for i, pieces := range [][][]byte{whole(bytes.Clone(in)), cut(bytes.Clone(in), int(step)+1)} {
			conn := &scriptConn{pieces: pieces}
			s := NewServerConn(conn, cfg)
			got, err := serve(s, stop)
			if err == nil {
				t.Fatal("ended without an error")
			}
			for _, g := range got {
				if g.err != nil && RejectStatus(g.err) == 0 {
					t.Fatal(g.err)
				}
				sums[i] += len(g.body) + len(g.req.Params)
			}
			if s.rd.Total() > int64(len(in)) || len(s.rd.buf) > MaxRecord+minRead || len(s.early) > cfg.EarlyBody {
				t.Fatalf("buffer of %d bytes, %d early", len(s.rd.buf), len(s.early))
			}
			checkOutput(t, conn.out.Bytes())
			outs[i] = conn.out.Bytes()
		}
		if !bytes.Equal(outs[0], outs[1]) || sums[0] != sums[1] {
			t.Fatalf("cutting matters: %d %q\n%d %q", sums[0], outs[0], sums[1], outs[1])
		}
	})
}

// checkOutput verifies that b is a sequence of whole records of our side.
func checkOutput(t *testing.T, b []byte) {
	rd := NewReader(bytes.NewReader(b), 0)
	for {
		h, raw, err := rd.Record()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("wrote a broken record: %v", err)
		}
		switch h.Type {
		case EndRequest:
			_, _, err = EndContent(raw[HeaderLen : HeaderLen+h.ContentLength])
		case GetValuesResult:
			_, err = CheckPairs(raw[HeaderLen:HeaderLen+h.ContentLength], Limits{})
		case Stdout, UnknownType:
		default:
			t.Fatalf("wrote a %s", h.Type)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzParams: any bytes are walked within limits; what was understood is the
// same after encoding it again.
func FuzzParams(f *testing.F) {
	for _, tr := range loadTraces(f) {
		if len(tr.Requests) > 0 && len(tr.raw) < 5000 {
			var b []byte
			for _, p := range tr.Requests[0].Params {
				b = AppendPair(b, p.Name, p.Value)
			}
			f.Add(b)
		}
	}
	f.Add([]byte("\x80\x00\x00\x01\x80\x00\x00\x01ab"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var again []byte
		n := 0
		p := NewPairs(in, fuzzLimits)
		for {
			name, value, ok := p.Next()
			if !ok {
				break
			}
			if n++; n > fuzzLimits.Pairs || len(name) > fuzzLimits.Name || len(value) > fuzzLimits.Value {
				t.Fatal("limits exceeded")
			}
			was := len(again)
			again = AppendPair(again, name, value)
			if len(again)-was != PairSize(len(name), len(value)) {
				t.Fatal("PairSize is wrong")
			}
		}
		if p.Err() != nil && !errors.Is(p.Err(), ErrTooLarge) && !errors.Is(p.Err(), ErrPairTruncated) {
			t.Fatal(p.Err())
		}
		if _, _, ok := p.Next(); ok || p.Count() != n {
			t.Fatal("goes on after the end")
		}
		q := NewPairs(again, fuzzLimits)
		r := NewPairs(in, fuzzLimits)
		for range n {
			n1, v1, ok1 := q.Next()
			n2, v2, ok2 := r.Next()
			if !ok1 || !ok2 || !bytes.Equal(n1, n2) || !bytes.Equal(v1, v2) {
				t.Fatal("round trip differs")
			}
		}
		sane := NewPairs(in, fuzzLimits)
		for {
			name, value, ok := sane.NextSane()
			if !ok {
				break
			}
			if len(name) == 0 || bytes.ContainsAny(name, "\x00=\n\r\x7f") || bytes.IndexByte(value, 0) >= 0 {
				t.Fatalf("passed on %q=%q", name, value)
			}
		}
		if !errors.Is(sane.Err(), p.Err()) {
			t.Fatal("NextSane ends otherwise")
		}
	})
}

// FuzzReply: the client side on arbitrary bytes ends, and gives the same
// streams however the bytes are cut.
func FuzzReply(f *testing.F) {
	for _, tr := range loadTraces(f) {
		if tr.Response != "" {
			f.Add(readFile(f, "testdata/fcgi/"+tr.Response), uint16(5))
		}
	}
	f.Add(join(rec(Stderr, 1, ""), rec(Stdout, 1, "a"), rec(Stdout, 1, ""), endOf(1, Overloaded)), uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		var outs [2][]byte
		for i, pieces := range [][][]byte{whole(bytes.Clone(in)), cut(bytes.Clone(in), int(step)+1)} {
			r := NewReplyReader(NewReader(&scriptConn{pieces: pieces}, 1024), 1)
			for {
				e, err := r.Next()
				if err != nil {
					break
				}
				outs[i] = append(outs[i], e.Data...)
				if e.Type == EndRequest {
					outs[i] = append(outs[i], byte(e.Status))
					r.Reset(1)
				} else if len(e.Data) == 0 {
					outs[i] = append(outs[i], '|')
				}
			}
			if len(r.rd.buf) > MaxRecord+minRead {
				t.Fatalf("buffer of %d bytes", len(r.rd.buf))
			}
		}
		if !bytes.Equal(outs[0], outs[1]) {
			t.Fatalf("cutting matters: %q %q", outs[0], outs[1])
		}
	})
}
