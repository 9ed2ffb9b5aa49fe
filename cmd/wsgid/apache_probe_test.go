package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSELinuxLabel: a label that Apache's policy does not know is told, with what to
// write; one that it knows, and none, are not.
func TestSELinuxLabel(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "wsgid.sock")
	for label, said := range map[string]bool{"": false, "system_u:object_r:var_run_t:s0": true, "system_u:object_r:httpd_var_run_t:s0": false} {
		got := selinuxFinding(socket, label)
		if (len(got) == 1) != said {
			t.Errorf("%s: %+v", label, got)
		}
		if said && (!strings.Contains(got[0].What, label) || !strings.Contains(strings.Join(got[0].Write, "\n"), "httpd_var_run_t")) {
			t.Errorf("%+v", got[0])
		}
	}
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const label = "system_u:object_r:var_run_t:s0"
	want := label
	if err := unix.Setxattr(socket, "security.selinux", append([]byte(label), 0), 0); err != nil {
		want = "" // neither root, nor a file system with labels
	}
	if got := selinuxLabel(socket); got != want {
		t.Errorf("label %q, want %q", got, want)
	}
}

// info is a file with a mode and owners.
type info struct {
	mode     fs.FileMode
	uid, gid uint32
}

func (i info) Name() string       { return "x" }
func (i info) Size() int64        { return 0 }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return &syscall.Stat_t{Uid: i.uid, Gid: i.gid} }

// TestMay: the first of owner, group and others that fits decides.
func TestMay(t *testing.T) {
	apache := &syscall.Credential{Uid: 33, Gid: 33, Groups: []uint32{7}}
	for _, row := range []struct {
		file info
		bit  fs.FileMode
		want bool
	}{
		{info{0o700, 0, 0}, 1, false}, {info{0o701, 0, 0}, 1, true}, {info{0o710, 0, 33}, 1, true}, {info{0o710, 0, 7}, 1, true}, {info{0o710, 0, 8}, 1, false},
		{info{0o701, 0, 33}, 1, false}, {info{0o077, 33, 0}, 1, false}, {info{0o660, 0, 33}, 2, true}, {info{0o640, 0, 33}, 2, false},
	} {
		if got := may(row.file, apache, row.bit); got != row.want {
			t.Errorf("%+v: %v", row, got)
		}
	}
	if !may(info{0, 5, 5}, &syscall.Credential{}, 2) {
		t.Error("root is kept out")
	}
}
