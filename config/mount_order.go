package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/internal/urlpattern"
)

var slashes = regexp.MustCompile(`/+`)

// collapsed is the prefix as it is matched; an expression stays. Where the web
// server chooses it is the directory, or the handler's name.
func (s *ScriptAlias) collapsed() string {
	switch {
	case s.Root:
		return filepath.Clean(s.Target)
	case s.Handler != "":
		return s.Handler
	case s.Match:
		return s.Prefix
	}
	return slashes.ReplaceAllString(s.Prefix, "/")
}

// place is where the block stands.
func (s *ScriptAlias) place() string {
	return fmt.Sprintf("%s:%d", s.Range.Filename, s.Range.Start.Line)
}

// covers says whether it is certain that s takes every URL that later matches:
// a prefix ends at a segment boundary (mod_wsgi behaviour 3.1).
func (s *ScriptAlias) covers(later *ScriptAlias, compile func(string) (*urlpattern.Pattern, error)) bool {
	if s.byFile() || later.byFile() {
		return s.Block() == later.Block() && (s.collapsed() == later.collapsed() || s.Root && below(s.collapsed(), later.collapsed()))
	}
	if s.Match {
		p, err := compile(s.Prefix)
		return err == nil && !later.Match && p.Covers(later.collapsed())
	}
	prefix := s.collapsed()
	switch {
	case prefix == "/":
		return true
	case later.Match:
		return false
	case prefix == later.collapsed(), strings.HasSuffix(prefix, "/") && strings.HasPrefix(later.collapsed(), prefix):
		return true
	}
	return strings.HasPrefix(later.collapsed(), prefix+"/")
}

// coveredBy is the first of some mounts that takes every URL of later; nil: none.
func coveredBy(mounts []ScriptAlias, later *ScriptAlias, compile func(string) (*urlpattern.Pattern, error)) *ScriptAlias {
	for i := range mounts {
		if mounts[i].covers(later, compile) {
			return &mounts[i]
		}
	}
	return nil
}

// hidden says whether no request can meet the global mount s, since some
// virtual host takes every name and each has a mount of its own that takes
// every URL of s.
func (c *Config) hidden(s *ScriptAlias, compile func(string) (*urlpattern.Pattern, error)) bool {
	every := false
	for i := range c.VirtualHosts {
		h := &c.VirtualHosts[i]
		every = every || len(h.Ports) == 0 && (h.Name == "*" || slices.Contains(h.ServerAlias, "*"))
		if coveredBy(h.ScriptAliases, s, compile) == nil {
			return false
		}
	}
	return every
}

// OutOfReach says why no request can meet a mount, of a virtual host or with
// nil a global one, by its URL; empty: one can, or nobody knows.
func (c *Config) OutOfReach(h *VirtualHost, s *ScriptAlias) string {
	mounts := c.ScriptAliases
	if h != nil {
		mounts = h.ScriptAliases
	}
	at := slices.IndexFunc(mounts, func(m ScriptAlias) bool { return m.Range == s.Range })
	if other := coveredBy(mounts[:max(at, 0)], s, urlpattern.Compile); other != nil {
		return fmt.Sprintf("%s at %s takes every URL of it", other.Title(), other.place())
	}
	if h == nil && c.hidden(s, urlpattern.Compile) {
		return "every virtual_host has a mount of its own that takes every URL of it"
	}
	return ""
}

// order reports a mount that is there twice or out of reach among those of one
// host.
func (v *validator) order(mounts []ScriptAlias, i int) {
	s := &mounts[i]
	same := func(other ScriptAlias) bool { return other.Block() == s.Block() && other.collapsed() == s.collapsed() }
	if at := slices.IndexFunc(mounts[:i], same); at >= 0 {
		v.add(s.Range, "Duplicate mount", "%s is there already, at %s.", mounts[at].Title(), mounts[at].place())
	} else if other := coveredBy(mounts[:i], s, v.compile); other != nil {
		v.warn(s.Range, "Mount is out of reach", "The first mount that matches serves a request, and %s at %s takes every URL of this one: move this block before it.", other.Title(), other.place())
	}
}

// hiddenMounts reports global mounts that no virtual host lets a request meet.
func (v *validator) hiddenMounts() {
	for i := range v.config.ScriptAliases {
		if s := &v.config.ScriptAliases[i]; v.config.hidden(s, v.compile) {
			v.warn(s.Range, "Mount is out of reach", "A virtual_host takes every name, and each has a mount of its own before this one that takes every URL of it: take this block out, or those.")
		}
	}
}
