package apacheconf

import (
	"fmt"
	"net"
	"strings"

	"github.com/wsgid/wsgid/config"
)

// workerOptions are those of docs/front-servers.md.
const workerOptions = "enablereuse=on flushpackets=on iobuffersize=65528"

// apache writes ProxyPass for mounts by URL, and SetHandler for what Apache maps.
func (s *snippet) apache() error {
	for _, site := range s.sites {
		for _, prefix := range site.prefixes {
			if strings.Contains(prefix, "${") {
				return fmt.Errorf("%q cannot be written for Apache, which takes ${ for a variable", prefix)
			}
		}
	}
	s.line(0, "# Apache: a2enmod proxy proxy_fcgi, or LoadModule of proxy_module and proxy_fcgi_module.")
	for i := range s.sites {
		s.apacheSite(&s.sites[i])
	}
	s.apacheFiles()
	return nil
}

// backend is the URL of the listener; wsgid is the name of this backend.
func (s *snippet) backend() string {
	if s.listener.Kind == config.ListenUnix {
		return "unix:" + s.listener.Path + "|fcgi://wsgid/"
	}
	return "fcgi://" + net.JoinHostPort(hostPort(s.listener)) + "/"
}

func (s *snippet) apacheSite(site *site) {
	indent := 0
	if len(site.names) > 0 {
		addresses := ""
		for _, port := range site.portsOr(80) {
			addresses += fmt.Sprintf(" *:%d", port)
		}
		s.line(0, "<VirtualHost%s>", addresses)
		indent = 1
		for i, name := range site.names {
			switch {
			case name == "*":
				s.line(1, "# The first <VirtualHost> of an address serves all other names.")
			case i == 0 && !strings.HasPrefix(name, "*"):
				s.line(1, "ServerName %s", Quote(name))
			default:
				s.line(1, "ServerAlias %s", Quote(name))
			}
		}
	}
	s.line(indent, "# The length that the application says reaches the client.")
	s.line(indent, "SetEnv ap_trust_cgilike_cl 1")
	if n := s.patience(); n > 0 {
		s.line(indent, "ProxyTimeout %d", n)
	}
	for _, prefix := range site.prefixes {
		s.line(indent, "ProxyPass %s %s %s", quoted(prefix), quoted(s.backend()), workerOptions)
	}
	for _, prefix := range site.passwords {
		s.line(indent, "<Location %s>", quoted(prefix))
		s.line(indent+1, "CGIPassAuth On")
		s.line(indent, "</Location>")
	}
	if indent > 0 {
		s.line(0, "</VirtualHost>")
	}
}

// apacheFiles writes what script_root and handler_script need.
func (s *snippet) apacheFiles() {
	first := true
	for _, m := range s.config.Mounts() {
		if !m.Root && m.Handler == "" {
			continue
		}
		if first {
			first = false
			s.line(0, "<Proxy %s %s>", quoted(s.backend()), workerOptions)
			s.line(0, "</Proxy>")
		}
		handler := "SetHandler " + quoted("proxy:"+s.backend())
		if m.Root {
			s.line(0, "# Give the directory a URL: Alias \"/scripts\" %s; below a ProxyPass, before it: ProxyPass \"/scripts\" \"!\"", quoted(m.Target))
			s.line(0, "<Directory %s>", quoted(m.Target))
			s.line(1, "%s", handler)
			s.line(1, "SetEnv WSGID_EXEC_CGI 1")
			s.line(1, "Require all granted")
			s.line(0, "</Directory>")
			continue
		}
		s.line(0, "# Instead of \\.%s$ the names of the files that it is to serve.", m.Handler)
		s.line(0, "<FilesMatch %s>", quoted(`\.`+m.Handler+`$`))
		s.line(1, "%s", handler)
		s.line(1, "SetEnv WSGID_HANDLER %s", Quote(m.Handler))
		s.line(0, "</FilesMatch>")
	}
}

// quoted is Quote, in quotes always.
func quoted(text string) string {
	if q := Quote(text); strings.HasPrefix(q, `"`) {
		return q
	}
	return `"` + text + `"`
}
