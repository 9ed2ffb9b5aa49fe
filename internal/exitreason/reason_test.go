package exitreason

import (
	"os"
	"strings"
	"testing"
)

func TestEveryReasonIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	for r := Crash; int(r) < len(names); r++ {
		if !strings.Contains(string(page), "\n| `"+r.String()+"` |") {
			t.Errorf("docs/status.md does not explain %s", r)
		}
	}
}

func TestEveryReasonHasItsOwnName(t *testing.T) {
	seen := map[string]Reason{}
	for r := Crash; int(r) < len(names); r++ {
		name := r.String()
		if name == "" || name == "unknown" {
			t.Errorf("reason %d has no name", r)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("reasons %d and %d are both %q", r, other, name)
		}
		seen[name] = r
	}
	if None.String() != "" {
		t.Errorf("None is %q", None.String())
	}
	if got := Reason(1 << 20).String(); got != "unknown" {
		t.Errorf("a number from a worker that is no reason is %q", got)
	}
}
