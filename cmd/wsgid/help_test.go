package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestHelpListsExitCodes: the help of every verb lists every exit code, and
// the help of a verb that works on a configuration or on a running wsgid says
// how either is named.
func TestHelpListsExitCodes(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^  (\d+)  \S`)
	flags := map[string][]string{
		"run": {"--config FILE"}, "check": {"--config FILE"}, "routes": {"--config FILE"}, "config": {"--config FILE", "--control SOCKET"}, "status": {"--config FILE", "--control SOCKET"}, "stop": {"--config FILE", "--control SOCKET"},
		"serve": nil, "version": nil,
	}
	seen := 0
	for _, cmd := range newRoot().Commands() {
		want, known := flags[cmd.Name()]
		if !known {
			continue // cobra's own
		}
		seen++
		out, errors, code := runVerb(cmd.Name(), "--help")
		if code != exitOK || errors != "" {
			t.Errorf("%s --help: %d %s", cmd.Name(), code, errors)
		}
		_, codes, _ := strings.Cut(out, "Exit codes:\n")
		var got []string
		for _, match := range listed.FindAllStringSubmatch(codes, -1) {
			got = append(got, match[1])
		}
		all := ""
		for code := exitOK; code <= exitTimeout; code++ {
			all += strconv.Itoa(code)
		}
		if strings.Join(got, "") != all {
			t.Errorf("%s --help lists the exit codes %v, there are %s", cmd.Name(), got, all)
		}
		for _, flag := range want {
			if !strings.Contains(out, flag) {
				t.Errorf("%s --help does not tell of %s:\n%s", cmd.Name(), flag, out)
			}
		}
	}
	if seen != len(flags) {
		t.Errorf("%d of %d verbs are there", seen, len(flags))
	}
}
