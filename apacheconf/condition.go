package apacheconf

import (
	"regexp"
	"strconv"
	"strings"
)

// compiledIn are the modules of a usual build (Debian's).
var compiledIn = []string{"core_module", "so_module", "watchdog_module", "http_module", "log_config_module", "logio_module", "version_module", "unixd_module"}

// bundled are modules that come with Apache 2.4, without "_module", and mod_wsgi.
var bundled = strings.Fields(`access_compat actions alias allowmethods asis auth_basic auth_digest auth_form
	authn_anon authn_core authn_dbd authn_dbm authn_file authn_socache authnz_fcgi authnz_ldap authz_core
	authz_dbd authz_dbm authz_groupfile authz_host authz_owner authz_user autoindex brotli buffer cache
	cache_disk cache_socache cern_meta cgi cgid charset_lite data dav dav_fs dav_lock dbd deflate dialup
	dir dumpio echo env ext_filter expires file_cache filter headers heartbeat heartmonitor http2 ident
	imagemap include info ldap log_debug log_forensic lua macro mime mime_magic mpm_event negotiation
	proxy proxy_ajp proxy_balancer proxy_connect proxy_express proxy_fcgi proxy_fdpass proxy_ftp
	proxy_hcheck proxy_html proxy_http proxy_http2 proxy_scgi proxy_uwsgi proxy_wstunnel ratelimit
	reflector remoteip reqtimeout request rewrite sed session session_cookie session_crypto session_dbd
	setenvif slotmem_plain slotmem_shm socache_dbm socache_memcache socache_redis socache_shmcb speling
	ssl status substitute suexec unique_id userdir usertrack vhost_alias xml2enc wsgi`)

// sourceNames are source files that are not called mod_NAME.c after their module.
var sourceNames = map[string]string{
	"core.c": "core_module", "http_core.c": "http_module", "event.c": "mpm_event_module",
	"worker.c": "mpm_worker_module", "prefork.c": "mpm_prefork_module", "mpm_winnt.c": "mpm_winnt_module",
	"util_ldap.c": "ldap_module",
}

// ModuleName is the identifier of a module that IfModule names either way.
func ModuleName(name string) string {
	if module, ok := sourceNames[name]; ok {
		return module
	}
	if short, ok := strings.CutSuffix(name, ".c"); ok {
		return strings.TrimPrefix(short, "mod_") + "_module"
	}
	return name
}

// condition evaluates a conditional section. Others, If and Else among them,
// which are evaluated for each request, are none.
func (e *evaluator) condition(item *Item) (held, conditional bool, err error) {
	argument, negated := strings.CutPrefix(strings.TrimSpace(item.Args), "!")
	words := Words(argument)
	word := ""
	if len(words) > 0 {
		word = words[0]
	}
	switch {
	case item.Is("IfDefine"):
		_, held = e.config.Defines[word]
	case item.Is("IfModule"):
		held = e.config.Modules[ModuleName(word)]
	case item.Is("IfFile"):
		_, statErr := e.options.FS.Stat(e.absolute(word))
		held = statErr == nil
	case item.Is("IfVersion"):
		held, err = e.version(item, words)
	case item.Is("IfDirective"), item.Is("IfSection"):
		held = true // of this Apache: its own directives are there
	default:
		return false, false, nil
	}
	if word == "" {
		return false, true, item.Problem("name what it asks for", "section without an argument")
	}
	return held != negated, true, err
}

var versionPattern = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?$`)

// version evaluates IfVersion: [operator] number, or a regular expression.
func (e *evaluator) version(item *Item, words []string) (bool, error) {
	operator, number := "=", ""
	switch {
	case len(words) == 0:
		return false, nil
	case len(words) == 1:
		number = words[0]
	default:
		operator, number = words[0], words[1]
	}
	v := e.options.Version
	if expression, ok := strings.CutPrefix(number, "/"); ok || operator == "~" {
		re, err := regexp.Compile(strings.TrimSuffix(expression, "/"))
		if err != nil {
			return false, item.Problem("", "regular expression: %v", err)
		}
		return re.MatchString(itoa(v[0]) + "." + itoa(v[1]) + "." + itoa(v[2])), nil
	}
	parts := versionPattern.FindStringSubmatch(number)
	if parts == nil {
		return false, item.Problem("write such as <IfVersion >= 2.4>", "%q is no version", number)
	}
	order := 0
	for i, part := range parts[1:] {
		n := 0
		if part != "" {
			n, _ = strconv.Atoi(part) // it has digits only; what is too large is the largest
		}
		if v[i] != n {
			if order = 1; v[i] < n {
				order = -1
			}
			break
		}
	}
	switch operator {
	case "=", "==":
		return order == 0, nil
	case ">":
		return order > 0, nil
	case ">=":
		return order >= 0, nil
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	}
	return false, item.Problem("there are =, ==, >, >=, <, <= and ~", "%q compares nothing", operator)
}
