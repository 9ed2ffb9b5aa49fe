package dispatch

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// adjusted is what the worker gets of a request to a mount: environ and
// WSGID_ pairs.
func adjusted(t *testing.T, m wire.Mount, kv ...string) map[string]string {
	t.Helper()
	m.Prefix, m.Target = "/m", "/srv/m.wsgi"
	table := newMountTable([]wire.Mount{m})
	var e environ
	if err := e.parse(pairsOf(kv...), protocol.Limits{}); err != nil {
		t.Fatal(err)
	}
	if table[0].adjusts {
		if r := table[0].adjust(&e, nil); r != nil {
			t.Fatal(r)
		}
	}
	got := pairMap(append(e.appendTo(nil, &target{script: "/srv/m.wsgi", scriptName: []byte("/m")}), e.own...))
	for _, name := range []string{"SCRIPT_FILENAME", "PATH_INFO", "QUERY_STRING"} {
		delete(got, name)
	}
	return got
}

// TestProxyHeaders: the rules of mod_wsgi behaviour 6.10, case by case.
func TestProxyHeaders(t *testing.T) {
	var networks []netip.Prefix
	for _, text := range []string{"192.0.2.0/24", "2001:db8::/32"} {
		networks = append(networks, netip.MustParsePrefix(text))
	}
	const all = "X-Forwarded-For X-Forwarded-Host X-Forwarded-Server X-Forwarded-Port X-Script-Name X-Forwarded-Proto"
	for name, tt := range map[string]struct {
		headers  string
		networks []netip.Prefix
		in       string // NAME=value, separated by ;
		want     string
	}{
		"nothing listed, nothing happens": {"", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=1.1.1.1",
			"REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=1.1.1.1;SCRIPT_NAME=/m"},
		"everybody trusted": {all, nil,
			"REMOTE_ADDR=203.0.113.9;HTTP_X_FORWARDED_FOR=10.0.0.1, 10.0.0.2;HTTP_HOST=in;HTTP_X_FORWARDED_HOST=out:8443;" +
				"SERVER_NAME=in;HTTP_X_FORWARDED_SERVER=out;SERVER_PORT=80;HTTP_X_FORWARDED_PORT=8443;HTTP_X_SCRIPT_NAME=/pre;HTTP_X_FORWARDED_PROTO=HTTPS",
			"REMOTE_ADDR=10.0.0.1;HTTP_X_FORWARDED_FOR=10.0.0.1, 10.0.0.2;HTTP_HOST=out:8443;HTTP_X_FORWARDED_HOST=out:8443;" +
				"SERVER_NAME=out;HTTP_X_FORWARDED_SERVER=out;SERVER_PORT=8443;HTTP_X_FORWARDED_PORT=8443;HTTP_X_SCRIPT_NAME=/pre;HTTP_X_FORWARDED_PROTO=HTTPS;" +
				"SCRIPT_NAME=/pre;HTTPS=1;WSGID_SCHEME_DECIDED=1;WSGID_LISTENER_PORT=80;WSGID_MOUNT_POINT=/pre"},
		"peer not trusted: managed categories vanish, others stay": {"X-Forwarded-For X-Forwarded-Proto", networks,
			"REMOTE_ADDR=203.0.113.9;HTTP_X_FORWARDED_FOR=1.1.1.1;HTTP_X_REAL_IP=1.1.1.1;HTTP_X_CLIENT_IP=1.1.1.1;HTTP_X_FORWARDED_PROTO=https;HTTP_X_HTTPS=on;HTTP_X_FORWARDED_HOST=h;HTTP_X_OTHER=o",
			"REMOTE_ADDR=203.0.113.9;HTTP_X_FORWARDED_HOST=h;HTTP_X_OTHER=o;SCRIPT_NAME=/m"},
		"peer that is no address": {"X-Real-IP", networks, "REMOTE_ADDR=unix;HTTP_X_REAL_IP=1.1.1.1", "REMOTE_ADDR=unix;SCRIPT_NAME=/m"},
		"no peer":                 {"X-Real-IP", networks, "HTTP_X_REAL_IP=1.1.1.1", "SCRIPT_NAME=/m"},
		"nobody is trusted":       {"X-Real-IP", []netip.Prefix{}, "REMOTE_ADDR=192.0.2.1;HTTP_X_REAL_IP=1.1.1.1", "REMOTE_ADDR=192.0.2.1;SCRIPT_NAME=/m"},
		"synonym that is not listed": {"X-Real-IP", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_REAL_IP=1.1.1.1;HTTP_X_FORWARDED_FOR=2.2.2.2",
			"REMOTE_ADDR=1.1.1.1;HTTP_X_REAL_IP=1.1.1.1;SCRIPT_NAME=/m"},
		"last listed wins": {"X-Real-IP X-Client-IP", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_CLIENT_IP=3.3.3.3;HTTP_X_REAL_IP=1.1.1.1",
			"REMOTE_ADDR=3.3.3.3;HTTP_X_CLIENT_IP=3.3.3.3;SCRIPT_NAME=/m"},
		"last listed of those that are there": {"X-Client-IP X-Real-IP", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_CLIENT_IP=3.3.3.3",
			"REMOTE_ADDR=3.3.3.3;HTTP_X_CLIENT_IP=3.3.3.3;SCRIPT_NAME=/m"},
		"mapped peer":     {"X-Real-IP", networks, "REMOTE_ADDR=::ffff:192.0.2.1;HTTP_X_REAL_IP=1.1.1.1", "REMOTE_ADDR=1.1.1.1;HTTP_X_REAL_IP=1.1.1.1;SCRIPT_NAME=/m"},
		"empty is absent": {"X-Forwarded-Host X-Host", nil, "HTTP_HOST=in;HTTP_X_FORWARDED_HOST=;HTTP_X_HOST=", "HTTP_HOST=in;SCRIPT_NAME=/m"},
		"before the trusted suffix": {"X-Forwarded-For", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=6.6.6.6,  9.9.9.9 ,,192.0.2.7, 2001:db8::1,",
			"REMOTE_ADDR=9.9.9.9;HTTP_X_FORWARDED_FOR=9.9.9.9, 192.0.2.7, 2001:db8::1;SCRIPT_NAME=/m"},
		"all trusted": {"X-Forwarded-For", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=192.0.2.8,192.0.2.7",
			"REMOTE_ADDR=192.0.2.8;HTTP_X_FORWARDED_FOR=192.0.2.8, 192.0.2.7;SCRIPT_NAME=/m"},
		"last not trusted": {"X-Forwarded-For", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=192.0.2.8, 8.8.8.8",
			"REMOTE_ADDR=8.8.8.8;HTTP_X_FORWARDED_FOR=8.8.8.8;SCRIPT_NAME=/m"},
		"a name ends the suffix": {"X-Forwarded-For", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=1.1.1.1, localhost, 192.0.2.7",
			"REMOTE_ADDR=localhost;HTTP_X_FORWARDED_FOR=localhost, 192.0.2.7;SCRIPT_NAME=/m"},
		"only empty elements":      {"X-Forwarded-For", networks, "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=, ,", "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=, ,;SCRIPT_NAME=/m"},
		"first of an open list":    {"X-Forwarded-For", nil, "REMOTE_ADDR=192.0.2.1;HTTP_X_FORWARDED_FOR=, 5.5.5.5, 6.6.6.6", "REMOTE_ADDR=5.5.5.5;HTTP_X_FORWARDED_FOR=, 5.5.5.5, 6.6.6.6;SCRIPT_NAME=/m"},
		"http on a TLS connection": {"X-Forwarded-Proto", nil, "HTTPS=on;HTTP_X_FORWARDED_PROTO=http", "HTTP_X_FORWARDED_PROTO=http;SCRIPT_NAME=/m;WSGID_SCHEME_DECIDED=1"},
		"scheme that says nothing": {"X-Forwarded-Proto", nil, "HTTPS=on;HTTP_X_FORWARDED_PROTO=ws", "HTTPS=on;HTTP_X_FORWARDED_PROTO=ws;SCRIPT_NAME=/m;WSGID_SCHEME_DECIDED=1"},
		"no scheme header":         {"X-Forwarded-Proto", nil, "HTTPS=on;HTTP_X_SCHEME=http", "HTTPS=on;SCRIPT_NAME=/m"},
	} {
		t.Run(name, func(t *testing.T) {
			var in []string
			for _, one := range strings.Split(tt.in, ";") {
				k, v, _ := strings.Cut(one, "=")
				in = append(in, k, v)
			}
			want := map[string]string{}
			for _, one := range strings.Split(tt.want, ";") {
				k, v, _ := strings.Cut(one, "=")
				want[k] = v
			}
			got := adjusted(t, wire.Mount{TrustedProxyHeaders: strings.Fields(tt.headers), TrustedProxies: tt.networks}, in...)
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestProxySchemes: every scheme header and value.
func TestProxySchemes(t *testing.T) {
	for variable, values := range map[string]map[string]string{
		"X-Forwarded-Proto": {"http": "", "https": "1", "HTTPS": "1", "on": "0"}, "X-Forwarded-Scheme": {"https": "1", "1": "0"}, "X-Scheme": {"Http": "", "x": "0"},
		"X-Forwarded-HTTPS": {"on": "1", "off": "", "https": "0"}, "X-Forwarded-SSL": {"On": "1", "true": "1", "1": "1", "OFF": "", "false": "", "0": "", "yes": "0"}, "X-HTTPS": {"1": "1", "0": ""},
	} {
		for value, want := range values {
			name := "HTTP_" + strings.ToUpper(strings.ReplaceAll(variable, "-", "_"))
			got := adjusted(t, wire.Mount{TrustedProxyHeaders: []string{variable}}, "HTTPS", "0", name, value)
			if got["HTTPS"] != want {
				t.Errorf("%s: %s gives HTTPS=%q, want %q", variable, value, got["HTTPS"], want)
			}
		}
	}
}

// TestAuthorization: what the front server sends is passed on, or nothing of it.
func TestAuthorization(t *testing.T) {
	in := []string{"HTTP_AUTHORIZATION", "Basic a", "REDIRECT_HTTP_AUTHORIZATION", "Basic b", "HTTP_PROXY_AUTHORIZATION", "Basic c", "REMOTE_USER", "joe", "AUTH_TYPE", "Basic"}
	want := map[string]string{"HTTP_AUTHORIZATION": "Basic a", "REDIRECT_HTTP_AUTHORIZATION": "Basic b", "HTTP_PROXY_AUTHORIZATION": "Basic c",
		"REMOTE_USER": "joe", "AUTH_TYPE": "Basic", "SCRIPT_NAME": "/m"}
	if d := cmp.Diff(want, adjusted(t, wire.Mount{}, in...)); d != "" {
		t.Error(d)
	}
	want = map[string]string{"REMOTE_USER": "joe", "AUTH_TYPE": "Basic", "SCRIPT_NAME": "/m"}
	if d := cmp.Diff(want, adjusted(t, wire.Mount{DropAuthorization: true}, in...)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, adjusted(t, wire.Mount{DropAuthorization: true}, in[2:]...)); d != "" {
		t.Error(d)
	}
}

// TestMapHead: HEAD, and nothing else, becomes GET.
func TestMapHead(t *testing.T) {
	for method, want := range map[string]map[string]string{
		"HEAD": {"REQUEST_METHOD": "GET", "WSGID_HEAD": "1", "SCRIPT_NAME": "/m"},
		"GET":  {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/m"},
		"POST": {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/m"},
		"head": {"REQUEST_METHOD": "head", "SCRIPT_NAME": "/m"},
	} {
		if d := cmp.Diff(want, adjusted(t, wire.Mount{MapHeadToGet: true}, "REQUEST_METHOD", method)); d != "" {
			t.Errorf("%s: %s", method, d)
		}
	}
}
