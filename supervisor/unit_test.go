package supervisor

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/wire"
)

func TestStateMachine(t *testing.T) {
	legal := map[[2]state]bool{
		{stateStarting, stateReady}: true, {stateStarting, stateStopping}: true, {stateStarting, stateGone}: true,
		{stateReady, stateDraining}: true, {stateReady, stateStopping}: true, {stateReady, stateGone}: true,
		{stateDraining, stateStopping}: true, {stateDraining, stateGone}: true, {stateStopping, stateGone}: true,
	}
	for from := range stateCount {
		for to := range stateCount {
			m := newMachine()
			m.current = from
			err := m.to(to)
			if legal[[2]state{from, to}] != (err == nil) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			if err != nil && m.get() != from {
				t.Errorf("a refused transition from %s led to %s", from, m.get())
			}
			if m.was(to) != (err == nil || to == stateStarting) {
				t.Errorf("from %s: %s was entered: %v", from, to, m.was(to))
			}
		}
	}
}

func TestBackoff(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var b backoff
	b.failed(now, now, true)
	if d := b.delay(now); d != 0 {
		t.Errorf("the first death of a ready process costs %s", d)
	}
	within := func(streak int, want time.Duration) {
		t.Helper()
		if d := b.delay(now); d > want || d < want*3/4 {
			t.Errorf("failure %d: delay %s, want about %s", streak, d, want)
		}
	}
	for i, want := range []time.Duration{200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
		now = now.Add(time.Minute)
		started := now
		now = now.Add(time.Second)
		b.failed(started, now, false)
		within(i+2, want*time.Millisecond)
		b.failed(started, now.Add(time.Millisecond), false) // the same round
		within(i+2, want*time.Millisecond)
	}
	started := now.Add(time.Minute)
	now = started.Add(goodLife)
	b.failed(started, now, true)
	if d := b.delay(now); d != 0 {
		t.Errorf("after a good life: %s", d)
	}
}

func TestExitReason(t *testing.T) {
	run := func(script string) *os.ProcessState {
		command := exec.Command("/bin/sh", "-c", script)
		_ = command.Run()
		return command.ProcessState
	}
	ok, bad, killed, segv, term := run("exit 0"), run("exit 3"), run("kill -9 $$"), run("kill -11 $$"), run("kill -15 $$")
	tests := []struct {
		name  string
		facts exitFacts
		want  exitreason.Reason
	}{
		{"no wait", exitFacts{}, exitreason.Crash},
		{"exit 0", exitFacts{state: ok}, exitreason.Exited},
		{"claims a reload", exitFacts{state: ok, claimed: exitreason.ScriptReload}, exitreason.ScriptReload},
		{"claims OOM", exitFacts{state: ok, claimed: exitreason.OutOfMemory}, exitreason.Exited},
		{"claims nonsense", exitFacts{state: ok, claimed: 77}, exitreason.Exited},
		{"claim with a bad status", exitFacts{state: bad, claimed: exitreason.ScriptReload}, exitreason.Crash},
		{"said so", exitFacts{state: bad, failed: true}, exitreason.StartFailed},
		{"stopped", exitFacts{state: ok, intent: exitreason.ShutdownSignal}, exitreason.ShutdownSignal},
		{"stopped by default action", exitFacts{state: term, intent: exitreason.ShutdownSignal}, exitreason.ShutdownSignal},
		{"terminated by somebody", exitFacts{state: term}, exitreason.ShutdownSignal},
		{"crashed while stopping", exitFacts{state: segv, intent: exitreason.ShutdownSignal}, exitreason.Crash},
		{"killed", exitFacts{state: killed}, exitreason.Crash},
		{"killed by the kernel", exitFacts{state: killed, oom: true}, exitreason.OutOfMemory},
		{"killed by us while the kernel kills others", exitFacts{state: killed, killed: true, oom: true}, exitreason.Crash},
		{"crashed while the kernel kills others", exitFacts{state: segv, oom: true}, exitreason.Crash},
		{"killed by us", exitFacts{state: killed, intent: exitreason.ShutdownTimeout, oom: true}, exitreason.ShutdownTimeout},
		{"killed by the kernel for its processor time", exitFacts{state: killed, intent: exitreason.CPUTimeLimit}, exitreason.CPUTimeLimit},
		{"stopped for too long", exitFacts{state: killed, killed: true, stopped: true, oom: true}, exitreason.Unresponsive},
		{"stopped for too long, and crashed", exitFacts{state: segv, stopped: true}, exitreason.Crash},
		{"too slow", exitFacts{state: killed, intent: exitreason.StartupTimeout}, exitreason.StartupTimeout},
	}
	for _, test := range tests {
		if got := exitReason(test.facts); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestLinesAreJoined(t *testing.T) {
	long := strings.Repeat("x", maxEvent-10)
	tests := []struct {
		name, in string
		want     []string
	}{
		{"lines", "a\nb\r\n\nc", []string{"a", "b", "c"}},
		{"traceback", "x\nTraceback (most recent call last):\n  File \"a\", line 1\n    f()\nValueError: no\ny\n",
			[]string{"x", "T:Traceback (most recent call last):\n  File \"a\", line 1\n    f()\nValueError: no", "y"}},
		{"chained", "Traceback (most recent call last):\n  a\nE: 1\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  b\nF: 2\n",
			[]string{"T:Traceback (most recent call last):\n  a\nE: 1\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  b\nF: 2"}},
		{"two in a row", "Traceback (most recent call last):\n  a\nE: 1\nTraceback (most recent call last):\n  b\nF: 2\n",
			[]string{"T:Traceback (most recent call last):\n  a\nE: 1", "T:Traceback (most recent call last):\n  b\nF: 2"}},
		{"thread", "Exception in thread T:\nTraceback (most recent call last):\n  a\nE: 1\n",
			[]string{"T:Exception in thread T:\nTraceback (most recent call last):\n  a\nE: 1"}},
		{"fatal", "Fatal Python error: x\n\nThread 1:\n  File\n", []string{"T:Fatal Python error: x\n\nThread 1:\n  File"}},
		{"long line whole", long + "\nz", []string{long, "z"}},
		{"too long", long + long + "\nz\n", []string{clipped((long + long)[:maxEvent], maxEvent-20), "z"}},
		{"too long a traceback", "Traceback (most recent call last):\n " + long + "\n x\nE: y\nz\n",
			[]string{"T:" + clipped(("Traceback (most recent call last):\n " + long)[:maxEvent], 36-10+3+5), "z"}},
	}
	for _, test := range tests {
		for _, size := range []int{1, 7, 4096, 1 << 20} {
			if size < 100 && len(test.in) > 10000 {
				continue
			}
			var got []string
			j := &lineJoiner{emit: func(text string, traceback bool) {
				if traceback {
					text = "T:" + text
				}
				got = append(got, text)
			}}
			for data := []byte(test.in); len(data) > 0; {
				n := min(size, len(data))
				j.write(data[:n])
				data = data[n:]
			}
			j.flushAll()
			if !slices.Equal(test.want, got) {
				t.Errorf("%s in pieces of %d: %d events, %.200q", test.name, size, len(got), got)
			}
		}
	}
}

func TestTextLogCannotBeForged(t *testing.T) {
	var out bytes.Buffer
	sink := &logSink{log: hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true})}
	sink.logRecord(parseRecord("level\x00error\x00source\x00wsgi.errors\x00request\x00a\nb\x00message\x00one\n[ERROR] two\x1b[1m\n"))
	if got, want := out.String(), "[ERROR] one\n  | [ERROR] two\\x1b[1m: source=wsgi.errors request=\"a\\nb\"\n"; got != want {
		// hclog may quote the escaped text its own way; it must stay on one line.
		if strings.Count(got, "\n") != 2 || strings.Contains(got, "\x1b") {
			t.Errorf("got %q", got)
		}
	}
}

func TestRouterLines(t *testing.T) {
	var out bytes.Buffer
	sink := &logSink{log: hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true, Level: hclog.Trace})}
	sink.logRouterLine(`{"@level":"debug","@message":"hi","@timestamp":"x","n":18446744073709551615,"b":true,"list":[1]}`, false)
	sink.logRouterLine(`{"no":"message"}`, false)
	sink.logRouterLine(`{broken`, false)
	sink.logRouterLine("panic: x\n\ngoroutine 1", true)
	want := "[DEBUG] hi: b=true list=[1] n=18446744073709551615\n" +
		"[INFO]  {\"no\":\"message\"}: source=stdio\n[INFO]  {broken: source=stdio\n" +
		"[ERROR] panic: x\n  | \n  | goroutine 1: source=stdio\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestScriptTable(t *testing.T) {
	cfg := &config.Config{ScriptAliases: []config.ScriptAlias{
		{Target: "/a.wsgi", ProcessGroup: "a", ApplicationGroup: global, CallableObject: "app", Preload: true},
		{Target: "/b", Directory: true, ProcessGroup: "b", ApplicationGroup: "x"},
		{Target: "/e.wsgi", ProcessGroup: global, ApplicationGroup: global},
		{Target: "/any.wsgi", ProcessGroup: "%{ENV:group}", ApplicationGroup: "%{RESOURCE}", Preload: true},
		{Target: "/a.wsgi", ProcessGroup: "a", ApplicationGroup: "two", CallableObject: "other", Preload: true},
	}}
	a := scriptTableOf(cfg, "a")
	want := scriptTable{files: []string{"/a.wsgi", "/any.wsgi"}}
	if diff := cmp.Diff(want, a, cmp.AllowUnexported(scriptTable{})); diff != "" {
		t.Error(diff)
	}
	cfg.ImportScripts = []config.ImportScript{{Path: "/i.py", ProcessGroup: global, ApplicationGroup: "sub"}}
	embedded := embeddedOf(cfg)
	if diff := cmp.Diff([]wire.Import{{Application: "sub", Path: "/i.py"}}, embedded.Preload); diff != "" {
		t.Error(diff)
	}
	if got := embeddedOf(&config.Config{ImportScripts: cfg.ImportScripts}); !got.Needed {
		t.Error("an import script needs no Python in the router")
	}
	if diff := cmp.Diff([]wire.ScriptRule{{Path: "/e.wsgi"}, {Path: "/any.wsgi"}}, embedded.Scripts); diff != "" || !embedded.Needed {
		t.Error(embedded.Needed, diff)
	}
	for i := range cfg.ScriptAliases {
		cfg.ScriptAliases[i].DispatchScript = "/d.py"
	}
	b := scriptTableOf(cfg, "b")
	if diff := cmp.Diff([]string{"/a.wsgi", "/e.wsgi", "/any.wsgi"}, b.files); diff != "" || len(b.directories) != 1 {
		t.Error(diff, b)
	}
	cfg.ScriptAliases[0].RestrictProcess = []string{"a", global}
	cfg.ScriptAliases[3].RestrictProcess = []string{"b"}
	for group, want := range map[string][]string{"a": {"/a.wsgi", "/e.wsgi"}, "b": {"/e.wsgi", "/any.wsgi", "/a.wsgi"}} {
		if diff := cmp.Diff(want, scriptTableOf(cfg, group).files); diff != "" {
			t.Errorf("restricted, group %s: %s", group, diff)
		}
	}
	if got := restricted(cfg.ScriptAliases[0].RestrictProcess); !slices.Equal(got, []string{"a", ""}) {
		t.Errorf("the router is told %q", got)
	}
	cfg.ScriptAliases[0].RestrictProcess, cfg.ScriptAliases[0].DispatchScript = nil, ""
	cfg.ScriptAliases[4].DispatchScript = "" // the same script
	if diff := cmp.Diff([]string{"/e.wsgi", "/any.wsgi"}, scriptTableOf(cfg, "b").files); diff != "" {
		t.Errorf("one mount without a dispatch script: %s", diff)
	}
	cfg.ScriptAliases[0].AllowOverride = []string{"process_group"}
	if diff := cmp.Diff([]string{"/e.wsgi", "/any.wsgi"}, scriptTableOf(cfg, "b").files); diff != "" {
		t.Errorf("an override that no web server is trusted with: %s", diff)
	}
	cfg.Listeners = []config.Listener{{TrustFrontServer: true}}
	if diff := cmp.Diff([]string{"/a.wsgi", "/e.wsgi", "/any.wsgi"}, scriptTableOf(cfg, "b").files); diff != "" {
		t.Errorf("one mount whose process group the web server's configuration sets: %s", diff)
	}
	cfg.ScriptAliases[0].AllowOverride = nil
	if got := embeddedOf(&config.Config{ScriptAliases: cfg.ScriptAliases[:1]}); got.Needed || got.Scripts != nil {
		t.Errorf("unexpected %+v", got)
	}
	for i := range cfg.ScriptAliases {
		cfg.ScriptAliases[i].DispatchScript = ""
	}
	if diff := cmp.Diff([]string{"/any.wsgi"}, scriptTableOf(cfg, "b").files); diff != "" {
		t.Errorf("no dispatch script: %s", diff)
	}
	open := *cfg // a request may choose one where the web server is trusted and allow_override says so
	open.Listeners, open.DispatchScripts = []config.Listener{{TrustFrontServer: true}}, []config.DispatchScript{{Path: "/d.py"}}
	open.ScriptAliases[2].AllowOverride = []string{"dispatch_script"}
	if diff := cmp.Diff([]string{"/e.wsgi", "/any.wsgi"}, scriptTableOf(&open, "b").files); diff != "" {
		t.Errorf("a dispatch script of the web server's configuration: %s", diff)
	}
}

func TestUsers(t *testing.T) {
	root, user := users{uid: 0, gid: 0}, users{uid: 65534, gid: 65534}
	tests := []struct {
		name   string
		users  users
		wanted wanted
		want   string // part of the error; empty: none
		id     identity
	}{
		{"uid without entry", root, wanted{user: "#64001"}, "", identity{Switch: true, UID: 64001, GID: 64001, User: "64001", Home: "/"}},
		{"explicit group", root, wanted{user: "#64001", group: "#12", supplementary: []string{"#13"}}, "",
			identity{Switch: true, UID: 64001, GID: 12, User: "64001", Home: "/", Groups: []int{13}}},
		{"root", root, wanted{user: "root"}, "uid 0", identity{}},
		{"uid 0", root, wanted{user: "#0"}, "uid 0", identity{}},
		{"unknown", root, wanted{user: "no-such-user"}, "no-such-user", identity{}},
		{"unchanged uid", root, wanted{user: "#4294967295"}, "not a number", identity{}},
		{"no number", root, wanted{user: "#x"}, "not a number", identity{}},
		{"unknown group", root, wanted{user: "#64001", group: "no-such-group"}, "no-such-group", identity{}},
		{"other user", user, wanted{user: "#64001"}, "not started as root", identity{}},
		{"other group", user, wanted{group: "#12"}, "not started as root", identity{}},
		{"groups", user, wanted{supplementary: []string{"#12"}}, "not started as root", identity{}},
	}
	for _, test := range tests {
		id, err := test.users.resolve(test.wanted)
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.want)
			}
			continue
		}
		if diff := cmp.Diff(test.id, id); err != nil || diff != "" {
			t.Errorf("%s: %v %s", test.name, err, diff)
		}
	}
	if id, err := user.resolve(wanted{user: "#65534"}); err != nil || id.Switch || id.UID != 65534 {
		t.Errorf("own user: %+v, %v", id, err)
	}
}

func TestListenUnix(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	spec := socketSpec{path: path, mode: 0o600, uid: -1, gid: -1, backlog: 4}
	first, err := listenUnix(spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(spec); !errors.Is(err, errInUse) {
		t.Errorf("a live socket: %v", err)
	}
	first.file.Close() // stale from here on
	second, err := listenUnix(spec)
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	first.close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the socket of somebody else was removed: %v", err)
	}
	second.close()
	if _, err := os.Stat(path); err == nil {
		t.Error("our own socket was left")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(spec); err == nil {
		t.Error("a file was replaced")
	}
	if os.Geteuid() == 0 {
		os.Remove(path)
		strange, err := listenUnix(socketSpec{path: path, mode: 0o600, uid: 64001, gid: 64001, backlog: 1})
		if err != nil {
			t.Fatal(err)
		}
		strange.file.Close()
		if _, err := listenUnix(spec); err == nil {
			t.Error("a stale socket of a stranger was replaced")
		}
	}
	spec.path = filepath.Join(dir, strings.Repeat("x", 120))
	if _, err := listenUnix(spec); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("a long path: %v", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("left in the directory: %v", entries)
	}
}

func TestGroupSocketPath(t *testing.T) {
	for name, want := range map[string]string{
		"web": "/d/web.sock", "a/b": "/d/group-1-7.sock", "..": "/d/group-1-7.sock", "group-1": "/d/group-1-7.sock",
		"a b": "/d/group-1-7.sock", strings.Repeat("n", 200): "/d/group-1-7.sock",
	} {
		if got := groupSocketPath("/d", name, 1, 7); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}
