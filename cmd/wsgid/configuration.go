package main

import (
	"fmt"
	"io"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/config"
)

// readConfiguration reads a file and shows all diagnostics, warnings too.
func readConfiguration(file string, stderr io.Writer) (*config.Config, error) {
	result, err := readResult(file, stderr)
	return result.Config, err
}

// readResult is readConfiguration with the places of what was read.
func readResult(file string, stderr io.Writer) (config.Result, error) {
	result := config.Read(file, config.CurrentIdentity())
	if err := showDiagnostics(result, stderr); err != nil {
		return config.Result{}, err
	}
	if result.Config == nil {
		return config.Result{}, failf("%s: %s; nothing was started", file, count(errorsIn(result.Diagnostics), "error"))
	}
	return result, nil
}

// showDiagnostics writes them for people, with file, line and snippet.
func showDiagnostics(result config.Result, stderr io.Writer) error {
	if err := config.WriteDiagnostics(stderr, result, 0); err != nil {
		return failf("%w", err)
	}
	return nil
}

// errorsIn counts the errors among diagnostics; the rest are warnings.
func errorsIn(diags hcl.Diagnostics) int {
	n := 0
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			n++
		}
	}
	return n
}

// count writes a number with its noun: "1 error", "2 errors", "3 processes".
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun[len(noun)-1] == 's':
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
