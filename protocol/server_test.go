package protocol

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Shorthands for writing wire bytes in tables.

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func begin(id uint16, role Role, flags byte) []byte {
	return AppendBeginRequest(nil, id, role, flags)
}

// rec is one record with two bytes of non-zero padding and a non-zero
// reserved byte, all of which have to be ignored.
func rec(t RecordType, id uint16, content string) []byte {
	b := AppendHeader(nil, t, id, len(content), 2)
	b[7] = 0xee
	return append(append(b, content...), 0xaa, 0xbb)
}

func getPairs(nv ...string) string {
	var b []byte
	for i := 0; i < len(nv); i += 2 {
		b = AppendPair(b, nv[i], nv[i+1])
	}
	return string(b)
}

func get(id uint16, flags byte) []byte {
	return join(begin(id, Responder, flags), rec(Params, id, getPairs("A", "1")), rec(Params, id, ""), rec(Stdin, id, ""))
}

func endOf(id uint16, st Status) []byte { return AppendEndRequest(nil, id, 0, st) }

// One row or more for each line of the table of malformed input, and for what
// section 1.3 to 1.7 of the facts demand. The answer to a request that is
// served is END_REQUEST, to a rejected one a page.
func TestServerInput(t *testing.T) {
	open := func(id uint16) []byte {
		return join(begin(id, Responder, 1), rec(Params, id, getPairs("A", "1")), rec(Params, id, ""))
	}
	served1 := endOf(1, RequestComplete)
	page := func(st int) []byte { return AppendPlainReply(nil, 1, st, "x", "") }
	long := strings.Repeat("v", 3000)
	small := Config{Limits: Limits{Total: 4000, Pairs: 3, Name: 10, Value: 2000}, EarlyBody: 10}
	rows := []struct {
		name string
		in   []byte
		cfg  Config
		err  error  // of the connection
		out  []byte // everything we wrote
		body string // of all requests
		reqs int
	}{
		{name: "no bytes", err: io.EOF},
		{name: "get", in: get(1, 1), err: io.EOF, out: served1, reqs: 1},
		{name: "other id than 1", in: get(65535, 0), err: io.EOF, out: endOf(65535, 0), reqs: 1},
		{name: "two requests", in: join(get(1, 1), get(2, 1)), err: io.EOF, out: join(served1, endOf(2, 0)), reqs: 2},
		{name: "unknown flag bits", in: get(1, 0xfe), err: io.EOF, out: served1, reqs: 1},
		{name: "version 0", in: []byte{0}, err: ErrVersion},
		{name: "version 2", in: []byte{2, 1, 0, 1, 0, 8, 0, 0}, err: ErrVersion},
		{name: "version in second record", in: join(open(1), []byte("GET / HTTP/1.1\r\n")), err: ErrVersion, out: served1, reqs: 1},
		{name: "http", in: []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), err: ErrHTTP},
		{name: "one letter", in: []byte("p"), err: ErrHTTP},
		{name: "end inside header", in: begin(1, 1, 0)[:5], err: ErrTruncated},
		{name: "end inside begin", in: begin(1, 1, 0)[:12], err: ErrTruncated},
		{name: "end after begin", in: begin(1, 1, 0), err: ErrAborted},
		{name: "end inside params", in: join(begin(1, 1, 0), rec(Params, 1, "abc")[:9]), err: ErrAborted},
		{name: "end before params close", in: join(begin(1, 1, 0), rec(Params, 1, getPairs("A", "1"))), err: ErrAborted},
		{name: "end before stdin close", in: join(open(1), rec(Stdin, 1, "abc")), err: ErrAborted, out: served1, body: "abc", reqs: 1},
		{name: "end inside stdin", in: join(open(1), rec(Stdin, 1, "abcdef")[:10]), err: ErrAborted, out: served1, body: "ab", reqs: 1},
		{name: "begin id 0", in: begin(0, 1, 0), err: ErrBadBegin},
		{name: "begin too long", in: rec(BeginRequest, 1, "123456789"), err: ErrBadBegin},
		{name: "begin empty", in: rec(BeginRequest, 1, ""), err: ErrBadBegin},
		{name: "unknown role", in: join(begin(1, 9, 0), get(1, 0)), err: ErrUnknownRole, out: endOf(1, UnknownRole)},
		{name: "filter, kept", in: join(begin(1, Filter, 1), get(1, 1)[16:], get(2, 1)), err: io.EOF,
			out: join(endOf(1, UnknownRole), endOf(2, 0)), reqs: 1},
		{name: "authorizer not enabled", in: begin(1, Authorizer, 0), err: ErrUnknownRole, out: endOf(1, UnknownRole)},
		{name: "authorizer without stdin", in: join(begin(1, Authorizer, 0), rec(Params, 1, "")),
			cfg: Config{AllowAuthorizer: true}, err: io.EOF, out: served1, reqs: 1},
		{name: "authorizer with stdin", in: join(begin(1, Authorizer, 1), rec(Params, 1, ""), rec(Stdin, 1, ""), get(1, 1)),
			cfg: Config{AllowAuthorizer: true}, err: io.EOF, out: join(served1, served1), reqs: 2},
		{name: "begin for active id", in: join(open(1), begin(1, 1, 1)), err: ErrDuplicateID, out: served1, reqs: 1},
		{name: "begin for active id before params", in: join(begin(1, 1, 1), begin(1, 1, 1)), err: ErrDuplicateID},
		{name: "second id before params", in: join(begin(1, 1, 1), get(2, 1), get(1, 1)[16:]), err: io.EOF,
			out: join(endOf(2, CantMpxConn), served1), reqs: 1},
		{name: "second id in body", in: join(open(1), rec(Stdin, 1, "ab"), get(7, 1), rec(Stdin, 7, "zz"), rec(Stdin, 1, "cd"), rec(Stdin, 1, "")),
			err: io.EOF, out: join(endOf(7, CantMpxConn), served1), body: "abcd", reqs: 1},
		{name: "inactive ids", in: join(rec(Params, 3, "x"), rec(Stdin, 3, "x"), rec(Data, 3, "x"), rec(AbortRequest, 3, ""), rec(Stdin, 1, ""), get(1, 1)),
			err: io.EOF, out: served1, reqs: 1},
		{name: "params after params", in: join(open(1), rec(Params, 1, "x")), err: ErrAfterEnd, out: served1, reqs: 1},
		{name: "stdin after stdin, early", in: join(begin(1, 1, 1), rec(Stdin, 1, ""), rec(Stdin, 1, "x")), err: ErrAfterEnd},
		{name: "stdin before params", in: join(begin(1, 1, 1), rec(Stdin, 1, "early"), rec(Params, 1, ""), rec(Stdin, 1, "late"), rec(Stdin, 1, "")),
			err: io.EOF, out: served1, body: "earlylate", reqs: 1},
		{name: "stdin whole before params", in: join(begin(1, 1, 1), rec(Stdin, 1, "ear"), rec(Stdin, 1, "ly"), rec(Stdin, 1, ""), rec(Params, 1, "")),
			err: io.EOF, out: served1, body: "early", reqs: 1},
		{name: "too much stdin before params", cfg: small, in: join(begin(1, 1, 1), rec(Stdin, 1, "0123456789"), rec(Stdin, 1, "x")), err: ErrEarlyBody},
		{name: "pair past the end", in: join(begin(1, 1, 1), rec(Params, 1, "\x05\x05abc"), rec(Params, 1, "")), err: ErrPairTruncated, out: page(400), reqs: 1},
		{name: "half a length", in: join(begin(1, 1, 1), rec(Params, 1, "\x01\x80\x00"), rec(Params, 1, "")), err: ErrPairTruncated, out: page(400), reqs: 1},
		{name: "lengths that overflow 32 bits", in: join(begin(1, 1, 1), rec(Params, 1, "\xff\xff\xff\xff\xff\xff\xff\xffab"), rec(Params, 1, "")),
			err: ErrTooLarge, out: page(431), reqs: 1},
		{name: "value over limit", cfg: small, in: join(begin(1, 1, 1), rec(Params, 1, getPairs("A", long)), rec(Params, 1, "")), err: ErrTooLarge, out: page(431), reqs: 1},
		{name: "name over limit", cfg: small, in: join(begin(1, 1, 1), rec(Params, 1, getPairs("ABCDEFGHIJK", "")), rec(Params, 1, "")), err: ErrTooLarge, out: page(431), reqs: 1},
		{name: "too many pairs", cfg: small, in: join(begin(1, 1, 1), rec(Params, 1, getPairs("A", "", "B", "", "C", "", "D", "")), rec(Params, 1, "")),
			err: ErrTooLarge, out: page(431), reqs: 1},
		{name: "total over limit, announced only", cfg: small, in: join(begin(1, 1, 1), AppendHeader(nil, Params, 1, 65535, 0)), err: ErrTooLarge, out: page(431), reqs: 1},
		{name: "total over limit, in pieces", cfg: small, in: join(begin(1, 1, 1), rec(Params, 1, long), rec(Params, 1, long)), err: ErrTooLarge, out: page(431), reqs: 1},
		{name: "data for a responder", in: join(open(1), rec(Data, 1, "x"), rec(Data, 1, ""), rec(Stdin, 1, "")), err: io.EOF, out: served1, reqs: 1},
		{name: "our own types with an id", in: join(open(1), rec(Stdout, 1, "x"), rec(Stderr, 1, "x"), rec(EndRequest, 1, "12345678"),
			rec(GetValuesResult, 1, ""), rec(UnknownType, 1, ""), rec(GetValues, 1, "\x0f\x00FCGI_MPXS_CONNS"), rec(Stdin, 1, "")), err: io.EOF, out: served1, reqs: 1},
		{name: "unknown types with an id", in: join(rec(0, 4, "x"), open(1), rec(12, 1, "xyz"), rec(255, 1, ""), rec(Stdin, 1, "")), err: io.EOF, out: served1, reqs: 1},
		{name: "management types", in: join(rec(Stdout, 0, "x"), rec(200, 0, ""), rec(AbortRequest, 0, ""), rec(UnknownType, 0, "")), err: io.EOF,
			out: join(AppendUnknownType(nil, Stdout), AppendUnknownType(nil, 200), AppendUnknownType(nil, AbortRequest), AppendUnknownType(nil, UnknownType))},
		{name: "get values", cfg: Config{MaxConns: 100, MaxReqs: 7},
			in:  rec(GetValues, 0, getPairs("FCGI_MAX_REQS", "", "FCGI_MPXS_CONNS", "", "OTHER", "", "FCGI_MAX_CONNS", "", "FCGI_MAX_CONNS", "")),
			err: io.EOF, out: AppendGetValuesResult(nil, []byte(getPairs("FCGI_MAX_REQS", "7", "FCGI_MPXS_CONNS", "0", "FCGI_MAX_CONNS", "100")))},
		{name: "get values unknown only", in: rec(GetValues, 0, getPairs("FCGI_MAX_REQS", "", "X", "")), err: io.EOF, out: AppendGetValuesResult(nil, nil)},
		{name: "get values broken", in: rec(GetValues, 0, getPairs("FCGI_MPXS_CONNS", "")+"\x09"), err: io.EOF, out: AppendGetValuesResult(nil, nil)},
		{name: "get values in a body", in: join(open(1), rec(Stdin, 1, "a"), rec(GetValues, 0, getPairs("FCGI_MPXS_CONNS", "")), rec(Stdin, 1, "b"), rec(Stdin, 1, "")),
			err: io.EOF, out: join(AppendGetValuesResult(nil, []byte(getPairs("FCGI_MPXS_CONNS", "0"))), served1), body: "ab", reqs: 1},
		{name: "get values between params", in: join(begin(1, 1, 1), rec(Params, 1, getPairs("A", "1")), rec(GetValues, 0, ""), rec(Params, 1, getPairs("B", "2")), rec(Params, 1, ""), rec(Stdin, 1, "")),
			err: io.EOF, out: join(AppendGetValuesResult(nil, nil), served1), reqs: 1},
		{name: "abort before params, kept", in: join(begin(1, 1, 1), rec(AbortRequest, 1, ""), get(1, 1)), err: io.EOF, out: join(served1, served1), reqs: 1},
		{name: "abort before params", in: join(begin(1, 1, 0), rec(AbortRequest, 1, "")), err: ErrAborted, out: served1},
		{name: "abort in body", in: join(open(1), rec(Stdin, 1, "a"), rec(AbortRequest, 1, ""), get(1, 1)), err: io.EOF, out: join(served1, served1), body: "a", reqs: 2},
		{name: "pair cut at every byte", in: func() []byte {
			b := begin(1, 1, 1)
			for _, c := range []byte(getPairs("A", "1", "LONG", strings.Repeat("x", 300))) {
				b = append(b, rec(Params, 1, string([]byte{c}))...)
			}
			return join(b, rec(Params, 1, ""), rec(Stdin, 1, ""))
		}(), err: io.EOF, out: served1, reqs: 1},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, step := range []int{1 << 20, 1} {
				conn := &scriptConn{pieces: cut(row.in, step)}
				got, err := serve(NewServerConn(conn, row.cfg), nil)
				if !errors.Is(err, row.err) {
					t.Errorf("step %d: ended with %v, want %v", step, err, row.err)
				}
				if len(got) != row.reqs {
					t.Errorf("step %d: %d requests, want %d", step, len(got), row.reqs)
				}
				if !bytes.Equal(conn.out.Bytes(), row.out) {
					t.Errorf("step %d: wrote\n%q, want\n%q", step, conn.out.Bytes(), row.out)
				}
				var body []byte
				for _, g := range got {
					body = append(body, g.body...)
				}
				if string(body) != row.body {
					t.Errorf("step %d: body %q, want %q", step, body, row.body)
				}
			}
		})
	}
}

// An early answer leaves STDIN open; the next BEGIN_REQUEST has the same id.
func TestUnreadBodyDropped(t *testing.T) {
	in := join(begin(1, 1, 1), rec(Params, 1, ""), rec(Stdin, 1, "left over"), rec(Stdin, 1, strings.Repeat("x", 60000)), get(1, 1))
	for _, step := range []int{1 << 20, 1} {
		s := NewServerConn(&scriptConn{pieces: cut(in, step)}, Config{})
		req, err := s.ReadRequest()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := s.NextStdin(); err != nil || len(c) == 0 {
			t.Fatal(err)
		}
		end(s, req)
		s.Finish()
		req, err = s.ReadRequest()
		if err != nil || string(req.Params) != getPairs("A", "1") {
			t.Fatalf("second request: %v %v", req, err)
		}
		if _, err := s.NextStdin(); !errors.Is(err, io.EOF) {
			t.Errorf("second request has STDIN of the first: %v", err)
		}
		if !s.BodyDone() {
			t.Error("body not done")
		}
	}
}

// The same when a watcher is the one who sees the next request.
func TestWatch(t *testing.T) {
	for _, row := range []struct {
		name string
		in   []byte
		end  bool
		err  error
	}{
		{"gone", rec(Stdin, 1, "dropped"), false, ErrAborted},
		{"gone after the end", nil, true, io.EOF},
		{"abort", rec(AbortRequest, 1, ""), false, ErrAbortRecord},
		{"next request", get(1, 1), true, ErrEnded},
		{"next request with another id", get(2, 1), true, ErrEnded},
		{"too early request", get(1, 1), false, ErrDuplicateID},
	} {
		s := NewServerConn(&scriptConn{pieces: whole(join(begin(1, 1, 1), rec(Params, 1, ""), row.in))}, Config{})
		req, err := s.ReadRequest()
		if err != nil {
			t.Fatal(err)
		}
		if row.end {
			end(s, req)
		}
		if err := s.Watch(); !errors.Is(err, row.err) {
			t.Errorf("%s: %v, want %v", row.name, err, row.err)
		}
		if errors.Is(row.err, ErrEnded) {
			s.Finish()
			if _, err := s.ReadRequest(); err != nil {
				t.Errorf("%s: then %v", row.name, err)
			}
		}
	}
}

// Reading errors that are not an end of file.
func TestReadErrors(t *testing.T) {
	for _, row := range []struct {
		name string
		in   []byte
		err  error
	}{
		{"health check with reset", nil, io.EOF},
		{"reset after BEGIN_REQUEST", begin(1, 1, 0), ErrAborted},
		{"reset inside header", []byte{1, 1}, syscall.ECONNRESET},
	} {
		s := NewServerConn(&scriptConn{pieces: whole(row.in), final: syscall.ECONNRESET}, Config{})
		if _, err := s.ReadRequest(); !errors.Is(err, row.err) {
			t.Errorf("%s: %v, want %v", row.name, err, row.err)
		}
	}
}

// ReadBody gives the same bytes as NextStdin, whatever the size of the slices.
func TestReadBody(t *testing.T) {
	in := join(begin(1, 1, 0), rec(Stdin, 1, "early"), rec(Params, 1, ""), rec(Stdin, 1, "middle"), rec(Stdin, 1, "late"), rec(Stdin, 1, ""))
	for size := 1; size < 20; size++ {
		for _, step := range []int{1 << 20, 1} {
			s := NewServerConn(&scriptConn{pieces: cut(in, step)}, Config{})
			if _, err := s.ReadRequest(); err != nil {
				t.Fatal(err)
			}
			if step > 1 && !s.StdinReady() {
				t.Error("buffered body is not ready")
			}
			var got []byte
			p := make([]byte, size)
			for {
				n, err := s.ReadBody(p)
				got = append(got, p[:n]...)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil || n == 0 {
					t.Fatal(n, err)
				}
			}
			if string(got) != "earlymiddlelate" || !s.BodyDone() || !s.StdinReady() {
				t.Errorf("size %d: %q", size, got)
			}
		}
	}
}

// Parameters in one record stay valid while a body of any size is read, and
// the buffer does not grow with it.
func TestParamsPinned(t *testing.T) {
	params := getPairs("NAME", strings.Repeat("v", 17000))
	in := join(begin(1, 1, 1), rec(Params, 1, params), rec(Params, 1, ""))
	for range 40 {
		in = append(in, rec(Stdin, 1, strings.Repeat("b", 65535))...)
	}
	in = append(in, rec(Stdin, 1, "")...)
	in = append(in, get(1, 1)...)
	s := NewServerConn(&scriptConn{pieces: whole(in)}, Config{BufferSize: 8192})
	got, err := serve(s, nil)
	if !errors.Is(err, io.EOF) || len(got) != 2 || len(got[0].body) != 40*65535 || string(got[0].req.Params) != params {
		t.Fatalf("%d requests, %v", len(got), err)
	}
	if len(s.rd.buf) > 8192 {
		t.Errorf("buffer kept %d bytes", len(s.rd.buf))
	}
}

// Answers to management records wait while a forwarded record is incomplete,
// and a flood of them is cut off.
func TestAnswerWaitsForRecord(t *testing.T) {
	ask := rec(200, 0, "")
	conn := &scriptConn{pieces: whole(join(begin(1, 1, 1), rec(Params, 1, ""), ask, rec(Stdin, 1, "")))}
	s := NewServerConn(conn, Config{})
	if _, err := s.ReadRequest(); err != nil {
		t.Fatal(err)
	}
	out := AppendStream(nil, Stdout, 1, []byte("some output"))
	if _, err := s.WritePart(out[:12]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NextStdin(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if _, err := s.WritePart(out[12:14]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteEnd(join(out[14:], endOf(1, 0))); err != nil {
		t.Fatal(err)
	}
	if want := join(out, endOf(1, 0), AppendUnknownType(nil, 200)); !bytes.Equal(conn.out.Bytes(), want) {
		t.Errorf("wrote %q", conn.out.Bytes())
	}

	conn = &scriptConn{pieces: whole(join(begin(1, 1, 1), rec(Params, 1, ""), bytes.Repeat(ask, 1000)))}
	s = NewServerConn(conn, Config{})
	if _, err := s.ReadRequest(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WritePart(out[:12]); err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(); !errors.Is(err, ErrManagementFlood) || len(s.held) > 2*maxHeld {
		t.Errorf("flood: %v, %d bytes held", err, len(s.held))
	}
}

// A large buffer borrowed for the body leaves Params alone, and can be given
// back while the next request is already in it.
func TestUseBuffer(t *testing.T) {
	body := strings.Repeat("b", 50000)
	in := join(begin(1, 1, 1), rec(Params, 1, getPairs("A", "1")), rec(Params, 1, ""), rec(Stdin, 1, body), rec(Stdin, 1, ""), get(1, 1))
	for _, step := range []int{1 << 20, 999, 1} {
		conn := &scriptConn{pieces: cut(in, step)}
		s := NewServerConn(conn, Config{BufferSize: 2048})
		req, err := s.ReadRequest()
		if err != nil {
			t.Fatal(err)
		}
		reads := conn.reads
		small, ok := s.UseBuffer(make([]byte, 64<<10))
		if !ok || len(small) != 2048 {
			t.Fatalf("borrowing: %d bytes, %v", len(small), ok)
		}
		n := 0
		for {
			c, err := s.NextStdin()
			if err != nil {
				break
			}
			n += len(c)
		}
		if n != len(body) || !s.BodyDone() || string(req.Params) != getPairs("A", "1") {
			t.Errorf("body of %d bytes, parameters %q", n, req.Params)
		}
		if step > 1000 && conn.reads-reads > 1 {
			t.Errorf("%d reads", conn.reads-reads)
		}
		end(s, req)
		s.Finish()
		large, ok := s.UseBuffer(small)
		if !ok || len(large) != 64<<10 {
			t.Fatalf("giving back: %d bytes, %v", len(large), ok)
		}
		clear(large)
		if req, err := s.ReadRequest(); err != nil || string(req.Params) != getPairs("A", "1") {
			t.Errorf("next request: %v", err)
		}
	}
	rd := NewReader(bytes.NewReader(make([]byte, 4000)), 8192)
	if err := rd.fill(1); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1000, 2000, 4000, 4007} {
		if _, ok := rd.UseBuffer(make([]byte, n)); ok {
			t.Errorf("took %d bytes", n)
		}
	}
	if _, ok := rd.UseBuffer(make([]byte, 4008)); !ok || len(rd.Buffered()) != 4000 {
		t.Error("refused enough")
	}
}
