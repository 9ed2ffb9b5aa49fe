package apacheconf

import (
	"errors"
	"fmt"
	"math"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/wsgid/wsgid/config"
)

// SnippetServers are the web servers that Snippet writes for.
var SnippetServers = []string{"apache", "nginx", "caddy", "lighttpd"}

// Snippet writes what a web server's configuration needs, so that what cfg mounts
// is served by wsgid. listener is the path or address of one of its FastCGI
// listeners; empty: the one that fits best. The error says what cannot be written.
func Snippet(cfg *config.Config, server, listener string) (string, error) {
	for i := range cfg.VirtualHosts {
		if h := &cfg.VirtualHosts[i]; h.ID != "" {
			return "", fmt.Errorf("virtual_host %q has the id %q, by which the web server chooses it: its configuration is there already (wsgid apache convert writes both)", h.Name, h.ID)
		}
	}
	l, err := chooseListener(cfg, listener)
	if err != nil {
		return "", err
	}
	s := &snippet{config: cfg, listener: l, sites: sitesOf(cfg), timeout: longest(cfg)}
	switch server {
	case "apache":
		err = s.apache()
	case "nginx":
		err = s.nginx()
	case "caddy":
		err = s.caddy()
	case "lighttpd":
		err = s.lighttpd()
	default:
		return "", fmt.Errorf("there is no snippet for %q; there are %s", server, strings.Join(SnippetServers, ", "))
	}
	if err != nil {
		return "", err
	}
	return s.out.String(), nil
}

// snippet is one that is being written.
type snippet struct {
	config   *config.Config
	listener *config.Listener
	sites    []site
	timeout  time.Duration // that wsgid may take for a request; 0: nobody knows
	out      strings.Builder
}

func (s *snippet) line(indent int, format string, arguments ...any) {
	s.out.WriteString(strings.Repeat("    ", indent) + fmt.Sprintf(format, arguments...) + "\n")
}

// site is a virtual host, or with no names all requests.
type site struct {
	names     []string // the first is the name proper; "*" and "*.x" are patterns
	ports     []int    // empty: the usual one
	prefixes  []string // of URLs, the longest first; "/" stands alone
	passwords []string // those of them whose mounts ask for passwords
}

// chooseListener gives the FastCGI listener of a name, or the first one, a trusting
// one before others and one with a unix socket before TCP.
func chooseListener(cfg *config.Config, name string) (*config.Listener, error) {
	var best *config.Listener
	rank := func(l *config.Listener) (n int) {
		if l.TrustFrontServer {
			n += 2
		}
		if l.Kind == config.ListenUnix {
			n++
		}
		return n
	}
	var names []string
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if l.Kind == config.ListenHTTP || l.NoResponder {
			continue
		}
		place := l.Path + l.Address // one of them is empty
		if names = append(names, place); name == place {
			return l, nil
		}
		if name == "" && (best == nil || rank(l) > rank(best)) {
			best = l
		}
	}
	switch {
	case best != nil:
		return best, nil
	case len(names) == 0:
		return nil, errors.New(`there is no listener for a web server: add listen "unix" { path = "/run/wsgid/wsgid.sock" }`)
	}
	return nil, fmt.Errorf("there is no FastCGI listener %q; there are %s", name, strings.Join(names, ", "))
}

// sitesOf lists the virtual hosts, those for all other names first, and with none
// the mounts alone.
func sitesOf(cfg *config.Config) []site {
	if len(cfg.VirtualHosts) == 0 {
		one := site{}
		one.add(cfg.ScriptAliases)
		one.finish()
		return []site{one}
	}
	var all []site
	for i := range cfg.VirtualHosts {
		h := &cfg.VirtualHosts[i]
		one := site{names: append([]string{h.Name}, h.ServerAlias...), ports: h.Ports}
		one.add(h.ScriptAliases)
		if h.Inherited != nil {
			one.add(h.Inherited)
		} else {
			one.add(cfg.ScriptAliases)
		}
		one.finish()
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b site) int {
		switch first, second := slices.Contains(a.names, "*"), slices.Contains(b.names, "*"); {
		case first == second:
			return 0
		case first:
			return -1
		}
		return 1
	})
	return all
}

func (s *site) add(mounts []config.ScriptAlias) {
	for i := range mounts {
		m := &mounts[i]
		if m.Root || m.Handler != "" {
			continue
		}
		prefix := m.Prefix
		if m.Match {
			prefix = literal(m.Prefix)
		}
		s.prefixes = append(s.prefixes, prefix)
		if m.AuthType != "" && m.AuthType != "none" {
			s.passwords = append(s.passwords, prefix)
		}
	}
}

// finish puts the longest first, and leaves out what others hold.
func (s *site) finish() {
	order := func(prefixes []string) []string {
		slices.SortStableFunc(prefixes, func(a, b string) int { return len(b) - len(a) })
		return slices.Compact(prefixes)
	}
	slices.Sort(s.prefixes)
	slices.Sort(s.passwords)
	if s.prefixes, s.passwords = order(s.prefixes), order(s.passwords); slices.Contains(s.prefixes, "/") {
		s.prefixes = []string{"/"}
	}
}

// literal is the beginning that all URLs have which a regular expression matches,
// up to a slash.
func literal(expression string) string {
	rest, anchored := strings.CutPrefix(expression, "^")
	if !anchored || strings.Contains(rest, "|") {
		return "/"
	}
	end := strings.IndexAny(rest, `\.+*?()[]{}$^`)
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '/'); at >= 0 {
		return rest[:at+1]
	}
	return "/"
}

// longest is the time that a request may wait and run, of the group where that is
// longest; 0: one may run for ever.
func longest(cfg *config.Config) time.Duration {
	var most time.Duration
	for i := range cfg.DaemonProcesses {
		p := &cfg.DaemonProcesses[i]
		if p.Service() {
			continue
		}
		if p.RequestTimeout == 0 || p.QueueTimeout == 0 {
			return 0
		}
		run := time.Duration(float64(p.RequestTimeout) * (1 + math.Log(float64(p.Threads))))
		most = max(most, p.QueueTimeout+run+p.InterruptTimeout)
	}
	return most
}

// Patience is how long a web server is to wait for wsgid, in whole seconds, so that
// it does not give up first; 0: its default, a minute, is as good.
func Patience(c *config.Config) int { return (&snippet{timeout: longest(c)}).patience() }

// patience is how long the web server is to wait for wsgid, which then answers
// itself, in whole seconds; 0: its default, a minute everywhere, is as good.
func (s *snippet) patience() int {
	if s.timeout <= 50*time.Second {
		return 0
	}
	return int((s.timeout + 10*time.Second + time.Second - 1) / time.Second)
}

// plain are URL prefixes and names that mean the same in every configuration
// language.
var plain = regexp.MustCompile(`^[A-Za-z0-9/._~@:+,=*-]*$`)

// written refuses what the configuration of a server could not be sure to say.
func (s *snippet) written(server string) error {
	texts := []string{s.listener.Path, s.listener.Address}
	for _, site := range s.sites {
		texts = append(texts, slices.Concat(site.names, site.prefixes)...)
	}
	for _, text := range texts {
		if !plain.MatchString(text) {
			return fmt.Errorf("%q cannot be written for %s: letters, digits and / . _ ~ @ : + , = - mean the same everywhere", text, server)
		}
	}
	return nil
}

// hostPort splits the address of a TCP listener; one that listens everywhere is
// reached on the loopback address.
func hostPort(l *config.Listener) (host, port string) {
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil || host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return host, port
}

func (s *site) catchesAll() bool { return len(s.names) == 0 || slices.Contains(s.names, "*") }

func (s *site) portsOr(usual int) []int {
	if len(s.ports) == 0 {
		return []int{usual}
	}
	return s.ports
}
