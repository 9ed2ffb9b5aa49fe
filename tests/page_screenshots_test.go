//go:build screenshots

package tests

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestPageScreenshots makes the pictures of docs/images anew, of a real wsgid whose
// groups fare differently: make screenshots. It waits for the curves to have a length.
func TestPageScreenshots(t *testing.T) {
	w := newWorld(t)
	w.Write("open/there", "")
	waits := fmt.Sprintf(waiter, w.Path("open"))
	w.Write("apps/report.py", waits)
	w.Write("apps/search.py", waits)
	w.Write("apps/shop.py", busyShop)
	w.Write("apps/wiki.py", "from wiki import pages\n")
	w.App("crash_import.py")
	openDirectory(t, w, "apps")
	address := freeAddress(t)
	to := func(name string) string { return option("process_group", name) }
	w.Configure("monitor {\n  listen = \"" + address + "\"\n}\n" + group("shop", "#64001", 3, 4) + group("api", "#64002", 2, 6) + group("reports", "#64003", 2, 2) +
		group("search", "#64004", 1, 8) + group("wiki", "#64005", 1, 2) + group("legacy", "#64006", 1, 2) + group("admin", "#64007", 1, 2) +
		mount("/shop", "apps/shop.py", to("shop")) + mount("/api", "apps/shop.py", to("api")) + mount("/reports", "apps/report.py", to("reports")) + mount("/search", "apps/search.py", to("search")) +
		mount("/wiki", "apps/wiki.py", to("wiki")) + mount("/legacy", "apps/crash_import.py", to("legacy")) + mount("/admin", "apps/shop.py", to("admin")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if code, _, errs := w.CLI("maintenance", "--control", w.Control, "admin", "on"); code != 0 {
		t.Fatal(errs)
	}
	for range 5 {
		apache.Get("/wiki/start")
	}
	hang(t, d, apache.Client, "search", "/search?q=chair")

	b := harness.NewBrowser(t)
	b.View(1280, 800, false)
	b.Open("http://" + address + "/")
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	visit := func(path string, every func(i int) time.Duration) {
		wait.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, _ = apache.Try(ctx, "GET", fmt.Sprintf(path, i), nil) // a picture, no proof
				select {
				case <-time.After(every(i)):
				case <-ctx.Done():
				}
			}
		})
	}
	for n := range 6 {
		visit("/shop/item/%d", func(i int) time.Duration { return time.Duration(20+90*((i/40+n)%4)) * time.Millisecond })
	}
	visit("/api/v2/orders?page=%d", func(i int) time.Duration { return time.Duration(30+50*(i/60%3)) * time.Millisecond })
	visit("/api/v2/customers/%d", func(int) time.Duration { return 150 * time.Millisecond })
	time.Sleep(100 * time.Second)
	for n := range 4 {
		hang(t, d, apache.Client, "reports", fmt.Sprintf("/reports?year=202%d", n))
		time.Sleep(10 * time.Second)
	}
	for n := range 3 {
		wait.Go(func() { _, _ = apache.Try(ctx, "GET", fmt.Sprintf("/reports?queued=%d", n), nil) })
	}
	b.Await("a queue", "document.getElementById('total-queued').textContent === '3'")
	time.Sleep(8 * time.Second)

	picture := func(name string) {
		t.Helper()
		data := smaller(t, b.Screenshot())
		if len(data) > 150<<10 {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		if err := os.WriteFile(filepath.Join("..", "docs", "images", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	picture("page-light.png")
	b.View(1280, 800, true)
	picture("page-dark.png")
	open := "[...document.querySelectorAll('.opener')].find(b => b.textContent === '%s').click()"
	b.Eval(fmt.Sprintf(open, "reports"))
	b.View(390, 844, false)
	b.Eval("window.scrollTo(0, 0)")
	picture("page-phone.png")
	b.Eval(fmt.Sprintf(open, "wiki"))
	b.View(1280, 780, false)
	b.Eval("document.querySelector('.errors details').open = true")
	b.Eval("window.scrollTo(0, 0)")
	picture("page-open.png")
	cancel()
	for _, name := range []string{"year=2020", "year=2021", "year=2022", "year=2023", "queued=0", "queued=1", "queued=2", "q=chair", "background"} {
		w.Write("open/"+name, "")
	}
	wait.Wait()
}

// smaller is the same picture in fewer bytes: a browser is in a hurry.
func smaller(t *testing.T, data []byte) []byte {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// busyShop takes a little time, and now and then fails.
const busyShop = `
import random, time

def application(environ, start_response):
    time.sleep(random.expovariate(60))
    if random.random() < 0.004:
        raise RuntimeError("out of stock")
    start_response("200 OK", [])
    return [b"done"]
`
