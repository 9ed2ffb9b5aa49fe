package config

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// router validates the router block.
func (v *validator) router(r *Router) {
	v.user(r.Range, r.User, r.Group)
	v.python(r.Range, &r.PythonOptions)
	v.requestOptions(r.Range, &r.RequestOptions)
	v.keepCredentials(r.Range, &r.RequestOptions)
}

// maxGroupName keeps the name usable as part of a socket's name.
const maxGroupName = 64

// daemonProcess validates the i-th daemon_process block.
func (v *validator) daemonProcess(i int) {
	p := &v.config.DaemonProcesses[i]
	v.groupName(i)
	v.user(p.Range, p.User, p.Group)
	for _, group := range p.SupplementaryGroups {
		v.account(p.Range, "supplementary_groups", group)
	}
	if p.SupplementaryGroups != nil && !v.identity.Root() {
		v.add(v.place(p.Range, "supplementary_groups"), "Cannot switch groups", "wsgid is not started as root but as %s, so it cannot set supplementary groups: start it as root or take the option out.", v.identity.userName())
	}
	v.positive(p.Range, "shutdown_timeout", p.ShutdownTimeout, "a request that hangs would keep wsgid from stopping")
	v.processor(p)
	v.scaling(p)
	if p.MaximumRequestsJitter > 0 && p.MaximumRequests == 0 {
		v.add(v.place(p.Range, "maximum_requests_jitter"), "Option without effect", "maximum_requests_jitter is added to maximum_requests, and that is 0: no limit. Add maximum_requests, such as maximum_requests = 1000.")
	}
	if p.InterruptTimeout > 0 && p.RequestTimeout == 0 {
		v.add(v.place(p.Range, "interrupt_timeout"), "Option without effect", "interrupt_timeout begins when request_timeout is over, and that is 0: add request_timeout, such as request_timeout = \"60s\".")
	}
	v.absolute(p.Range, "home", p.Home)
	v.absolute(p.Range, "env_file", p.EnvFile)
	v.python(p.Range, &p.PythonOptions)
	v.scriptOwner(p)
	if p.ReloadOnError != ReloadFail && p.ReloadOnError != ReloadKeep {
		v.add(v.place(p.Range, "reload_on_error"), "Wrong value", "reload_on_error is \"fail\" or \"keep\"; %q is neither%s", p.ReloadOnError, didYouMean(string(p.ReloadOnError), []string{"fail", "keep"}))
	}
	for _, option := range []struct{ name, value string }{{"lang", p.Lang}, {"locale", p.Locale}} {
		if v.given(p.Range, option.name) && (option.value == "" || strings.ContainsAny(option.value, " \t/")) {
			v.add(v.place(p.Range, option.name), "Wrong locale", "Option %q is the name of a locale, such as \"C.UTF-8\"; %q is none.", option.name, option.value)
		}
	}
}

// scaling validates how many processes the group has.
func (v *validator) scaling(p *DaemonProcess) {
	known := []string{string(ScalingStatic), string(ScalingDynamic), string(ScalingOnDemand)}
	if !slices.Contains(known, string(p.Scaling)) {
		v.add(v.place(p.Range, "scaling"), "Wrong value", "scaling is \"static\", \"dynamic\" or \"on_demand\"; %q is none of them%s", p.Scaling, didYouMean(string(p.Scaling), known))
		return
	}
	if p.Elastic() && p.Service() {
		v.add(v.place(p.Range, "scaling"), "Service without load", "A group with threads = 0 takes no requests: nothing would make it grow. Take scaling out.")
	}
	for option, with := range map[string]bool{"min_processes": p.Scaling == ScalingDynamic, "max_spare": p.Elastic(), "min_spare": p.Elastic(), "idle_timeout": p.Elastic()} {
		if v.given(p.Range, option) && !with {
			v.add(v.place(p.Range, option), "Option without effect", "%s goes with scaling = \"dynamic\"%s; here it is %q.", option, map[bool]string{true: "", false: " or \"on_demand\""}[option == "min_processes"], p.Scaling)
		}
	}
	if p.Scaling == ScalingDynamic && p.MinProcesses > p.Processes {
		v.add(v.place(p.Range, "min_processes"), "Wrong value", "min_processes is %d, but processes, which is how many there are at most, %d.", p.MinProcesses, p.Processes)
	}
	if p.Elastic() && p.MinSpare > p.MaxSpare {
		v.add(v.place(p.Range, "max_spare"), "Wrong value", "max_spare is %d, and min_spare %d: what the one starts the other would end.", p.MaxSpare, p.MinSpare)
	}
	if p.Elastic() {
		v.positive(p.Range, "idle_timeout", p.IdleTimeout, "a process would end as soon as it has answered")
	}
}

// processor validates what a group may have of the processor, and its name there.
func (v *validator) processor(p *DaemonProcess) {
	if p.CPUPriority < 0 && !v.identity.Root() {
		v.add(v.place(p.Range, "cpu_priority"), "Not permitted", "wsgid is not started as root but as %s, who may only lower the priority of processes: 0 to 19.", v.identity.userName())
	}
	if p.CPUTimeLimit%time.Second != 0 {
		v.add(v.place(p.Range, "cpu_time_limit"), "Wrong value", "cpu_time_limit is a number of whole seconds: the kernel counts no others.")
	}
	v.groupLog(p)
	if len(p.DisplayName) > 255 || strings.ContainsFunc(p.DisplayName, unicode.IsControl) {
		v.add(v.place(p.Range, "display_name"), "Wrong value", "display_name is at most 255 bytes without control characters.")
	} else if name := p.DisplayName; name != "%{GROUP}" && strings.HasPrefix(name, "%{") {
		v.add(v.place(p.Range, "display_name"), "Wrong value", "display_name is \"%%{GROUP}\", which is (wsgi:%s), or a text; %q is another expansion.", p.Name, name)
	}
}

// scriptOwner validates whose scripts the group runs.
func (v *validator) scriptOwner(p *DaemonProcess) {
	user := v.account(p.Range, "script_user", p.ScriptUser)
	group := v.account(p.Range, "script_group", p.ScriptGroup)
	if user && group {
		v.add(v.place(p.Range, "script_group"), "Two owners", "Give script_user or script_group, not both.")
	}
}

// groupName validates the name of a process group, which stands in logs,
// status, environ and in the name of a socket.
func (v *validator) groupName(i int) {
	p := &v.config.DaemonProcesses[i]
	bad := ""
	switch {
	case p.Name == "":
		bad = "is empty"
	case len(p.Name) > maxGroupName:
		bad = "is longer than 64 bytes"
	case !utf8.ValidString(p.Name) || strings.ContainsFunc(p.Name, unicode.IsControl):
		bad = "holds control characters"
	case strings.Contains(p.Name, "/"):
		bad = "holds a slash"
	case p.Name == "." || p.Name == "..":
		bad = "is a directory"
	case strings.HasPrefix(p.Name, "%{"):
		bad = "looks like an expansion"
	}
	if bad != "" {
		v.add(p.Range, "Wrong name", "The name %q of this daemon_process %s.", p.Name, bad)
		return
	}
	for _, other := range v.config.DaemonProcesses[:i] {
		if other.Name == p.Name {
			v.add(p.Range, "Duplicate name", "daemon_process %q is there already, at %s:%d: names are unique.", p.Name, other.Range.Filename, other.Range.Start.Line)
			return
		}
	}
}

// groupNames are the declared process groups.
func (v *validator) groupNames() []string {
	var names []string
	for _, p := range v.config.DaemonProcesses {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// declared says whether a process group exists.
func (v *validator) declared(name string) bool { return slices.Contains(v.groupNames(), name) }
