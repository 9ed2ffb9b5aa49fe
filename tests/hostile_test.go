package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestHostileFront: what a peer on the FastCGI socket may send: nothing, half a
// record, other protocols, noise. None of it harms anybody, and who sends
// nothing more is hung up on after header_timeout.
func TestHostileFront(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure("listen \"unix\" {\n  path = \"{{.Dir}}/run/hasty.sock\"\n  header_timeout = \"500ms\"\n  body_timeout = \"500ms\"\n}\n" +
		group("only", "#64001", 1, 2) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	router := wsgid.AwaitReady("only").RouterPID
	w.Socket = w.Path("run/hasty.sock")
	begin := fcgi(1, 1, []byte{0, 1, 1, 0, 0, 0, 0, 0})
	params := fcgi(4, 1, append(fcgiPair("REQUEST_METHOD", "POST"), append(fcgiPair("SCRIPT_NAME", "/x"), fcgiPair("CONTENT_LENGTH", "100")...)...))
	source := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(source.Uint32())
	}
	for name, sent := range map[string][]byte{
		"half a header":      begin[:5],
		"begin only":         begin,
		"half of params":     append(append([]byte(nil), begin...), params[:20]...),
		"no end of params":   append(append([]byte(nil), begin...), params...),
		"no body":            append(append(append([]byte(nil), begin...), params...), fcgi(4, 1, nil)...),
		"half a body":        append(append(append(append([]byte(nil), begin...), params...), fcgi(4, 1, nil)...), fcgi(5, 1, noise[:50])...),
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"noise":              noise,
		"noise in params":    append(append([]byte(nil), begin...), fcgi(4, 1, noise)...),
		"other version":      {9, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0},
		"begin with id 0":    fcgi(1, 0, []byte{0, 1, 1, 0, 0, 0, 0, 0}),
		"begin too short":    fcgi(1, 1, []byte{0, 1}),
		"END_REQUEST":        fcgi(3, 1, make([]byte, 8)),
		"huge pair":          append(append([]byte(nil), begin...), fcgi(4, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'})...),
		"begin within begin": append(append([]byte(nil), begin...), begin...),
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, w)
			if _, err := conn.Write(sent); err != nil {
				t.Logf("writing: %v", err) // it hung up already
			}
			if err := conn.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
				t.Fatal(err)
			}
			switch name {
			case "END_REQUEST": // dropped; the connection is idle, and stays
				conn.Close()
			case "no body", "half a body": // an answer, after which the connection may be used again
				buffer := make([]byte, 512)
				if n, err := conn.Read(buffer); err != nil || !bytes.Contains(buffer[:n], []byte("Status: 408")) {
					t.Errorf("%q %v, want a 408", buffer[:n], err)
				}
				conn.Close()
			default:
				if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
					t.Error("the connection is still open")
				}
			}
			if got := apache.Get("/"); got.Status != 200 {
				t.Errorf("an ordinary request: %d", got.Status)
			}
		})
	}
	// Many at once do not keep anybody from being served.
	for range rounds(200, 2000) {
		conn := dial(t, w)
		if _, err := conn.Write(begin); err != nil {
			t.Fatal(err)
		}
	}
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("beside many half-open connections: %d", got.Status)
	}
	status := wsgid.AwaitStatus("they were hung up on", func(s harness.Status) error {
		if s.Router.Connections > 20 || s.Router.InFlight != 0 {
			return fmt.Errorf("%d connections, %d in flight", s.Router.Connections, s.Router.InFlight)
		}
		return nil
	})
	if status.RouterPID != router {
		t.Errorf("router %d, was %d", status.RouterPID, router)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestAllowedUIDs: allowed_uids hangs up on other users, whatever the file mode.
func TestAllowedUIDs(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	w.Configure("listen \"unix\" {\n  path = \"{{.Dir}}/run/own.sock\"\n  allowed_uids = [\"www-data\", \"#64020\"]\n  mode = \"0660\"\n  group = \"#64030\"\n  owner = \"www-data\"\n}\n" +
		group("only", "#64001", 1, 2) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	w.Socket = w.Path("run/own.sock")
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("www-data: %d %s", got.Status, got.Body)
	}
	for uid, allowed := range map[uint32]bool{64020: true, 64021: false} { // the group of the file lets both in
		mark := wsgid.Log.Mark()
		ask := exec.Command(harness.SystemPython, "-c", "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"+
			"try:\n    s.sendall(b'\\x01\\x09\\0\\0\\0\\0\\0\\0')\n    print(len(s.recv(100)))\nexcept OSError:\n    print(0)\n", w.Socket)
		ask.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 64030}}
		out, err := ask.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != map[bool]string{true: "8", false: "0"}[allowed] {
			t.Errorf("user %d got %s bytes, allowed: %v, %v", uid, got, allowed, err)
		}
		if !allowed {
			wsgid.Log.AwaitFrom(t, mark, "the refusal", harness.Containing("WSGID-1026", fmt.Sprint(uid)))
		}
	}
	conn := dial(t, w) // as root
	_, _ = conn.Write(fcgi(9, 0, fcgiPair("FCGI_MAX_CONNS", "")))
	if err := conn.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) != 0 || isTimeout(err) {
		t.Errorf("another user got %q, %v", got, err)
	}
}
