package logwriter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// journalNames are the names that fields of wsgid have in the journal. All others,
// which applications may choose, are WSGID_FIELD_NAME: they can be none of these.
var journalNames = map[string]string{
	"group": "WSGID_GROUP", "request": "WSGID_REQUEST_ID", "application": "WSGID_APPLICATION", "script": "WSGID_SCRIPT",
	"code": "WSGID_CODE", "source": "WSGID_SOURCE", "trace": "WSGID_TRACE", "pid": "OBJECT_PID", "logger": "PYTHON_LOGGER",
}

// toJournal sends an event by the protocol of systemd's journal.
func (d *datagrams) toJournal(e *event, _ string) error {
	var data []byte
	add := func(name, value string) {
		data = append(data, name...)
		if strings.Contains(value, "\n") { // its length stands before it
			data = append(data, '\n')
			data = binary.LittleEndian.AppendUint64(data, uint64(len(value)))
		} else {
			data = append(data, '=')
		}
		data = append(append(data, value...), '\n')
	}
	add("MESSAGE", e.told())
	add("PRIORITY", strconv.Itoa(e.severity()))
	add("SYSLOG_IDENTIFIER", "wsgid")
	if e.module != "" {
		add("WSGID_MODULE", e.module)
	}
	for _, name := range e.names {
		value := e.fields[name]
		file, line := value, ""
		if at := strings.LastIndexByte(value, ':'); at >= 0 {
			file, line = value[:at], value[at+1:]
		}
		switch known := journalNames[name]; {
		case name == "place":
			add("CODE_FILE", file)
			add("CODE_LINE", line)
		case known != "":
			add(known, value)
		default:
			add(journalName(name), value)
		}
	}
	err := d.send(data, nil)
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		return d.sendFile(data)
	}
	return err
}

// journalName makes a name that the journal takes: A to Z, 0 to 9 and _, at most 64.
func journalName(name string) string {
	valid := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, name)
	valid = "WSGID_FIELD_" + valid
	return valid[:min(len(valid), 64)]
}

// sendFile sends what is too large for a packet: the journal takes a sealed file.
func (d *datagrams) sendFile(data []byte) error {
	fd, err := unix.MemfdCreate("wsgid-journal", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("file for a large event: %w", err)
	}
	defer unix.Close(fd)
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil {
			return fmt.Errorf("file for a large event: %w", err)
		}
		data = data[n:]
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL); err != nil {
		return fmt.Errorf("sealing a large event: %w", err)
	}
	return d.send(nil, unix.UnixRights(fd))
}
