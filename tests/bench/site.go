package main

import (
	"embed"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Threads and processes of every Python server.
const (
	processes = 2
	threads   = 5
)

//go:embed site/*.py floor.c
var files embed.FS

// site is the directory and the accounts that all peers of one run share.
type site struct {
	dir string
	// user of all servers but wsgid's groups; empty when not started as root.
	user string
	// wsgid is the path of the binary under test.
	wsgid string
}

// newSite makes the directory in /tmp, where socket paths stay short, and puts
// the application there.
func newSite(wsgid string) (*site, error) {
	dir, err := os.MkdirTemp("/tmp", "wsgid-bench")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	s := &site{dir: dir, wsgid: wsgid}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the directory to the servers: %w", err)
	}
	if err := os.Mkdir(s.path("run"), 0o755); err != nil {
		return nil, fmt.Errorf("make a directory for sockets: %w", err)
	}
	if os.Geteuid() == 0 {
		s.user = "www-data"
		if err := giveTo(s.path("run"), s.user); err != nil {
			return nil, err
		}
	}
	for name, file := range map[string]string{"app.py": "site/app.py", "dispatch.py": "site/dispatch.py", "floor.c": "floor.c"} {
		b, err := files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(s.path(name), b, 0o644); err != nil {
			return nil, fmt.Errorf("write the application: %w", err)
		}
	}
	return s, nil
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// socket of a back end: in a directory where the servers' user may make one.
func (s *site) socket(name string) string { return s.path("run/" + name + ".sock") }

// giveTo makes user the owner of path.
func giveTo(path, name string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("find the servers' user: %w", err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return fmt.Errorf("find the servers' user: %w", err)
	}
	if err := os.Chown(path, uid, -1); err != nil {
		return fmt.Errorf("give the socket directory to %s: %w", name, err)
	}
	return nil
}

// write writes a configuration file and returns its path.
func (s *site) write(name, content string) (string, error) {
	path := s.path(name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return "", fmt.Errorf("write a configuration: %w", err)
	}
	return path, nil
}

// expand fills ${dir}, ${user} and so on into a configuration.
func (s *site) expand(text string, more ...string) string {
	pairs := append([]string{
		"${dir}", s.dir, "${run}", s.path("run"), "${user}", s.user,
		"${processes}", fmt.Sprint(processes), "${threads}", fmt.Sprint(threads), "${all}", fmt.Sprint(processes * threads),
	}, more...)
	return strings.NewReplacer(pairs...).Replace(text)
}
