package pyshim_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// worker is a real worker process and the supervisor's and router's ends of it.
type worker struct {
	t          testing.TB
	cmd        *exec.Cmd
	dir        string
	socket     string
	status     *os.File
	scoreboard *os.File
	events     chan map[string]string
	stderr     *bytes.Buffer
	exited     chan struct{}
	exitErr    error
	logEnded   chan struct{} // closed when all records of a process that has ended are read

	mu      sync.Mutex
	records []map[string]string
	changed chan struct{} // replaced and closed at each record
}

// build is one of the programs that the tests compile, once.
type build struct {
	once     sync.Once
	path     string
	borrowed bool // from the process that has started this one
	err      error
}

var plain, watched, starting build

// TestMain removes the programs that the tests have compiled.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, b := range []*build{&plain, &watched, &starting} {
		if b.path != "" && !b.borrowed {
			os.RemoveAll(filepath.Dir(b.path))
		}
	}
	os.Exit(code)
}

// workerBinary compiles the C files of the package into a program of its own:
// what the constructor runs is then the same as in wsgid, with sanitizers when
// WSGID_TEST_ASAN=1. more are further arguments of the compiler.
func (b *build) workerBinary(t testing.TB, more ...string) string {
	t.Helper()
	b.once.Do(func() {
		files, err := filepath.Glob("*.c")
		if err != nil {
			b.err = err
			return
		}
		args := []string{"-std=gnu11", "-g", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-I."}
		name := "worker"
		if asan() {
			args = append(args, "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer")
			name += "-asan"
		}
		dir, err := os.MkdirTemp("/tmp", "wsgid-build")
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err == nil {
			err = os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("testdata"))
		}
		if err != nil {
			b.err = err
			return
		}
		b.path = filepath.Join(dir, name)
		args = append(args, "-o", b.path, "ctest/worker_main.c")
		args = append(args, files...)
		args = append(append(args, more...), "-ldl", "-lpthread")
		out, err := exec.Command("gcc", args...).CombinedOutput()
		if err != nil {
			b.err = fmt.Errorf("compile the worker: %w\n%s", err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

func asan() bool { return os.Getenv("WSGID_TEST_ASAN") == "1" }

// workerOptions are the pairs of the boot block that a test changes.
type workerOptions struct {
	python      string
	threads     int
	extra       []string // name=value
	environment []string // NAME=value
	shutdown    int      // shutdown_timeout in milliseconds, 0: 5000
	routerUID   int
	wantFail    bool
	binary      string // default: the plain worker
}

// service as workerOptions.threads is a worker without threads.
const service = -1

func memfd(t testing.TB, name string, content []byte, seals int) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return f
}

// modulesArchive is the Python side as the supervisor hands it over.
func modulesArchive(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	files, err := filepath.Glob("wsgid/*.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix("wsgid."+strings.TrimSuffix(filepath.Base(path), ".py"), ".__init__")
		fmt.Fprintf(&b, "%s\x00%d\x00%s", name, len(source), source)
	}
	return b.Bytes()
}

func seqpacket(t testing.TB) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(fds[0], true)
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
}

func fields(packet []byte) map[string]string {
	m := map[string]string{}
	for len(packet) > 0 {
		name, rest, ok := bytes.Cut(packet, []byte{0})
		if !ok {
			break
		}
		if string(name) == "message" {
			m["message"] = string(rest)
			break
		}
		value, rest, _ := bytes.Cut(rest, []byte{0})
		m[string(name)] = string(value)
		packet = rest
	}
	return m
}

// testdata is a copy of the applications that the worker's user can read: the
// checkout may lie in root's home.
func testdata(t testing.TB) string {
	t.Helper()
	return filepath.Join(filepath.Dir(plain.workerBinary(t)), "testdata")
}

// startWorker starts a worker and waits until it is ready.
func startWorker(t testing.TB, o workerOptions) *worker {
	t.Helper()
	if o.binary == "" {
		o.binary = plain.workerBinary(t)
	}
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{t: t, dir: dir, socket: filepath.Join(dir, "s"), events: make(chan map[string]string, 64),
		stderr: &bytes.Buffer{}, exited: make(chan struct{}), changed: make(chan struct{})}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: w.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listenFile, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	if o.threads == 0 {
		o.threads = 2
	}
	if o.threads == service {
		o.threads = 0
	}
	if o.python == "" {
		o.python = "/usr/bin/python3"
	}
	status, statusChild := seqpacket(t)
	log, logChild := seqpacket(t)
	w.status = status
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	w.scoreboard = memfd(t, "scoreboard", make([]byte, 256+1024*o.threads), seals)
	modules := memfd(t, "modules", modulesArchive(t), seals|unix.F_SEAL_WRITE)
	pairs := []string{"role=worker", "parent=" + strconv.Itoa(os.Getpid()), "fd.status=4",
		"fd.log=5", "fd.scoreboard=6", "fd.modules=7", "name=testgroup", "threads=" + strconv.Itoa(o.threads),
		"multiprocess=1", "router_uid=" + strconv.Itoa(os.Getuid()+o.routerUID), "stack_size=1048576",
		"python=" + o.python, "shutdown_timeout=" + strconv.Itoa(cmp.Or(o.shutdown, 5000)), "version=0.0.0", "umask=18", "dumpable=1",
		"chdir=/", "no_new_privs=1"}
	if o.threads > 0 {
		pairs = append(pairs, "fd.listen=0")
	}
	if os.Getuid() == 0 {
		// Python never runs as root: not here either.
		pairs = append(pairs, "uid=65534", "gid=65534")
		for path, mode := range map[string]os.FileMode{dir: 0o755, w.socket: 0o777} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(o.extra) == 0 || !strings.HasPrefix(o.extra[0], "rule.") {
		pairs = append(pairs, "rule.dir="+testdata(t), "rule.dir="+dir)
	}
	for _, more := range o.extra { // replaces what stands there already, but for lists
		name, _, _ := strings.Cut(more, "=")
		pairs = slices.DeleteFunc(pairs, func(pair string) bool {
			return strings.HasPrefix(pair, name+"=") && !strings.HasPrefix(name, "rule.")
		})
	}
	pairs = append(pairs, o.extra...)
	var block bytes.Buffer
	block.WriteString("wsgid-boot 1\x00")
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&block, "%s\x00%s\x00", name, value)
	}
	boot := memfd(t, "boot", block.Bytes(), seals|unix.F_SEAL_WRITE)

	w.cmd = exec.Command(o.binary)
	w.cmd.Env = []string{"WSGID_BOOT_FD=3", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/tmp",
		"ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:exitcode=99:verify_asan_link_order=0:detect_stack_use_after_return=0"}
	if asan() {
		w.cmd.Env = append(w.cmd.Env, "PYTHONMALLOC=malloc")
	}
	w.cmd.Env = append(w.cmd.Env, o.environment...)
	w.cmd.Stdin = listenFile
	w.cmd.Stdout = w.stderr
	w.cmd.Stderr = w.stderr
	w.cmd.WaitDelay = time.Second // a child of the application may hold the pipe
	w.cmd.ExtraFiles = []*os.File{boot, statusChild, logChild, w.scoreboard, modules}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{listenFile, boot, statusChild, logChild, modules} {
		f.Close()
	}
	go w.readEvents()
	w.logEnded = make(chan struct{})
	go func() { defer close(w.logEnded); w.readLog(log) }()
	go func() { w.exitErr = w.cmd.Wait(); close(w.exited) }()
	t.Cleanup(func() {
		w.cmd.Process.Kill()
		<-w.exited
		status.Close()
		log.Close()
		<-w.logEnded
		listener.Close()
		w.scoreboard.Close()
		if strings.Contains(w.stderr.String(), "Sanitizer") || strings.Contains(w.stderr.String(), "runtime error") {
			t.Errorf("sanitizer report:\n%s", w.stderr)
		}
		if t.Failed() {
			t.Logf("worker wrote:\n%s", w.stderr)
			for _, r := range w.log() {
				t.Logf("log %v", r)
			}
		}
	})
	if !o.wantFail {
		w.event("started")
		w.event("ready")
	}
	return w
}

func (w *worker) readEvents() {
	defer close(w.events)
	buf := make([]byte, 65536)
	for {
		n, err := w.status.Read(buf)
		if err != nil || n == 0 {
			return
		}
		w.events <- fields(buf[:n])
	}
}

func (w *worker) readLog(log *os.File) {
	buf := make([]byte, 65536)
	for {
		n, err := log.Read(buf)
		if err != nil || n == 0 {
			return
		}
		w.mu.Lock()
		w.records = append(w.records, fields(buf[:n]))
		close(w.changed)
		w.changed = make(chan struct{})
		w.mu.Unlock()
	}
}

// patience is for what surely comes; only a failing test waits so long.
const patience = time.Minute

// event waits for the event of that name.
func (w *worker) event(name string) map[string]string {
	w.t.Helper()
	for {
		select {
		case e, ok := <-w.events:
			if !ok {
				w.t.Fatalf("no event %s: the worker is gone: %s", name, w.stderr)
			}
			if e["event"] == name {
				return e
			}
			if e["event"] == "failed" {
				w.t.Fatalf("worker failed: %v", e)
			}
		case <-time.After(patience):
			w.t.Fatalf("no event %s", name)
		}
	}
}

func (w *worker) log() []map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]map[string]string(nil), w.records...)
}

// record waits for a log record whose message contains text.
func (w *worker) record(text string) map[string]string {
	w.t.Helper()
	return w.recordFrom(0, text)
}

// recordFrom is record for those after the first ones.
func (w *worker) recordFrom(first int, text string) map[string]string {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		changed := w.changed
		for _, r := range w.records[first:] {
			if strings.Contains(r["message"], text) {
				w.mu.Unlock()
				return r
			}
		}
		w.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			w.t.Fatalf("no log record with %q", text)
		}
	}
}

// drained waits until the log of a process that has ended is read.
func (w *worker) drained() {
	w.t.Helper()
	select {
	case <-w.logEnded:
	case <-time.After(patience):
		w.t.Fatal("the log has no end")
	}
}

// wait waits for the end of the process and returns its exit status.
func (w *worker) wait() int {
	w.t.Helper()
	select {
	case <-w.exited:
	case <-time.After(patience):
		w.t.Fatal("the worker does not end")
	}
	return w.cmd.ProcessState.ExitCode()
}

func (w *worker) signal(s syscall.Signal) { w.cmd.Process.Signal(s) }

// conn is the router's end of a connection.
type conn struct {
	t testing.TB
	net.Conn
}

func (w *worker) dial() *conn {
	w.t.Helper()
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &conn{w.t, c}
}

const (
	typeBegin, typeAbort, typeEnd, typeParams, typeStdin, typeStdout, typeStderr = 1, 2, 3, 4, 5, 6, 7
	typeGetValues, typeValues, typeUnknown                                       = 9, 10, 11
	truncated                                                                    = 0x57534731
	overloaded                                                                   = 2
)

func record(kind byte, id uint16, content []byte) []byte {
	b := make([]byte, 8, 8+len(content))
	b[0], b[1] = 1, kind
	binary.BigEndian.PutUint16(b[2:], id)
	binary.BigEndian.PutUint16(b[4:], uint16(len(content)))
	return append(b, content...)
}

func pair(name, value string) []byte {
	var b []byte
	for _, s := range []string{name, value} {
		if len(s) < 128 {
			b = append(b, byte(len(s)))
		} else {
			b = binary.BigEndian.AppendUint32(b, uint32(len(s))|1<<31)
		}
	}
	return append(append(b, name...), value...)
}

func stream(kind byte, content []byte, closed bool) []byte {
	var b []byte
	for len(content) > 0 {
		n := min(len(content), 65535)
		b = append(b, record(kind, 1, content[:n])...)
		content = content[n:]
	}
	if closed {
		b = append(b, record(kind, 1, nil)...)
	}
	return b
}

func begin() []byte { return record(typeBegin, 1, []byte{0, 1, 1, 0, 0, 0, 0, 0}) }

type params map[string]string

// request is a whole request in the router's one write.
func request(p params, body []byte, closed bool) []byte {
	return append(head(p), stream(typeStdin, body, closed)...)
}

func head(p params) []byte {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	sort.Strings(names)
	var content []byte
	for _, name := range names {
		content = append(content, pair(name, p[name])...)
	}
	return append(begin(), stream(typeParams, content, true)...)
}

// script gives the parameters for a callable of testdata/file.
func script(t testing.TB, file, callable string, more ...string) params {
	path := file
	if !strings.HasPrefix(file, "/") {
		path = filepath.Join(testdata(t), file)
	}
	p := params{"WSGID_SCRIPT": path, "WSGID_APPLICATION_GROUP": "", "WSGID_CALLABLE": callable,
		"WSGID_REQUEST_ID": "req-1", "WSGID_REQUEST_START": "1700000000250000", "WSGID_QUEUE_START": "1700000000500000",
		"WSGID_ROUTER_PID": "4711", "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/app", "PATH_INFO": "/p",
		"QUERY_STRING": "a=1", "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
		"REQUEST_URI": "/app/p?a=1", "REMOTE_ADDR": "127.0.0.1", "REQUEST_SCHEME": "http"}
	for _, m := range more {
		name, value, _ := strings.Cut(m, "=")
		if value == "-" {
			delete(p, name)
		} else {
			p[name] = value
		}
	}
	return p
}

type response struct {
	status      string
	header      map[string][]string
	raw         string
	body        []byte
	chunks      [][]byte
	appStatus   uint32
	protocol    byte
	stderr      int // STDERR records
	stdoutEnded bool
}

func (c *conn) readRecord() (kind byte, content []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		return 0, nil, err
	}
	content = make([]byte, int(binary.BigEndian.Uint16(h[4:]))+int(h[6]))
	if _, err := io.ReadFull(c, content); err != nil {
		return 0, nil, err
	}
	return h[1], content[:binary.BigEndian.Uint16(h[4:])], nil
}

var errNoResponse = errors.New("connection closed without END_REQUEST")

func (c *conn) response() (*response, error) {
	r := &response{header: map[string][]string{}}
	var all []byte
	for {
		kind, content, err := c.readRecord()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoResponse, err)
		}
		switch kind {
		case typeStdout:
			if len(content) == 0 {
				r.stdoutEnded = true
				continue
			}
			r.chunks = append(r.chunks, content)
			all = append(all, content...)
		case typeStderr:
			r.stderr++
		case typeEnd:
			r.appStatus, r.protocol = binary.BigEndian.Uint32(content), content[4]
			block, body, _ := bytes.Cut(all, []byte("\r\n\r\n"))
			r.raw, r.body = string(block), body
			for _, line := range strings.Split(string(block), "\r\n") {
				name, value, _ := strings.Cut(line, ": ")
				if name == "Status" {
					r.status = value
				}
				r.header[strings.ToLower(name)] = append(r.header[strings.ToLower(name)], value)
			}
			return r, nil
		default:
			return nil, fmt.Errorf("unexpected record type %d", kind)
		}
	}
}

// do sends a request and reads its response, for which it has patience anew.
func (c *conn) do(p params, body []byte) *response {
	c.t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	// The worker may answer before it has read all of the body.
	go c.Write(request(p, body, true))
	r, err := c.response()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (r *response) get(name string) string {
	return strings.Join(r.header[strings.ToLower(name)], "|")
}
