package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// journald is systemd's, with sockets and journal of its own.
type journald struct {
	t   *testing.T
	pid int
}

// startJournald starts it where nobody else sees its /run.
func startJournald(t *testing.T) *journald {
	t.Helper()
	harness.NeedRoot(t)
	const program = "/lib/systemd/systemd-journald"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v; as root run: apt-get install -y --no-install-recommends systemd", err)
	}
	// What the kernel says is no business of this one.
	command := exec.Command("unshare", "--mount", "sh", "-c", `mkdir -p /run/systemd /run/log && mount -t tmpfs none /run/systemd && mount -t tmpfs none /run/log &&
		mkdir -p /run/log/journal && mount --bind /dev/null /dev/kmsg && exec `+program)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("journald: %s", said.String())
		}
	})
	j := &journald{t, command.Process.Pid}
	harness.Eventually(t, "journald listens", func() error {
		_, err := os.Stat(j.path("/run/systemd/journal/socket"))
		return err
	})
	return j
}

// path is where a file of its is for others.
func (j *journald) path(name string) string { return "/proc/" + strconv.Itoa(j.pid) + "/root" + name }

// await reads the journal until an entry has these fields, and gives it.
func (j *journald) await(fields map[string]string) (entry map[string]string) {
	j.t.Helper()
	harness.Eventually(j.t, fmt.Sprint(fields), func() error {
		args := []string{"--directory", j.path("/run/log/journal"), "--output", "json", "--all", "--no-pager"}
		for name, value := range fields {
			args = append(args, name+"="+value)
		}
		out, err := exec.Command("journalctl", args...).Output()
		if err != nil {
			return fmt.Errorf("journalctl: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(out))
		lines.Buffer(nil, 4<<20)
		if !lines.Scan() {
			return errors.Join(errors.New("there is none"), lines.Err())
		}
		entry = map[string]string{}
		return json.Unmarshal(lines.Bytes(), &entry)
	})
	return entry
}

// journaled logs by the module logging, with a traceback, and one long line.
const journaled = `
import logging
log = logging.getLogger("shop.cart")
def application(environ, start_response):
    try:
        {}["missing"]
    except KeyError:
        log.warning("no such thing", exc_info=True)
    log.error("x" * 400000)
    start_response("200 OK", [])
    return [environ["mod_wsgi.request_id"].encode()]
`

// TestJournal: the real journal gets what a group logs with its level and fields, lines
// of any length whole; it speaks syslog as well.
func TestJournal(t *testing.T) {
	w := newWorld(t)
	j := startJournald(t)
	w.Write("apps/cart.py", journaled)
	w.Configure(group("web", "#64001", 1, 1, option("error_log", "journal:"+j.path("/run/systemd/journal/socket"))) +
		group("old", "#64002", 1, 1, option("error_log", "syslog:local3:"+j.path("/run/systemd/journal/dev-log"))) +
		mount("/web", "apps/cart.py", option("process_group", "web")) + mount("/old", "apps/cart.py", option("process_group", "old")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	d.AwaitReady("web", "old")
	pid := strconv.Itoa(d.Status().PIDs("web")[0])

	id := apache.Get("/web").Text()
	entry := j.await(map[string]string{"WSGID_REQUEST_ID": id, "PRIORITY": "4"})
	message := entry["MESSAGE"]
	if !strings.HasPrefix(message, "no such thing\nTraceback (most recent call last):\n") || !strings.HasSuffix(message, "\nKeyError: 'missing'") {
		t.Errorf("%q", message)
	}
	for name, want := range map[string]string{"SYSLOG_IDENTIFIER": "wsgid", "WSGID_GROUP": "web", "OBJECT_PID": pid, "PYTHON_LOGGER": "shop.cart",
		"CODE_FILE": w.Path("apps/cart.py"), "CODE_LINE": "8", "WSGID_SOURCE": "logging", "_TRANSPORT": "journal", "_PID": strconv.Itoa(d.PID)} {
		if entry[name] != want {
			t.Errorf("%s is %q, want %q", name, entry[name], want)
		}
	}
	if entry := j.await(map[string]string{"WSGID_REQUEST_ID": id, "PRIORITY": "3"}); entry["MESSAGE"] != strings.Repeat("x", 400000) {
		t.Errorf("the long line has %d bytes", len(entry["MESSAGE"]))
	}

	apache.Get("/old")
	entry = j.await(map[string]string{"_TRANSPORT": "syslog", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "wsgid"})
	var event map[string]any // as the log is JSON
	fromJSON(t, entry["MESSAGE"], &event)
	if event["@message"] != message || event["group"] != "old" || entry["SYSLOG_FACILITY"] != "19" || entry["SYSLOG_PID"] != strconv.Itoa(d.PID) {
		t.Errorf("%v", entry)
	}
}

// TestJournalStream: where systemd has connected standard error to the journal, events
// go there with their levels and fields.
func TestJournalStream(t *testing.T) {
	w := newWorld(t)
	j := startJournald(t)
	w.App("hello.py")
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n}\n"+group("web", "#64001", 1, 1)+mount("/", "apps/hello.py")))
	d := w.Start(harness.Options{Wrapper: []string{"nsenter", "--mount", "--target", strconv.Itoa(j.pid),
		"sh", "-c", `JOURNAL_STREAM=$(stat --dereference --format %d:%i /proc/self/fd/2) exec "$0" "$@"`}})
	entry := j.await(map[string]string{"SYSLOG_IDENTIFIER": "wsgid", "WSGID_MODULE": "wsgid.supervisor", "_PID": strconv.Itoa(d.PID)})
	if entry["PRIORITY"] != "6" || !strings.HasPrefix(entry["MESSAGE"], "listening: address=") || entry["WSGID_FIELD_KIND"] != "unix" {
		t.Errorf("%v", entry)
	}
}
