package logwriter

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// syslogLeast is the length of messages that every syslog takes.
const syslogLeast = 8000

// toSyslog sends an event as RFC 3164 has it between processes of one machine: line
// ends are written as rsyslog writes them.
func (d *datagrams) toSyslog(e *event, line string) error {
	text := strings.TrimSuffix(line, "\n")
	if !d.json {
		text = e.told()
		if e.module != "" {
			text = e.module + ": " + text
		}
	}
	text = strings.ReplaceAll(text, "\n", "#012")
	head := fmt.Sprintf("<%d>%s wsgid[%d]: ", slices.Index(facilities, d.service.Facility)<<3|e.severity(), time.Now().Format(time.Stamp), os.Getpid())
	err := d.send([]byte(head+text), nil)
	if (errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS)) && len(text) > syslogLeast {
		cut := strings.ToValidUTF8(text[:syslogLeast], "")
		return d.send(fmt.Appendf(nil, "%s%s… (truncated, %d bytes)", head, cut, len(text)-len(cut)), nil)
	}
	return err
}
