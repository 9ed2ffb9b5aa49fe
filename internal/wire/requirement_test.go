package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRequirements: what the words of require mean, alone and with others.
func TestRequirements(t *testing.T) {
	valid, users := Requirement{ValidUser: true}, func(names ...string) Requirement { return Requirement{Users: names} }
	groups := func(names ...string) Requirement { return Requirement{Groups: names} }
	for text, want := range map[string][]Requirement{
		"valid-user":                               {valid},
		` wsgi-group "a b" staff `:                 {groups("a b", "staff")},
		`wsgi-group "a;b" c;user "x y";valid-user`: {groups("a;b", "c"), users("x y"), valid},
		` user a ;; wsgi-group b ; `:               nil,
		"user a ; wsgi-group b ; ":                 {users("a"), groups("b")},
		"wsgi-group a;wsgi-group b":                {groups("a"), groups("b")},
		`user a"b`:                                 {users(`a"b`)},
		`user "a"b`:                                {users("a", "b")},
		"":                                         nil,
		" ":                                        nil,
		";":                                        nil,
		"user":                                     nil,
		"wsgi-group":                               nil,
		"valid-user a":                             nil,
		"group a":                                  nil,
		`user "a`:                                  nil,
		`user ""`:                                  nil,
		"valid-user; nonsense":                     nil,
		`wsgi-group "a; valid-user`:                nil,
		`wsgi-group "a; valid-user" b; user "c;d" "e"`: {groups("a; valid-user", "b"), users("c;d", "e")},
	} {
		got, ok := ParseRequirements(text)
		if ok != (want != nil) || ok && !cmp.Equal(got, want) {
			t.Errorf("%q: %v %v, want %v", text, got, ok, want)
		}
	}
	for text, want := range map[string]*Requirement{
		"user a;b": {Users: []string{"a;b"}}, `user "a b" c`: {Users: []string{"a b", "c"}}, "valid-user": {ValidUser: true}, "valid-user;": nil, ";": nil, "": nil,
	} {
		got, ok := ParseRequirement(text)
		if ok != (want != nil) || ok && !cmp.Equal(got, *want) {
			t.Errorf("%q alone: %v %v, want %v", text, got, ok, want)
		}
	}
}
