package tests

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// controlAPI asks the control socket and compares answers with the schema.
type controlAPI struct {
	t        *testing.T
	client   *http.Client
	compiler *jsonschema.Compiler
	id       string
	left     map[string]bool // paths that have not been asked yet
}

// newControlAPI has the schema from the socket, in which no field may be that it lacks.
func newControlAPI(t *testing.T, w *harness.World) *controlAPI {
	t.Helper()
	api := &controlAPI{t: t, left: map[string]bool{}, compiler: jsonschema.NewCompiler(), client: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", w.Control)
		}}, Timeout: harness.Patience,
	}}
	_, text := api.ask("GET", "/v1/schema")
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	whole := document.(map[string]any)
	for path := range whole["paths"].(map[string]any) {
		api.left[path] = true
	}
	for _, definition := range whole["$defs"].(map[string]any) {
		definition.(map[string]any)["additionalProperties"] = false
	}
	api.id = whole["$id"].(string)
	api.compiler.AssertFormat()
	if err := api.compiler.AddResource(api.id, document); err != nil {
		t.Fatal(err)
	}
	return api
}

func (api *controlAPI) ask(method, path string) (int, string) {
	api.t.Helper()
	request, err := http.NewRequestWithContext(api.t.Context(), method, "http://wsgid"+path, nil)
	if err != nil {
		api.t.Fatal(err)
	}
	response, err := api.client.Do(request)
	if err != nil {
		api.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		api.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// want asks, and wants an answer with this status as the schema has it.
func (api *controlAPI) want(code int, method, path string) string {
	api.t.Helper()
	got, text := api.ask(method, path)
	if got != code {
		api.t.Errorf("%s %s: %d, want %d: %s", method, path, got, code, text)
		return text
	}
	plain, _, _ := strings.Cut(path, "?")
	name := method + " " + plain
	delete(api.left, name)
	pointer := "#/paths/" + url.PathEscape(strings.ReplaceAll(name, "/", "~1")) + "/" + fmt.Sprint(code)
	schema, err := api.compiler.Compile(api.id + pointer)
	if err != nil {
		api.t.Fatalf("%s: %v", pointer, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		api.t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		api.t.Errorf("%s: %v\n%s", name, err, text)
	}
	return text
}

// TestControlAPI: every path answers as docs/control-api.schema.json says, with all that
// can be there, and no field that it lacks.
func TestControlAPI(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.App("raise_import.py")
	w.Write("apps/stuck.py", stuck)
	w.Write("dispatch.py", "def process_group(environ):\n    return None\n")
	configuration := "monitor {\n  listen = \"" + freeAddress(t) + "\"\n}\ndispatch {\n  isolation = \"process\"\n}\n" +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		group("web", "#64001", 1, 1, option("shutdown_timeout", "1s"), option("graceful_timeout", "1s")) + group("other", "#64002", 1, 1) +
		mount("/embedded", "apps/hello.py", option("process_group", "%{GLOBAL}")) + mount("/web", "apps/stuck.py", option("process_group", "web")) +
		mount("/other", "apps/raise_import.py", option("process_group", "other"))
	w.Configure(configuration)
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	api := newControlAPI(t, w)
	wantStatus(t, "an embedded application", apache.Get("/embedded"), 200)
	wantError(t, apache.Get("/other"), 500, "WSGID-1103")
	hangs := hang(t, d, apache.Client, "web", "/web/naps")

	var s status.Snapshot
	text := api.want(200, "GET", "/v1/status")
	fromJSON(t, text, &s)
	for _, field := range []string{"running", "load_errors", "embedded", "dispatch_helper", "monitor", "scripts"} {
		if !strings.Contains(text, `"`+field+`": `) {
			t.Errorf("no %s in %s", field, text)
		}
	}
	api.want(200, "GET", "/status")
	api.want(200, "GET", "/v1/version")
	api.want(200, "GET", "/v1/config")
	api.want(200, "GET", "/v1/stacks?of=web")
	api.want(404, "GET", "/v1/stacks?of=nothing")
	api.want(409, "POST", "/v1/interrupt?request=nothing")
	api.want(200, "POST", "/v1/interrupt?request="+url.QueryEscape(s.Groups[0].Processes[0].Running[0].ID))
	wantError(t, <-hangs, 504, "WSGID-1120")
	api.want(200, "POST", "/v1/groups/restart?group=web")
	api.want(200, "POST", "/v1/groups/restart?group=nothing")
	api.want(200, "POST", "/v1/groups/scale?group=web&processes=2")
	api.want(409, "POST", "/v1/groups/scale?group=web&processes=x")
	for _, on := range []string{"1", "0"} {
		api.want(200, "POST", "/v1/groups/maintenance?group=web&retry_after=30s&on="+on)
	}
	for _, action := range []string{"drain", "start", "stop", "start"} {
		api.want(200, "POST", "/v1/groups/"+action+"?group=web")
		api.want(409, "POST", "/v1/groups/"+action+"?group=nothing")
	}
	if text := api.want(200, "GET", "/v1/status"); !strings.Contains(text, `"last_exit": `) {
		t.Errorf("no exit: %s", text)
	}
	hang(t, d, apache.Client, "web", "/web/sleeps") // its generation drains
	api.want(200, "POST", "/v1/reload")
	if text := api.want(200, "GET", "/v1/status"); !strings.Contains(text, `"last_reload": `) {
		t.Errorf("no reload: %s", text)
	}
	w.Configure("nonsense\n" + configuration)
	for _, path := range []string{"/v1/reload", "/v1/upgrade"} {
		var refused status.Error
		if fromJSON(t, api.want(200, "POST", path), &refused); !strings.Contains(refused.Error, "nonsense") {
			t.Errorf("%s: %q", path, refused.Error)
		}
	}
	api.want(200, "POST", "/v1/logs/reopen")
	d.NoteSessions()
	api.want(202, "POST", "/v1/stop")
	for path := range api.left {
		t.Errorf("%s has not been asked", path)
	}
	d.AwaitExit()
	d.AssertGone()
}
