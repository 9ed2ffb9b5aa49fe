package config

import (
	"errors"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/wsgid/wsgid/internal/accesslog"
)

// AccessLog is an access_log block: a line for each request.
type AccessLog struct {
	// Path is absolute, or "stdout" or "stderr".
	Path string
	// Format is the name of one, or text with Apache's directives; default combined.
	Format string
	// SuppressPaths are URL paths whose requests get no line while they do well.
	SuppressPaths []string
	Range         hcl.Range `json:"-"`
}

// defaultAccessLog: what log analysers expect.
func defaultAccessLog() AccessLog { return AccessLog{Format: "combined"} }

// accessLogOptions are those of access_log { … }.
func (d *decoder) accessLogOptions(l *AccessLog) options {
	return options{
		"path":           d.str(&l.Path),
		"format":         d.str(&l.Format),
		"suppress_paths": d.list(&l.SuppressPaths),
	}
}

func (d *decoder) decodeAccessLog(block *hclsyntax.Block, to *[]AccessLog) {
	if len(block.Labels) > 0 {
		d.add(block.DefRange(), "Wrong block header", "An access_log block has no label: write access_log { path = \"…\" }.")
	}
	l := defaultAccessLog()
	l.Range = d.decodeBody("access_log", block, d.accessLogOptions(&l))
	d.need(l.Range, "access_log", "path", "/var/log/wsgid/access.log")
	*to = append(*to, l)
}

// accessLogModels are the blocks as they hold.
func accessLogModels(d *decoder, logs []AccessLog) []modelBlock {
	var all []modelBlock
	for i := range logs {
		all = append(all, modelBlock{accessLog, "", logs[i].Range, d.accessLogOptions(&logs[i]), nil})
	}
	return all
}

// accessLog is the name of the block.
const accessLog = "access_log"

// accessLogs validates the access_log blocks of one host, or the global ones.
func (v *validator) accessLogs(logs []AccessLog) {
	first := map[string]*AccessLog{}
	for i := range logs {
		l := &logs[i]
		if v.given(l.Range, "path") && l.Path != "stdout" && l.Path != "stderr" {
			v.absolute(l.Range, "path", l.Path)
		}
		if other := first[l.Path]; other != nil && l.Path != "" {
			v.add(v.place(l.Range, "path"), "Duplicate access log", "Each request has a line in %s already, by the block at %s:%d: take one of them out, or give both different files.",
				l.Path, other.Range.Filename, other.Range.Start.Line)
		} else {
			first[l.Path] = l
		}
		v.accessFormat(l)
		for _, path := range l.SuppressPaths {
			if !strings.HasPrefix(path, "/") || strings.Contains(path, "?") {
				v.add(v.place(l.Range, "suppress_paths"), "Wrong path", "suppress_paths are paths of URLs as the client asks for them, without a query, such as \"/ping\"; %q is none.", path)
			}
		}
	}
}

// accessFormat validates the format.
func (v *validator) accessFormat(l *AccessLog) {
	_, err := accesslog.Parse(l.Format)
	var wrong *accesslog.Error
	if errors.As(err, &wrong) {
		ending := "."
		if wrong.Word != "" {
			ending = didYouMean(wrong.Word, wrong.Known)
		}
		v.add(v.place(l.Range, "format"), "Wrong format", "Option \"format\": %s: %s%s", wrong.Directive, wrong.Why, ending)
	}
}
