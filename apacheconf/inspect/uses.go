package inspect

import (
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/config"
)

// use is a place where Apache names a FastCGI backend.
type use struct {
	item *apacheconf.Item
	// url as mod_proxy knows it: "unix:PATH|fcgi://NAME/" or "fcgi://host:port/".
	url string
	// socket is PATH, or empty; name what stands behind fcgi://.
	socket, name string
	listener     *config.Listener // of wsgid; nil: it is another's
	// handler: by SetHandler or the like, so that a <Proxy> section says how.
	handler bool
	options []string // of ProxyPass and BalancerMember
}

// backendURL finds what mod_proxy takes for a FastCGI backend.
var backendURL = regexp.MustCompile(`(?i)(?:unix:([^|\s"]+)\|)?fcgi://([^\s",\]]*)`)

// collect finds all uses.
func (i *inspector) collect() {
	for _, item := range i.items {
		handler := item.Is("SetHandler") || item.Is("AddHandler") || item.Is("RewriteRule") && strings.Contains(strings.ToLower(item.Args), "=proxy:")
		if !handler && !item.Is("ProxyPass") && !item.Is("ProxyPassMatch") && !item.Is("BalancerMember") && !item.Is("RewriteRule") {
			continue
		}
		for n, word := range item.Words {
			found := backendURL.FindStringSubmatch(word)
			if found == nil {
				continue
			}
			u := use{item: item, url: found[0], socket: found[1], handler: handler}
			u.name, _, _ = strings.Cut(found[2], "/")
			u.listener = i.listenerOf(&u)
			if !handler && !item.Is("RewriteRule") {
				u.options = item.Words[n+1:]
			}
			i.uses = append(i.uses, u)
			break
		}
	}
}

// listenerOf finds wsgid's listener that a use reaches.
func (i *inspector) listenerOf(u *use) *config.Listener {
	for n := range i.wsgid.Listeners {
		l := &i.wsgid.Listeners[n]
		switch {
		case l.Kind == config.ListenUnix && u.socket == l.Path:
			return l
		case l.Kind == config.ListenTCP && u.socket == "" && sameAddress(u.name, l.Address):
			return l
		}
	}
	return nil
}

// sameAddress compares addresses; a listener on all of them has each.
func sameAddress(used, listened string) bool {
	host, port, err := net.SplitHostPort(used)
	if err != nil {
		host, port = used, "8000" // mod_proxy_fcgi's default
	}
	own, ownPort, err := net.SplitHostPort(listened)
	if err != nil || port != ownPort {
		return false
	}
	loopback := func(name string) bool { return name == "localhost" || name == "127.0.0.1" || name == "::1" }
	return host == own || own == "" || own == "0.0.0.0" || own == "::" || loopback(host) && loopback(own)
}

// backends finds uses of sockets that nobody listens on, and that none of wsgid's
// listeners is used.
func (i *inspector) backends() {
	used := false
	for n := range i.uses {
		u := &i.uses[n]
		used = used || u.listener != nil
		if u.listener == nil && strings.Contains(strings.ToLower(u.socket), "wsgid") {
			i.find(Wrong, u.item, []string{line(`listen "unix" { path =`, u.socket) + " }"}, "wsgid does not listen on %s: it has %s", u.socket, strings.Join(i.listeners(), ", "))
		}
	}
	if !used {
		i.find(Wrong, nil, []string{"wsgid apache snippet"}, "Apache sends nothing to wsgid: no ProxyPass or SetHandler names one of its listeners, %s", strings.Join(i.listeners(), ", "))
	}
	for n := range i.uses {
		for m := range n {
			a, b := &i.uses[m], &i.uses[n]
			if a.socket != "" && b.socket != "" && a.socket != b.socket && a.name == b.name && (a.listener != nil || b.listener != nil) {
				i.find(Wrong, b.item, []string{"fcgi://" + b.name + "-2/"}, "fcgi://%s is the name of %s already, at %s: Apache takes two sockets of one name for the same", b.name, a.socket, a.item.Position())
				return
			}
		}
	}
}

// listeners are those that Apache could use.
func (i *inspector) listeners() []string {
	var names []string
	for n := range i.wsgid.Listeners {
		if l := &i.wsgid.Listeners[n]; l.Kind != config.ListenHTTP {
			names = append(names, l.Path+l.Address)
		}
	}
	if names == nil {
		return []string{"none for FastCGI"}
	}
	return names
}

// modules that are missing, or hold more than they must.
func (i *inspector) modules() {
	for _, name := range []string{"proxy", "proxy_fcgi"} {
		if !i.apache.Modules[name+"_module"] {
			i.find(Wrong, nil, []string{"a2enmod proxy proxy_fcgi", "LoadModule " + name + "_module modules/mod_" + name + ".so"}, "the module %s is not loaded", name)
		}
	}
	if i.facts.MPM == "prefork" {
		i.find(Slow, nil, []string{"a2dismod mpm_prefork && a2enmod mpm_event"}, "the MPM prefork needs a process for each connection, and each of them a connection to wsgid of its own: event does with a few")
	}
}

// workers looks at how connections to wsgid are kept.
func (i *inspector) workers() {
	for n := range i.uses {
		u := &i.uses[n]
		if u.listener == nil {
			continue
		}
		if u.item.Is("AddHandler") && strings.ToLower(u.socket) != u.socket {
			i.find(Wrong, u.item, nil, "AddHandler makes %s lower case: give the socket a path in lower case, or use SetHandler in <FilesMatch>", u.socket)
		}
		options, at := u.options, u.item
		if u.handler || u.item.Is("RewriteRule") {
			section := i.proxySection(u.url)
			if section == nil {
				i.find(Slow, u.item, []string{"<Proxy " + quoted(u.url) + " enablereuse=on flushpackets=on iobuffersize=65528>", "</Proxy>"},
					"no <Proxy> section has exactly the URL %s: every request makes a connection of its own, and responses wait for each other", u.url)
				continue
			}
			options, at = workerOptions(section), section
		}
		i.workerOptions(u, at, options)
	}
}

// workerOptions finds what an mod_proxy worker lacks.
func (i *inspector) workerOptions(u *use, at *apacheconf.Item, options []string) {
	value := func(name string) string {
		for _, o := range options {
			if before, after, ok := strings.Cut(o, "="); ok && strings.EqualFold(before, name) {
				return strings.ToLower(after)
			}
		}
		return ""
	}
	var missing []string
	if value("enablereuse") != "on" && value("disablereuse") != "off" {
		missing = append(missing, "enablereuse=on")
		i.find(Slow, at, nil, "%s has no enablereuse=on: every request makes a connection of its own", u.url)
	}
	if value("flushpackets") != "on" {
		missing = append(missing, "flushpackets=on")
		i.find(Warning, at, nil, "%s has no flushpackets=on: what an application sends bit by bit reaches the client at the end", u.url)
	}
	if value("iobuffersize") == "" {
		missing = append(missing, "iobuffersize=65528")
		i.find(Slow, at, nil, "%s has no iobuffersize=65528: large bodies pass in pieces of 8 KiB", u.url)
	}
	if missing != nil {
		i.findings[len(i.findings)-1].Write = []string{line(at.Name, at.Words...) + " " + strings.Join(missing, " ")}
		if at.Node.Kind == apacheconf.Section {
			i.findings[len(i.findings)-1].Write[0] = "<" + i.findings[len(i.findings)-1].Write[0] + ">"
		}
	}
	if u.item.Is("BalancerMember") && value("retry") != "0" {
		i.find(Warning, at, []string{line(at.Name, at.Words...) + " retry=0"}, "a member without retry=0 is set aside for a minute when it could not be reached once")
	}
	if slices.ContainsFunc(options, func(o string) bool { return strings.EqualFold(o, "nocanon") }) && !i.has("ProxyFCGIBackendType", "GENERIC") {
		i.find(Wrong, at, []string{"ProxyFCGIBackendType GENERIC"}, "nocanon without ProxyFCGIBackendType GENERIC: Apache refuses every URL with a query (403)")
	}
}

// proxySection is the <Proxy> section of exactly that URL.
func (i *inspector) proxySection(url string) *apacheconf.Item {
	for _, item := range i.items {
		if item.Is("Proxy") && len(item.Words) > 0 && strings.TrimRight(item.Words[0], "/") == strings.TrimRight(url, "/") {
			return item
		}
	}
	return nil
}

// workerOptions of a <Proxy> section, with its ProxySet lines.
func workerOptions(section *apacheconf.Item) []string {
	options := section.Words[1:]
	for _, child := range section.Children {
		if child.Is("ProxySet") {
			options = append(options[:len(options):len(options)], child.Words...)
		}
	}
	return options
}

func quoted(word string) string {
	if q := apacheconf.Quote(word); strings.HasPrefix(q, `"`) {
		return q
	}
	return `"` + word + `"`
}
