package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
)

// newRoutes is wsgid routes.
func newRoutes() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "Show which URL is served by which script, group and interpreter",
		Long: `Reads the configuration and shows its mounts in the order in which they are
tried, those of virtual hosts first, regular expressions marked with ~, with the
process group, application group and callable object that serve them before a
dispatch script is asked, who may use them, what nobody can reach, what is not
there and which process groups nothing uses. Mistakes and warnings are shown as by wsgid check.
It starts nothing.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfiguration(file, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			r := routesOf(c)
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				encoder.SetEscapeHTML(false)
				if err := encoder.Encode(r); err != nil {
					return failf("write the routes: %w", err)
				}
				return nil
			}
			return writeRoutes(cmd.OutOrStdout(), r)
		},
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// routes is what wsgid routes shows.
type routes struct {
	Mounts   []route   `json:"mounts"`
	Deciders []decider `json:"dispatch_scripts,omitempty"` // which are asked for each request
	Access   []access  `json:"access,omitempty"`           // who may use them
	Static   []static  `json:"static,omitempty"`           // files, before any mount
	Unused   []string  `json:"unused_groups,omitempty"`    // process groups that no request can reach
	Chosen   []string  `json:"chosen_groups,omitempty"`    // process groups that only a dispatch script or request chooses
	// RestrictEmbedded: no application runs in the router, whoever chooses it.
	RestrictEmbedded bool `json:"restrict_embedded,omitempty"`
}

// route is one mount.
type route struct {
	Host             string `json:"host,omitempty"`  // the virtual host; empty: any
	URL              string `json:"url"`             // or what the web server has to say: routeURL
	Match            bool   `json:"match,omitempty"` // URL is a regular expression
	Script           string `json:"script"`          // a directory ends with a slash
	ProcessGroup     string `json:"process_group"`
	ApplicationGroup string `json:"application_group"`
	CallableObject   string `json:"callable_object"`
	DispatchScript   string `json:"dispatch_script,omitempty"` // is asked for each request
	Priority         int    `json:"priority"`
	Preload          bool   `json:"preload"`
	Kind             string `json:"kind"`                   // the block that makes it
	Place            string `json:"place"`                  // file:line
	OutOfReach       string `json:"out_of_reach,omitempty"` // why no request meets it
	// HiddenIn are the virtual hosts that have a mount of their own before this
	// global one.
	HiddenIn []string `json:"hidden_in,omitempty"`
	Missing  string   `json:"missing,omitempty"` // the script or directory, if it is not there
}

type static struct {
	Listener string `json:"listener"`
	URL      string `json:"url"`
	Dir      string `json:"dir"`
}

// routesOf collects the routes of a configuration.
func routesOf(c *config.Config) *routes {
	r := &routes{Mounts: []route{}, Deciders: decidersOf(c), Access: accessOf(c), RestrictEmbedded: c.Router.RestrictEmbedded}
	for _, l := range c.Listeners {
		for _, s := range l.Static {
			r.Static = append(r.Static, static{l.Address, s.Prefix, s.Dir})
		}
	}
	var named []string
	open := false // any group may be chosen
	add := func(h *config.VirtualHost, s *config.ScriptAlias) {
		script, host := s.Target+s.Append, ""
		if s.Directory && s.Append == "" {
			script = strings.TrimSuffix(script, "/") + "/"
		}
		var hidden []string
		if h != nil {
			host = h.Title()
		} else {
			hidden = c.HiddenIn(s)
		}
		missing := ""
		if _, err := os.Stat(s.Target); errors.Is(err, fs.ErrNotExist) {
			missing = s.Target
		}
		r.Mounts = append(r.Mounts, route{
			Host: host, URL: routeURL(s), Match: s.Match, Script: script,
			OutOfReach: c.OutOfReach(h, s), HiddenIn: hidden, Missing: missing,
			ProcessGroup: s.ProcessGroup, ApplicationGroup: s.ApplicationGroup,
			CallableObject: s.CallableObject, DispatchScript: s.DispatchScript, Priority: s.Priority, Preload: s.Preload,
			Kind: s.Block(), Place: fmt.Sprintf("%s:%d", s.Range.Filename, s.Range.Start.Line),
		})
		named = append(named, s.ProcessGroup)
		open = open || c.Scripted(s) || c.Overridable(s, "process_group") || s.ProcessGroup != "%{GLOBAL}" && strings.HasPrefix(s.ProcessGroup, "%{")
	}
	for i := range c.VirtualHosts {
		h := &c.VirtualHosts[i]
		for j := range h.ScriptAliases {
			add(h, &h.ScriptAliases[j])
		}
	}
	for i := range c.ScriptAliases {
		add(nil, &c.ScriptAliases[i])
	}
	for i := range c.DaemonProcesses {
		p := &c.DaemonProcesses[i]
		switch {
		case p.Service() || slices.Contains(named, p.Name):
		case open:
			r.Chosen = append(r.Chosen, p.Name)
		default:
			r.Unused = append(r.Unused, p.Name)
		}
	}
	return r
}

// routeURL is what of a request leads to the mount: the URL, or where the web
// server chooses, its parameter.
func routeURL(s *config.ScriptAlias) string {
	switch {
	case s.Root:
		return "WSGID_EXEC_CGI=1"
	case s.Handler != "":
		return "WSGID_HANDLER=" + s.Handler
	}
	return s.Prefix
}

// decider is a dispatch script and what it decides.
type decider struct {
	Script string   `json:"script"`
	URLs   []string `json:"urls"`          // with the virtual host in front
	All    bool     `json:"all,omitempty"` // these are all there are
}

// decidersOf lists the dispatch scripts in the order in which mounts have them.
func decidersOf(c *config.Config) []decider {
	var all []decider
	count := 0
	for h, s := range c.Mounts() {
		count++
		if s.DispatchScript == "" {
			continue
		}
		at := slices.IndexFunc(all, func(d decider) bool { return d.Script == s.DispatchScript })
		if at < 0 {
			at, all = len(all), append(all, decider{Script: s.DispatchScript})
		}
		url := shownURL(s.Match, routeURL(s))
		switch {
		case h != nil && s.Prefix == "":
			url = h.Title() + " " + url
		case h != nil:
			url = h.Title() + url
		}
		all[at].URLs = append(all[at].URLs, url)
	}
	for i := range all {
		all[i].All = len(all[i].URLs) == count
	}
	return all
}

// writeRoutes shows them for people.
func writeRoutes(w io.Writer, r *routes) error {
	t := &table{}
	hosts := slices.ContainsFunc(r.Mounts, func(m route) bool { return m.Host != "" })
	priorities := slices.ContainsFunc(r.Mounts, func(m route) bool { return m.Priority != r.Mounts[0].Priority })
	row := func(host string, priority any, cells ...any) {
		if hosts {
			cells = append([]any{host}, cells...)
		}
		if priorities {
			cells = slices.Insert(cells, len(cells)-2, priority)
		}
		t.row(cells...)
	}
	row("HOST", "PRIORITY", "URL", "SCRIPT", "PROCESS GROUP", "APPLICATION GROUP", "CALLABLE", "LOADED", "FROM")
	for _, s := range r.Static {
		row("any", "-", s.URL, s.Dir, "-", "-", "-", "static", s.Listener)
	}
	for _, m := range r.Mounts {
		loaded := "by request"
		if m.Preload {
			loaded = "at start"
		}
		row(cmp.Or(m.Host, "any"), m.Priority, shownURL(m.Match, m.URL), m.Script, m.ProcessGroup, m.ApplicationGroup, m.CallableObject, loaded, filepath.Base(m.Place))
	}
	p := &page{}
	p.table(t)
	if err := p.print(w); err != nil {
		return err
	}
	if remarks := r.remarks(); len(remarks) > 0 {
		fmt.Fprintln(w)
		for _, remark := range remarks {
			fmt.Fprintln(w, remark)
		}
	}
	return nil
}

// shownURL is the URL of a mount for people: an expression is marked.
func shownURL(match bool, url string) string {
	if match {
		return "~ " + url
	}
	return url
}

// remarks are sentences about what the table does not show.
func (r *routes) remarks() []string {
	var all []string
	add := func(format string, arguments ...any) { all = append(all, fmt.Sprintf(format, arguments...)) }
	for _, d := range r.Deciders {
		of := " of " + strings.Join(d.URLs, ", ")
		if d.All {
			of = ""
		}
		add("The dispatch script %s is asked for each request%s and may choose otherwise.", d.Script, of)
	}
	for _, m := range r.Mounts {
		if len(m.HiddenIn) > 0 && m.OutOfReach == "" {
			add("%s (%s) is hidden in %s by a mount of that host.", shownURL(m.Match, m.URL), filepath.Base(m.Place), strings.Join(m.HiddenIn, ", "))
		}
		if m.OutOfReach != "" {
			add("%s (%s) is out of reach: %s.", shownURL(m.Match, m.URL), filepath.Base(m.Place), strings.ReplaceAll(m.OutOfReach, filepath.Dir(m.Place)+"/", ""))
		}
	}
	for _, m := range r.Mounts {
		if m.Missing != "" {
			add("There is no %s, the target of %s (%s).", m.Missing, shownURL(m.Match, m.URL), filepath.Base(m.Place))
		}
	}
	all = append(all, accessRemarks(r.Access)...)
	if r.RestrictEmbedded {
		add("No application runs in the router: restrict_embedded.")
	}
	for _, name := range r.Chosen {
		add("Process group %q has no mount of its own: only a request or the dispatch script chooses it.", name)
	}
	for _, name := range r.Unused {
		add("Process group %q is not used: no mount names it.", name)
	}
	return all
}
