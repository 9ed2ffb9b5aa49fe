package pyshim_test

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWorkerScripts checks the script table and loading.
func TestWorkerScripts(t *testing.T) {
	other, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	os.Chmod(other, 0o755)
	hello, _ := os.ReadFile("testdata/hello.py")
	dir := filepath.Join(other, "dir")
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	os.MkdirAll(dir+"ectory", 0o755)
	for _, path := range []string{"one.py", "two.py", "dir/a.py", "dir/sub/b.py", "directory/c.py"} {
		os.WriteFile(filepath.Join(other, path), hello, 0o644)
	}
	os.Symlink(filepath.Join(other, "two.py"), filepath.Join(dir, "out.py"))
	os.Symlink(filepath.Join(dir, "a.py"), filepath.Join(dir, "in.py"))
	w := startWorker(t, workerOptions{extra: []string{"rule.file=" + other + "/one.py", "rule.dir=" + dir,
		"rule.dir=" + testdata(t), "rule.file=" + other + "/gone.py"}})
	c := w.dial()
	for path, code := range map[string]string{
		"/one.py": "", "/two.py": "WSGID-1101", "/dir/a.py": "", "/dir/sub/b.py": "", "/dir/in.py": "",
		"/dir/out.py": "WSGID-1101", "/directory/c.py": "WSGID-1101", "/dir/../two.py": "WSGID-1101",
		"/dir/./a.py": "WSGID-1101", "/dir//a.py": "WSGID-1101", "//one.py": "WSGID-1101", "/dir": "WSGID-1101",
		"/dir/": "WSGID-1101", "/dir/none.py": "WSGID-1102", "/gone.py": "WSGID-1102",
	} {
		r := c.do(script(t, other+path, "application"), nil)
		status := map[string]string{"": "200", "WSGID-1101": "403", "WSGID-1102": "404"}[code]
		if r.get("X-WSGID-Error") != code || r.status[:3] != status {
			t.Errorf("%s: %q", path, r.raw)
		}
	}
	for _, file := range []string{"broken.py", "exits.py"} {
		for range 2 {
			if r := c.do(script(t, file, "application"), nil); r.get("X-WSGID-Error") != "WSGID-1103" {
				t.Errorf("%s: %q", file, r.raw)
			}
		}
	}
	got := w.record("cannot be imported")
	if got["code"] != "WSGID-1103" || !strings.Contains(got["message"], "Traceback") || got["request"] != "req-1" ||
		!strings.HasSuffix(got["script"], "broken.py") || got["level"] != "error" {
		t.Error(got)
	}
	if r := c.do(script(t, "hello.py", "nobody"), nil); r.get("X-WSGID-Error") != "WSGID-1104" {
		t.Errorf("no such callable: %q", r.raw)
	}
	for message, code := range map[string]string{
		"script not found: " + other + "/gone.py":                                  "WSGID-1102",
		"script not permitted for this process group: " + other + "/dir/../two.py": "WSGID-1101",
		"script has no such callable object: nobody":                               "WSGID-1104",
	} {
		if got := w.record(message); got["code"] != code || got["level"] != "error" || got["request"] != "req-1" || got["script"] == "" {
			t.Error(got)
		}
	}
	for name, p := range map[string]params{
		"no script":     script(t, "hello.py", "application", "WSGID_SCRIPT=-"),
		"no callable":   script(t, "hello.py", "application", "WSGID_CALLABLE=-"),
		"long script":   script(t, "/"+strings.Repeat("x", 5000), "application"),
		"NUL in script": script(t, testdata(t)+"/hello.py\x00", "application"),
	} {
		if r := c.do(p, nil); r.get("X-WSGID-Error") != "WSGID-1108" {
			t.Errorf("%s: %q", name, r.raw)
		}
	}
	if r := c.do(script(t, "hello.py", "application"), nil); string(r.body) != "Hello, world\n" {
		t.Errorf("%q", r.raw)
	}
}

// TestWorkerRefusal: a script that changed is not run, nor anything after it.
func TestWorkerRefusal(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	hello, _ := os.ReadFile("testdata/hello.py")
	path := filepath.Join(dir, "app.py")
	os.WriteFile(path, hello, 0o644)
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir}})
	c := w.dial()
	old := c.do(script(t, path, "application"), nil)
	if old.status != "200 OK" {
		t.Fatalf("%q", old.raw)
	}
	os.Chtimes(path, time.Now(), time.Unix(0, 0))
	// Not compared: the old module goes on.
	if r := c.do(script(t, path, "application", "WSGID_RELOADING=0"), nil); r.status != "200 OK" {
		t.Errorf("%+v", r)
	}
	// Refused before the body, also when only its beginning was sent.
	c.Write(append(head(script(t, path, "application", "WSGID_WANT_ACCEPT=1")), record(typeStdin, 1, []byte("beginning"))...))
	r, err := c.response()
	if err != nil || r.protocol != overloaded || len(r.chunks) != 0 || r.stderr != 0 || r.stdoutEnded {
		t.Fatal(err, r)
	}
	e := w.event("retire")
	if e["reason"] != "script_reload" || e["script"] != path {
		t.Error(e)
	}
	for range 2 {
		if r := c.do(script(t, path, "application", "WSGID_RELOADING=0"), make([]byte, 200000)); r.protocol != overloaded {
			t.Errorf("%+v", r)
		}
	}
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for e := range w.events {
		if e["event"] == "retire" {
			t.Error("retire was sent twice")
		}
	}
	board := make([]byte, 256)
	w.scoreboard.ReadAt(board, 0)
	if n := binary.LittleEndian.Uint64(board[24:]); n != 3 {
		t.Errorf("%d refused", n)
	}
}

// TestWorkerAccept: the empty STDERR record comes before anything else.
func TestWorkerAccept(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	c.Write(append(head(script(t, "body.py", "read", "WSGID_WANT_ACCEPT=1")), record(typeStdin, 1, []byte("begin"))...))
	kind, content, err := c.readRecord()
	if err != nil || kind != typeStderr || len(content) != 0 {
		t.Fatal(kind, content, err)
	}
	c.Write(stream(typeStdin, []byte("end"), true))
	if r, err := c.response(); err != nil || string(r.body) != "beginend" {
		t.Fatal(err, r)
	}
	// A request that is answered with an error is not accepted.
	c.Write(head(script(t, "broken.py", "application", "WSGID_WANT_ACCEPT=1")))
	if r, err := c.response(); err != nil || r.stderr != 0 || r.status[:3] != "500" {
		t.Fatal(err, r)
	}
}

// TestWorkerValues checks GET_VALUES and management records.
func TestWorkerValues(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	var ask []byte
	for _, name := range []string{"WSGID_PID", "WSGID_THREAD", "WSGID_GENERATION", "UNKNOWN", "FCGI_MPXS_CONNS"} {
		ask = append(ask, pair(name, "")...)
	}
	c.Write(record(typeGetValues, 0, ask))
	kind, content, err := c.readRecord()
	if err != nil || kind != typeValues {
		t.Fatal(kind, err)
	}
	want := [][]byte{pair("WSGID_PID", fmt.Sprint(w.cmd.Process.Pid)), pair("WSGID_GENERATION", "0"), pair("FCGI_MPXS_CONNS", "0")}
	for _, p := range want {
		if !strings.Contains(string(content), string(p)) {
			t.Errorf("%q lacks %q", content, p)
		}
	}
	if !strings.Contains(string(content), "WSGID_THREAD") || strings.Contains(string(content), "UNKNOWN") {
		t.Errorf("%q", content)
	}
	c.Write(record(77, 0, []byte("what")))
	if kind, content, err := c.readRecord(); err != nil || kind != typeUnknown || content[0] != 77 {
		t.Fatal(kind, content, err)
	}
	c.Write(record(typeBegin, 1, []byte{0, 2, 1, 0, 0, 0, 0, 0}))
	if r, err := c.response(); err != nil || r.protocol != 3 {
		t.Fatal(err, r)
	}
	if r := c.do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("%+v", r)
	}
}

// TestWorkerMalformed sends what the router never would: the connection may
// go, the worker stays.
func TestWorkerMalformed(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 3})
	good := request(script(t, "hello.py", "application"), []byte("body"), true)
	cases := map[string][]byte{
		"nothing":             {},
		"http":                []byte("GET / HTTP/1.1\r\n\r\n"),
		"version":             append([]byte{2}, good[1:]...),
		"begin id 0":          record(typeBegin, 0, make([]byte, 8)),
		"begin short":         record(typeBegin, 1, make([]byte, 7)),
		"begin twice":         append(begin(), good...),
		"params cut":          append(append(begin(), stream(typeParams, []byte{5, 200, 'a'}, true)...), record(typeStdin, 1, nil)...),
		"params length":       append(append(begin(), stream(typeParams, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true)...), record(typeStdin, 1, nil)...),
		"params over limit":   append(begin(), stream(typeParams, make([]byte, 3<<20), false)...),
		"params after params": append(head(script(t, "body.py", "read")), stream(typeParams, []byte("x"), true)...),
		"stdin first":         append(begin(), record(typeStdin, 1, []byte("x"))...),
		"abort in params":     append(begin(), record(typeAbort, 1, nil)...),
		"begin in body":       append(head(script(t, "body.py", "read")), begin()...),
	}
	for name, bytes := range cases {
		c := w.dial()
		go func() {
			c.Write(bytes)
			c.Conn.(*net.UnixConn).CloseWrite()
		}()
		for {
			if _, _, err := c.readRecord(); err != nil {
				break
			}
		}
		c.Close()
		next := w.dial()
		if r := next.do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
			t.Errorf("after %s: %+v", name, r)
		}
		next.Close()
	}
	random := rand.New(rand.NewSource(1))
	for range 400 {
		b := append([]byte{}, good...)
		for range 1 + random.Intn(4) {
			b[random.Intn(len(b))] ^= byte(1 << random.Intn(8))
		}
		c := w.dial()
		c.Write(b[:random.Intn(len(b)+1)])
		c.Conn.(*net.UnixConn).CloseWrite()
		for {
			if _, _, err := c.readRecord(); err != nil {
				break
			}
		}
		c.Close()
	}
	if r := w.dial().do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("%+v", r)
	}
}

// TestWorkerPeer: only the router's uid is served.
func TestWorkerPeer(t *testing.T) {
	w := startWorker(t, workerOptions{routerUID: 1})
	c := w.dial()
	c.Write(request(script(t, "hello.py", "application"), nil, true))
	if r, err := c.response(); err == nil {
		t.Errorf("served: %+v", r)
	}
	if got := w.record("peer is not the router"); got["level"] != "warn" {
		t.Error(got)
	}
}

// TestWorkerStart checks events, preloading and failures to start.
func TestWorkerStart(t *testing.T) {
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + testdata(t),
		"preload=\t" + testdata(t) + "/hello.py",
		"preload=sub\t" + testdata(t) + "/broken.py",
		"preload=\t" + testdata(t) + "/none.py"}})
	if got := w.record("cannot be imported"); got["application"] != "sub" || got["code"] != "WSGID-1103" {
		t.Error(got)
	}
	w.record("not found")
	if r := w.dial().do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("%+v", r)
	}
	bad := startWorker(t, workerOptions{python: "/nonexistent/python3", wantFail: true})
	e := <-bad.events
	if e["event"] != "failed" || !strings.Contains(e["error"], "/nonexistent/python3") {
		t.Error(e)
	}
	if status := bad.wait(); status != 1 {
		t.Errorf("exit status %d", status)
	}
}

func waiting(t *testing.T, w *worker) (c *conn, release func()) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o777)
	flag := filepath.Join(dir, "flag")
	c = w.dial()
	c.Write(request(script(t, "responses.py", "wait", "QUERY_STRING="+flag, "REQUEST_URI=/waits", "REMOTE_ADDR=192.0.2.7", "WSGID_TRACE=0af7651916cd43dd8448eb211c80319c"), nil, true))
	deadline := time.Now().Add(patience)
	for {
		if _, err := os.Stat(flag); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the application does not run")
		}
		time.Sleep(time.Millisecond)
	}
	return c, func() { os.Remove(flag) }
}

// TestWorkerStop: SIGTERM lets what runs finish and cuts what is idle.
func TestWorkerStop(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 3})
	idle := w.dial()
	idle.do(script(t, "hello.py", "application"), nil)
	busy, release := waiting(t, w)
	w.signal(syscall.SIGHUP)
	w.signal(syscall.SIGINT)
	if r := idle.do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("after SIGINT and SIGHUP: %+v", r)
	}
	w.signal(syscall.SIGTERM)
	if _, _, err := idle.readRecord(); err == nil {
		t.Error("the idle connection is not closed")
	}
	release()
	if r, err := busy.response(); err != nil || string(r.body) != "waited" {
		t.Error(err, r)
	}
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestWorkerShutdownTimeout: a request that does not end is cut off.
func TestWorkerShutdownTimeout(t *testing.T) {
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + testdata(t), "shutdown_timeout=100"}})
	w2 := startWorker(t, workerOptions{extra: []string{"rule.dir=" + testdata(t)}})
	_, release := waiting(t, w2)
	defer release()
	w2.status.Close() // the supervisor is gone: at once
	if status := w2.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	// The first value of a name counts: this worker has 5 s.
	_, release = waiting(t, w)
	defer release()
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	w.record("requests are cut off: 1")
}

// TestWorkerScoreboard reads what a running request shows.
func TestWorkerScoreboard(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 2})
	c, release := waiting(t, w)
	board := make([]byte, 256+2*1024)
	w.scoreboard.ReadAt(board, 0)
	if binary.LittleEndian.Uint32(board) != 0x42535357 || binary.LittleEndian.Uint32(board[4:]) != 1 ||
		binary.LittleEndian.Uint32(board[8:]) != 2 || board[64] != '3' {
		t.Errorf("header % x", board[:100])
	}
	found := false
	for i := range 2 {
		slot := board[256+1024*i:]
		if binary.LittleEndian.Uint32(slot[4:]) != 4 {
			continue
		}
		found = true
		text := func(at, length int) string {
			return string(slot[at : at+int(binary.LittleEndian.Uint16(slot[24+2*length:]))])
		}
		got := []string{text(64, 0), text(128, 1), text(320, 2), text(144, 3), text(192, 4)}
		if trace := fmt.Sprintf("%x", slot[48:64]); trace != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("trace %s", trace)
		}
		if fmt.Sprint(got) != "[req-1 GET /waits 192.0.2.7 ]" || binary.LittleEndian.Uint64(slot[8:]) != 1700000000250000 {
			t.Errorf("slot %v", got)
		}
	}
	if !found {
		t.Error("no slot is in the application")
	}
	release()
	c.response()
	c.do(script(t, "responses.py", "raises"), nil)
	w.scoreboard.ReadAt(board, 0)
	if finished, failed := binary.LittleEndian.Uint64(board[16:]), binary.LittleEndian.Uint64(board[32:]); finished != 2 || failed != 1 {
		t.Errorf("finished %d failed %d", finished, failed)
	}
}

// TestMaximumRequests: the process asks once to be replaced, and serves on; with
// one thread and one request it takes no second one.
func TestMaximumRequests(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1, extra: []string{"maximum_requests=3"}})
	c := w.dial()
	for i := range 6 {
		if r := c.do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
			t.Errorf("request %d: %q", i, r.raw)
		}
		if i == 3 { // the third one was the last that it should serve
			if e := w.event("relieve"); e["reason"] != "maximum_requests" {
				t.Error(e)
			}
		} else if len(w.events) > 0 && i < 2 {
			t.Errorf("after %d requests: %v", i+1, <-w.events)
		}
	}
	w.signal(syscall.SIGTERM)
	w.wait()
	for e := range w.events {
		t.Errorf("again: %v", e)
	}
	once := startWorker(t, workerOptions{threads: 1, extra: []string{"maximum_requests=1"}})
	c = once.dial()
	if r := c.do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("%q", r.raw)
	}
	if e := once.event("retire"); e["reason"] != "maximum_requests" {
		t.Error(e)
	}
	if r := c.do(script(t, "hello.py", "application"), nil); r.protocol != overloaded {
		t.Errorf("the second request: %q", r.raw)
	}
}
