package apacheconf

import (
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/wsgid/wsgid/config"
)

// nginx writes blocks for http { … }.
func (s *snippet) nginx() error {
	if err := s.written("nginx"); err != nil {
		return err
	}
	server := "unix:" + s.listener.Path
	if s.listener.Kind != config.ListenUnix {
		server = net.JoinHostPort(hostPort(s.listener))
	}
	s.line(0, "# nginx: inside http { … }, such as a file in conf.d.")
	s.line(0, "upstream wsgid {")
	s.line(1, "server %s;", server)
	s.line(1, "keepalive 32;")
	s.line(0, "}")
	for i := range s.sites {
		site := &s.sites[i]
		s.line(0, "server {")
		for _, port := range site.portsOr(80) {
			s.line(1, "listen %d%s;", port, map[bool]string{true: " default_server"}[len(s.sites) > 1 && site.catchesAll()])
		}
		var names []string
		for _, name := range site.names {
			if name != "*" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			s.line(1, "server_name %s;", strings.Join(names, " "))
		}
		for _, prefix := range site.prefixes {
			if strings.HasSuffix(prefix, "/") {
				s.nginxLocation(prefix)
				continue
			}
			s.nginxLocation("= " + prefix)
			s.nginxLocation("^~ " + prefix + "/")
		}
		s.line(0, "}")
	}
	return nil
}

func (s *snippet) nginxLocation(match string) {
	s.line(1, "location %s {", match)
	s.line(2, "include fastcgi_params;")
	s.line(2, `fastcgi_param REMOTE_USER "";`)
	if n := s.patience(); n > 0 {
		s.line(2, "fastcgi_read_timeout %ds;", n)
	}
	s.line(2, "fastcgi_keep_conn on;")
	s.line(2, "fastcgi_pass wsgid;")
	s.line(1, "}")
}

// caddy writes sites of a Caddyfile.
func (s *snippet) caddy() error {
	if err := s.written("Caddy"); err != nil {
		return err
	}
	upstream := "unix/" + s.listener.Path
	if s.listener.Kind != config.ListenUnix {
		upstream = net.JoinHostPort(hostPort(s.listener))
	}
	s.line(0, "# Caddyfile")
	for i := range s.sites {
		site := &s.sites[i]
		var addresses []string
		for _, name := range site.names {
			for _, port := range site.portsOr(0) {
				switch {
				case name == "*" && port == 0:
					addresses = append(addresses, "http://")
				case name == "*":
					addresses = append(addresses, fmt.Sprintf(":%d", port))
				case port == 0:
					addresses = append(addresses, name)
				default:
					addresses = append(addresses, fmt.Sprintf("%s:%d", name, port))
				}
			}
		}
		if len(addresses) == 0 {
			addresses = []string{":80"}
		}
		s.line(0, "%s {", strings.Join(addresses, ", "))
		matcher := ""
		if !strings.HasPrefix(strings.Join(site.prefixes, " "), "/ ") && strings.Join(site.prefixes, " ") != "/" {
			var paths []string
			for _, prefix := range site.prefixes {
				if !strings.HasSuffix(prefix, "/") {
					paths = append(paths, prefix)
					prefix += "/"
				}
				paths = append(paths, prefix+"*")
			}
			s.line(1, "@wsgid path %s", strings.Join(paths, " "))
			matcher = "@wsgid "
		}
		s.line(1, "reverse_proxy %s%s {", matcher, upstream)
		if n := s.patience(); n > 0 {
			s.line(2, "transport fastcgi {")
			s.line(3, "read_timeout %ds", n)
			s.line(2, "}")
		} else {
			s.line(2, "transport fastcgi")
		}
		s.line(1, "}")
		s.line(0, "}")
	}
	return nil
}

// lighttpd writes conditions on host and URL.
func (s *snippet) lighttpd() error {
	if err := s.written("lighttpd"); err != nil {
		return err
	}
	backend := fmt.Sprintf("\"socket\" => %q", s.listener.Path)
	if s.listener.Kind != config.ListenUnix {
		host, port := hostPort(s.listener)
		backend = fmt.Sprintf("\"host\" => %q, \"port\" => %s", host, port)
	}
	if n := s.patience(); n > 0 {
		backend += fmt.Sprintf(", \"read-timeout\" => %d", n)
	}
	s.line(0, "# lighttpd")
	s.line(0, `server.modules += ( "mod_fastcgi" )`)
	for i := range s.sites {
		site := &s.sites[i]
		indent := 0
		if !site.catchesAll() {
			s.line(0, `$HTTP["host"] =~ "^(%s)(:[0-9]+)?$" {`, strings.Join(hostPatterns(site.names), "|"))
			indent = 1
		}
		for _, prefix := range site.prefixes {
			if prefix == "/" {
				s.line(indent, `fastcgi.server = ( "/" => (( %s, "check-local" => "disable", "fix-root-scriptname" => "enable" )) )`, backend)
				continue
			}
			end := "(/|$)"
			if strings.HasSuffix(prefix, "/") {
				end = ""
			}
			s.line(indent, `$HTTP["url"] =~ "^%s%s" {`, regexp.QuoteMeta(prefix), end)
			s.line(indent+1, `fastcgi.server = ( "%s" => (( %s, "check-local" => "disable" )) )`, prefix, backend)
			s.line(indent, "}")
		}
		if indent > 0 {
			s.line(0, "}")
		}
	}
	return nil
}

// hostPatterns are regular expressions of host names.
func hostPatterns(names []string) (patterns []string) {
	for _, name := range names {
		if below, ok := strings.CutPrefix(name, "*."); ok {
			patterns = append(patterns, `.+\.`+regexp.QuoteMeta(below))
			continue
		}
		patterns = append(patterns, regexp.QuoteMeta(name))
	}
	return patterns
}
