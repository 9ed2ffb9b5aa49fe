package urlpattern

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The clock of backtracking expressions ends a second after the last one.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          []int
		backtracking  bool
	}{
		{pattern: `^/w/([^/]+)`, path: "/w/foo/bar", want: []int{0, 6, 3, 6}},
		{pattern: `/anywhere`, path: "/foo/anywhere/x", want: []int{4, 13}},
		{pattern: `x*`, path: "/x", want: []int{0, 0}},
		{pattern: `$`, path: "/x", want: []int{2, 2}},
		{pattern: `^/(a)|(b)`, path: "/b", want: []int{1, 2, -1, -1, 1, 2}},
		{pattern: `^/a.b$`, path: "/a\nb", want: []int{0, 4}},
		{pattern: `^/a$`, path: "/a\n"},
		{pattern: `^/A`, path: "/a"},
		{pattern: `(?i)^/A`, path: "/a", want: []int{0, 2}},
		{pattern: `^/[[:alpha:]]+\_`, path: "/ab_", want: []int{0, 4}},

		// Bytes, not characters.
		{pattern: `^/(.)`, path: "/\xc3\xa9/x", want: []int{0, 2, 1, 2}},
		{pattern: `^/(.)/(x)`, path: "/\xff/x", want: []int{0, 4, 1, 2, 3, 4}},
		{pattern: `^/caf` + "\xc3\xa9", path: "/caf\xc3\xa9/x", want: []int{0, 6}},
		{pattern: `(?i)^/k`, path: "/\xe2\x84\xaa"}, // the sign of kelvin is no k
		{pattern: `^/\w`, path: "/\xe9"},

		{pattern: `^/(?!static/)([a-z]+)`, path: "/app/x", want: []int{0, 4, 1, 4}, backtracking: true},
		{pattern: `^/(?!static/)([a-z]+)`, path: "/static/x", backtracking: true},
		{pattern: `(?<=/v)([0-9])`, path: "/v2/x", want: []int{2, 3, 2, 3}, backtracking: true},
		{pattern: `^/([a-z]+)/\1`, path: "/ab/ab/x", want: []int{0, 6, 1, 3}, backtracking: true},
		{pattern: `^/a++b`, path: "/aab", want: []int{0, 4}, backtracking: true},
		{pattern: `^/(?>a|ab)c`, path: "/abc", backtracking: true},
		{pattern: `^/(?<n>a)(b)(?=c)`, path: "/abc", want: []int{0, 3, 1, 2, 2, 3}, backtracking: true},
		{pattern: `^/(?!x)(.)`, path: "/\xc3\xa9", want: []int{0, 2, 1, 2}, backtracking: true},
		{pattern: `^/(?!x)\w`, path: "/\xe9", backtracking: true},
		{pattern: `^/(?!x)a.$`, path: "/a\n", want: []int{0, 3}, backtracking: true},
		{pattern: `^/(?!x)a$`, path: "/a\n", backtracking: true},
		{pattern: `^/(?!x)(a)|(b)`, path: "/b", want: []int{1, 2, -1, -1, 1, 2}, backtracking: true},
		{pattern: `^/(?!x)\Q\h(?R\E`, path: `/\h(?R`, want: []int{0, 6}, backtracking: true},
		{pattern: `^/a{2000}`, path: "/" + strings.Repeat("a", 2000), want: []int{0, 2001}, backtracking: true},
	} {
		p, err := Compile(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if (p.linear == nil) != tt.backtracking {
			t.Errorf("%s: linear %v", tt.pattern, p.linear != nil)
		}
		got, err := p.Find([]byte(tt.path))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s on %q: %v, %v, want %v", tt.pattern, tt.path, got, err, tt.want)
		}
		if got != nil && len(got) != 2*p.Groups()+2 {
			t.Errorf("%s: %d groups, %v", tt.pattern, p.Groups(), got)
		}
	}
}

// TestUnavailable: what would be taken for something else is refused.
func TestUnavailable(t *testing.T) {
	for _, pattern := range []string{`(`, `[`, `a**`, `\K`, `^/\h`, `\R`, `(a)\g{1}`, `(?|a|b)`, `(?R)`, `(a)(?1)`, `(*FAIL)`, `(?U)a(?!b)`, `(?n)(a)`, `\N(?!x)`, `(?<n>a`, `\`} {
		if p, err := Compile(pattern); err == nil {
			t.Errorf("%s compiles, linear: %v", pattern, p.linear != nil)
		}
	}
}

// TestDeadline: an expression that a client can make slow is given up.
func TestDeadline(t *testing.T) {
	for pattern, path := range map[string]string{
		`^/(?!x)(a|aa|a.)+$`:                  strings.Repeat("a", 60000) + "b\n/", // much memory
		`^/(?=a)(.*)(.*)(.*)(.*)(.*)\1\2\3x$`: strings.Repeat("a", 8000),           // much time
		`^/(?=a)(a*)*b`:                       strings.Repeat("a", 60),
	} {
		p := MustCompile(pattern)
		start := time.Now()
		at, err := p.Find([]byte("/" + path))
		if !errors.Is(err, ErrTooLong) || at != nil {
			t.Errorf("%s: %v, %v", pattern, at, err)
		}
		t.Logf("%s: %v after %v", pattern, err, time.Since(start))
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`^/w/([^/]+)(?!x)`, "/w/foo")
	f.Add(`\Q`, "/")
	f.Add(`(?`, "/\xc3\xa9")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := Compile(pattern)
		if err != nil {
			return
		}
		at, err := p.Find([]byte(path))
		if err != nil || at == nil {
			return
		}
		if len(at) != 2*p.Groups()+2 {
			t.Fatalf("%d groups, %v", p.Groups(), at)
		}
		for i := 0; i < len(at); i += 2 {
			if at[i] < -1 || at[i] > at[i+1] || at[i+1] > len(path) {
				t.Fatalf("%v is not in a path of %d bytes", at, len(path))
			}
		}
	})
}
