package pyshim_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/wsgid/wsgid/internal/errcode"
)

// TestErrcodes holds errcode.h and internal/errcode together.
func TestErrcodes(t *testing.T) {
	text, err := os.ReadFile("errcode.h")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile(`X\(\w+, (\d+), (\d+), "([^"]+)"\)`).FindAllStringSubmatch(string(text), -1) {
		rows[fmt.Sprint(m[1], m[2], m[3])] = true
	}
	workers := 0
	for _, e := range errcode.All() {
		if e.Code < 1100 || e.Code >= 1200 {
			continue
		}
		workers++
		if !rows[fmt.Sprint(fmt.Sprint(int(e.Code)), fmt.Sprint(e.Status), e.Title)] {
			t.Errorf("errcode.h lacks %v", e)
		}
	}
	if workers != len(rows) {
		t.Errorf("%d codes in errcode.h, %d in internal/errcode", len(rows), workers)
	}
}
