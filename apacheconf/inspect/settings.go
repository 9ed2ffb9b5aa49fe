package inspect

import (
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/internal/wire"
)

// headers looks at what Apache keeps from wsgid or from the client.
func (i *inspector) headers() {
	if v := i.facts.Version; (v == [3]int{} || v[0] == 2 && (v[1] > 4 || v[1] == 4 && v[2] >= 59)) && !i.sets("ap_trust_cgilike_cl") {
		i.find(Slow, nil, []string{"SetEnv ap_trust_cgilike_cl 1"}, "Apache drops the Content-Length of responses: clients see no length, and chunks")
	}
	asks := i.wsgid.Router.Enforced()
	for _, m := range i.wsgid.Mounts() {
		asks = asks || m.Enforced()
	}
	if asks && !i.has("CGIPassAuth", "On") {
		i.find(Wrong, nil, []string{"CGIPassAuth On"}, "wsgid asks for passwords, and Apache keeps the Authorization header to itself: nobody gets in")
	}
	for _, item := range i.items {
		if (item.Is("SetEnvIf") || item.Is("SetEnvIfNoCase") || item.Is("BrowserMatch")) && strings.Contains(item.Args, "proxy-fcgi-pathinfo") {
			value := ""
			for _, word := range item.Words {
				if name, after, ok := strings.Cut(word, "="); ok && name == "proxy-fcgi-pathinfo" {
					value = after
				}
			}
			if value == "1" || value == "unescape" || value == "" {
				i.find(Wrong, item, nil, "proxy-fcgi-pathinfo=1 has URLs with %%-escapes arrive in a form that nothing can be made of: wsgid needs no such variable, take it out")
			}
		}
	}
}

// sets says whether a variable is set anywhere, for whatever requests.
func (i *inspector) sets(name string) bool {
	for _, item := range i.items {
		if (item.Is("SetEnv") || item.Is("SetEnvIf") || item.Is("SetEnvIfNoCase") || item.Is("SetEnvIfExpr") || item.Is("ProxyFCGISetEnvIf")) && strings.Contains(item.Args, name) {
			return true
		}
	}
	return false
}

// timeouts finds an Apache that gives up before wsgid does.
func (i *inspector) timeouts() {
	seconds := apacheconf.Patience(i.wsgid)
	if seconds == 0 {
		return
	}
	apache, at := 60, (*apacheconf.Item)(nil)
	for _, item := range i.items {
		if (item.Is("Timeout") || item.Is("ProxyTimeout")) && len(item.Words) == 1 && item.Parent == nil {
			if item.Is("ProxyTimeout") || at == nil || !at.Is("ProxyTimeout") {
				apache, at = apacheconf.Atoi(item.Words[0]), item
			}
		}
	}
	if apache < seconds {
		i.find(Warning, at, []string{line("ProxyTimeout", itoa(seconds))}, "Apache waits %d s for an answer (504), and wsgid lets a request take longer: %d s", apache, seconds)
	}
}

// variables finds settings that wsgid does not take.
func (i *inspector) variables() {
	known := map[string]bool{"WSGID_EXEC_CGI": true, "WSGID_HANDLER": true, "WSGID_VIRTUAL_HOST": true, "WSGID_AUTH_REQUEST": true}
	for _, name := range wire.OverrideNames(true) {
		known["WSGID_"+strings.ToUpper(name)] = true
	}
	trusted := i.wsgid.Trusts() || i.wsgid.TrustsAsking()
	for _, item := range i.items {
		name := ""
		switch {
		case len(item.Words) == 0:
		case item.Is("SetEnv"):
			name = item.Words[0]
		case item.Is("SetEnvIf"), item.Is("SetEnvIfNoCase"):
			if len(item.Words) > 2 {
				name, _, _ = strings.Cut(item.Words[2], "=")
			}
		}
		switch {
		case !strings.HasPrefix(name, "WSGID_"):
		case !known[name]:
			i.find(Wrong, item, nil, "wsgid knows no parameter %s: every request of this context is a 500 (WSGID-1031)", name)
		case !trusted:
			i.find(Wrong, item, []string{"trust_front_server = true"}, "%s has no effect: no listen block of wsgid has trust_front_server = true", name)
			trusted = true // said once
		}
	}
}

// remains finds what is left of mod_wsgi.
func (i *inspector) remains() {
	if !i.apache.Modules["wsgi_module"] || i.apache.Fragment {
		return
	}
	for _, item := range i.items {
		if item.Is("WSGIScriptAlias") || item.Is("WSGIScriptAliasMatch") {
			i.find(Warning, item, []string{"wsgid apache convert"}, "mod_wsgi is loaded still, and serves %s", item.Words[0])
			return
		}
	}
	for _, item := range i.items {
		if item.Is("LoadModule") && item.Words[0] == "wsgi_module" {
			i.find(Slow, item, []string{"a2dismod wsgi"}, "mod_wsgi is loaded and serves nothing: its Python takes memory in every process")
		}
	}
}
