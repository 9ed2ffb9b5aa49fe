package logwriter

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// receiver is a log service: one datagram at a time, or the file that came with it.
func receiver(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	timeout := unix.NsecToTimeval((30 * time.Second).Nanoseconds())
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)); err != nil {
		t.Fatal(err)
	}
	return path, func() string {
		t.Helper()
		data, control := make([]byte, 1<<20), make([]byte, 256)
		n, m, _, _, err := unix.Recvmsg(fd, data, control, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		if m == 0 {
			return string(data[:n])
		}
		messages, err := unix.ParseSocketControlMessage(control[:m])
		if err != nil {
			t.Fatal(err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 || n != 0 {
			t.Fatal(err, fds, n)
		}
		file := os.NewFile(uintptr(fds[0]), "large")
		defer file.Close()
		if seals, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_WRITE == 0 {
			t.Errorf("seals %x %v", seals, err)
		}
		content, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<30))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
}

// journalFields reads the protocol of the journal as strictly as that does.
func journalFields(t *testing.T, data string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for data != "" {
		end := strings.IndexAny(data, "=\n")
		if end < 0 || !regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`).MatchString(data[:end]) {
			t.Fatalf("no name: %.100q", data)
		}
		name, value := data[:end], ""
		if data[end] == '=' {
			value, data, _ = strings.Cut(data[end+1:], "\n")
		} else {
			size := int(binary.LittleEndian.Uint64([]byte(data[end+1 : end+9])))
			value, data = data[end+9:end+9+size], data[end+9+size:]
			if data == "" || data[0] != '\n' {
				t.Fatalf("no end of %s: %.100q", name, data)
			}
			data = data[1:]
		}
		if _, twice := fields[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		fields[name] = value
	}
	return fields
}

func openService(t *testing.T, destination string, json bool) *Output {
	t.Helper()
	service, ok, err := ParseService(destination)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	out, err := NewService(service, OutputOptions{Level: hclog.Info, JSON: json})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	return out
}

// TestJournal: an event has its fields there, whatever is in them and however large.
func TestJournal(t *testing.T) {
	path, next := receiver(t)
	log := openService(t, "journal:"+path, false).Logger(false).Named("worker")
	log.Error("one\ntwo", "source", "logging", "group", "web", "pid", 7, "request", "r-1", "place", "/srv/a:b.py:12", "logger", "shop", "request_id", "forged", "äx", map[string]any{"a": 1})
	want := map[string]string{
		"MESSAGE": "one\ntwo", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "wsgid", "WSGID_MODULE": "wsgid.worker", "WSGID_SOURCE": "logging", "WSGID_GROUP": "web", "OBJECT_PID": "7",
		"WSGID_REQUEST_ID": "r-1", "CODE_FILE": "/srv/a:b.py", "CODE_LINE": "12", "PYTHON_LOGGER": "shop", "WSGID_FIELD_REQUEST_ID": "forged", "WSGID_FIELD__X": `{"a":1}`,
	}
	if diff := cmp.Diff(want, journalFields(t, next())); diff != "" {
		t.Error(diff)
	}
	large := strings.Repeat("x", 900_000)
	log.Info(large, "source", "stdout")
	if got := journalFields(t, next()); got["MESSAGE"] != large {
		t.Errorf("%d bytes", len(got["MESSAGE"]))
	}
	log.Info("seen", "by", "\x1b[2Jme")
	if got := journalFields(t, next())["MESSAGE"]; got != `seen: by=\x1b[2Jme` {
		t.Errorf("%q", got)
	}
	log.Warn("process exited", "group", "web", "reason", "out of memory")
	if got := journalFields(t, next())["MESSAGE"]; got != `process exited: group=web reason="out of memory"` {
		t.Errorf("%q", got)
	}
}

// TestSyslog: what a syslog of this machine reads; a service that is away costs lines,
// and is found when it is back.
func TestSyslog(t *testing.T) {
	path, next := receiver(t)
	out := openService(t, "syslog:local3:"+path, false)
	expect := func(want string) {
		t.Helper()
		if got := next(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%.300q, want %s", got, want)
		}
	}
	head := `[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d wsgid\[\d+\]: `
	out.Logger(false).Error("one\ntwo", "source", "stdout", "group", "web")
	expect(`^<155>` + head + `wsgid: one#012two$`)
	out.Logger(false).Info("ready", "groups", 3)
	expect(`^<158>` + head + `wsgid: ready: groups=3$`)
	out.Logger(false).Info(strings.Repeat("x", 900_000), "source", "stdout")
	expect(`^<158>` + head + `wsgid: x+… \(truncated, \d+ bytes\)$`)
	openService(t, "syslog:"+path, true).Logger(false).Warn("hot")
	expect(`^<28>` + head + `\{"@level":"warn","@message":"hot".*\}$`)

	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	out.Logger(false).Info("lost")
	for deadline := time.Now().Add(time.Minute); out.Stats().Lost != 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if stats := out.Stats(); stats.Lost != 1 || stats.Err == nil {
		t.Errorf("%+v", stats)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	out.Logger(false).Info("back")
	expect(`^<156>.*log lines are missing here.*lines=1$`)
	expect(`^<158>.*wsgid: back$`)
}

func TestParseService(t *testing.T) {
	for text, want := range map[string]Service{
		"journal": {"", journalSocket}, "journal:/a/b": {"", "/a/b"}, "syslog": {"daemon", syslogSocket}, "syslog:local0": {"local0", syslogSocket},
		"syslog:local0:/x": {"local0", "/x"}, "syslog:/x": {"daemon", "/x"},
	} {
		if got, ok, err := ParseService(text); !ok || err != nil || got != want {
			t.Errorf("%s: %v %v %v", text, got, ok, err)
		}
	}
	for _, text := range []string{"journal:x", "syslog:kern", "syslog:none", "syslog:local0:x", "syslog:/" + strings.Repeat("x", 200)} {
		if _, ok, err := ParseService(text); !ok || err == nil {
			t.Errorf("%s: %v %v", text, ok, err)
		}
	}
	if _, ok, _ := ParseService("/var/log/syslog"); ok {
		t.Error("a file")
	}
}

// TestServiceStalls: a service that reads nothing costs events, which are counted, and
// does not keep wsgid from ending.
func TestServiceStalls(t *testing.T) {
	path, _ := receiver(t)
	out, err := NewService(Service{Facility: "daemon", Socket: path}, OutputOptions{Name: "syslog", Level: hclog.Info})
	if err != nil {
		t.Fatal(err)
	}
	for out.Stats().Lost == 0 { // the socket takes only some
		out.Logger(true).Info(strings.Repeat("x", 1000))
		time.Sleep(time.Millisecond)
	}
	out.Close()
}
