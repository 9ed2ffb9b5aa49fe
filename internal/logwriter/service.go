package logwriter

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/escape"
)

// Service is a log service of the machine that takes events instead of lines.
type Service struct {
	// Facility of syslog; empty: it is the journal.
	Facility string
	// Socket where it listens.
	Socket string
}

const (
	journalSocket = "/run/systemd/journal/socket"
	syslogSocket  = "/dev/log"
)

// Facilities of syslog by their numbers.
var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// ParseService reads a destination: journal, syslog, syslog:FACILITY, each with
// :/path/of/socket behind it if it is not the usual one. ok: it names a service.
func ParseService(destination string) (service Service, ok bool, err error) {
	kind, rest, _ := strings.Cut(destination, ":")
	switch kind {
	case "journal":
		service.Socket = journalSocket
	case "syslog":
		service.Facility, service.Socket = "daemon", syslogSocket
		if name, after, _ := strings.Cut(rest, ":"); rest != "" && !filepath.IsAbs(rest) {
			service.Facility, rest = name, after
		}
		if service.Facility == "" || service.Facility == "kern" || !slices.Contains(facilities, service.Facility) {
			return service, true, fmt.Errorf("%q is no facility of syslog, such as daemon or local0", service.Facility)
		}
	default:
		return service, false, nil
	}
	if rest != "" {
		service.Socket = rest
	}
	if !filepath.IsAbs(service.Socket) || len(service.Socket) > 107 {
		return service, true, fmt.Errorf("%q is not the absolute path of a socket", service.Socket)
	}
	return service, true, nil
}

// event is a JSON line of hclog.
type event struct {
	level, module, message string
	names                  []string // of fields, sorted
	fields                 map[string]string
}

func parseEvent(line []byte) event {
	e := event{fields: map[string]string{}}
	var values map[string]json.RawMessage
	if json.Unmarshal(line, &values) != nil || values["@message"] == nil {
		e.level, e.message = "info", strings.TrimSuffix(string(line), "\n")
		return e
	}
	for name, value := range values {
		text := string(value)
		_ = json.Unmarshal(value, &text) // what is no text is shown as JSON
		switch name {
		case "@message":
			e.message = text
		case "@level":
			e.level = text
		case "@module":
			e.module = text
		case "@timestamp":
		default:
			e.names = append(e.names, name)
			e.fields[name] = text
		}
	}
	slices.Sort(e.names)
	return e
}

// told is the message for people: what wsgid itself tells has its details in fields.
func (e *event) told() string {
	if source := e.fields["source"]; source != "" && source != "wsgid" {
		return e.message
	}
	var text strings.Builder
	text.WriteString(e.message)
	for i, name := range e.names {
		if i == 0 {
			text.WriteByte(':')
		}
		value := escape.Line(e.fields[name])
		if value == "" || strings.ContainsAny(value, " \t\n\"=") {
			value = fmt.Sprintf("%q", value)
		}
		text.WriteString(" " + name + "=" + value)
	}
	return text.String()
}

// severity is that of syslog and of the journal.
func (e *event) severity() int {
	switch e.level {
	case "error":
		return 3
	case "warn":
		return 4
	case "debug", "trace":
		return 7
	}
	return 6
}

// datagrams sends each event to a service. It needs no connection: the service may
// be started again.
type datagrams struct {
	service Service
	json    bool // to syslog, as the line is

	mu sync.Mutex
	fd int
}

// sendPatience is how long one event may wait for a service that reads nothing.
const sendPatience = time.Second

// dial makes the socket.
func dial(s Service, json bool) (*datagrams, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("log socket: %w", err)
	}
	patience := unix.NsecToTimeval(int64(sendPatience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("log socket: %w", err)
	}
	return &datagrams{service: s, json: json, fd: fd}, nil
}

// Write sends whole JSON lines of hclog.
func (d *datagrams) Write(lines []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	written := 0
	for line := range strings.Lines(string(lines)) {
		if strings.TrimSpace(line) != "" {
			e := parseEvent([]byte(line))
			send := d.toSyslog
			if d.service.Facility == "" {
				send = d.toJournal
			}
			if err := send(&e, line); err != nil {
				return written, fmt.Errorf("sending to %s: %w", d.service.Socket, err)
			}
		}
		written += len(line)
	}
	return written, nil
}

func (d *datagrams) send(data, control []byte) error {
	for {
		err := unix.Sendmsg(d.fd, data, control, &unix.SockaddrUnix{Name: d.service.Socket}, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err //nolint:wrapcheck // by Write
		}
	}
}

func (d *datagrams) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	unix.Close(d.fd)
	d.fd = -1
}
