package dispatch

import (
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/wire"
)

func TestSettingsAreTheOverrides(t *testing.T) {
	var here []string
	for _, s := range settings {
		here = append(here, s.option)
	}
	var asking []string
	for _, s := range askingSettings {
		here, asking = append(here, s.option), append(asking, s.option)
	}
	slices.Sort(asking)
	if all := wire.AskingOverrides(wire.OverrideNames(true)); !slices.Equal(asking, all) {
		t.Errorf("settings of questions %v, overrides %v", asking, all)
	}
	slices.Sort(here)
	if all := wire.OverrideNames(true); !slices.Equal(here, all) || len(settings) > 64 || len(settings) >= maxSettings {
		t.Errorf("settings %v, overrides %v", here, all)
	}
}

// contextual runs a router whose one mount lets be set what allowed names.
func contextual(t *testing.T, trusted bool, allowed ...string) *running {
	t.Helper()
	dir := shortDir(t)
	handle := func(q *fakeRequest) {
		q.body()
		for name := range q.env {
			if strings.HasPrefix(strings.TrimPrefix(name, "REDIRECT_"), "WSGID_PROCESS") || name == "WSGID_PASS_AUTHORIZATION" {
				t.Errorf("%s reached the worker", name)
			}
		}
		q.reply(strings.Join([]string{q.env["GROUP"], q.env["WSGID_APPLICATION_GROUP"], q.env["WSGID_CALLABLE"],
			q.env["WSGID_RELOADING"], q.env["HTTP_AUTHORIZATION"], q.env["REQUEST_METHOD"], q.env["REMOTE_ADDR"]}, "|"))
	}
	config := baseConfig()
	for i, name := range []string{"web", "admin"} {
		g := newFakeGroup(t, dir, name, func(q *fakeRequest) { q.env["GROUP"] = name; handle(q) })
		g.start(100*(i+1), 2)
		config.Groups = append(config.Groups, wire.Group{Name: name, Socket: g.socket, QueueLength: 10})
	}
	m := fileMount("/", "/srv/site.wsgi", "web")
	m.AllowOverride, m.RestrictProcess = allowed, []string{"web", "admin"}
	config.Mounts = []wire.Mount{m}
	config.Listeners = []wire.Listener{{Kind: wire.ListenUnix, TrustFrontServer: trusted}}
	r := startRouter(t, config, nil)
	for i, name := range []string{"web", "admin"} {
		r.process(name, 100*(i+1), 2, wire.ProcessReady)
	}
	return r
}

func TestSettingsOfTheWebServer(t *testing.T) {
	r := contextual(t, true, wire.OverrideNames(true)...)
	f := r.front()
	plain := "web||application|||GET|192.0.2.1"
	for _, c := range []struct {
		want  string // the answer, or the code of the refusal
		given []string
	}{
		{plain, nil},
		{"admin|%{X}|other|||GET|192.0.2.1", []string{"WSGID_PROCESS_GROUP", "admin", "WSGID_APPLICATION_GROUP", "%{X}", "WSGID_CALLABLE_OBJECT", "other"}},
		{"web|site.test|application|||GET|192.0.2.1", []string{"WSGID_APPLICATION_GROUP", "%{HOST}", "HTTP_HOST", "Site.test"}},
		{"web||env|||GET|192.0.2.1", []string{"WSGID_CALLABLE_OBJECT", "%{ENV:C}", "C", "env"}},
		{"web||application|0||GET|192.0.2.1", []string{"WSGID_SCRIPT_RELOADING", "oFF"}},
		{"web||application||Basic x|GET|192.0.2.1", []string{"WSGID_PASS_AUTHORIZATION", "1", "HTTP_AUTHORIZATION", "Basic x"}},
		{plain, []string{"WSGID_PASS_AUTHORIZATION", "false", "HTTP_AUTHORIZATION", "Basic x"}},
		{"web||application|||GET|192.0.2.1", []string{"WSGID_MAP_HEAD_TO_GET", "On", "REQUEST_METHOD", "HEAD"}},
		{"web||application|||HEAD|192.0.2.1", []string{"WSGID_MAP_HEAD_TO_GET", "AUTO", "REQUEST_METHOD", "HEAD"}},
		{"WSGID-1008", []string{"WSGID_CHUNKED_REQUEST", "off", "HTTP_TRANSFER_ENCODING", "chunked"}},
		{"web||application|||GET|198.51.100.7", []string{"WSGID_TRUSTED_PROXY_HEADERS", "x-real-ip X-Forwarded-For",
			"WSGID_TRUSTED_PROXIES", "192.0.2.0/24 ::1", "HTTP_X_REAL_IP", "198.51.100.7"}},
		{plain, []string{"WSGID_TRUSTED_PROXY_HEADERS", "X-Real-IP", "WSGID_TRUSTED_PROXIES", "10.0.0.1", "HTTP_X_REAL_IP", "198.51.100.7"}},
		// The last of a name counts, an empty one is none.
		{"admin||application|||GET|192.0.2.1", []string{"WSGID_PROCESS_GROUP", "nobody", "WSGID_PROCESS_GROUP", "admin"}},
		{plain, []string{"WSGID_PROCESS_GROUP", "", "WSGID_SCRIPT_RELOADING", ""}},
		// Groups can only be taken away.
		{plain, []string{"WSGID_RESTRICT_PROCESS", "web other"}},
		{"WSGID-1005", []string{"WSGID_RESTRICT_PROCESS", "web", "WSGID_PROCESS_GROUP", "admin"}},
		{"WSGID-1005", []string{"WSGID_PROCESS_GROUP", "%{GLOBAL}"}},
		{"WSGID-1031", []string{"WSGID_RESTRICT_PROCESS", "%{GLOBAL} other", "WSGID_PROCESS_GROUP", "other"}},
		// Copies by internal redirects and request headers are nothing.
		{plain, []string{"REDIRECT_WSGID_PROCESS_GROUP", "admin", "REDIRECT_REDIRECT_WSGID_PROCESS_GROUP", "admin"}},
		{plain, []string{"HTTP_WSGID_PROCESS_GROUP", "admin", "wsgid_process_group", "admin", "Wsgid_PROCESS_GROUP", "admin"}},
		// What is wrong is said.
		{"WSGID-1031", []string{"WSGID_SCRIPT_RELOADING", "yes"}},
		{"WSGID-1031", []string{"WSGID_MAP_HEAD_TO_GET", "maybe"}},
		{"WSGID-1031", []string{"WSGID_TRUSTED_PROXY_HEADERS", "X-Real-IP Forwarded"}},
		{"WSGID-1031", []string{"WSGID_TRUSTED_PROXIES", "10.0.0.1/8"}},
		{"WSGID-1031", []string{"WSGID_GROUP", "admin"}},
		{"WSGID-1031", []string{"WSGID_", "admin"}},
		{"WSGID-1031", slices.Repeat([]string{"WSGID_CALLABLE_OBJECT", "x"}, 10000)[:2*2000]},
		{plain, nil},
	} {
		given := append([]string{"REMOTE_ADDR", "192.0.2.1"}, c.given...)
		got := r.mustGet(f, "/", given...)
		if right := got.body == c.want || strings.Contains(got.header, "X-WSGID-Error: "+c.want); !right {
			t.Errorf("%v: %s%s, want %s", given, got.header, got.body, c.want)
		}
	}
	r.wantLog("parameter=WSGID_SCRIPT_RELOADING value=yes", "parameter=WSGID_GROUP", "restrict_process permits none of them")
}

func TestSettingsThatAreNotPermitted(t *testing.T) {
	r := contextual(t, true, "callable_object")
	f := r.front()
	if got := r.mustGet(f, "/", "WSGID_CALLABLE_OBJECT", "other"); got.body != "web||other|||GET|" {
		t.Errorf("%+v", got)
	}
	if got := r.mustGet(f, "/", "WSGID_PROCESS_GROUP", "admin"); got.status() != "500 Internal Server Error" || !strings.Contains(got.header, "WSGID-1032") {
		t.Errorf("%+v", got)
	}
	r.wantLog("parameter=WSGID_PROCESS_GROUP value=admin", "allow_override=callable_object")
}

func TestSettingsWithoutTrust(t *testing.T) {
	r := contextual(t, false, wire.OverrideNames(true)...)
	f := r.front()
	if got := r.mustGet(f, "/", "WSGID_PROCESS_GROUP", "admin", "WSGID_SCRIPT_RELOADING", "nonsense", "WSGID_X", "y"); got.body != "web||application|||GET|" {
		t.Errorf("%+v", got)
	}
	r.wantLog("without trust_front_server are dropped", "parameter=WSGID_PROCESS_GROUP count=3")
}
