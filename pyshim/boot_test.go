package pyshim_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const allSeals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// bootRun starts ctest/boot.c with a block of "name=value" pairs. Descriptor 3
// is the block, 4 one end of a packet pair, 5 and 6 other files; 0 a socket.
type bootRun struct {
	program string
	block   []byte // instead of pairs
	seals   int
	pairs   []string
}

func (b bootRun) run(t *testing.T) (output, status string, err error) {
	t.Helper()
	if b.block == nil {
		b.block = []byte("wsgid-boot 1\x00")
		for _, pair := range b.pairs {
			name, value, _ := strings.Cut(pair, "=")
			b.block = append(b.block, name+"\x00"+value+"\x00"...)
		}
	}
	if b.seals == 0 {
		b.seals = allSeals
	}
	boot := memfd(t, "boot", b.block, b.seals)
	listen, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := []*os.File{os.NewFile(uintptr(listen), "listen"), boot, os.NewFile(uintptr(pair[1]), "status"),
		memfd(t, "a", nil, 0), memfd(t, "b", nil, 0), os.NewFile(uintptr(pair[0]), "status of us")}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	cmd := exec.Command(b.program)
	cmd.Stdin = files[0]
	cmd.ExtraFiles = files[1:5]
	cmd.Env = []string{"FIRST=1", "WSGID_BOOT_FD=3", "LAST=2", "ASAN_OPTIONS=detect_leaks=0"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	packet := make([]byte, 4096)
	if n, _, e := unix.Recvfrom(pair[0], packet, unix.MSG_DONTWAIT); e == nil {
		status = string(packet[:n])
	}
	return out.String(), status, err
}

func bootProgram(t *testing.T) string {
	program, err := startProgram(t.TempDir(), "boot")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

func mustHave(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+out, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
}

func own() []string {
	return []string{fmt.Sprintf("parent=%d", os.Getpid()), "role=worker"}
}

func TestBootWorker(t *testing.T) {
	program := bootProgram(t)
	pairs := append(own(), "umask=23", "chdir=/usr", "fd.listen=0", "fd.status=4", "fd.log=6", "name=web",
		"python_path=/a", "python_path=/b c")
	uid := fmt.Sprint(os.Getuid())
	if os.Getuid() == 0 {
		uid = "64001"
		pairs = append(pairs, "uid=64001", "gid=64002", "group=64003", "group=64004")
	}
	out, _, err := bootRun{program: program, pairs: pairs}.run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mustHave(t, out, "role worker", "uid "+uid+" "+uid+" "+uid, "umask 27", "cwd /usr", "session 1", "death 9", "dumpable 1",
		"path /a", "path /b c", "listen 3", "fd 0 open device", "fd 3 cloexec socket", "fd 4 cloexec socket", "fd 6 cloexec other",
		"env [FIRST=1]", "env [LAST=2]", "NoNewPrivs:\t1", "SigBlk:\t0000000000000000", "Name:\twsgid:web",
		"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000")
	if strings.Contains(out, "fd 5") || strings.Contains(out, "BOOT") || strings.Contains(out, "env []") {
		t.Errorf("something is left:\n%s", out)
	}
	if os.Getuid() == 0 {
		mustHave(t, out, "gid 64002 64002 64002", "Groups:\t64003 64004 ", "CapBnd:\t0000000000000000")
	}
}

// TestBootRouter: router and dispatch helper go on in the Go runtime.
func TestBootRouter(t *testing.T) {
	for _, role := range []string{"router", "dispatcher"} {
		t.Run(role, func(t *testing.T) { testBootRouter(t, role) })
	}
}

func testBootRouter(t *testing.T, role string) {
	pairs := []string{fmt.Sprintf("parent=%d", os.Getpid()), "role=" + role, "dumpable=0", "fd.wire=4", "chdir=/nonexistent", "chdir.fallback=/", "no_new_privs=0"}
	if os.Getuid() == 0 {
		pairs = append(pairs, "uid=64001", "gid=64002")
	}
	out, _, err := bootRun{program: bootProgram(t), pairs: pairs}.run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// the variable is blank, not removed: the Go runtime counts entries
	mustHave(t, out, "role "+role, "dumpable 0", "cwd /", "fd 0 open socket", "fd 4 cloexec socket", "env []", "NoNewPrivs:\t0",
		"child default open")
	if os.Getuid() == 0 {
		mustHave(t, out, "uid 64001 64001 64001", "gid 64002 64002 64002", "Groups:\t ")
	}
}

func TestBootRefusals(t *testing.T) {
	program := bootProgram(t)
	worker := append(own(), "fd.status=4", "fd.listen=0")
	if os.Getuid() == 0 {
		worker = append(worker, "uid=64001", "gid=64001")
	}
	with := func(pairs ...string) []string { return append(append([]string{}, worker...), pairs...) }
	tests := []struct {
		name  string
		pairs []string
		want  string
	}{
		{"unknown role", []string{"role=master", "fd.status=4"}, "unknown role"},
		{"uid 0", []string{"role=worker", "uid=0", "fd.status=4"}, "refusing to run Python as root"},
		{"router uid 0", []string{"role=router", "uid=0", "fd.status=4"}, "refusing to run Python as root"},
		{"bad uid", []string{"role=worker", "uid=x1", "fd.status=4"}, "bad uid or gid"},
		{"uid -1", []string{"role=worker", "uid=4294967295", "fd.status=4"}, "bad uid or gid"},
		{"negative uid", []string{"role=worker", "uid=-1", "fd.status=4"}, "bad uid or gid"},
		{"empty uid", []string{"role=worker", "uid=", "fd.status=4"}, "bad uid or gid"},
		{"no directory", with("chdir=/nonexistent"), "chdir /nonexistent: No such file"},
		{"no fallback either", with("chdir=/nonexistent", "chdir.fallback=/missing"), "chdir /missing"},
		{"closed descriptor", with("fd.log=77"), "fd.log=77 is not an open descriptor"},
		{"malformed descriptor", with("fd.log=x"), "is not an open descriptor"},
		{"another parent", append([]string{"parent=1"}, worker[1:]...), "supervisor (pid 1) is gone"},
	}
	if os.Getuid() == 0 {
		tests = append(tests, struct {
			name  string
			pairs []string
			want  string
		}{"root without uid", append(own(), "fd.status=4", "name=web"), "set a user for group web"})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, status, err := bootRun{program: program, pairs: test.pairs}.run(t)
			if err == nil || !strings.Contains(out, test.want) || strings.Contains(out, "role ") && !strings.Contains(out, "unknown role") {
				t.Errorf("%v: %s", err, out)
			}
			if !strings.HasPrefix(status, "event\x00failed\x00error\x00") || !strings.Contains(status, test.want) || !strings.HasSuffix(status, "\x00") {
				t.Errorf("status %q", status)
			}
		})
	}
}

// Whoever sets the variable without a sealed block of the right kind gets the
// plain command line.
func TestBootUnproven(t *testing.T) {
	program := bootProgram(t)
	good := []byte("wsgid-boot 1\x00role\x00worker\x00")
	tests := []struct {
		name  string
		block []byte
		seals int
	}{
		{"not sealed", good, unix.F_SEAL_GROW},
		{"seals may be added", good, allSeals &^ unix.F_SEAL_SEAL},
		{"may be written", good, allSeals &^ unix.F_SEAL_WRITE},
		{"another magic", []byte("wsgid-boot 2\x00role\x00worker\x00"), allSeals},
		{"empty", []byte{}, allSeals},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, _, err := bootRun{program: program, block: test.block, seals: test.seals}.run(t)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			mustHave(t, out, "role ")
			if strings.Contains(out, "BOOT") {
				t.Errorf("variable is left: %s", out)
			}
		})
	}
	out, _, err := bootRun{program: program, block: []byte("wsgid-boot 1\x00role\x00worker"), seals: allSeals}.run(t)
	if err == nil || !strings.Contains(out, "malformed boot block") {
		t.Errorf("malformed: %v %s", err, out)
	}
}
