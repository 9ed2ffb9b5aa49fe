package supervisor

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// chooseGroupDirectory says where the group sockets lie: next to the control
// socket, so that two instances do not meet; or below /run/wsgid when the
// router's user cannot get there.
func chooseGroupDirectory(control string, u users, router identity) (string, error) {
	if control == "" {
		if u.root() {
			return fmt.Sprintf("/run/wsgid/groups-%d", os.Getpid()), nil
		}
		return privateDirectory()
	}
	if err := makeParent(control); err != nil {
		return "", err
	}
	ok, err := reachable(filepath.Dir(control), router)
	if err != nil {
		return "", err
	}
	if !ok {
		hash := fnv.New64a()
		hash.Write([]byte(control))
		return fmt.Sprintf("/run/wsgid/groups-%016x", hash.Sum64()), nil
	}
	base := strings.TrimSuffix(filepath.Base(control), ".sock")
	if base == "control" {
		return filepath.Join(filepath.Dir(control), "groups"), nil
	}
	return filepath.Join(filepath.Dir(control), base+"-groups"), nil
}

// privateDirectory is a new directory for an ordinary user.
func privateDirectory() (string, error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" {
		base = os.TempDir()
	}
	dir, err := os.MkdirTemp(base, "wsgid-")
	if err != nil {
		return "", fmt.Errorf("directory for sockets: %w", err)
	}
	return dir, nil
}

// reachable says whether the router's user can pass a directory and all above.
func reachable(dir string, router identity) (bool, error) {
	if !router.Switch {
		return true, nil
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, fmt.Errorf("directory of the group sockets: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false, fmt.Errorf("directory of the group sockets: %w", err)
		}
		if !mayEnter(info, router) {
			return false, nil
		}
		if dir == "/" || dir == "." {
			return true, nil
		}
	}
}

// mayEnter looks at the mode as the kernel does.
func mayEnter(info fs.FileInfo, id identity) bool {
	stat := info.Sys().(*syscall.Stat_t)
	if int(stat.Uid) == id.UID {
		return info.Mode()&0o100 != 0
	}
	for _, gid := range append([]int{id.GID}, id.Groups...) {
		if int(stat.Gid) == gid {
			return info.Mode()&0o010 != 0
		}
	}
	return info.Mode()&0o001 != 0
}
