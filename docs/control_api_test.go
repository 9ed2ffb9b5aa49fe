package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
)

var update = flag.Bool("update", false, "write control-api.schema.json")

// answers are the types of what the paths answer in JSON, by status.
var answers = map[string]map[string]any{
	"GET /v1/status":              {"200": status.Snapshot{}},
	"GET /status":                 {"200": status.Snapshot{}},
	"GET /v1/version":             {"200": status.Version{}},
	"GET /v1/config":              {"200": config.Effective{}},
	"GET /v1/stacks":              {"200": []status.Stacks{}, "404": status.Error{}},
	"POST /v1/interrupt":          {"200": status.Interrupt{}, "409": status.Error{}},
	"POST /v1/reload":             {"200": status.Reload{}},
	"POST /v1/upgrade":            {"200": status.Upgrade{}},
	"POST /v1/logs/reopen":        {"200": status.Reopened{}},
	"POST /v1/stop":               {"202": status.Version{}},
	"POST /v1/groups/restart":     {"200": status.Restart{}},
	"POST /v1/groups/scale":       {"200": status.Done{}, "409": status.Error{}},
	"POST /v1/groups/maintenance": {"200": status.Done{}, "409": status.Error{}},
	"POST /v1/groups/drain":       {"200": status.Done{}, "409": status.Error{}},
	"POST /v1/groups/stop":        {"200": status.Done{}, "409": status.Error{}},
	"POST /v1/groups/start":       {"200": status.Done{}, "409": status.Error{}},
}

// others answer with something else than these types.
var others = []string{"GET /", "GET /v1/schema", "GET /metrics", "GET /healthz", "GET /readyz"}

// schema makes the schema from the types and their comments.
func schema(t *testing.T) []byte {
	t.Helper()
	reflector := &jsonschema.Reflector{AllowAdditionalProperties: true, Anonymous: true}
	for _, directory := range []string{"../internal/status", "../internal/histogram", "../config"} {
		if err := reflector.AddGoComments("github.com/wsgid/wsgid/docs", directory, jsonschema.WithFullComment()); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range reflector.CommentMap {
		reflector.CommentMap[name] = strings.ReplaceAll(text, "\n", " ")
	}
	whole := &jsonschema.Schema{
		Version: jsonschema.Version, ID: "urn:wsgid:control-api:v1", Title: "wsgid control API",
		Description: "What the paths of the control socket answer, by status: paths. Fields are only added.",
		Definitions: jsonschema.Definitions{},
	}
	paths := map[string]map[string]*jsonschema.Schema{}
	for path, byStatus := range answers {
		paths[path] = map[string]*jsonschema.Schema{"403": {Ref: "#/$defs/Error"}}
		for code, value := range byStatus {
			s := reflector.Reflect(value)
			maps.Copy(whole.Definitions, s.Definitions)
			paths[path][code] = &jsonschema.Schema{Ref: s.Ref, Type: s.Type, Items: s.Items}
		}
	}
	whole.Extras = map[string]any{"paths": paths}
	plain, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, plain, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(text.Bytes(), '\n')
}

// TestControlSchema: the schema is that of the types.
func TestControlSchema(t *testing.T) {
	got := schema(t)
	if *update {
		if err := os.WriteFile("control-api.schema.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(ControlSchema), string(got)); diff != "" {
		t.Errorf("control-api.schema.json is not that of the types; go test ./docs -update writes it (-file +types):\n%s", diff)
	}
}

// TestControlAPI: the page describes each path that there is, and no other; the schema
// has all that answer in JSON.
func TestControlAPI(t *testing.T) {
	described := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:GET|POST) /\\S*)` \\|").FindAllStringSubmatch(read(t, "control-api.md"), -1) {
		described[row[1]] = true
	}
	there := map[string]bool{}
	for _, file := range []string{"../supervisor/control.go", "../supervisor/monitoring.go", "../supervisor/group_command.go"} {
		for _, route := range regexp.MustCompile(`"((?:GET|POST) /[^"{]*)(?:\{\$\})?"`).FindAllStringSubmatch(read(t, file), -1) {
			there[route[1]] = true
		}
		for _, action := range regexp.MustCompile(`(?m)^\tcase ("[a-z", ]+"):$`).FindAllStringSubmatch(read(t, file), -1) {
			for _, name := range strings.Split(action[1], ", ") {
				there["POST /v1/groups/"+strings.Trim(name, `"`)] = true
			}
		}
	}
	wanted := slices.Sorted(maps.Keys(there))
	if diff := cmp.Diff(wanted, slices.Sorted(maps.Keys(described))); diff != "" {
		t.Errorf("control-api.md (-supervisor +page):\n%s", diff)
	}
	if diff := cmp.Diff(wanted, slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(answers)), others...)))); diff != "" {
		t.Errorf("control-api.schema.json (-supervisor +schema):\n%s", diff)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
