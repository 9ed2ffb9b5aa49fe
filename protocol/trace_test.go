package protocol

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every record of every trace, with the buffer smaller and larger than records.
func TestTraceRecords(t *testing.T) {
	for _, tr := range loadTraces(t) {
		if isHTTP(tr.File) {
			continue
		}
		for _, step := range []int{1 << 20, 1000} {
			rd := NewReader(&scriptConn{pieces: cut(tr.raw, step)}, 2048)
			for i, want := range tr.Records {
				h, raw, err := rd.Record()
				if err != nil {
					t.Fatalf("%s record %d: %v", tr.File, i, err)
				}
				got := [4]any{h.Type.String(), float64(h.ID), float64(h.ContentLength), float64(h.PaddingLength)}
				if got != want || len(raw) != HeaderLen+h.ContentLength+h.PaddingLength {
					t.Fatalf("%s record %d: got %v want %v", tr.File, i, got, want)
				}
				if typeOf(want[0].(string)) != h.Type {
					t.Fatalf("%s: type name %v", tr.File, want[0])
				}
			}
			if _, err := rd.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("%s: end is %v", tr.File, err)
			}
		}
	}
}

// Every trace through the server side: at once, cut at every byte, in odd
// pieces, and with a buffer that has to move and grow.
func TestTraceRequests(t *testing.T) {
	for _, tr := range loadTraces(t) {
		t.Run(strings.TrimSuffix(tr.File, ".request.bin"), func(t *testing.T) {
			steps := []int{1 << 20, 7777, 100}
			if len(tr.raw) < 3000 {
				steps = append(steps, 1, 2, 3)
			}
			for _, step := range steps {
				for _, size := range []int{0, 1024} {
					conn := &scriptConn{pieces: cut(tr.raw, step)}
					checkTrace(t, tr, conn, Config{AllowAuthorizer: true, BufferSize: size})
				}
			}
			if len(tr.raw) < 3000 {
				for at := range tr.raw {
					conn := &scriptConn{pieces: [][]byte{tr.raw[:at], tr.raw[at:]}}
					checkTrace(t, tr, conn, Config{AllowAuthorizer: true})
				}
			}
		})
	}
}

func checkTrace(t *testing.T, tr trace, conn *scriptConn, cfg Config) {
	t.Helper()
	s := NewServerConn(conn, cfg)
	got, err := serve(s, func(i int) int {
		if i < len(tr.Requests)-1 && !tr.Requests[i].StdinEOF {
			return tr.Requests[i].StdinLen
		}
		return -1
	})
	if isHTTP(tr.File) {
		if !errors.Is(err, ErrHTTP) || !errors.Is(err, ErrVersion) || len(got) > 0 {
			t.Fatalf("HTTP gave %v and %d requests", err, len(got))
		}
		return
	}
	if len(got) != len(tr.Requests) {
		t.Fatalf("%d requests, want %d; error %v", len(got), len(tr.Requests), err)
	}
	for i, want := range tr.Requests {
		g := got[i]
		if g.req.ID != want.ID || g.req.Flags != want.Flags || g.req.KeepConn != want.KeepConn {
			t.Errorf("begin: got %+v want %+v", g.req, want)
		}
		if (g.req.Role == Authorizer) != (want.Role == "AUTHORIZER") {
			t.Errorf("role: got %d want %s", g.req.Role, want.Role)
		}
		if len(g.req.Params) != want.Bytes || g.req.PairCount != len(want.Params) || !slices.Equal(g.pairs, want.Params) {
			t.Errorf("params differ:\n got %q\nwant %q", g.pairs, want.Params)
		}
		if len(g.body) != want.StdinLen {
			t.Errorf("body: got %d bytes, want %d", len(g.body), want.StdinLen)
		}
		if wantEOF := want.StdinEOF || want.Role == "AUTHORIZER"; g.stdinEOF != wantEOF {
			t.Errorf("end of STDIN: got %v (%v), want %v", g.stdinEOF, g.bodyErr, wantEOF)
		}
	}
	last := tr.Requests[len(tr.Requests)-1]
	if aborted := !last.StdinEOF && last.Role == "RESPONDER"; aborted != errors.Is(err, ErrAborted) {
		t.Errorf("connection ended with %v", err)
	} else if !aborted && !errors.Is(err, io.EOF) {
		t.Errorf("connection ended with %v, want io.EOF", err)
	}
}

// Encoding what was decoded gives the same bytes, where the web server used
// no padding and one record a stream.
func TestTraceEncode(t *testing.T) {
	n := 0
	for _, tr := range loadTraces(t) {
		if !strings.HasPrefix(tr.File, "apache-get") {
			continue
		}
		r := tr.Requests[0]
		var params []byte
		size := 0
		for _, p := range r.Params {
			params = AppendPair(params, p.Name, []byte(p.Value))
			size += PairSize(len(p.Name), len(p.Value))
		}
		if got := AppendRequest(nil, 1, Responder, r.Flags, params, nil); !slices.Equal(got, tr.raw) || size != len(params) {
			t.Errorf("%s: encoded form differs", tr.File)
		}
		n++
	}
	if n == 0 {
		t.Error("no trace was encoded")
	}
}

// The recorded replies through the client side, whole and byte by byte.
func TestTraceReplies(t *testing.T) {
	n := 0
	for _, tr := range loadTraces(t) {
		if tr.Response == "" {
			continue
		}
		raw := readFile(t, "testdata/fcgi/"+tr.Response)
		var results [2][]string
		for i, step := range []int{1 << 20, 1} {
			r := NewReplyReader(NewReader(&scriptConn{pieces: cut(raw, step)}, 0), 1)
			var out, errs []byte
			for {
				e, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", tr.Response, err)
				}
				switch e.Type {
				case Stdout:
					out = append(out, e.Data...)
				case Stderr:
					errs = append(errs, e.Data...)
				case EndRequest:
					results[i] = append(results[i], string(out), string(errs), string(rune('0'+e.Status)))
					out, errs = nil, nil
					r.Reset(1)
				}
			}
			if len(results[i]) == 0 {
				t.Errorf("%s: no END_REQUEST", tr.Response)
			}
		}
		if !reflect.DeepEqual(results[0], results[1]) {
			t.Errorf("%s: differs when cut:\n%q\n%q", tr.Response, results[0], results[1])
		}
		n++
	}
	if n < 5 {
		t.Errorf("only %d replies", n)
	}
}

// A request that has arrived as a whole needs one Read and no allocation, and
// its parameters are not copied.
func TestNoAllocations(t *testing.T) {
	for _, name := range []string{"apache-get-query", "nginx-get-query", "apache-keepalive-two"} {
		raw := readFile(t, "testdata/fcgi/"+name+".request.bin")
		conn := &loopConn{raw: raw}
		s := NewServerConn(conn, Config{IdleTimeout: 1 << 40, HeaderTimeout: 1 << 40})
		requests := 0
		run := func() {
			requests += serveOnce(t, s)
		}
		run()
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("%s: %v allocations per request", name, n)
		}
		if perRead := 1; name != "apache-keepalive-two" && conn.reads > requests*perRead {
			t.Errorf("%s: %d reads for %d requests", name, conn.reads, requests)
		}
	}
}

// loopConn gives the same bytes with every Read, for ever.
type loopConn struct {
	scriptConn
	raw []byte
}

func (c *loopConn) Read(p []byte) (int, error) {
	c.reads++
	return copy(p, c.raw), nil
}

func (c *loopConn) Write(p []byte) (int, error) { return len(p), nil }

var endRecord = AppendEndRequest(nil, 1, 0, RequestComplete)

func serveOnce(t testing.TB, s *ServerConn) int {
	req, err := s.ReadRequest()
	if err != nil {
		t.Fatal(err)
	}
	p := req.Pairs()
	for {
		if _, _, ok := p.NextSane(); !ok {
			break
		}
	}
	for {
		if _, err := s.NextStdin(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.WriteEnd(endRecord); err != nil {
		t.Fatal(err)
	}
	s.Finish()
	return 1
}

func BenchmarkApacheGet(b *testing.B) {
	raw := readFile(b, "testdata/fcgi/apache-get-query.request.bin")
	benchServe(b, raw)
}

func BenchmarkForty(b *testing.B) {
	var params []byte
	for range 40 {
		params = AppendPair(params, "HTTP_ACCEPT_LANGUAGE", "de-DE,de;q=0.8,en-US;q=0.5,en")
	}
	benchServe(b, AppendRequest(nil, 1, Responder, FlagKeepConn, params, nil))
}

func benchServe(b *testing.B, raw []byte) {
	s := NewServerConn(&loopConn{raw: raw}, Config{})
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		serveOnce(b, s)
	}
}
