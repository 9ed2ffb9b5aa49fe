package tests

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestProcessOptions: what daemon_process says about the process reaches it,
// and what it does not say has its default.
func TestProcessOptions(t *testing.T) {
	harness.NeedRoot(t)
	known, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := known.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	var own []int
	for _, text := range ids {
		id, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, id)
	}
	slices.Sort(own)
	w := newWorld(t)
	w.App("environ.py")
	home := openDirectory(t, w, "home")
	w.Write("settings", "export QUOTED='a b'\nOVER=file\n")
	w.Configure(group("default", "www-data", 1, 1) +
		group("none", "www-data", 1, 1, "supplementary_groups = []", `umask = "0027"`, "no_new_privileges = false", `lang = "C"`, `locale = "POSIX"`) +
		group("list", "www-data", 1, 1, `supplementary_groups = ["#64008", "#64009"]`, option("group", "#64007"), option("home", home),
			`environment = { NUMBER = 5, OVER = "block", HOME = "/elsewhere" }`, option("env_file", w.Path("settings"))) +
		group("number", "#64001", 1, 1) +
		mount("/default", "apps/environ.py", option("process_group", "default")) + mount("/none", "apps/environ.py", option("process_group", "none")) +
		mount("/list", "apps/environ.py", option("process_group", "list")) + mount("/number", "apps/environ.py", option("process_group", "number")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, row := range []struct {
		path       string
		gid        int
		groups     []int
		umask, nnp string
		cwd        string // empty: not looked at
		process    map[string]string
	}{
		{"/default", own[0], own, "0022", "1", "", map[string]string{
			"USER": "www-data", "LOGNAME": "www-data", "HOME": known.HomeDir, "LANG": "C.UTF-8", "LC_ALL": ""}},
		{"/none", own[0], nil, "0027", "0", "", map[string]string{"LANG": "C", "LC_ALL": "POSIX"}},
		{"/list", 64007, []int{64008, 64009}, "0022", "1", home, map[string]string{
			"NUMBER": "5", "OVER": "file", "QUOTED": "a b", "HOME": "/elsewhere", "USER": "www-data"}},
		{"/number", 64001, nil, "0022", "1", "/", map[string]string{"USER": "64001", "HOME": "/"}},
	} {
		v := look(t, apache.Get(row.path))
		if row.path == "/default" || row.path == "/none" {
			row.gid, _ = strconv.Atoi(known.Gid)
		}
		if v.GID != row.gid || !slices.Equal(v.Groups, row.groups) {
			t.Errorf("%s: gid %d and groups %v, want %d and %v", row.path, v.GID, v.Groups, row.gid, row.groups)
		}
		if v.Umask != row.umask || v.NoNewPrivs != row.nnp {
			t.Errorf("%s: umask %s, no_new_privs %s, want %s and %s", row.path, v.Umask, v.NoNewPrivs, row.umask, row.nnp)
		}
		if row.cwd != "" && v.CWD != row.cwd || row.cwd == home && v.Path[0] != home {
			t.Errorf("%s: directory %s, path %q, want %s", row.path, v.CWD, v.Path, row.cwd)
		}
		for name, want := range row.process {
			if got := v.Process[name]; got != want {
				t.Errorf("%s: the variable %s is %q, want %q", row.path, name, got, want)
			}
		}
	}
}

// TestPrivileges: neither router nor workers have a capability or can get one,
// and nobody but root can trace or read the router.
func TestPrivileges(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	w.Write("dispatch.py", "")
	w.Configure(group("only", "#64001", 2, 1) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" + mount("/", "apps/hello.py"))
	status := w.Start(harness.Options{}).AwaitReady("only")
	router := routerUID(t)
	for _, row := range []struct {
		pid, uid int
		ownerUID int // of its files in /proc: root's when it is not dumpable
	}{
		{status.RouterPID, router, 0},
		{status.PIDs("only")[0], 64001, 64001},
		{status.PIDs("only")[1], 64001, 64001},
	} {
		dir := "/proc/" + strconv.Itoa(row.pid)
		lines := map[string]string{}
		for line := range strings.Lines(readFile(t, dir+"/status")) {
			name, value, _ := strings.Cut(line, ":")
			lines[name] = strings.Join(strings.Fields(value), " ")
		}
		id := strconv.Itoa(row.uid)
		for name, want := range map[string]string{
			"Uid": strings.Join([]string{id, id, id, id}, " "), "CapInh": "0000000000000000", "CapPrm": "0000000000000000",
			"CapEff": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Umask": "0022",
		} {
			if lines[name] != want {
				t.Errorf("pid %d: %s is %q, want %q", row.pid, name, lines[name], want)
			}
		}
		if strings.Contains(" "+lines["Groups"]+" ", " 0 ") {
			t.Errorf("pid %d is in root's group: %s", row.pid, lines["Groups"])
		}
		info, err := os.Stat(dir + "/environ")
		if err != nil {
			t.Fatal(err)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != row.ownerUID {
			t.Errorf("pid %d: its files belong to %d, want %d", row.pid, stat.Uid, row.ownerUID)
		}
	}
}
