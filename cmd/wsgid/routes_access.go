package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/config"
)

// access is who may use some mounts.
type access struct {
	URLs []string `json:"urls"` // with the virtual host in front
	// AskedBy is "wsgid", in front of the application, or "web server".
	AskedBy      string   `json:"asked_by"`
	Type         string   `json:"auth_type,omitempty"`
	Realm        string   `json:"auth_name,omitempty"`
	Require      []string `json:"require,omitempty"`
	UserScript   string   `json:"auth_user_script,omitempty"`
	GroupScript  string   `json:"auth_group_script,omitempty"`
	AccessScript string   `json:"access_script,omitempty"`
}

// accessOf is what holds for the mounts, those with the same rules together, in
// the order in which mounts have them.
func accessOf(c *config.Config) []access {
	asked := slices.ContainsFunc(c.Listeners, func(l config.Listener) bool { return l.Authorizer })
	var all []access
	for h, s := range c.Mounts() {
		a := access{AskedBy: "wsgid", AccessScript: s.AccessScript}
		if !s.Enforced() && asked {
			a.AskedBy = "web server"
		}
		if s.Enforced() || asked {
			a.Require, a.UserScript, a.GroupScript = s.Require, s.AuthUserScript, s.AuthGroupScript
		}
		if s.Enforced() {
			a.Type, a.Realm = string(s.AuthType), s.AuthName
		}
		if a.AccessScript == "" && a.UserScript == "" && len(a.Require) == 0 {
			continue
		}
		at := slices.IndexFunc(all, func(b access) bool { return a.sameAs(&b) })
		if at < 0 {
			at, all = len(all), append(all, a)
		}
		url := s.Prefix
		if h != nil {
			url = h.Name + url
		}
		all[at].URLs = append(all[at].URLs, url)
	}
	return all
}

// sameAs compares all but the URLs.
func (a *access) sameAs(b *access) bool {
	return a.AskedBy == b.AskedBy && a.Type == b.Type && a.Realm == b.Realm && slices.Equal(a.Require, b.Require) &&
		a.UserScript == b.UserScript && a.GroupScript == b.GroupScript && a.AccessScript == b.AccessScript
}

// accessRemarks says it in sentences.
func accessRemarks(all []access) []string {
	var remarks []string
	for i := range all {
		a := &all[i]
		urls := strings.Join(a.URLs, ", ")
		if a.AccessScript != "" {
			remarks = append(remarks, fmt.Sprintf("The access script %s decides which hosts may use %s.", a.AccessScript, urls))
		}
		who := strings.Join(a.Require, " or ")
		if who == "" {
			who = "every user"
		}
		var remark string
		switch {
		case a.Type != "":
			remark = fmt.Sprintf("%s authentication (%q) lets %s use %s", strings.ToUpper(a.Type[:1])+a.Type[1:], a.Realm, who, urls)
		case a.UserScript != "" || len(a.Require) > 0:
			remark = fmt.Sprintf("When the web server asks, %s may use %s", who, urls)
		default:
			continue
		}
		var known []string
		if a.UserScript != "" {
			known = append(known, a.UserScript+" knows the users")
		}
		if a.GroupScript != "" {
			known = append(known, a.GroupScript+" knows the groups")
		}
		if known != nil {
			remark += ": " + strings.Join(known, ", ")
		}
		remarks = append(remarks, remark+".")
	}
	return remarks
}
