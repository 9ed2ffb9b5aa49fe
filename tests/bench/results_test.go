package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/config"
)

func TestRatioIsTheMedianOfTheQuotients(t *testing.T) {
	w := workload{name: "w"}
	r := results{}
	for i, v := range [][2]float64{{10, 5}, {30, 10}, {100, 100}} {
		r.add(w, peer{name: "a"}, sample{rate: v[0], errors: i})
		r.add(w, peer{name: "b"}, sample{rate: v[1]})
	}
	if got, ok := r.ratio("w", "a", "b", rate); !ok || got != 2 {
		t.Errorf("ratio %v, %v; want 2", got, ok)
	}
	if got, ok := r.median("w", "a", rate); !ok || got != 30 {
		t.Errorf("median %v, %v; want 30", got, ok)
	}
	if _, ok := r.ratio("w", "a", "none", rate); ok {
		t.Error("a ratio to a server that did not run")
	}
	if n, _ := r.errors("w", "a"); n != 3 {
		t.Errorf("%d errors, want 3", n)
	}
}

func TestCPUClockCountsThisProcess(t *testing.T) {
	pids, err := tree(os.Getpid())
	if err != nil || !slices.Contains(pids, os.Getpid()) {
		t.Fatalf("tree %v, %v", pids, err)
	}
	before, err := sampleCPU([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		after, err := sampleCPU([]int{os.Getpid()})
		if err != nil {
			t.Fatal(err)
		}
		if after.since(before) > time.Millisecond {
			break
		}
	}
}

func TestEveryServerHasAConfiguration(t *testing.T) {
	s, err := newSite("")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(s.dir)
	for _, p := range peers() {
		if !strings.Contains(p.conf, "/"+p.name) {
			t.Errorf("%s: its prefix is not in %s", p.name, p.conf)
		}
		if strings.HasPrefix(p.backend, "wsgid") {
			conf := wsgidConf(s, p.backend)
			if !strings.Contains(conf, `script_alias "/`+p.name+`"`) || strings.Contains(conf, "${") {
				t.Errorf("%s: configuration %s", p.name, conf)
			}
			if _, problems := config.LoadBytes(p.backend, []byte(conf)); problems.HasErrors() {
				t.Errorf("%s: %s\n%s", p.name, problems, conf)
			}
		}
	}
	if _, err := choose(peers(), "floor,nobody", func(p peer) string { return p.name }); err == nil {
		t.Error("an unknown server was accepted")
	}
}
