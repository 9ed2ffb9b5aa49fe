package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFootprint: what a process holds for itself is part of its share of all.
func TestFootprint(t *testing.T) {
	held := bytes.Repeat([]byte("x"), 32<<20)
	pss, private, err := footprint(os.Getpid())
	if err != nil || private < 32 || pss < private || pss > 1<<10 {
		t.Errorf("pss %.1f, private %.1f, %v", pss, private, err)
	}
	if held[0] != 'x' || comm(os.Getpid()) == "" {
		t.Error("nobody")
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := footprint(gone.Process.Pid); err == nil {
		t.Error("a process that has ended holds something")
	}
}

func TestMemoryTable(t *testing.T) {
	var out bytes.Buffer
	writeMemory(&out, map[string]memory{"a": {processes: 3, pss: 20.04, worker: 7.25, manager: 9}, "b": {processes: 1, pss: 1, manager: 1}},
		[]peer{{name: "a", title: "A"}, {name: "b", title: "B"}, {name: "not run", title: "C"}})
	for _, want := range []string{"\n| A | 7.2 | 9.0 | 3 | 20.0 |\n", "\n| B | – | 1.0 | 1 | 1.0 |\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nwant %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "C") {
		t.Errorf("%s", out.String())
	}
}
