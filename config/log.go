package config

import "github.com/hashicorp/hcl/v2/hclsyntax"

// LogRaw is the log_format of a group whose lines are written as they are.
const LogRaw = "raw"

// logOptions are those of log { … }.
func (d *decoder) logOptions(l *Log) options {
	return options{
		"format":      d.str(&l.Format),
		"level":       d.str(&l.Level),
		"destination": d.str(&l.Destination),
		"error_log":   d.str(&l.ErrorLog),
	}
}

func (d *decoder) decodeLog(block *hclsyntax.Block) {
	if d.once(block, 0) {
		l := &d.config.Log
		l.Range = d.decodeBody("log", block, d.logOptions(l))
	}
}
