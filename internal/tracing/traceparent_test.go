package tracing

import (
	"bytes"
	"strings"
	"testing"
)

const (
	traceText = "0af7651916cd43dd8448eb211c80319c"
	spanText  = "b7ad6b7169203331"
	parent    = "00-" + traceText + "-" + spanText + "-01"
)

// TestParseParent: what the recommendation has valid is taken over, and the rest is not.
func TestParseParent(t *testing.T) {
	for _, c := range []struct {
		name, value string
		flags       byte
		ok          bool
	}{
		{"sampled", parent, 1, true},
		{"not sampled", "00-" + traceText + "-" + spanText + "-00", 0, true},
		{"random", "00-" + traceText + "-" + spanText + "-03", 3, true},
		{"unknown flags", "00-" + traceText + "-" + spanText + "-ff", 3, true},
		{"only unknown flags", "00-" + traceText + "-" + spanText + "-0c", 0, true},
		{"later version", "01-" + traceText + "-" + spanText + "-01", 1, true},
		{"last version", "fe-" + traceText + "-" + spanText + "-01", 1, true},
		{"later version with more", "cc-" + traceText + "-" + spanText + "-01-what-the-future-brings", 1, true},
		{"later version with an empty part", "cc-" + traceText + "-" + spanText + "-01-", 1, true},
		{"later version, more without a dash", "cc-" + traceText + "-" + spanText + "-01.what", 0, false},
		{"later version, longer flags", "cc-" + traceText + "-" + spanText + "-011", 0, false},
		{"later version, shorter", "cc-" + traceText + "-" + spanText + "-1", 0, false},
		{"version 00 with more", parent + "-what", 0, false},
		{"version 00 with a dash", parent + "-", 0, false},
		{"no version", "ff-" + traceText + "-" + spanText + "-01", 0, false},
		{"version in upper case", "FE-" + traceText + "-" + spanText + "-01", 0, false},
		{"version of one digit", "0-" + traceText + "-" + spanText + "-011", 0, false},
		{"version of three digits", "000-" + traceText + "-" + spanText + "-01", 0, false},
		{"version that is no number", ".0-" + traceText + "-" + spanText + "-01", 0, false},
		{"no trace", "00-" + strings.Repeat("0", 32) + "-" + spanText + "-01", 0, false},
		{"no span", "00-" + traceText + "-" + strings.Repeat("0", 16) + "-01", 0, false},
		{"trace in upper case", "00-" + strings.ToUpper(traceText) + "-" + spanText + "-01", 0, false},
		{"span in upper case", "00-" + traceText + "-" + strings.ToUpper(spanText) + "-01", 0, false},
		{"flags in upper case", "00-" + traceText + "-" + spanText + "-0B", 0, false},
		{"trace too short", "00-" + traceText[1:] + "-" + spanText + "-01", 0, false},
		{"trace too long", "00-" + traceText + "0-" + spanText + "-01", 0, false},
		{"span too short", "00-" + traceText + "-" + spanText[1:] + "-01", 0, false},
		{"span too long", "00-" + traceText + "-" + spanText + "0-01", 0, false},
		{"trace that is no number", "00-" + traceText[1:] + ".-" + spanText + "-01", 0, false},
		{"span that is no number", "00-" + traceText + "-" + spanText[1:] + "g-01", 0, false},
		{"flags that are no number", "00-" + traceText + "-" + spanText + "-.1", 0, false},
		{"flags of one digit", "00-" + traceText + "-" + spanText + "-1", 0, false},
		{"flags of three digits", "00-" + traceText + "-" + spanText + "-001", 0, false},
		{"no flags", "00-" + traceText + "-" + spanText, 0, false},
		{"other signs between", strings.ReplaceAll(parent, "-", "_"), 0, false},
		{"space in front", " " + parent, 0, false},
		{"space behind", parent + " ", 0, false},
		{"two headers", parent + ", " + parent, 0, false},
		{"two headers of a later version", "01" + parent[2:] + ", 01" + parent[2:], 0, false},
		{"empty", "", 0, false},
		{"control bytes", strings.Replace(parent, "0a", "\x00\x01", 1), 0, false},
	} {
		p, ok := ParseParent([]byte(c.value))
		if ok != c.ok || p.Flags != c.flags {
			t.Errorf("%s: %q: %v, flags %02x", c.name, c.value, ok, p.Flags)
		}
		if !ok && p != (Parent{}) {
			t.Errorf("%s: something is left: %v", c.name, p)
		}
		if want := "00-" + traceText + "-" + spanText; ok && !strings.HasPrefix(string(p.Append(nil)), want) {
			t.Errorf("%s: %s", c.name, p.Append(nil))
		}
	}
}

// FuzzParseParent: whatever is taken over is written in the strict form, and read
// the same from it.
func FuzzParseParent(f *testing.F) {
	f.Add([]byte(parent))
	f.Add([]byte("cc" + parent[2:] + "-more"))
	f.Add([]byte(parent + "," + parent))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, ok := ParseParent(value)
		if !ok {
			return
		}
		text := p.Append(nil)
		if len(text) != ParentLen || !bytes.Equal(text[2:53], value[2:53]) {
			t.Fatalf("%q becomes %q", value, text)
		}
		if again, ok := ParseParent(text); !ok || again != p {
			t.Fatalf("%q is read as %v, %v", text, again, ok)
		}
	})
}

// TestSampler: a share of the traces that begin is recorded, decided by the id.
func TestSampler(t *testing.T) {
	for share, bounds := range map[float64][2]int{0: {0, 0}, 0.25: {2000, 3000}, 1: {10000, 10000}} {
		s, n := NewSampler(share), 0
		for range 10000 {
			p := s.Begin()
			if s.Takes(p.Trace) != (p.Flags == Sampled) {
				t.Fatal("decided otherwise than by the id")
			}
			n += int(p.Flags)
		}
		if n < bounds[0] || n > bounds[1] {
			t.Errorf("%v: %d of 10000", share, n)
		}
	}
	one, other := NewSpanID(), NewSpanID()
	if p, q := NewTraceID(), NewTraceID(); p == q || one == other {
		t.Error("ids repeat")
	}
}
