package dispatch

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/wire"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestRecordedEnvirons replays what front servers sent in the configurations
// that people use, and compares what reaches the worker with golden lines:
// once with a mount at the prefix that was used, once with a mount at "/". The
// flag -update writes them anew.
func TestRecordedEnvirons(t *testing.T) {
	var names []string
	for _, pattern := range []string{"apache-map-*", "apache-post-*", "nginx-get-*", "nginx-post-*", "nginx-split*", "caddy-get-*", "caddy-post-*",
		"caddy-split", "lighttpd-get-*", "lighttpd-post-*"} {
		found, err := filepath.Glob("../protocol/testdata/fcgi/" + pattern + ".request.bin")
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	if len(names) < 30 {
		t.Fatalf("%d traces", len(names))
	}
	sort.Strings(names)
	var got bytes.Buffer
	for _, prefix := range []string{"", "/"} {
		seen := make(chan string, 1)
		r, _ := oneGroup(t, func(c *wire.RouterConfig) {
			c.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
			if prefix != "" {
				return
			}
			var more []wire.Mount
			for _, p := range tracePrefixes {
				more = append(more, fileMount(p, "/srv/app.wsgi", "web"))
			}
			c.Mounts = append(more, c.Mounts...)
		}, func(q *fakeRequest) {
			if q.want {
				q.accept()
			}
			b, _ := q.body()
			line := fmt.Sprintf("%s SCRIPT_NAME=%q PATH_INFO=%q REQUEST_URI=%q", filepath.Base(q.env["WSGID_SCRIPT"]),
				q.env["SCRIPT_NAME"], q.env["PATH_INFO"], q.env["REQUEST_URI"])
			if length, ok := q.env["CONTENT_LENGTH"]; ok {
				line += " CONTENT_LENGTH=" + length
			}
			seen <- fmt.Sprintf("%s body=%d", line, len(b))
			q.reply("ok")
		}, 1)
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f := r.front()
			f.send(b)
			line := ""
			if a, err := f.read(); err != nil {
				line = "no answer"
			} else if a.status() != "200 OK" {
				line = a.status()
			} else {
				line = <-seen
			}
			f.Close()
			mount := "prefix"
			if prefix != "" {
				mount = "root"
			}
			fmt.Fprintf(&got, "%s %s: %s\n", strings.TrimSuffix(filepath.Base(name), ".request.bin"), mount, line)
		}
	}
	golden := filepath.Join("testdata", "recorded-environs.txt")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
	for i := range max(len(wantLines), len(gotLines)) {
		var w, g string
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if w != g {
			t.Errorf("got  %s\nwant %s", g, w)
		}
	}
}

// tracePrefixes are where the recorded front servers had their applications.
var tracePrefixes = []string{"/app", "/split", "/bal", "/gen", "/pi1", "/pidot", "/pifull", "/piun", "/ppdoc", "/ppm", "/ppstrip", "/pptcp",
	"/rw", "/rwint", "/shalias", "/shdir", "/shgen", "/shloc"}
