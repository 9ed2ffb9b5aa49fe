package tests

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestPage: the page of the monitor in a real browser shows what runs, goes on by
// itself, keeps what its reader has opened, says when it is old, and takes what
// strangers write as text.
func TestPage(t *testing.T) {
	const hostile = "<img src=x onerror=alert(1)>" // the name of a group, and in an URL
	w := newWorld(t)
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Write("apps/<b>broken.py", "raise RuntimeError('<script>alert(2)</script>')\n")
	address := freeAddress(t)
	w.Configure("monitor {\n  listen = \"" + address + "\"\n}\n" + group("web", "#64001", 1, 2) + group(hostile, "#64002", 1, 1) +
		mount("/one", "apps/one.py", option("process_group", "web")) +
		mount("/broken", "apps/<b>broken.py", option("process_group", hostile), option("application_group", "<i>tag")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	d.AwaitReady("web", hostile)
	uri := "/one?<script>alert(3)<script>"
	first := hang(t, d, apache.Client, "web", "/one?first")
	wantStatus(t, "broken", apache.Get("/broken"), 500)

	pageHeaders(t, harness.NewClient(t, "http://"+address))
	if code, body := controlClient(t, w)("/"); code != 200 || !strings.Contains(body, "<h1>wsgid</h1>") {
		t.Errorf("on the control socket: %d %.200s", code, body)
	}

	b := harness.NewBrowser(t)
	b.View(1280, 900, false)
	b.Open("http://" + address + "/")
	text := func(s string) string {
		return "document.querySelector('main').innerText.includes(" + strconv.Quote(s) + ")"
	}
	b.Await("the request", text("GET /one?first"))
	b.Await("the group with a strange name", text(hostile))
	b.Await("what cannot be imported", text("1 script cannot be imported"))

	// A group is opened, and stays so while it is filled anew.
	opener := func(name string) string {
		return "[...document.querySelectorAll('.opener')].find(b => b.textContent === " + strconv.Quote(name) + ")"
	}
	b.Eval(opener("web") + ".click()")
	b.Eval(opener(hostile) + ".click()")
	b.Await("the error of the script", text("<script>alert(2)</script>"))
	b.Eval("document.querySelector('.errors details').open = true")
	b.Eval(opener("web") + ".focus()")
	b.Eval("window.getSelection().selectAllChildren(document.querySelector('#groups .opener'))")
	b.Eval("window.scrollTo(0, 40)")

	second := hang(t, d, apache.Client, "web", uri)
	running := func(n int) string {
		return fmt.Sprintf("document.querySelectorAll('#requests tbody').length === %d && document.querySelectorAll('#groups .detail tbody').length >= %d", n, n)
	}
	b.Await("both requests", running(2)+" && "+text(uri))
	b.Await("all threads busy", text("all 2 threads busy"))
	w.Write("open/first", "")
	<-first
	b.Await("one request", running(1)+" && !"+text("GET /one?first"))
	for what, expression := range map[string]string{
		"the group is open":          opener("web") + ".getAttribute('aria-expanded') === 'true' && " + opener("web") + ".closest('tbody').querySelector('.detail').checkVisibility()",
		"the traceback is open":      "document.querySelector('.errors details').open",
		"the focus is where it was":  "document.activeElement === " + opener("web"),
		"the selection, too":         "String(window.getSelection()) === 'web'",
		"and the place":              "window.scrollY === 40",
		"no element of a stranger":   "!document.querySelector('main img, main b b, main i i, main script, td i:not(.bar i)')",
		"nothing from elsewhere":     "performance.getEntriesByType('resource').every(r => r.name.startsWith('http://" + address + "/status'))",
		"a filter leaves others out": "(() => { const c = document.getElementById('of-group'); c.value = " + strconv.Quote(hostile) + "; c.dispatchEvent(new Event('input')); const n = document.querySelectorAll('#requests tbody').length; c.value = ''; c.dispatchEvent(new Event('input')); return n === 0 })()",
	} {
		if b.Eval(expression) != "true" {
			t.Errorf("not so: %s", what)
		}
	}
	stopped := d.Status().PIDs(hostile)[0]
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.Await("a stopped process", text("a signal has stopped 1 process")+" && "+text("ready, stopped"))
	if err := syscall.Kill(stopped, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{390, 1280} {
		b.View(width, 900, width == 390)
		if got := b.Eval("document.documentElement.scrollWidth"); got != strconv.FormatInt(width, 10) {
			t.Errorf("the document is %s wide in a window of %d: %s", got, width,
				b.Eval("[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth).slice(0, 9).map(e => e.tagName + '.' + e.className + '#' + e.id).join(' ')"))
		}
	}

	// The supervisor hangs: the page says so, loads all the same, and recovers.
	if err := syscall.Kill(d.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = syscall.Kill(d.PID, syscall.SIGCONT) }
	defer goOn()
	b.Await("it is said", "document.body.className === 'stale' && /The supervisor does not answer what is shown is \\d+s old/.test(document.getElementById('connection').innerText) && "+text(uri))
	wantStatus(t, "the page of a supervisor that hangs", harness.NewClient(t, "http://"+address).Get("/"), 200, "<h1>wsgid</h1>")
	goOn()
	b.Await("it goes on", "document.body.className === '' && document.getElementById('live').innerText === 'live'")
	w.Write("open/"+strings.TrimPrefix(uri, "/one?"), "")
	w.Write("open/background", "")
	<-second
	b.Await("nothing runs", running(0))
}

// pageHeaders asserts what goes with the page, and that HEAD is answered alike.
func pageHeaders(t *testing.T, look *harness.Client) {
	t.Helper()
	get, head := look.Get("/"), look.Do("HEAD", "/", nil)
	wantStatus(t, "the page", get, 200, "<h1>wsgid</h1>")
	wantStatus(t, "HEAD", head, 200)
	for _, response := range []*harness.Response{get, head} {
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Content-Length": strconv.Itoa(len(get.Body)),
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %s", policy)
		}
	}
	if got := look.Get("/nowhere"); got.Status != 404 || !strings.Contains(got.Text(), "there are /, /metrics") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}
