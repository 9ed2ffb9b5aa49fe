package dispatch

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/internal/errcode"
)

// settingPrefix begins the parameters by which the web server's configuration
// sets options for a Directory, Location, Files or .htaccess context.
const settingPrefix = "WSGID_"

// maxSettings is more than there are to set; what goes beyond is not kept.
const maxSettings = 64

// setting is an option that a parameter may set; apply gives m, a copy for one
// request, the value, which is not empty.
type setting struct {
	option string
	apply  func(r *Router, m *mount, value string) error
}

// settings are those of wire.Overrides, in the order in which they apply.
var settings = []setting{
	{"process_group", func(_ *Router, m *mount, v string) error { m.ProcessGroup = v; return nil }},
	{"application_group", func(_ *Router, m *mount, v string) error { m.ApplicationGroup = v; return nil }},
	{"callable_object", setCallable},
	{"restrict_process", narrow},
	{"dispatch_script", setDispatchScript},
	{"script_reloading", func(_ *Router, m *mount, v string) error { return setTruth(&m.ScriptReloading, v, true) }},
	{"pass_authorization", func(_ *Router, m *mount, v string) error { return setTruth(&m.DropAuthorization, v, false) }},
	{"chunked_request", func(_ *Router, m *mount, v string) error { return setTruth(&m.RefuseChunked, v, false) }},
	{"map_head_to_get", setMapHead},
	{"ignore_activity", func(_ *Router, m *mount, v string) error { return setTruth(&m.IgnoreActivity, v, true) }},
	{"error_override", func(_ *Router, m *mount, v string) error { return setTruth(&m.ErrorOverride, v, true) }},
	{"accept_path_info", func(_ *Router, m *mount, v string) error { return setTruth(&m.RefusePathInfo, v, false) }},
	{"trusted_proxy_headers", setProxyHeaders},
	{"trusted_proxies", setProxies},
}

// settingOf finds a setting by the name of its parameter.
var settingOf = func() map[string]int {
	byName := map[string]int{}
	for i, s := range settings {
		byName[settingPrefix+strings.ToUpper(s.option)] = i
	}
	return byName
}()

// settingMask are the settings with these options, one bit each.
func settingMask(options []string) (mask uint64) {
	for i, s := range settings {
		if slices.Contains(options, s.option) {
			mask |= 1 << i
		}
	}
	return mask
}

// applySettings gives the request its own copy of the mount's settings where
// the web server's configuration sets some. A request without WSGID_
// parameters does not come here.
func (x *exchange) applySettings() *refusal {
	given := x.env.settings
	if !x.listener.TrustFrontServer {
		if x.router.log.IsDebug() {
			x.router.log.Debug("parameters of wsgid from a listener without trust_front_server are dropped",
				x.named("listener", x.listener.Address, "parameter", string(given[0].name), "count", len(given))...)
		}
		return nil
	}
	if len(given) == maxSettings {
		return refuse(errcode.WrongSetting, "parameter", settingPrefix+"*", "reason", "too many parameters")
	}
	if !slices.ContainsFunc(given, func(p pair) bool { return !isMark(p.name) }) {
		return nil
	}
	var values [64][]byte // of settings, by index; the last of one name counts
	var changes uint64
	for _, p := range given {
		at, ok := settingOf[string(p.name)]
		if !ok && isMark(p.name) {
			continue
		}
		if !ok {
			return refuse(errcode.WrongSetting, "parameter", string(p.name), "value", string(p.value), "reason", "there is no such parameter")
		}
		values[at] = p.value
		changes |= 1 << at
	}
	from := x.target.mount
	if x.overlay == nil {
		x.overlay = new(mount)
	}
	m := x.overlay
	*m = *from
	if x.findings != nil {
		x.findings.overlaid = from
	}
	m.fixed = nil
	changed := false
	for i, s := range settings {
		if changes&(1<<i) == 0 || len(values[i]) == 0 {
			continue
		}
		refused := func(code errcode.Code, reason string) *refusal {
			return refuse(code, "parameter", settingPrefix+strings.ToUpper(s.option), "value", string(values[i]), "reason", reason,
				"mount", from.title, "allow_override", strings.Join(from.AllowOverride, " "))
		}
		if from.overridable&(1<<i) == 0 {
			return refused(errcode.SettingForbidden, "allow_override does not name "+s.option)
		}
		if err := s.apply(x.router, m, string(values[i])); err != nil {
			return refused(errcode.WrongSetting, err.Error())
		}
		changed = true
	}
	if changed {
		m.prepare()
		x.target.mount = m
	}
	return nil
}

// setCallable: the entry point of a handler is fixed.
func setCallable(_ *Router, m *mount, value string) error {
	if m.Handler == "" {
		m.CallableObject = value
	}
	return nil
}

// setTruth reads the words for true and false of wsgid, mod_wsgi and programs;
// to becomes yes for true.
func setTruth(to *bool, value string, yes bool) error {
	switch strings.ToLower(value) {
	case "on", "true", "1":
		*to = yes
	case "off", "false", "0":
		*to = !yes
	default:
		return errors.New("it is neither On, true, 1 nor Off, false, 0")
	}
	return nil
}

// setMapHead: auto maps nothing, as in the configuration.
func setMapHead(_ *Router, m *mount, value string) error {
	if strings.EqualFold(value, "auto") {
		m.MapHeadToGet = false
		return nil
	}
	return setTruth(&m.MapHeadToGet, value, true)
}

// narrow takes process groups away; none can be added.
func narrow(_ *Router, m *mount, value string) error {
	var left []string
	for _, name := range strings.Fields(value) {
		if name == "%{GLOBAL}" {
			name = ""
		}
		if m.permits(name) {
			left = append(left, name)
		}
	}
	if left == nil {
		return errors.New("restrict_process permits none of them")
	}
	m.RestrictProcess = left
	return nil
}

// noScript is the value of WSGID_DISPATCH_SCRIPT that chooses none: an empty
// parameter is as good as absent.
const noScript = "none"

// setDispatchScript chooses among the scripts that the configuration declares.
// No other path is ever looked at.
func setDispatchScript(r *Router, m *mount, value string) error {
	script := r.dispatchers[value]
	if script == nil && value != noScript {
		return errors.New("no dispatch_script block declares it")
	}
	m.script = script
	return nil
}

// setProxyHeaders takes names as in trusted_proxy_headers, with spaces between.
func setProxyHeaders(_ *Router, m *mount, value string) error {
	m.TrustedProxyHeaders = strings.Fields(value)
	for _, name := range m.TrustedProxyHeaders {
		variable := proxyVariable(name)
		if !slices.ContainsFunc(knownProxyHeaders, func(known proxyHeader) bool { return known.variable == variable }) {
			return fmt.Errorf("%q is no header of a proxy", name)
		}
	}
	return nil
}

// setProxies takes addresses and networks, with spaces between.
func setProxies(_ *Router, m *mount, value string) error {
	m.TrustedProxies = []netip.Prefix{}
	for _, text := range strings.Fields(value) {
		if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
			m.TrustedProxies = append(m.TrustedProxies, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil || network != network.Masked() {
			return fmt.Errorf("%q is neither an IP address nor a network", text)
		}
		m.TrustedProxies = append(m.TrustedProxies, network)
	}
	return nil
}

// isSetting reports whether a parameter is one of wsgid's own, which no
// application sees.
func isSetting(name []byte) bool { return bytes.HasPrefix(name, []byte(settingPrefix)) }

// isSwitch reports whether a parameter is one of Apache's own switches.
func isSwitch(name []byte) bool {
	return bytes.HasPrefix(name, []byte("proxy-")) || string(name) == "ap_trust_cgilike_cl"
}

// isOldSetting reports whether a parameter is the copy of a setting, or of a
// switch, that Apache makes for each of its internal redirects.
func isOldSetting(name []byte) bool {
	rest, old := bytes.CutPrefix(name, []byte("REDIRECT_"))
	for old {
		if isSetting(rest) || isSwitch(rest) {
			return true
		}
		rest, old = bytes.CutPrefix(rest, []byte("REDIRECT_"))
	}
	return false
}
