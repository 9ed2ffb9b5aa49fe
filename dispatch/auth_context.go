package dispatch

import (
	"strings"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
)

// Parameters by which the context of the web server's configuration chooses the
// scripts that answer its question: Apache's WSGIAuthUserScript and its like stand
// in Directory, Location, Files and .htaccess. They say nothing about requests for
// applications.
const (
	userScriptParameter   = "WSGID_AUTH_USER_SCRIPT"
	groupScriptParameter  = "WSGID_AUTH_GROUP_SCRIPT"
	accessScriptParameter = "WSGID_ACCESS_SCRIPT"
	// wsgiGroupParameter names the groups of Require wsgi-group, with spaces between.
	wsgiGroupParameter = "WSGID_WSGI_GROUP"
)

// contextGuard is the guard of what a trusted web server says about the context
// of its question; nil: it says nothing, and the URL decides. Groups count where it
// asks for them alone: whether the right password is enough is for it to say.
func (x *exchange) contextGuard() (*guard, *refusal) {
	g := &guard{}
	found := false
	for _, s := range []struct {
		parameter, kind string
		path            *string
		to              **script
	}{
		{userScriptParameter, "user", &g.UserScript, &g.user},
		{groupScriptParameter, "group", &g.GroupScript, &g.group},
		{accessScriptParameter, "access", &g.AccessScript, &g.access},
	} {
		value := x.env.mark(s.parameter)
		if value == "" {
			continue
		}
		found = true
		if value == noScript {
			continue
		}
		if *s.to = x.router.guards[s.kind+" "+value]; *s.to == nil {
			return nil, refuse(errcode.WrongSetting, "parameter", s.parameter, "value", value, "reason", "no block of the configuration declares the script")
		}
		*s.path = value
	}
	if !found {
		return nil, nil
	}
	if groups := strings.Fields(x.env.mark(wsgiGroupParameter)); len(groups) > 0 && string(x.env.apacheRole) == "AUTHORIZER" {
		g.Require = []wire.Requirement{{Groups: groups}}
	}
	return g, nil
}
