package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// built is made once for all tests.
var built *harness.Binary

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if built, err = harness.Build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer built.Remove()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// newWorld makes a world for a test that runs beside others.
func newWorld(t *testing.T) *harness.World {
	t.Helper()
	t.Parallel()
	return harness.New(t, built)
}

// account is who a group runs as.
type account struct {
	name string // as in the configuration: a name or #uid
	uid  int
}

// accounts stand for those of the example. They are numbers without a passwd
// entry, so that nothing depends on the accounts of the machine.
func accounts() map[string]account {
	found := map[string]account{}
	for number, group := range []string{"admin", "api", "web"} {
		uid := 64001 + number
		found[group] = account{"#" + strconv.Itoa(uid), uid}
	}
	return found
}

// routerUID is the user that the router runs as by default.
func routerUID(t *testing.T) int {
	t.Helper()
	for _, name := range []string{"www-data", "nobody"} {
		if known, err := user.Lookup(name); err == nil {
			id, err := strconv.Atoi(known.Uid)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
	}
	t.Fatal("neither www-data nor nobody exists")
	return -1
}

// view is the answer of apps/environ.py.
type view struct {
	Entry      string
	Environ    map[string]any
	PID, PPID  int
	UID, EUID  int
	GID        int
	Groups     []int
	Session    int
	CWD        string
	Umask      string
	NoNewPrivs string `json:"no_new_privileges"`
	Hits       int
	Module     string
	Python     string
	Prefix     string
	Executable string
	Path       []string
	Process    map[string]string `json:"process_environ"`
}

// env is a text value of the environ; "<absent>" when it is not there.
func (v view) env(name string) string {
	value, ok := v.Environ[name]
	if !ok {
		return "<absent>"
	}
	return fmt.Sprint(value)
}

// look decodes what apps/environ.py answered, which must be a 200.
func look(t testing.TB, response *harness.Response) view {
	t.Helper()
	if response.Status != 200 {
		t.Fatalf("status %d: %.1000s", response.Status, response.Body)
	}
	var v view
	response.JSON(t, &v)
	return v
}

// wantError asserts a refusal: its status, and its code in header or body.
func wantError(t testing.TB, response *harness.Response, status int, code string) {
	t.Helper()
	if response.Status != status {
		t.Fatalf("status %d, want %d: %.1000s", response.Status, status, response.Body)
	}
	if !strings.Contains(response.Text(), code) {
		t.Fatalf("the body does not name %s: %.1000s", code, response.Body)
	}
}

// rounds is how often a loop runs: fewer times with -short.
func rounds(short, full int) int {
	if testing.Short() {
		return short
	}
	return full
}

// group writes a daemon_process block. options are further lines.
func group(name, user string, processes, threads int, options ...string) string {
	return fmt.Sprintf("daemon_process %q {\n  processes = %d\n  threads = %d\n  user = %q\n  %s\n}\n",
		name, processes, threads, user, strings.Join(options, "\n  "))
}

// mount writes a script_alias block for a target below the world's directory.
func mount(prefix, target string, options ...string) string {
	return fmt.Sprintf("script_alias %q {\n  target = \"{{.Dir}}/%s\"\n  %s\n}\n", prefix, target, strings.Join(options, "\n  "))
}

// option writes name = "value".
func option(name, value string) string { return fmt.Sprintf("%s = %q", name, value) }

// fromJSON decodes text that must be JSON.
func fromJSON(t testing.TB, text string, value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), value); err != nil {
		t.Fatalf("no JSON: %v\n%.2000s", err, text)
	}
}

// environmentOf writes the environment option.
func environmentOf(pairs ...string) string {
	var list []string
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		list = append(list, fmt.Sprintf("%s = %q", name, value))
	}
	return "environment = { " + strings.Join(list, ", ") + " }"
}

// wantStatus reports a response whose status or text is another.
func wantStatus(t *testing.T, what string, response *harness.Response, status int, texts ...string) {
	t.Helper()
	if response.Status != status {
		t.Errorf("%s: status %d, want %d: %.2000s", what, response.Status, status, response.Body)
	}
	for _, text := range texts {
		if !strings.Contains(response.Text(), text) {
			t.Errorf("%s: no %q in %.2000s", what, text, response.Body)
		}
	}
}
