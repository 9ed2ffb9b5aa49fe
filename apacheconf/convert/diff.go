package convert

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/pmezard/go-difflib/difflib"
)

// WriteDiff shows what a conversion changes, and the configuration of wsgid that
// is to be written to hcl.
func WriteDiff(w io.Writer, r *Result, hcl string) error {
	for _, f := range slices.Concat(r.Files, r.Access) {
		if bytes.Equal(f.Before, f.After) {
			continue
		}
		err := difflib.WriteUnifiedDiff(w, difflib.UnifiedDiff{
			A: difflib.SplitLines(string(f.Before)), B: difflib.SplitLines(string(f.After)),
			FromFile: f.Name, ToFile: f.Path, Context: 3,
		})
		if err != nil {
			return fmt.Errorf("showing what changes: %w", err)
		}
	}
	err := difflib.WriteUnifiedDiff(w, difflib.UnifiedDiff{
		B: difflib.SplitLines(string(r.HCL)), FromFile: "/dev/null", ToFile: hcl, Context: 3,
	})
	if err != nil {
		return fmt.Errorf("showing what changes: %w", err)
	}
	return nil
}
