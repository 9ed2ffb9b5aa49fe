package dispatch

import (
	"errors"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
)

// askingSettings are the settings that count when a front server asks who is let
// in: by them its context decides in the place of the URL's.
var askingSettings = []struct {
	option string
	apply  func(r *Router, g *guard, value string) error
}{
	{"auth_user_script", func(r *Router, g *guard, v string) error {
		return r.chooseAuthScript(&g.user, &g.UserScript, "user", v)
	}},
	{"auth_group_script", func(r *Router, g *guard, v string) error {
		return r.chooseAuthScript(&g.group, &g.GroupScript, "group", v)
	}},
	{"access_script", func(r *Router, g *guard, v string) error {
		return r.chooseAuthScript(&g.access, &g.AccessScript, "access", v)
	}},
	{"require", setRequire},
}

// askingSetting finds one by the name of its parameter; -1: there is none. They
// have no effect on requests that are served.
func askingSetting(name []byte) int {
	for i, s := range askingSettings {
		if string(name) == settingPrefix+strings.ToUpper(s.option) {
			return i
		}
	}
	return -1
}

// askingMask are those with these options, one bit each.
func askingMask(options []string) (mask uint64) {
	for i, s := range askingSettings {
		if slices.Contains(options, s.option) {
			mask |= 1 << i
		}
	}
	return mask
}

// askingContext gives the question its own copy of the guard where the web
// server's configuration says who decides. What is not permitted is refused and
// not dropped: it could be what keeps somebody out.
func (x *exchange) askingContext(g *guard) (*guard, *refusal) {
	given := x.env.settings
	if len(given) == maxSettings {
		return nil, refuse(errcode.WrongSetting, "parameter", settingPrefix+"*", "reason", "too many parameters")
	}
	values := make([]string, len(askingSettings)) // the last of one name counts
	for _, p := range given {
		if at := askingSetting(p.name); at >= 0 {
			values[at] = string(p.value)
		} else if _, ok := settingOf[string(p.name)]; !ok && !isMark(p.name) && x.listener.TrustFrontServer {
			return nil, refuse(errcode.WrongSetting, "parameter", string(p.name), "value", string(p.value), "reason", "there is no such parameter")
		}
	}
	var own *guard
	for i, s := range askingSettings {
		if values[i] == "" {
			continue
		}
		if own == nil {
			own = &guard{}
			if g != nil {
				*own = *g
			}
		}
		refused := func(code errcode.Code, reason string) *refusal {
			return refuse(code, "parameter", settingPrefix+strings.ToUpper(s.option), "value", values[i], "reason", reason,
				"path", string(x.path), "listener", x.listener.Address)
		}
		switch {
		case !x.listener.TrustFrontServer:
			return nil, refused(errcode.SettingForbidden, "the listener has no trust_front_server = true")
		case own.overridable&(1<<i) == 0:
			return nil, refused(errcode.SettingForbidden, "allow_override does not name "+s.option)
		}
		if err := s.apply(x.router, own, values[i]); err != nil {
			return nil, refused(errcode.WrongSetting, err.Error())
		}
	}
	if own != nil {
		return own, nil
	}
	return g, nil
}

// chooseAuthScript chooses among the scripts that the configuration declares.
// No other path is ever looked at.
func (r *Router) chooseAuthScript(to **script, path *string, kind, value string) error {
	if value == noScript {
		*to, *path = nil, ""
		return nil
	}
	script := r.guards[kind+" "+value]
	if script == nil {
		return errors.New("no block declares it as a script of this kind")
	}
	*to, *path = script, value
	return nil
}

// setRequire takes the entries of require with semicolons between.
func setRequire(_ *Router, g *guard, value string) (err error) {
	all, ok := wire.ParseRequirements(value)
	if !ok {
		return errors.New("it is not valid-user, user NAME … or wsgi-group NAME …, several with semicolons between, names with blanks in quotes")
	}
	g.Require = all
	return nil
}
