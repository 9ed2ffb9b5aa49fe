package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/status"
)

// TestDashboard: the dashboard is JSON, its panels do not lie over each other, and it
// asks for metrics and labels that there are.
func TestDashboard(t *testing.T) {
	content, err := os.ReadFile("../../examples/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int    `json:"id"`
			Title   string `json:"title"`
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	restarts := map[string]uint64{"crash": 1}
	var out strings.Builder
	if err := Write(&out, &status.Snapshot{
		LastReload: &status.Reload{}, Router: status.Router{Answered: true, Restarts: restarts, Scripts: []status.Script{{}}},
		DispatchHelper: &status.DispatchHelper{Restarts: restarts}, Groups: []status.Group{{Restarts: restarts, Cgroup: &status.Cgroup{}}},
	}); err != nil {
		t.Fatal(err)
	}
	known := map[string]string{} // labels by name
	for _, sample := range regexp.MustCompile(`(?m)^(wsgid_[a-z_]+)(\{.*\})? `).FindAllStringSubmatch(out.String(), -1) {
		known[sample[1]] += sample[2]
	}
	var asked []string
	taken := map[[2]int]string{}
	for _, p := range dashboard.Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if len(p.Targets) == 0 {
			t.Errorf("%q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			asked = append(asked, target.Expr)
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				for _, name := range regexp.MustCompile(`wsgid_[a-z_]+`).FindAllString(target.Expr, -1) {
					if !strings.Contains(known[name], label[1]+`="`) {
						t.Errorf("%q: %s has no label %s: %s", p.Title, name, label[1], known[name])
					}
				}
			}
		}
	}
	for _, v := range dashboard.Templating.List {
		asked = append(asked, v.Definition)
	}
	for _, expression := range asked {
		for _, name := range regexp.MustCompile(`wsgid_[a-z_]+`).FindAllString(expression, -1) {
			if _, ok := known[name]; !ok {
				t.Errorf("%s: there is no metric %s", expression, name)
			}
		}
	}
}
