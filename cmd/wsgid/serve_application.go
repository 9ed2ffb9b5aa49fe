package main

import (
	"bytes"
	_ "embed" // the loader script
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// application is what wsgid serve was told to serve.
type application struct {
	// script is the file that a worker loads: the one named, or the loader.
	script string
	// module and callable are set for MODULE:CALLABLE.
	module, callable string
	// cwd is where wsgid was started; path goes to sys.path.
	cwd, path string
}

var moduleCallable = regexp.MustCompile(`^([\p{L}_][\p{L}\p{Nd}_]*(?:\.[\p{L}_][\p{L}\p{Nd}_]*)*):([\p{L}_][\p{L}\p{Nd}_]*(?:\.[\p{L}_][\p{L}\p{Nd}_]*)*)$`)

// findApplication finds out whether a script or a module is meant. A file of
// that very name is a script.
func findApplication(name string) (*application, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return nil, failf("finding the current directory: %w", err)
	}
	info, err := os.Stat(name)
	if err == nil {
		if info.IsDir() {
			return nil, usagef("%s is a directory: name a script in it, or MODULE:CALLABLE", name)
		}
		script, err := filepath.Abs(name)
		if err != nil {
			return nil, failf("finding %s: %w", name, err)
		}
		return &application{script: script, cwd: cwd, path: filepath.Dir(script)}, nil
	}
	if match := moduleCallable.FindStringSubmatch(name); match != nil {
		return &application{module: match[1], callable: match[2], cwd: cwd, path: cwd}, nil
	}
	if strings.Contains(name, ":") {
		return nil, usagef("%q is neither a file nor MODULE:CALLABLE, such as mysite.wsgi:application", name)
	}
	return nil, failf("there is no script %s", name)
}

//go:embed loader.wsgi
var loaderTemplate []byte

// writeLoader writes the script that imports the module; a worker loads it
// like any other.
func (a *application) writeLoader(path string) error {
	text := loaderTemplate
	for name, value := range map[string]string{"ROOT": a.path, "MODULE": a.module, "CALLABLE": a.callable} {
		text = bytes.ReplaceAll(text, []byte("@"+name+"@"), []byte(pythonString(value)))
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return failf("writing the loader script: %w", err)
	}
	// The umask must not keep the application's user out.
	if err := os.Chmod(path, 0o644); err != nil {
		return failf("writing the loader script: %w", err)
	}
	a.script = path
	return nil
}

// pythonString writes a Python string literal in ASCII. Bytes of a file name
// that are no UTF-8 become what Python itself makes of them (PEP 383).
func pythonString(value string) string {
	var out strings.Builder
	out.WriteByte('"')
	for len(value) > 0 {
		c, size := utf8.DecodeRuneInString(value)
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\udc%02x`, value[0])
		case c < 0x20 || c == '"' || c == '\\' || c >= 0x7f:
			fmt.Fprintf(&out, `\U%08x`, c)
		default:
			out.WriteRune(c)
		}
		value = value[size:]
	}
	out.WriteByte('"')
	return out.String()
}

// warnUnreachable says when the application's user cannot even get to the
// script, the usual surprise when root serves something below its own home.
func warnUnreachable(w io.Writer, script, name string) {
	account, err := user.Lookup(strings.TrimPrefix(name, "#"))
	if strings.HasPrefix(name, "#") {
		account, err = user.LookupId(name[1:])
	}
	if err != nil {
		return // the supervisor says it
	}
	for dir := filepath.Dir(script); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !searchable(info, account) {
			fmt.Fprintf(w, "warning: user %s cannot enter %s, where the application lies: move it, or choose another --user\n", name, dir)
			return
		}
		if dir == filepath.Dir(dir) {
			return
		}
	}
}

// searchable says whether an account may enter a directory, as far as its mode
// tells.
func searchable(info os.FileInfo, account *user.User) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	switch {
	case strconv.Itoa(int(stat.Uid)) == account.Uid:
		return info.Mode()&0o100 != 0
	case strconv.Itoa(int(stat.Gid)) == account.Gid:
		return info.Mode()&0o010 != 0
	}
	return info.Mode()&0o001 != 0
}
