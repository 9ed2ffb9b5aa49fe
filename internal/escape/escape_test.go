package escape

import "testing"

func TestEscape(t *testing.T) {
	tests := []struct{ in, line, text string }{
		{"plain text", "plain text", "plain text"},
		{"a\nb\tc", `a\nb\tc`, "a\nb\tc"},
		{"\x1b[31mred\x7f\r", `\x1b[31mred\x7f\r`, `\x1b[31mred\x7f\r`},
		{"grün", "grün", "grün"},
		{"\xff\x80x", `\xff\x80x`, `\xff\x80x`},
		{"\u009b1m", `\u009b1m`, `\u009b1m`},
		{"\u202e", `\u202e`, `\u202e`},
		{"\x00", `\x00`, `\x00`},
	}
	for _, test := range tests {
		if got := Line(test.in); got != test.line {
			t.Errorf("Line(%q) is %q, want %q", test.in, got, test.line)
		}
		if got := Text(test.in); got != test.text {
			t.Errorf("Text(%q) is %q, want %q", test.in, got, test.text)
		}
	}
}
