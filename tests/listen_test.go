package tests

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestTCP: FastCGI over TCP from Apache, and a client outside of
// allowed_clients is hung up on.
func TestTCP(t *testing.T) {
	w := newWorld(t)
	w.App("body_hash.py")
	open, closed, web := freeAddress(t), freeAddress(t), freeAddress(t)
	w.Configure(fmt.Sprintf("listen \"tcp\" {\n  address = %q\n  allowed_clients = [\"192.0.2.7\", \"127.0.0.0/8\"]\n}\n", open) +
		fmt.Sprintf("listen \"tcp\" {\n  address = %q\n  allowed_clients = [\"192.0.2.0/24\"]\n}\n", closed) +
		fmt.Sprintf("listen \"http\" {\n  address = %q\n  allowed_clients = [\"192.0.2.0/24\"]\n}\n", web) +
		group("only", "#64001", 1, 3) + mount("/", "apps/body_hash.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPass \"/open/\" \"fcgi://" + open + "/\" enablereuse=on\n" +
		"ProxyPass \"/closed/\" \"fcgi://" + closed + "/\" enablereuse=on\n"})
	for range 3 {
		upload(t, apache.Client, "/open/", payload(200_000), false)
	}
	if got := apache.Get("/closed/"); got.Status != 503 && got.Status != 502 {
		t.Errorf("a client that is not allowed: %d %s", got.Status, got.Body)
	}
	record := wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1026"))
	if !strings.Contains(record.Line, "127.0.0.1") {
		t.Errorf("the log does not name the client: %s", record.Line)
	}
	mark := wsgid.Log.Mark()
	if got, err := harness.NewClient(t, "http://"+web).Try(t.Context(), "GET", "/", nil); err == nil {
		t.Errorf("HTTP from a client that is not allowed: %d %s", got.Status, got.Body)
	}
	wsgid.Log.AwaitFrom(t, mark, "the refusal", harness.Containing("WSGID-1026", web, "127.0.0.1"))
	if requests := wsgid.Status().Group("only").Requests; requests != 3 {
		t.Errorf("%d requests ran", requests)
	}
}

// TestSocketFile: owner, group and mode of the socket files, and whom they keep out.
func TestSocketFile(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	w.Configure("listen \"unix\" {\n  path = \"{{.Dir}}/run/own.sock\"\n  owner = \"#64020\"\n  group = \"#64021\"\n  mode = \"0600\"\n}\n" +
		"listen \"unix\" {\n  path = \"{{.Dir}}/run/named.sock\"\n  owner = \"www-data\"\n  group = \"nogroup\"\n  mode = \"0640\"\n}\n" +
		group("only", "#64001", 1, 1) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	router := routerUID(t)
	nogroup, err := user.LookupGroup("nogroup")
	if err != nil {
		t.Fatal(err)
	}
	nogroupID, err := strconv.Atoi(nogroup.Gid)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
	}{
		{"own.sock", os.ModeSocket | 0o600, 64020, 64021},
		{"named.sock", os.ModeSocket | 0o640, router, nogroupID},
		{"wsgid.sock", os.ModeSocket | 0o660, 0, router},
		{"control.sock", os.ModeSocket | 0o600, 0, 0},
		{"groups", os.ModeDir | 0o750, 0, router},
		{"groups/only.sock", os.ModeSocket | 0o660, 0, router},
		{"wsgid.pid", 0o644, 0, 0},
	} {
		info, err := os.Lstat(w.Path("run/" + row.name))
		if err != nil {
			t.Error(err)
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || info.Mode() != row.mode || int(stat.Uid) != row.uid || int(stat.Gid) != row.gid {
			t.Errorf("%s: %v of %d:%d, want %v of %d:%d", row.name, info.Mode(), stat.Uid, stat.Gid, row.mode, row.uid, row.gid)
		}
	}
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPass \"/own/\" \"unix:{{.Dir}}/run/own.sock|fcgi://own/\"\n" +
		"ProxyPass \"/named/\" \"unix:{{.Dir}}/run/named.sock|fcgi://named/\"\n"})
	for name, want := range map[string]int{"own": 503, "named": 200} {
		if got := apache.Get("/" + name + "/"); got.Status != want {
			t.Errorf("www-data through %s.sock: %d %s, want %d", name, got.Status, got.Body, want)
		}
	}
	if code, _, errs := w.CLIAs(64022, "status", "--control", w.Control); code != 3 || !strings.Contains(errs, "permission denied") {
		t.Errorf("status of a stranger: %d %s", code, errs)
	}
	wsgid.Stop()
}
