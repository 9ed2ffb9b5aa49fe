package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/internal/urlpattern"
)

// validator checks a decoded configuration; one method per block.
type validator struct {
	*decoder
	identity Identity
	// partial: something did not decode, so what is missing may only be unreadable.
	partial bool
	// patterns are the compiled expressions of script_alias_match.
	patterns map[string]*urlpattern.Pattern
}

func (v *validator) validate() {
	c := &v.config
	for i := range c.Listeners {
		v.listener(&c.Listeners[i])
	}
	v.listenersTogether()
	v.staticScripts()
	v.router(&c.Router)
	for i := range c.DaemonProcesses {
		v.daemonProcess(i)
	}
	v.dispatchScripts()
	v.mounts(c.ScriptAliases, &c.Router.RequestOptions)
	for i := range c.VirtualHosts {
		v.virtualHost(&c.VirtualHosts[i])
	}
	v.hostsTogether()
	v.hiddenMounts()
	for i := range c.ImportScripts {
		v.importScript(&c.ImportScripts[i])
	}
	for i := range c.DaemonProcesses {
		v.service(&c.DaemonProcesses[i])
		v.watch(&c.DaemonProcesses[i])
		v.sandbox(&c.DaemonProcesses[i])
		v.limits(&c.DaemonProcesses[i])
	}
	if !v.partial {
		v.sharedMain()
		v.interpreterCount()
	}
	for i := range c.InterpreterBlocks {
		v.interpreterBlock(&c.InterpreterBlocks[i])
	}
	v.unusedDispatchScripts()
	v.restrictEmbedded()
	if c.Dispatch != nil {
		v.dispatch(c.Dispatch)
	}
	v.authScripts()
	v.control(&c.Control)
	if c.Monitor != nil {
		v.monitor(c.Monitor)
	}
	if c.Tracing != nil {
		v.tracing(c.Tracing)
	}
	v.log(&c.Log)
	v.accessLogs(c.AccessLogs)
	v.completeness()
	v.unusedAuthScripts()
}

// completeness reports blocks without which nothing can be served.
func (v *validator) completeness() {
	if v.partial {
		return
	}
	missing := func(block, example string) {
		v.diags = append(v.diags, &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "No " + block + " block",
			Detail:   v.config.File + " has no " + block + " block: add one, such as " + example,
		})
	}
	if len(v.config.Listeners) == 0 {
		missing("listen", "listen \"unix\" { path = \"/run/wsgid/wsgid.sock\" }.")
	}
	mounted := false
	for range v.config.Mounts() {
		mounted = true
		break
	}
	asked := slices.ContainsFunc(v.config.Listeners, func(l Listener) bool { return l.Authorizer }) &&
		slices.ContainsFunc(authScriptBlocks, func(kind string) bool { return len(v.config.AuthScripts(kind)) > 0 })
	if !mounted && !asked {
		missing("script_alias", "script_alias \"/\" { target = \"/srv/site/site.wsgi\" }.")
	}
}

// absolute checks the option that holds a path. Empty means not given, unless
// it was written down.
func (v *validator) absolute(block hcl.Range, option, path string) bool {
	if path == "" && !v.given(block, option) {
		return true
	}
	if !filepath.IsAbs(path) {
		v.add(v.place(block, option), "Path is not absolute", "Option %q needs an absolute path; %q is none.", option, path)
		return false
	}
	return true
}

// plain checks an absolute path that a process compares to the letter with
// what it is asked to run: it has no empty segment and none of dots. A slash at
// the end is no segment.
func (v *validator) plain(block hcl.Range, option, path string) {
	if !v.absolute(block, option, path) {
		return
	}
	if clean := plainPath(path); path != clean {
		v.add(v.place(block, option), "Path is not plain", notPlain, path, clean)
	}
}

// notPlain takes the path as it is and as it should be.
const notPlain = "%q has an empty segment, or \".\" or \"..\": a process runs only what the configuration names to the letter. Write it without them: %q."

// plainPath is path without such segments.
func plainPath(path string) string {
	clean := filepath.Clean(path)
	if strings.HasSuffix(path, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// absolutes checks a list of paths.
func (v *validator) absolutes(block hcl.Range, option string, paths []string) {
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			v.add(v.place(block, option), "Path is not absolute", "Option %q needs absolute paths; %q is none.", option, path)
		}
	}
}

// maxSocketPath is sizeof(sockaddr_un.sun_path) less the closing NUL.
const maxSocketPath = 107

// socketPath checks the path of a unix socket.
func (v *validator) socketPath(block hcl.Range, option, path string) {
	if v.absolute(block, option, path) && len(path) > maxSocketPath {
		v.add(v.place(block, option), "Socket path is too long", "A unix socket's path has at most %d bytes; this one has %d.", maxSocketPath, len(path))
	}
}

// positive refuses a timeout of 0 where that could only mean for ever.
func (v *validator) positive(block hcl.Range, option string, value time.Duration, why string) {
	if value == 0 {
		v.add(v.place(block, option), "Wrong value", "%s cannot be 0: %s.", option, why)
	}
}

var idPattern = regexp.MustCompile(`^#[0-9]{1,10}$`)

// account checks the spelling of a user or group name, or "#id".
func (v *validator) account(block hcl.Range, option, name string) bool {
	if name == "" && !v.given(block, option) {
		return false
	}
	if name == "" || strings.ContainsAny(name, ":/ \t") || strings.HasPrefix(name, "-") ||
		(strings.HasPrefix(name, "#") && !idPattern.MatchString(name)) {
		v.add(v.place(block, option), "Wrong account", "Option %q is a name or a number such as \"#64001\"; %q is neither.", option, name)
		return false
	}
	return true
}

// user checks user and group that a child process is to run as. Root never
// runs Python; and only root can give a process another user.
func (v *validator) user(block hcl.Range, user, group string) {
	if v.account(block, "user", user) {
		switch {
		case v.identity.Root() && (user == "root" || isZero(user)):
			v.add(v.place(block, "user"), "Root is not allowed", "Python never runs as root: name another user.")
		case !v.identity.Root() && !v.identity.isUser(user):
			v.add(v.place(block, "user"), "Cannot switch users", "wsgid is not started as root but as %s, so nothing can run as user %q: start it as root or take the option out.", v.identity.userName(), user)
		}
	}
	if v.account(block, "group", group) && !v.identity.Root() && !v.identity.isGroup(group) {
		v.add(v.place(block, "group"), "Cannot switch groups", "wsgid is not started as root but as %s (group %s), so nothing can run as group %q: start it as root or take the option out.", v.identity.userName(), v.identity.groupName(), group)
	}
}

// owner checks who a socket file is to belong to.
func (v *validator) owner(block hcl.Range, owner, group string) {
	if v.account(block, "owner", owner) && !v.identity.Root() && !v.identity.isUser(owner) {
		v.add(v.place(block, "owner"), "Cannot change owners", "wsgid is not started as root but as %s, so it cannot give the socket to %q: start it as root or take the option out.", v.identity.userName(), owner)
	}
	// An ordinary user may give a file to any group he is in; the system knows.
	v.account(block, "group", group)
}

// isZero says whether an id such as "#0" or "#000" is root's.
func isZero(id string) bool {
	return strings.HasPrefix(id, "#") && strings.Trim(id[1:], "0") == ""
}

var expansionPattern = regexp.MustCompile(`^%\{(GLOBAL|RESOURCE|SERVER|HOST|ENV:[^}]+)\}$`)

// expansion checks a value that may be one of the %{…} forms. It returns true
// if it is one.
func (v *validator) expansion(block hcl.Range, option, value string) bool {
	if !strings.HasPrefix(value, "%{") {
		return false
	}
	at := v.place(block, option)
	if !expansionPattern.MatchString(value) {
		v.add(at, "Unknown expansion", "%q is none of %%{GLOBAL}, %%{RESOURCE}, %%{SERVER}, %%{HOST} and %%{ENV:name}.", value)
	} else if strings.HasPrefix(value, "%{ENV:HTTP_") {
		v.warn(at, "The client chooses", "%s comes from a request header, so that any client can set option %q.", value, option)
	}
	return true
}
