package supervisor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

// TestCopyLines: whole lines go on, wherever a read ends; what has no end, or is longer
// than any line of a router, is left out and counted.
func TestCopyLines(t *testing.T) {
	long := strings.Repeat("x", 300<<10)
	endless := strings.Repeat("y", 3*wire.MaxAccessLine)
	for name, tt := range map[string]struct {
		from, want string
		cut        uint64
	}{
		"nothing":     {"", "", 0},
		"lines":       {"a\n\nb\n", "a\n\nb\n", 0},
		"no end":      {"a\nb", "a\n", 1},
		"long":        {"a\n" + long + "\nb\n", "a\n" + long + "\nb\n", 0},
		"too long":    {"a\n" + endless + "\nb\n" + endless + "\nc\nd", "a\nb\nc\n", 3},
		"only one":    {endless, "", 1},
		"just behind": {endless + "\n", "", 1},
	} {
		for how, from := range map[string]io.Reader{"at once": strings.NewReader(tt.from), "by halves": iotest.HalfReader(strings.NewReader(tt.from))} {
			var to bytes.Buffer
			if cut := copyLines(from, &to); cut != tt.cut || to.String() != tt.want {
				t.Errorf("%s, %s: %d bytes, %d cut", name, how, to.Len(), cut)
			}
		}
	}
}

// fullDisk takes so many bytes.
type fullDisk struct {
	bytes.Buffer
	room int
}

func (d *fullDisk) Write(b []byte) (int, error) {
	n := min(d.room, len(b))
	d.room -= n
	d.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// TestAccessLogFull: a file that cannot be written is told of once, and again when
// lines are missing in it; none is cut in two.
func TestAccessLogFull(t *testing.T) {
	var log strings.Builder
	disk := &fullDisk{room: 9}
	a := newAccessLog("/x/log", disk, nil, hclog.New(&hclog.LoggerOptions{Output: &log}))
	taken := uint64(0)
	write := func(lines string) { // and waits until they are written, or lost
		taken += uint64(strings.Count(lines, "\n"))
		if n, err := a.Write([]byte(lines)); n != len(lines) || err != nil {
			t.Errorf("%d %v", n, err)
		}
		for s := a.Stats(); s.Lines+s.Lost < taken; s = a.Stats() {
			runtime.Gosched()
		}
	}
	for _, lines := range []string{"good\n", "is cut\nis lost\n", "too\n"} {
		write(lines)
	}
	disk.room = 100
	write("good again\n")
	write("and again\n")
	a.Close()
	if got, want := disk.String(), "good\nis c\ngood again\nand again\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if a.Stats().Lost != 3 || strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "cannot be written, its lines are lost: access_log=/x/log error=\"no space left on device\"") ||
		!strings.Contains(log.String(), "lines are missing: they could not be written: access_log=/x/log lines=3") {
		t.Errorf("%d lost, log:\n%s", a.Stats().Lost, log.String())
	}
}

// TestAccessLogs: a path is open once, what a router has lost counts for its file, and
// what may not be opened is refused.
func TestAccessLogs(t *testing.T) {
	dir := t.TempDir()
	var all accessLogs
	defer all.close()
	log := hclog.NewNullLogger()
	first, err := all.open(filepath.Join(dir, "a.log"), log)
	if err != nil {
		t.Fatal(err)
	}
	again, err := all.open(filepath.Join(dir, "a.log"), log)
	if err != nil || again != first {
		t.Errorf("%v", err)
	}
	if err := os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := all.open(filepath.Join(dir, "link"), log); err == nil || !strings.Contains(err.Error(), "access_log: opening the log "+dir+"/link: it is a symbolic link") {
		t.Errorf("%v", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pump := startAccessPump(read, first)
	io.WriteString(write, "line\ncut")
	write.Close()
	<-pump.done
	all.lostLines(&wire.LostLines{Path: first.Name(), Lines: 41})
	all.lostLines(&wire.LostLines{Path: "/else", Lines: 1})
	all.close()
	if shown := shownLogs(&all.set); len(shown) != 1 || shown[0].Destination != first.Name() || shown[0].Lines != 1 || shown[0].Lost != 42 {
		t.Errorf("%+v", shown)
	}
	if text, err := os.ReadFile(first.Name()); string(text) != "line\n" {
		t.Errorf("%q %v", text, err)
	}
}

// TestAccessLogPlan: each file is one pipe behind the listeners, whoever names it.
func TestAccessLogPlan(t *testing.T) {
	cfg := &config.Config{
		Listeners:  []config.Listener{{Kind: config.ListenTCP, Address: "127.0.0.1:1", RequestIDHeader: "X-Request-Id"}, {Kind: config.ListenTCP, Address: "127.0.0.1:2"}},
		AccessLogs: []config.AccessLog{{Path: "/a", Format: "common"}, {Path: "stdout", Format: "json"}},
		VirtualHosts: []config.VirtualHost{
			{Name: "h", AccessLogs: []config.AccessLog{{Path: "/b", Format: "%h", SuppressPaths: []string{"/ping"}}, {Path: "/a", Format: "json"}}},
		},
	}
	p, err := makePlan(cfg, "", currentUsers())
	if err != nil {
		t.Fatal(err)
	}
	w := p.wire
	if len(w.AccessFiles) != 3 || w.AccessFiles[0] != (wire.AccessFile{Path: "/a", FD: 5}) || w.AccessFiles[2] != (wire.AccessFile{Path: "/b", FD: 7}) {
		t.Errorf("%+v", w.AccessFiles)
	}
	if l := w.VirtualHosts[0].AccessLogs; len(l) != 2 || l[0].File != 2 || l[0].Format != "%h" || l[0].SuppressPaths[0] != "/ping" || l[1].File != 0 {
		t.Errorf("%+v", l)
	}
	if w.Listeners[0].RequestIDHeader != "HTTP_X_REQUEST_ID" || w.Listeners[1].RequestIDHeader != "" {
		t.Errorf("%+v", w.Listeners)
	}
}

// TestAccessLogRefused: an access log that cannot be opened keeps wsgid from starting.
func TestAccessLogRefused(t *testing.T) {
	w := newWorld(t)
	w.config.AccessLogs = []config.AccessLog{{Path: filepath.Join(t.TempDir(), "none/access.log"), Format: "common"}}
	s, err := New(w.config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "access_log: opening the log: open ") {
		t.Errorf("%v", err)
	}
}

// TestAccessLogNotReloaded: a reload whose access log cannot be opened changes nothing.
func TestAccessLogNotReloaded(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "access.log")
	w.config.AccessLogs = []config.AccessLog{{Path: path, Format: "common"}}
	wanted := path
	w.reloadable(func() (*config.Config, error) {
		return copyOf(w.config, func(c *config.Config) { c.AccessLogs = []config.AccessLog{{Path: wanted, Format: "json"}} })()
	})
	w.start()
	held := openDescriptors(t)
	for _, tt := range []struct{ path, want string }{
		{filepath.Join(w.dir, "none/access.log"), "access_log: opening the log"}, {path, ""},
	} {
		wanted = tt.path
		var outcome status.Reload
		w.call("POST", "/v1/reload", &outcome)
		if tt.want == "" && outcome.Error != "" || !strings.Contains(outcome.Error, tt.want) {
			t.Errorf("%s: %+v", tt.path, outcome)
		}
	}
	s := w.await("the end of the generation before", func(s *status.Snapshot) bool { return len(s.Draining) == 0 })
	if len(s.AccessLogs) != 1 || s.AccessLogs[0].Destination != path || s.AccessLogs[0].Lost != 0 {
		t.Errorf("%+v", s.AccessLogs)
	}
	awaitDescriptors(t, held)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info, err)
	}
}
