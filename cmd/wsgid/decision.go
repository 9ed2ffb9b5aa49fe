package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/supervisor"
)

// decision is what wsgid dispatch test shows.
type decision struct {
	Method      string            `json:"method"`
	URI         string            `json:"uri"`
	Host        string            `json:"host"`
	Listener    string            `json:"listener"`
	VirtualHost *site             `json:"virtual_host,omitempty"`
	Path        string            `json:"path"`  // of the URL, decoded, as it is compared
	Tried       []triedMount      `json:"tried"` // in this order
	Mount       *triedMount       `json:"mount,omitempty"`
	ByFront     bool              `json:"by_front_server,omitempty"` // SCRIPT_FILENAME chose the mount
	Settings    []option          `json:"settings,omitempty"`        // of the mount
	Dropped     []string          `json:"dropped,omitempty"`         // WSGID_ parameters that do not count
	Static      *choice           `json:"static,omitempty"`          // what the settings say, expanded
	Dispatch    *dispatched       `json:"dispatch,omitempty"`
	Decision    *choice           `json:"decision,omitempty"`
	Script      string            `json:"script,omitempty"`
	ScriptName  string            `json:"script_name"`
	PathInfo    string            `json:"path_info"`
	Candidates  *candidates       `json:"candidates,omitempty"`
	Refusal     *wire.Refusal     `json:"refusal,omitempty"`
	Ended       string            `json:"ended,omitempty"`   // how the process ended that was to decide
	Output      []string          `json:"output,omitempty"`  // of the dispatch script
	Environ     map[string]string `json:"environ,omitempty"` // what the application would see, without wsgi. and mod_wsgi.

}

type site struct {
	Name  string `json:"name"`
	Place string `json:"place"`
}

type triedMount struct {
	Title string `json:"title"`          // script_alias "/"
	Host  string `json:"host,omitempty"` // its virtual host
	Place string `json:"place"`
}

// option is an option with its value, as the configuration writes it, and where
// that stands; empty: nowhere, it is the default.
type option struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"`
}

// choice is a decision as the configuration would write it.
type choice struct {
	ProcessGroup     string `json:"process_group"`
	ApplicationGroup string `json:"application_group"`
	CallableObject   string `json:"callable_object"`
}

// dispatched is what the dispatch script said.
type dispatched struct {
	Script           string         `json:"script"`
	ApplicationGroup string         `json:"application_group"` // that it ran in
	User             string         `json:"user"`
	Returned         *wire.Returned `json:"returned,omitempty"` // null: None, or no such function
	LoadError        string         `json:"load_error,omitempty"`
}

// candidates are the processes that would serve the request.
type candidates struct {
	Processes int    `json:"processes"`
	Threads   int    `json:"threads"`
	User      string `json:"user"`
}

// newDecision puts the router's answer and the configuration together. The
// answer comes from a process that has run a script: indexes are checked.
func newDecision(result config.Result, q *wire.Question, explained *supervisor.Explained) *decision {
	d := &decision{
		Method: q.Method, URI: q.URI, Host: q.Host, Listener: q.Listener.Address, Tried: []triedMount{},
		Ended: explained.Ended, Output: explained.Output,
	}
	e := explained.Explanation
	if e == nil {
		return d
	}
	c := result.Config
	d.Path, d.ByFront, d.Refusal = e.Path, e.ByFront, e.Refusal
	d.Script, d.ScriptName, d.PathInfo = e.Script, e.ScriptName, e.PathInfo
	var host *config.VirtualHost
	if e.Host >= 0 && e.Host < len(c.VirtualHosts) {
		host = &c.VirtualHosts[e.Host]
		d.VirtualHost = &site{host.Name, placeOf(host.Range)}
	}
	for _, at := range e.Tried {
		if h, s := mountAt(c, at); s != nil {
			d.Tried = append(d.Tried, triedOf(h, s))
		}
	}
	if e.Mount != nil {
		if h, s := mountAt(c, *e.Mount); s != nil {
			tried := triedOf(h, s)
			d.Mount = &tried
			d.Settings = settingsOf(result, host, s, q, e.Overridden)
		}
	}
	for _, p := range q.Parameters {
		if strings.HasPrefix(p.Name, "WSGID_") && !q.Listener.TrustFrontServer {
			d.Dropped = append(d.Dropped, p.Name)
		}
	}
	d.Static, d.Decision = choiceOf(e.Static), choiceOf(e.Decision)
	if s := e.Dispatch; s != nil {
		d.Dispatch = &dispatched{Script: s.Script, ApplicationGroup: applicationGroup(s.ApplicationGroup),
			User: explained.User, Returned: s.Returned, LoadError: s.LoadError}
	}
	if d.Decision != nil && d.Refusal == nil {
		d.Candidates = candidatesOf(c, d.Decision.ProcessGroup, explained.User)
	}
	for _, p := range e.Environ {
		if d.Environ == nil {
			d.Environ = map[string]string{}
		}
		d.Environ[p.Name] = p.Value
	}
	return d
}

func placeOf(at hcl.Range) string { return place(at.Filename, at.Start.Line) }

func triedOf(h *config.VirtualHost, s *config.ScriptAlias) triedMount {
	t := triedMount{Title: s.Title(), Place: placeOf(s.Range)}
	if h != nil {
		t.Host = h.Name
	}
	return t
}

// mountAt finds a mount of the configuration; nil: there is none.
func mountAt(c *config.Config, at wire.MountIndex) (*config.VirtualHost, *config.ScriptAlias) {
	mounts := c.ScriptAliases
	var host *config.VirtualHost
	if at.Host >= 0 {
		if at.Host >= len(c.VirtualHosts) {
			return nil, nil
		}
		host = &c.VirtualHosts[at.Host]
		mounts = slices.Concat(host.ScriptAliases, host.Inherited)
	}
	if at.Index < 0 || at.Index >= len(mounts) {
		return nil, nil
	}
	return host, &mounts[at.Index]
}

// settingsOf lists the options of a mount that bear on a request.
func settingsOf(result config.Result, host *config.VirtualHost, s *config.ScriptAlias, q *wire.Question, overridden []string) []option {
	c := result.Config
	around := []hcl.Range{s.Range, c.Router.Range}
	if host != nil {
		around = []hcl.Range{s.Range, host.Range, c.Router.Range}
	}
	all := []option{
		{Name: "process_group", Value: strconv.Quote(s.ProcessGroup)}, {Name: "application_group", Value: strconv.Quote(s.ApplicationGroup)},
		{Name: "callable_object", Value: strconv.Quote(s.CallableObject)}, {Name: "script_reloading", Value: strconv.FormatBool(s.ScriptReloading)},
	}
	all = append(all, fieldsOf(reflect.ValueOf(s.RequestOptions))...)
	for i := range all {
		o := &all[i]
		if at, ok := result.Place(o.Name, around...); ok {
			o.Origin = placeOf(at)
		} else if o.Name == "dispatch_script" {
			for j := range c.DispatchScripts {
				if script := &c.DispatchScripts[j]; script.Path == s.DispatchScript {
					o.Origin = placeOf(script.Range) + ", the default script"
				}
			}
		}
		if slices.Contains(overridden, o.Name) {
			name := "WSGID_" + strings.ToUpper(o.Name)
			o.Origin = name + " of the web server"
			for _, p := range q.Parameters {
				if p.Name == name {
					o.Value = strconv.Quote(p.Value)
				}
			}
		}
	}
	return all
}

// fieldsOf are the options in a struct of the model and in what is embedded in it.
func fieldsOf(model reflect.Value) []option {
	var all []option
	for field, value := range model.Fields() {
		if field.Anonymous {
			all = append(all, fieldsOf(value)...)
			continue
		}
		all = append(all, option{Name: optionName(field.Name), Value: optionValue(value)})
	}
	return all
}

// optionName writes the name of a field as the configuration does.
func optionName(field string) string {
	var name strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String()
}

// optionValue writes the value of a field as the configuration does; that of a
// list that is not set is empty.
func optionValue(value reflect.Value) string {
	switch value.Kind() {
	case reflect.String:
		return strconv.Quote(value.String())
	case reflect.Slice:
		if value.IsNil() {
			return ""
		}
		var elements []string
		for i := range value.Len() {
			elements = append(elements, strconv.Quote(fmt.Sprint(value.Index(i).Interface())))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	return fmt.Sprint(value.Interface())
}

func choiceOf(c *wire.Choice) *choice {
	if c == nil {
		return nil
	}
	return &choice{applicationGroup(c.ProcessGroup), applicationGroup(c.ApplicationGroup), c.CallableObject}
}

// candidatesOf describes the processes of a group; nil: there is no such group.
func candidatesOf(c *config.Config, group, routerUser string) *candidates {
	if group == "%{GLOBAL}" {
		return &candidates{Processes: 1, Threads: c.Router.Threads, User: routerUser}
	}
	for i := range c.DaemonProcesses {
		if p := &c.DaemonProcesses[i]; p.Name == group {
			user := p.User
			if user == "" {
				user = routerUser
			}
			return &candidates{Processes: p.Processes, Threads: p.Threads, User: user}
		}
	}
	return nil
}

// always are the options that are shown also when nobody has written them.
var always = []string{"process_group", "application_group", "callable_object", "dispatch_script"}

// write shows the decision for people.
func (d *decision) write(w io.Writer) {
	field := func(name, format string, arguments ...any) {
		fmt.Fprintf(w, "%-13s %s\n", name, escape.Line(fmt.Sprintf(format, arguments...)))
	}
	field("request", "%s %s, Host %s, by %s", d.Method, d.URI, dash(d.Host), d.Listener)
	d.writeMount(field)
	d.writeDispatch(field)
	for _, line := range d.Output {
		field("output", "%s", line)
	}
	if c := d.Decision; c != nil {
		field("decision", "%s", c)
	}
	if d.Script != "" {
		field("script", "%s, SCRIPT_NAME %q, PATH_INFO %q", d.Script, d.ScriptName, d.PathInfo)
	}
	if c := d.Candidates; c != nil {
		field("candidates", "%s with %s each, user %s", count(c.Processes, "process"), count(c.Threads, "thread"), c.User)
	}
	if r := d.Refusal; r != nil {
		field("refused", "%d %s %s", r.Status, r.Code, r.Title)
		for _, detail := range r.Details {
			name := detail.Name + ":"
			for line := range strings.Lines(detail.Value) {
				field("", "%s %s", name, strings.TrimRight(line, "\n"))
				name = strings.Repeat(" ", len(name))
			}
		}
	}
	if d.Ended != "" {
		field("ended", "%s", d.Ended)
	}
}

func (d *decision) writeMount(field func(name, format string, arguments ...any)) {
	if d.Path == "" {
		return // refused at once
	}
	if d.VirtualHost != nil {
		field("virtual host", "%s, %s", d.VirtualHost.Name, d.VirtualHost.Place)
	}
	field("path", "%s", d.Path)
	for _, m := range d.Tried {
		if d.Mount == nil || d.ByFront || m != *d.Mount {
			field("no match", "%s", m)
		}
	}
	if d.Mount != nil {
		by := ""
		if d.ByFront {
			by = ", by SCRIPT_FILENAME of the web server"
		}
		field("mount", "%s%s", *d.Mount, by)
	}
	for _, o := range d.Settings {
		origin := o.Origin
		if origin == "" {
			if !slices.Contains(always, o.Name) {
				continue
			}
			origin = "default"
		}
		field("setting", "%s = %s (%s)", o.Name, o.Value, origin)
	}
	for _, name := range d.Dropped {
		field("dropped", "%s: listener %s has no trust_front_server", name, d.Listener)
	}
}

func (d *decision) writeDispatch(field func(name, format string, arguments ...any)) {
	if d.Static != nil {
		field("static", "%s", d.Static)
	}
	s := d.Dispatch
	if s == nil {
		return
	}
	field("asked", "%s, in interpreter %s of the router, user %s", s.Script, s.ApplicationGroup, s.User)
	for line := range strings.Lines(s.LoadError) {
		field("not loaded", "%s", strings.TrimRight(line, "\n"))
	}
	if s.Returned == nil {
		return
	}
	for _, r := range []struct {
		function string
		value    *string
	}{{"process_group", s.Returned.ProcessGroup}, {"application_group", s.Returned.ApplicationGroup}, {"callable_object", s.Returned.CallableObject}} {
		if r.value == nil {
			field("returned", "%s: None, or there is no such function", r.function)
			continue
		}
		field("returned", "%s: %q", r.function, *r.value)
	}
}

func (c *choice) String() string {
	return fmt.Sprintf("process group %s, application group %s, callable %s", c.ProcessGroup, c.ApplicationGroup, c.CallableObject)
}

// String names the mount and its place.
func (m triedMount) String() string {
	text := m.Title
	if m.Host != "" {
		text += " of " + m.Host
	}
	return text + ", " + m.Place
}
