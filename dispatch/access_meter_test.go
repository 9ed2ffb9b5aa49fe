package dispatch

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/errcode"
)

// TestMeter: what an answer says, in one piece and in pieces of any size.
func TestMeter(t *testing.T) {
	long := "X-Long: " + strings.Repeat("x", 5000) + "\r\n"
	for _, tt := range []struct {
		name, answer string
		status       int
		bytes        int64
		code         errcode.Code
	}{
		{"the usual", "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno\n", 404, 3, 0},
		{"no body", "Status: 204 No Content\r\n\r\n", 204, 0, 0},
		{"lines end with LF", "status:301\nLocation: /\n\n\n", 301, 1, 0},
		{"no status", "Content-Type: text/plain\r\n\r\nbody", 200, 4, 0},
		{"no head", "\nbody", 200, 4, 0},
		{"only a place", "location: http://example.com/\r\n\r\n", 302, 0, 0},
		{"status behind much", long + "Status: 500 No\r\n" + long + "\r\nx", 500, 1, 0},
		{"too many digits", "Status: 2000\r\n\r\n", 200, 0, 0},
		{"too few digits", "Status: 99\r\n\r\n", 200, 0, 0},
		{"less than any status", "Status: 099\r\n\r\n", 200, 0, 0},
		{"no digits", "Status: -12\r\nStatus:\r\n\r\n", 200, 0, 0},
		{"name that is longer", "Status-X: 500\r\nXStatus: 500\r\n\r\n", 200, 0, 0},
		{"an error of wsgid's", "Status: 500 x\r\nX-WSGID-Error: WSGID-1105\r\n\r\n", 500, 0, errcode.Code(1105)},
		{"a code that is none", "Status: 500 x\r\nX-WSGID-Error: WSGID-9999\r\nX-WSGID-Error: WSGID-\nX-WSGID-Error: WSGID-11050\n\r\n", 500, 0, 0},
		{"an empty line that comes late", "A: b\n\r\nStatus: 500\n\n", 200, 13, 0},
	} {
		for _, size := range []int{len(tt.answer), 1, 2, 7, 43} {
			var m meter
			for rest := tt.answer; rest != ""; {
				n := min(size, len(rest))
				if !m.inHead() && m.status == 0 {
					t.Errorf("%s: a body without a status", tt.name)
				}
				m.take([]byte(rest[:n]))
				rest = rest[n:]
			}
			if m.status != tt.status || m.bytes != tt.bytes || m.code != tt.code || m.inHead() {
				t.Errorf("%s in pieces of %d: %d, %d bytes, %v, in the head: %v", tt.name, size, m.status, m.bytes, m.code, m.inHead())
			}
		}
	}
	var m meter
	m.take([]byte("Status: 200 OK\r\n"))
	if m.status != 200 || !m.inHead() {
		t.Errorf("%+v", m)
	}
	way := passage{front: &fastcgiFront{}, pipe: &pipe{}}
	if way.open(&reply{meter: &m}) { // nobody would see where the head ends
		t.Error("a head goes past")
	}
	m.take([]byte("\r\n"))
	if !way.open(&reply{meter: &m}) || !way.open(&reply{}) {
		t.Error("a body does not go past")
	}
	var none *meter
	none.take([]byte("x"))
	none.passed(1)
	if none.inHead() {
		t.Error("nobody looks")
	}
}

// FuzzMeter: an answer is understood alike however it arrives.
func FuzzMeter(f *testing.F) {
	f.Add([]byte("Status: 200 OK\r\nX-WSGID-Error: WSGID-1105\r\n\r\nbody"), uint8(3))
	f.Add([]byte("Location: x\n\n"), uint8(1))
	f.Fuzz(func(t *testing.T, answer []byte, size uint8) {
		var whole, pieces meter
		whole.take(answer)
		for rest := answer; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			pieces.take(rest[:n])
			rest = rest[n:]
		}
		if whole.status != pieces.status || whole.bytes != pieces.bytes || whole.inBody != pieces.inBody || whole.code != pieces.code {
			t.Fatalf("%+v, in pieces of %d %+v", whole, size, pieces)
		}
		if whole.status != 0 && (whole.status < 100 || whole.status > 999) {
			t.Fatalf("status %d", whole.status)
		}
	})
}
