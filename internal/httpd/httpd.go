// Package httpd finds an Apache on this machine: its program, its configuration,
// what it was built with and whom its processes run as. It must not know what
// the configuration means.
package httpd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/shirou/gopsutil/v3/process"
)

// Server is an Apache HTTP Server.
type Server struct {
	Program string
	Version [3]int
	MPM     string // event, worker, prefork; empty: it is a module
	// Root is ServerRoot, Config the configuration file, absolute, and Defines what
	// -D has defined: of the running server where one runs, else as it was built.
	Root, Config string
	Defines      []string
	// PID of the running parent; 0: none runs.
	PID int32
}

// programs are what it is called, and where Debian and others keep it.
var programs = []string{"apache2", "httpd", "/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd", "/usr/local/sbin/httpd", "/opt/apache/bin/httpd"}

// Find asks the program for what it was built with, without a name the first that
// there is, and looks for a process of it.
func Find(ctx context.Context, program string) (*Server, error) {
	names := programs
	if program != "" {
		names = []string{program}
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			if program != "" {
				return nil, fmt.Errorf("looking for Apache: %w", err)
			}
			continue
		}
		s := &Server{Program: path}
		if err := s.ask(ctx); err != nil {
			return nil, err
		}
		s.running(ctx)
		return s, nil
	}
	return nil, errors.New("no Apache is found on this machine: name its program with --httpd, or its configuration with --apache-config")
}

// What -V says.
var (
	versionLine = regexp.MustCompile(`Server version: Apache/(\d+)\.(\d+)\.(\d+)`)
	mpmLine     = regexp.MustCompile(`(?m)^Server MPM:[ \t]+(\S+)`)
	rootLine    = regexp.MustCompile(`HTTPD_ROOT="([^"]*)"`)
	configLine  = regexp.MustCompile(`SERVER_CONFIG_FILE="([^"]*)"`)
)

// ask runs the program with -V. On Debian it needs no environment for that.
func (s *Server) ask(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, s.Program, "-V").CombinedOutput()
	version := versionLine.FindSubmatch(out)
	if version == nil {
		return fmt.Errorf("%s -V does not answer as Apache does: %w\n%.300s", s.Program, err, out)
	}
	for i := range s.Version {
		fmt.Sscan(string(version[i+1]), &s.Version[i]) //nolint:errcheck // digits
	}
	one := func(re *regexp.Regexp) string {
		if found := re.FindSubmatch(out); found != nil {
			return string(found[1])
		}
		return ""
	}
	s.MPM, s.Root = strings.ToLower(one(mpmLine)), one(rootLine)
	s.Config = absolute(s.Root, one(configLine))
	return nil
}

func absolute(root, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(root, name)
}

// running takes what the command line of a running parent says. Of several it
// takes the oldest that has the program's own configuration, else the oldest.
func (s *Server) running(ctx context.Context) {
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return // what -V says has to do
	}
	var best *process.Process
	var words []string
	for _, p := range all {
		exe, err := p.ExeWithContext(ctx)
		if err != nil || exe != s.resolved() {
			continue
		}
		if parent, err := p.ParentWithContext(ctx); err == nil {
			if of, err := parent.ExeWithContext(ctx); err == nil && of == exe {
				continue // a child
			}
		}
		line, err := p.CmdlineSliceWithContext(ctx)
		if err != nil || best != nil && best.Pid < p.Pid {
			continue
		}
		best, words = p, line
	}
	if best == nil {
		return
	}
	s.PID = best.Pid
	for i := 1; i+1 < len(words); i++ {
		switch words[i] {
		case "-d":
			s.Root = words[i+1]
		case "-f":
			s.Config = absolute(s.Root, words[i+1])
		case "-D":
			s.Defines = append(s.Defines, words[i+1])
		}
	}
}

// resolved is the program without symbolic links, as /proc shows it.
func (s *Server) resolved() string {
	if path, err := filepath.EvalSymlinks(s.Program); err == nil {
		return path
	}
	return s.Program
}
