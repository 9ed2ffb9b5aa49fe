// Package inspect looks at a configuration of Apache beside one of wsgid, and says
// what is wrong with how the two are connected, what makes it slow, and which
// scripts a browser could read; always with the line to write.
//
// It knows configurations, and nothing of running servers.
package inspect

import (
	"fmt"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/config"
)

// Severity of a finding.
type Severity string

// Severities: requests fail, or are in danger; something is not as it should be; it
// could be faster.
const (
	Wrong   Severity = "wrong"
	Warning Severity = "warning"
	Slow    Severity = "slow"
)

// Finding is one thing that should be changed.
type Finding struct {
	Severity Severity `json:"severity"`
	// File and Line of Apache's configuration; empty and 0: no single place.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	What string `json:"what"`
	// Write are the lines to write, or to write instead.
	Write []string `json:"write,omitempty"`
}

// String is the finding for people, without what to write.
func (f *Finding) String() string {
	where := ""
	if f.File != "" {
		where = fmt.Sprintf("%s:%d: ", f.File, f.Line)
	}
	return string(f.Severity) + ": " + where + f.What
}

// Facts about an Apache that its configuration does not say.
type Facts struct {
	Version [3]int // zero: not known
	MPM     string // event, worker or prefork; empty: not known
}

// Inspect compares the two configurations.
func Inspect(apache *apacheconf.Config, wsgid *config.Config, facts Facts) []Finding {
	i := &inspector{apache: apache, wsgid: wsgid, facts: facts}
	i.walk(apache.Items)
	i.collect()
	i.backends()
	i.modules()
	i.workers()
	i.headers()
	i.timeouts()
	i.variables()
	i.remains()
	for _, e := range Exposed(apache, Scripts(wsgid)) {
		i.findings = append(i.findings, Finding{Severity: Wrong, File: e.File, Line: e.Line, Write: e.Write,
			What: fmt.Sprintf("%s can be read by everybody, as %s", e.Path, e.URL)})
	}
	return i.findings
}

type inspector struct {
	apache   *apacheconf.Config
	wsgid    *config.Config
	facts    Facts
	items    []*apacheconf.Item
	uses     []use
	findings []Finding
}

// walk lists the items of the configuration in order.
func (i *inspector) walk(items []*apacheconf.Item) {
	for _, item := range items {
		i.items = append(i.items, item)
		if !item.Is("Macro") {
			i.walk(item.Children)
		}
	}
}

func (i *inspector) find(s Severity, at *apacheconf.Item, write []string, format string, arguments ...any) {
	f := Finding{Severity: s, What: fmt.Sprintf(format, arguments...), Write: write}
	if at != nil {
		p := at.Position()
		f.File, f.Line = p.File, p.Line
	}
	i.findings = append(i.findings, f)
}

// has says whether a directive stands anywhere, with that first word if one is given.
func (i *inspector) has(name, word string) bool {
	for _, item := range i.items {
		if item.Is(name) && (word == "" || len(item.Words) > 0 && strings.EqualFold(item.Words[0], word)) {
			return true
		}
	}
	return false
}

// line writes a directive.
func line(name string, words ...string) string {
	quoted := make([]string, len(words))
	for n, w := range words {
		quoted[n] = apacheconf.Quote(w)
	}
	return name + " " + strings.Join(quoted, " ")
}
