package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/apacheconf/inspect"
	"github.com/wsgid/wsgid/protocol"
)

// probePatience bounds a try to reach wsgid.
const probePatience = 5 * time.Second

// newApacheProbe is wsgid apache probe, which wsgid apache check runs as Apache's
// user: whoever connects must be that user.
func newApacheProbe() *cobra.Command {
	return &cobra.Command{
		Use: "probe SOCKET", Hidden: true, Args: cobra.ExactArgs(1), Short: "Connect to a FastCGI socket and ask what it is",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := probe(args[0]); err != nil {
				return failf("%w", err)
			}
			return nil
		},
	}
}

// probe connects, and exchanges FCGI_GET_VALUES.
func probe(socket string) error {
	conn, err := net.DialTimeout("unix", socket, probePatience)
	if err != nil {
		return fmt.Errorf("connect: %w", errors.Unwrap(errors.Unwrap(err)))
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(probePatience)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if _, err := protocol.ExchangeValues(conn, protocol.NewReader(conn, 0), "FCGI_MPXS_CONNS"); err != nil {
		return fmt.Errorf("it does not answer as a FastCGI server does: %w", err)
	}
	return nil
}

// probeAs tries to reach the socket as the user and group that Apache runs as; an
// empty user is oneself. It says what stands in the way, in words.
func probeAs(name, group, socket string) []inspect.Finding {
	wrong := func(write []string, format string, arguments ...any) []inspect.Finding {
		return []inspect.Finding{{Severity: inspect.Wrong, What: fmt.Sprintf(format, arguments...), Write: write}}
	}
	if _, err := os.Stat(socket); errors.Is(err, fs.ErrNotExist) {
		return wrong([]string{"systemctl start wsgid"}, "there is no socket %s: wsgid does not run, or listens elsewhere", socket)
	}
	err := error(nil)
	who := "you"
	if os.Getuid() == 0 && name != "" {
		who = name
		err = runProbe(name, group, socket)
	} else {
		err = probe(socket)
	}
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), syscall.EACCES.Error()):
		at, write := closed(name, group, socket)
		return wrong(write, "Apache (%s) may not connect to %s: %s", who, socket, at)
	case strings.Contains(err.Error(), syscall.ECONNREFUSED.Error()):
		return wrong([]string{"systemctl start wsgid"}, "nobody listens on %s: wsgid has ended", socket)
	}
	return wrong(nil, "%s cannot be used by Apache (%s): %v", socket, who, err)
}

// runProbe runs the probe as another user, in a process of its own.
func runProbe(name, group, socket string) error {
	credential, err := credentialOf(name, group)
	if err != nil {
		return err
	}
	// The program may lie where that user cannot go.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3", "apache", "probe", socket)
	cmd.ExtraFiles = []*os.File{self}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.New(strings.TrimPrefix(strings.TrimSpace(string(out)), "wsgid: "))
	}
	return nil
}

// credentialOf looks accounts up, which may be #numbers.
func credentialOf(name, group string) (*syscall.Credential, error) {
	c := &syscall.Credential{}
	if number, ok := strings.CutPrefix(name, "#"); ok {
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		c.Uid, c.Gid = uint32(id), uint32(id)
	} else {
		account, err := user.Lookup(name)
		if err != nil {
			return nil, fmt.Errorf("look the user of Apache up: %w", err)
		}
		uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		c.Uid, c.Gid = uint32(uid), uint32(gid)
		if groups, err := account.GroupIds(); err == nil {
			for _, text := range groups {
				if id, err := strconv.ParseUint(text, 10, 32); err == nil {
					c.Groups = append(c.Groups, uint32(id))
				}
			}
		}
	}
	if group == "" {
		return c, nil
	}
	text := strings.TrimPrefix(group, "#")
	if text == group {
		known, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("look the group of Apache up: %w", err)
		}
		text = known.Gid
	}
	gid, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", group, err)
	}
	c.Gid = uint32(gid)
	return c, nil
}

// closed finds what keeps a user from a socket: a directory that he may not enter,
// or the mode of the socket.
func closed(name, group, socket string) (what string, write []string) {
	c, err := credentialOf(name, group)
	if err != nil {
		return err.Error(), nil
	}
	parts := strings.Split(strings.Trim(filepath.Dir(socket), "/"), "/")
	dir := "/"
	for _, part := range parts {
		dir = filepath.Join(dir, part)
		info, err := os.Stat(dir)
		if err == nil && !may(info, c, 1) {
			return fmt.Sprintf("the directory %s (mode %04o) does not let it through", dir, info.Mode().Perm()), []string{"chmod o+x " + dir}
		}
	}
	info, err := os.Stat(socket)
	if err == nil && !may(info, c, 2) {
		if group == "" {
			group = strconv.Itoa(int(c.Gid))
		}
		return fmt.Sprintf("the socket has the mode %04o and another group", info.Mode().Perm()), []string{`listen "unix" { group = "` + group + `" }`}
	}
	return "permission denied; SELinux or AppArmor may refuse it", adviceFor(socket)
}

// may says whether mode and owner let somebody do something: 1 enter, 2 write.
func may(info fs.FileInfo, c *syscall.Credential, bit fs.FileMode) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || c.Uid == 0 {
		return true
	}
	mode := info.Mode().Perm()
	if stat.Uid == c.Uid {
		return mode>>6&bit != 0
	}
	for _, gid := range append(c.Groups[:len(c.Groups):len(c.Groups)], c.Gid) {
		if stat.Gid == gid {
			return mode>>3&bit != 0
		}
	}
	return mode&bit != 0
}

// selinuxLabel is the label of a file; empty: it has none.
func selinuxLabel(name string) string {
	buf := make([]byte, 256)
	n, err := unix.Lgetxattr(name, "security.selinux", buf)
	if err != nil || n <= 0 {
		return ""
	}
	return strings.TrimRight(string(buf[:n]), "\x00")
}

// selinuxAdvice is what has SELinux let Apache connect.
func selinuxAdvice(socket string) []string {
	return []string{"semanage fcontext -a -t httpd_var_run_t '" + filepath.Dir(socket) + "(/.*)?' && restorecon -R " + filepath.Dir(socket), "setsebool -P httpd_can_network_connect on   # for listen \"tcp\""}
}

// adviceFor is selinuxAdvice where there are labels.
func adviceFor(socket string) []string {
	if selinuxLabel(socket) == "" {
		return nil
	}
	return selinuxAdvice(socket)
}

// selinuxFinding warns of a label that Apache's policy does not know.
func selinuxFinding(socket, label string) []inspect.Finding {
	if label == "" || strings.Contains(label, ":httpd_") {
		return nil
	}
	return []inspect.Finding{{Severity: inspect.Warning, Write: selinuxAdvice(socket),
		What: fmt.Sprintf("SELinux calls %s %s: its policy lets Apache connect to httpd_… alone", socket, label)}}
}
