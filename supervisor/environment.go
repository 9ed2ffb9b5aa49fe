package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"syscall"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
)

// childPath is what a login without any configuration has.
const childPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// envFileLimit bounds env_file; nobody writes a megabyte of settings.
const envFileLimit = 1 << 20

// environment is a clean environment under construction.
type environment map[string]string

func cleanEnvironment(id identity) environment {
	return environment{
		"HOME": id.Home, "USER": id.User, "LOGNAME": id.User,
		"PATH": childPath, "LANG": "C.UTF-8",
	}
}

// workerEnvironment is the environment of a group's process: the clean one,
// lang, locale and python_eggs, environment, and last env_file, which is read anew at each
// start.
func workerEnvironment(id identity, p *config.DaemonProcess) ([]string, error) {
	env := cleanEnvironment(id)
	if p.Lang != "" {
		env["LANG"] = p.Lang
	}
	if p.Locale != "" {
		env["LC_ALL"] = p.Locale
	}
	env.setEggs(p.PythonEggs)
	for name, value := range p.Environment {
		env[name] = value
	}
	if p.EnvFile != "" {
		if err := env.readFile(p.EnvFile); err != nil {
			return nil, err
		}
	}
	return env.list()
}

// list is the environment for execve, sorted.
func (e environment) list() ([]string, error) {
	list := make([]string, 0, len(e))
	for name, value := range e {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(value, 0) >= 0 {
			return nil, fmt.Errorf("environment variable %q cannot be set", name)
		}
		if name == boot.Variable {
			return nil, fmt.Errorf("environment variable %s is reserved", name)
		}
		list = append(list, name+"="+value)
	}
	sort.Strings(list)
	return list, nil
}

// readFile adds NAME=value lines. Empty lines and lines that begin with # are
// passed over, "export " in front is allowed, and a pair of quotes around the
// value is taken off; nothing is expanded.
func (e environment) readFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return fmt.Errorf("env_file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("env_file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("env_file %s is not a regular file", path)
	}
	if info.Size() > envFileLimit {
		return fmt.Errorf("env_file %s is larger than %d bytes", path, envFileLimit)
	}
	scanner := bufio.NewScanner(io.LimitReader(file, envFileLimit))
	scanner.Buffer(nil, envFileLimit)
	for number := 1; scanner.Scan(); number++ {
		name, value, err := parseAssignment(scanner.Text())
		if err != nil {
			return fmt.Errorf("env_file %s line %d: %w", path, number, err)
		}
		if name != "" {
			e[name] = value
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("env_file %s: %w", path, err)
	}
	return nil
}

// parseAssignment returns an empty name for a line that sets nothing. Errors
// never quote the line: it may hold a secret.
func parseAssignment(line string) (name, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	line = strings.TrimSpace(strings.TrimPrefix(line, "export "))
	name, value, ok := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" || strings.ContainsAny(name, " \t\"'") {
		return "", "", errors.New("not of the form NAME=value")
	}
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	return name, value, nil
}
