package main

import (
	"os/exec"
	"sort"
	"strings"
	"testing"
)

// allowedModules is the dependency budget: every module whose code is in the
// binary, with the reason. A new one fails the test until it is added here.
var allowedModules = map[string]string{
	"github.com/wsgid/wsgid":                   "ours",
	"github.com/spf13/cobra":                   "command line",
	"github.com/spf13/pflag":                   "of cobra",
	"github.com/hashicorp/hcl/v2":              "configuration",
	"github.com/zclconf/go-cty":                "values of hcl",
	"github.com/agext/levenshtein":             "of hcl",
	"github.com/apparentlymart/go-textseg/v15": "of hcl",
	"github.com/mitchellh/go-wordwrap":         "of hcl",
	"github.com/google/go-cmp":                 "of hcl",
	"golang.org/x/text":                        "of go-cty",
	"github.com/hashicorp/go-hclog":            "logging",
	"github.com/fatih/color":                   "of go-hclog",
	"github.com/mattn/go-colorable":            "of go-hclog",
	"github.com/mattn/go-isatty":               "of go-hclog",
	"github.com/shirou/gopsutil/v3":            "CPU and memory of processes",
	"github.com/tklauser/go-sysconf":           "of gopsutil",
	"github.com/tklauser/numcpus":              "of gopsutil",
	"github.com/coreos/go-systemd/v22":         "sd_notify",
	"github.com/kardianos/service":             "the service of the machine",
	"github.com/dlclark/regexp2/v2":            "expressions that RE2 has not",
	"google.golang.org/protobuf":               "spans: its package protowire alone",
	"golang.org/x/sys":                         "system calls that syscall lacks",
}

func TestDependencyBudget(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	used := map[string]bool{}
	for path := range strings.FieldsSeq(string(out)) {
		used[path] = true
	}
	var unknown []string
	for path := range used {
		if _, ok := allowedModules[path]; !ok {
			unknown = append(unknown, path)
		}
	}
	sort.Strings(unknown)
	if len(unknown) > 0 {
		t.Errorf("modules that are not in the budget: %s", strings.Join(unknown, ", "))
	}
	for path := range allowedModules {
		if !used[path] {
			t.Errorf("%s is in the budget and no longer used", path)
		}
	}
}
