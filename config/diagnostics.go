package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// WriteDiagnostics writes all diagnostics of a result for people: file, line,
// snippet and what to do. width is that of the terminal, 0: do not wrap.
func WriteDiagnostics(w io.Writer, result Result, width uint) error {
	if err := hcl.NewDiagnosticTextWriter(w, result.Files, width, false).WriteDiagnostics(result.Diagnostics); err != nil {
		return fmt.Errorf("writing diagnostics: %w", err)
	}
	return nil
}

// problem makes an error at a place.
func problem(at hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at}
}

// unreadable is the error for a file that cannot be read; at is the include
// that named it, nil for the main file.
func unreadable(file string, err error, at *hcl.Range) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Configuration file cannot be read",
		Detail:   fmt.Sprintf("%s: %v.", file, cause(err)),
		Subject:  at,
	}
}

// sortDiagnostics puts them in the order of the files and their lines; what is
// about no place comes last.
func sortDiagnostics(diags hcl.Diagnostics, files []string) {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return cmp.Compare(placeless(a), placeless(b))
		}
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.Subject.Filename), slices.Index(files, b.Subject.Filename)),
			cmp.Compare(a.Subject.Start.Line, b.Subject.Start.Line),
		)
	})
}

// placeless is 1 for a diagnostic about no place.
func placeless(d *hcl.Diagnostic) int {
	if d.Subject == nil {
		return 1
	}
	return 0
}
