package pyshim_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/pyshim"
)

func question(kind pyshim.QuestionKind, first, second string) pyshim.Question {
	return pyshim.Question{Kind: kind, First: []byte(first), Second: []byte(second)}
}

// TestAuthAnswers: the table of mod_wsgi behaviour 5.2, as far as the script's
// answer goes.
func TestAuthAnswers(t *testing.T) {
	h := host(t)
	const (
		password = "check_password(environ, user, password)"
		hash     = "get_realm_hash(environ, user, realm)"
		groups   = "groups_for_user(environ, user)"
		access   = "allow_access(environ, host)"
	)
	kinds := map[string]pyshim.QuestionKind{password: pyshim.AskPassword, hash: pyshim.AskRealmHash, groups: pyshim.AskGroups, access: pyshim.AskAccess}
	tests := []struct {
		function, body string
		want           pyshim.AuthAnswer
		kind           pyshim.ErrorKind // 0: none
		message, value string
	}{
		{function: password, body: "return True", want: pyshim.AuthAnswer{Verdict: pyshim.Granted}},
		{function: password, body: "return False", want: pyshim.AuthAnswer{Verdict: pyshim.Denied}},
		{function: password, body: "return None", want: pyshim.AuthAnswer{Verdict: pyshim.Unknown}},
		{function: password, body: "return 'al\\xefce\\u20ac'", want: pyshim.AuthAnswer{Verdict: pyshim.Granted, Text: "al\u00efce\u20ac"}},
		{function: password, body: "return ''", kind: pyshim.Value, message: "a str that is not empty", value: "an object of type str"},
		{function: password, body: "return 1", kind: pyshim.Value, message: "must return True, False, None", value: "an object of type int"},
		{function: password, body: "return 0", kind: pyshim.Value, message: "must return True, False, None", value: "an object of type int"},
		{function: password, body: "return b'alice'", kind: pyshim.Value, message: "must return True, False, None", value: "an object of type bytes"},
		{function: password, body: "return (user, password)", kind: pyshim.Value, message: "must return", value: "an object of type tuple"},
		{function: password, body: "return 'a\\0b'", kind: pyshim.Value, message: "NUL", value: "an object of type str"},
		{function: password, body: "return '\\udc80'", kind: pyshim.Value, message: "UTF-8", value: "an object of type str"},
		{function: password, body: "raise KeyError(user)", kind: pyshim.Exception, message: "KeyError: 'first\u00e9'"},
		{function: password, body: "raise SystemExit(1)", kind: pyshim.Exception, message: "SystemExit: 1"},
		{function: password, body: "return (user, password) == ('first\\xe9', 'second\\xff') and len(environ['QUERY_STRING']) == 3", want: pyshim.AuthAnswer{Verdict: pyshim.Granted}},

		{function: hash, body: "return 'abc'", want: pyshim.AuthAnswer{Verdict: pyshim.Granted, Text: "abc"}},
		{function: hash, body: "return b'abc'", want: pyshim.AuthAnswer{Verdict: pyshim.Granted, Text: "abc"}},
		{function: hash, body: "return user + realm", want: pyshim.AuthAnswer{Verdict: pyshim.Granted, Text: "first\u00e9second\u00ff"}},
		{function: hash, body: "return None", want: pyshim.AuthAnswer{Verdict: pyshim.Unknown}},
		{function: hash, body: "return False", kind: pyshim.Value, message: "must return None or the hash", value: "an object of type bool"},
		{function: hash, body: "return ['abc']", kind: pyshim.Value, message: "must return None or the hash", value: "an object of type list"},
		{function: hash, body: "raise ValueError", kind: pyshim.Exception, message: "ValueError"},

		{function: groups, body: "return ['Admins', b'staff']", want: pyshim.AuthAnswer{Verdict: pyshim.Granted, Groups: []string{"Admins", "staff"}}},
		{function: groups, body: "yield 'one'\n    yield ''\n    yield user", want: pyshim.AuthAnswer{Verdict: pyshim.Granted, Groups: []string{"one", "", "first\u00e9"}}},
		{function: groups, body: "return ('x' * 1000,)", want: pyshim.AuthAnswer{Verdict: pyshim.Granted, Groups: []string{strings.Repeat("x", 1000)}}},
		{function: groups, body: "return ()", want: pyshim.AuthAnswer{Verdict: pyshim.Granted}},
		{function: groups, body: "return None", kind: pyshim.Value, message: "iterable", value: "an object of type NoneType"},
		{function: groups, body: "return 'admins'", kind: pyshim.Value, message: "iterable", value: "an object of type str"},
		{function: groups, body: "return ['admins', 1]", kind: pyshim.Value, message: "iterable", value: "an object of type int"},
		{function: groups, body: "return ['a\\0b']", kind: pyshim.Value, message: "NUL", value: "an object of type str"},
		{function: groups, body: "yield 'one'\n    raise RuntimeError('half way')", kind: pyshim.Exception, message: "half way"},

		{function: access, body: "return True", want: pyshim.AuthAnswer{Verdict: pyshim.Granted}},
		{function: access, body: "return False", want: pyshim.AuthAnswer{Verdict: pyshim.Denied}},
		{function: access, body: "return None", want: pyshim.AuthAnswer{Verdict: pyshim.Unknown}},
		{function: access, body: "return host == 'first\\xe9'", want: pyshim.AuthAnswer{Verdict: pyshim.Granted}},
		{function: access, body: "return 1", kind: pyshim.Value, message: "must return True, False or None", value: "an object of type int"},
		{function: access, body: "return 'yes'", kind: pyshim.Value, message: "must return True, False or None", value: "an object of type str"},
		{function: access, body: "raise OSError('no database')", kind: pyshim.Exception, message: "OSError: no database"},
	}
	for _, test := range tests {
		name, _, _ := strings.Cut(test.function, "(")
		t.Run(name+"/"+test.body, func(t *testing.T) {
			path := writeScript(t, "# first line\ndef "+test.function+":\n    "+test.body+"\n")
			a, err := h.Ask(&pyshim.Call{Script: path, Params: pairs("QUERY_STRING", "a=b")}, question(kinds[test.function], "first\xe9", "second\xff"))
			if test.kind == 0 {
				if err != nil || a.Verdict != test.want.Verdict || a.Text != test.want.Text || !slices.Equal(a.Groups, test.want.Groups) {
					t.Fatalf("got %+v, %v", a, err)
				}
				return
			}
			var se *pyshim.ScriptError
			if !errors.As(err, &se) || se.Kind != test.kind || se.Function != name || se.Value != test.value || !strings.Contains(se.Message, test.message) {
				t.Fatalf("got %+v", err)
			}
			if strings.Contains(fmt.Sprintf("%+v", *se), "second") {
				t.Errorf("%+v tells the password", *se)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		for function, kind := range kinds {
			name, _, _ := strings.Cut(function, "(")
			for text, message := range map[string]string{"x = 1\n": "no such function", name + " = 'x'\n": "not callable"} {
				_, err := h.Ask(&pyshim.Call{Script: writeScript(t, text)}, question(kind, "a", "b"))
				var se *pyshim.ScriptError
				if !errors.As(err, &se) || se.Kind != pyshim.Value || se.Function != name || !strings.Contains(se.Message, message) {
					t.Errorf("%s: %+v", name, err)
				}
			}
		}
	})
}

// TestAuthEnviron: what Python adds to the reduced environ, and that nothing of
// TLS stands in it but behind functions.
func TestAuthEnviron(t *testing.T) {
	h := host(t)
	path := writeScript(t, `
def groups_for_user(e, user):
    look = e['mod_ssl.var_lookup']
    e['wsgi.errors'].write('')
    try:
        look(1)
    except TypeError:
        return [repr(sorted(set(e) - {'wsgi.errors'})), repr((e['mod_wsgi.process_group'], e['mod_wsgi.application_group'], e['mod_wsgi.version'])),
                repr((e['mod_ssl.is_https'](), look('SSL_PROTOCOL'), look(b'SSL_PROTOCOL'), look('SSL_NONE')))]
`)
	for _, row := range []struct {
		params []byte
		tls    string
	}{
		{pairs("SCRIPT_NAME", "/a", "PATH_INFO", "/b", "HTTPS", "on", "SSL_PROTOCOL", "TLSv1.3"), "(1, 'TLSv1.3', 'TLSv1.3', None)"},
		{pairs("SCRIPT_NAME", "/a", "PATH_INFO", "/b"), "(0, None, None, None)"},
		{pairs("SCRIPT_NAME", "/a", "PATH_INFO", "/b", "HTTPS", "off"), "(0, None, None, None)"},
	} {
		a, err := h.Ask(&pyshim.Call{Script: path, ApplicationGroup: "auth", Params: row.params, RequestID: "id"}, question(pyshim.AskGroups, "u", ""))
		want := []string{
			"['PATH_INFO', 'SCRIPT_NAME', 'mod_ssl.is_https', 'mod_ssl.var_lookup', 'mod_wsgi.application_group', 'mod_wsgi.process_group', 'mod_wsgi.version']",
			"('', 'auth', (6, 0, 5))", row.tls,
		}
		if err != nil || !slices.Equal(a.Groups, want) {
			t.Errorf("got %q, %v", a.Groups, err)
		}
	}
	if _, err := h.Ask(&pyshim.Call{Script: path, Params: []byte{5, 5, 'a'}}, question(pyshim.AskGroups, "u", "")); err == nil {
		t.Error("malformed parameters were accepted")
	}
}

// TestAuthLoading: a script that cannot be loaded, the last version that could,
// and a file that is gone.
func TestAuthLoading(t *testing.T) {
	h := host(t)
	path := writeScript(t, "def allow_access(e, host:\n")
	ask := func(keep bool) (pyshim.AuthAnswer, error) {
		return h.Ask(&pyshim.Call{Script: path, Check: true, KeepLastGood: keep}, question(pyshim.AskAccess, "h", ""))
	}
	var se *pyshim.ScriptError
	if _, err := ask(true); !errors.As(err, &se) || se.Kind != pyshim.Load || se.Line != 1 || se.Traceback == "" {
		t.Fatalf("got %+v", err)
	}
	replaceScript(t, path, "def allow_access(e, host):\n    return True\n")
	if a, err := ask(true); err != nil || a.Verdict != pyshim.Granted || a.LoadError != "" {
		t.Fatalf("mended: %+v, %v", a, err)
	}
	replaceScript(t, path, "1 / 0\n")
	if a, err := ask(true); err != nil || a.Verdict != pyshim.Granted || !strings.Contains(a.LoadError, "ZeroDivisionError") {
		t.Fatalf("last good: %+v, %v", a, err)
	}
	if _, err := ask(false); !errors.As(err, &se) || se.Kind != pyshim.Load {
		t.Fatalf("without last good: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(false); !errors.As(err, &se) || se.Kind != pyshim.Load {
		t.Fatalf("deleted: %v", err)
	}
}

func TestAuthInterrupt(t *testing.T) {
	h := host(t)
	started := filepath.Join(t.TempDir(), "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	path := writeScript(t, "def check_password(e, user, password):\n    open(user, 'w').close()\n    while True:\n        pass\n")
	call := &pyshim.Call{Script: path}
	go func() {
		if f, err := os.Open(started); err == nil { // returns when the script is inside
			_ = f.Close()
		}
		h.Interrupt(call)
	}()
	_, err := h.Ask(call, question(pyshim.AskPassword, started, "secret"))
	var se *pyshim.ScriptError
	if !errors.As(err, &se) || se.Kind != pyshim.Interrupted || se.Function != "check_password" {
		t.Fatalf("got %+v", err)
	}
}
