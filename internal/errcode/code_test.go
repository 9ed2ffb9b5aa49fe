package errcode

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, e := range All() {
		row := fmt.Sprintf("| %s | %d |", e.Code, e.Status)
		if strings.Count(text, row) != 1 {
			t.Errorf("docs/errors.md has not exactly one row %q", row)
		}
	}
	if got, want := strings.Count(text, "\n| WSGID-"), len(All()); got != want {
		t.Errorf("docs/errors.md has %d rows, the code %d", got, want)
	}
	last := 0
	for _, e := range All() {
		if at := strings.Index(text, "\n| "+e.Code.String()+" |"); at < last {
			t.Errorf("docs/errors.md: the row of %s is not in order", e.Code)
		} else {
			last = at
		}
	}
}

func TestUniqueAndOrdered(t *testing.T) {
	var last Code
	for _, e := range All() {
		if e.Code <= last {
			t.Errorf("%s is not in order", e.Code)
		}
		if e.Status < 400 || e.Status > 599 || e.Title == "" {
			t.Errorf("%s: status %d, title %q", e.Code, e.Status, e.Title)
		}
		last = e.Code
	}
}
