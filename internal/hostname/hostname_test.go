package hostname

import (
	"strings"
	"testing"
)

func TestAppendName(t *testing.T) {
	for host, want := range map[string]string{
		"www.example.test":       "www.example.test",
		"WWW.Example.TEST":       "www.example.test",
		"www.example.test.":      "www.example.test",
		"www.example.test:8080":  "www.example.test",
		"www.example.test.:8080": "www.example.test",
		"a_b-c.test":             "a_b-c.test",
		"localhost":              "localhost",
		"192.0.2.1:80":           "192.0.2.1",
		"[::1]":                  "[::1]",
		"[::1]:8080":             "[::1]",
		"[0:0:0::1]:443":         "[::1]",
		"[2001:DB8::A]":          "[2001:db8::a]",
		"[::ffff:192.0.2.1]":     "[::ffff:192.0.2.1]",
	} {
		if got, ok := AppendName(nil, []byte(host)); !ok || string(got) != want {
			t.Errorf("%q is %q, %v, want %q", host, got, ok, want)
		}
	}
	for _, host := range []string{
		"", ".", "..", ":80", "a b", "x|y", "h:", "h:abc", "h:99999", "h:0", "h:80:80", "h:-1", ".a", "a..b", "a..",
		"a/b", "a@b", "a%2eb", "a\x00b", "caf\xc3\xa9", "*", "*.a", "[", "[]", "[::1", "[::1]x", "[::1]:", "[::1]:x",
		"[fe80::1%eth0]", "[192.0.2.1]", "::1", "[::1]]", strings.Repeat("a", 256),
	} {
		if got, ok := AppendName(nil, []byte(host)); ok {
			t.Errorf("%q passes as %q", host, got)
		}
	}
}

func FuzzAppendName(f *testing.F) {
	f.Add([]byte("WWW.example.test.:80"))
	f.Add([]byte("[0::1]:80"))
	f.Fuzz(func(t *testing.T, host []byte) {
		name, ok := AppendName(nil, host)
		if !ok {
			return
		}
		again, ok := AppendName(nil, name)
		if !ok || string(again) != string(name) {
			t.Fatalf("%q is %q, and that %q, %v", host, name, again, ok)
		}
	})
}
