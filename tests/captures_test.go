package tests

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

var updateCaptures = flag.Bool("update", false, "write the captures in docs/status.md")

// shop is an application with a fast and a slow page.
const shop = `
import time

def application(environ, start_response):
    seconds = 1000000 if environ["QUERY_STRING"] == "q=lamp" else 0.004
    time.sleep(seconds)
    start_response("200 OK", [])
    return [b"done"]
`

const reports = `
import time

def report(year):
    time.sleep(1000000)

def application(environ, start_response):
    return report(environ["QUERY_STRING"])
`

// capture is an example in the page: what a command has printed.
var capture = regexp.MustCompile("(?s)<!-- capture: wsgid ([^\n]*) -->\n```\n(.*?)```\n")

var (
	titles = regexp.MustCompile(`^[A-Z][A-Z%/ ]*$`)
	label  = regexp.MustCompile(`^ +([a-z]+(?: [a-z]+)?) {2,}`) // such as restarts, that wide spaces follow
	figure = regexp.MustCompile(`^[\d.("/]`)
)

// shape is what of a capture is the same each time: rows of titles, and what each other
// line begins with.
func shape(text string) (tables []string, words []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		first, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		switch {
		case titles.MatchString(line):
			tables = append(tables, line)
		case first == "GET": // it stands in its row or below, as the numbers of processes leave room
		case label.MatchString(line):
			words = append(words, label.FindStringSubmatch(line)[1])
		case first != "" && !figure.MatchString(first):
			words = append(words, strings.TrimRight(first, ","))
		}
	}
	slices.Sort(words)
	return tables, slices.Compact(words)
}

// alike says whether two captures have the same shape. There may be room for other
// columns, of those of all.
func alike(one, other, all string) bool {
	a, first := shape(one)
	b, second := shape(other)
	whole, _ := shape(all)
	return slices.Equal(first, second) && len(a) == len(b) && len(a) == len(whole) &&
		!slices.ContainsFunc(append(a, b...), func(row string) bool {
			return !slices.ContainsFunc(whole, func(other string) bool { return within(strings.Fields(row), strings.Fields(other)) })
		})
}

// within says whether words stand among others in the same order.
func within(words, others []string) bool {
	for _, word := range others {
		if len(words) > 0 && words[0] == word {
			words = words[1:]
		}
	}
	return len(words) == 0
}

// TestCaptures: the examples in docs/status.md are what the commands print in a terminal
// of 80 columns: with -update they are written there, else their shape is compared.
func TestCaptures(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/shop.py", shop)
	w.Write("apps/reports.py", reports)
	w.App("service.py")
	openDirectory(t, w, "state")
	stop := option("shutdown_timeout", "1s")
	w.Configure(group("shop", "#64001", 2, 3, stop) + group("reports", "#64002", 1, 2, stop) +
		group("jobs", "#64003", 1, 0, stop, `environment = { STATE = "{{.Dir}}/state" }`) + "import_script \"{{.Dir}}/apps/service.py\" {\n  process_group = \"jobs\"\n}\n" +
		mount("/report", "apps/reports.py", option("process_group", "reports")) + mount("/", "apps/shop.py", option("process_group", "shop")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	d.AwaitReady("shop", "reports", "jobs")
	for range 40 {
		wantStatus(t, "a page", apache.Get("/page"), 200)
	}
	hang(t, d, apache.Client, "reports", "/report?year=2026")
	hang(t, d, apache.Client, "shop", "/search?q=lamp")
	defer func() { // before Apache, which would wait for what hangs
		if !t.Failed() {
			d.Stop()
		}
	}()
	d.AwaitStatus("nothing else runs", func(s harness.Status) error {
		if s.Router.InFlight != 2 || s.Group("shop").Requests != 40 {
			return fmt.Errorf("%d in flight, %d requests", s.Router.InFlight, s.Group("shop").Requests)
		}
		return nil
	})

	content, err := os.ReadFile("../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	page := capture.ReplaceAllStringFunc(string(content), func(block string) string {
		match := capture.FindStringSubmatch(block)
		arguments := strings.Fields(match[1])
		if arguments[0] == "top" {
			arguments = append(arguments, "--rounds", "1")
		}
		arguments = append(arguments, "--control", w.Control)
		w.Environment = nil
		_, all, _ := w.CLI(arguments...)
		w.Environment = []string{"COLUMNS=80"}
		code, out, errs := w.CLI(arguments...)
		if code != 0 {
			t.Errorf("%s: %d %s", match[1], code, errs)
		}
		out = strings.TrimRight(out, "\n") + "\n"
		for _, line := range strings.Split(out, "\n") {
			if n := len([]rune(line)); n > 80 && arguments[0] != "stacks" {
				t.Errorf("%s: %d columns: %s", match[1], n, line)
			}
		}
		out = strings.NewReplacer(w.Path("wsgid.hcl"), "/etc/wsgid/wsgid.hcl", w.Path("apps"), "/srv", "(devel)", "1.0").Replace(out)
		seen++
		if !*updateCaptures && !alike(out, match[2], all) {
			t.Errorf("wsgid %s in docs/status.md is not what it prints; go test ./tests -run TestCaptures -update writes it\n%s", match[1], out)
		}
		return "<!-- capture: wsgid " + match[1] + " -->\n```\n" + out + "```\n"
	})
	if seen != 5 {
		t.Errorf("%d captures", seen)
	}
	if *updateCaptures {
		if err := os.WriteFile("../docs/status.md", []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
