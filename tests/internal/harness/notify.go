package harness

import (
	"net"
	"os"
	"strings"
	"sync"
	"testing"
)

// notify plays systemd's side of sd_notify: it is how the harness learns that
// wsgid is ready, without polling.
type notify struct {
	path  string
	conn  *net.UnixConn
	done  sync.WaitGroup
	ready chan struct{}
	mutex sync.Mutex
	seen  []string
}

func newNotify(t testing.TB, path string) *notify {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	n := &notify{path: path, conn: conn, ready: make(chan struct{})}
	n.done.Add(1)
	go n.read()
	return n
}

func (n *notify) read() {
	defer n.done.Done()
	var once sync.Once
	buffer := make([]byte, 64<<10)
	for {
		count, err := n.conn.Read(buffer)
		if err != nil {
			return
		}
		lines := strings.Split(strings.TrimSpace(string(buffer[:count])), "\n")
		n.mutex.Lock()
		n.seen = append(n.seen, lines...)
		n.mutex.Unlock()
		for _, line := range lines {
			if line == "READY=1" {
				once.Do(func() { close(n.ready) })
			}
		}
	}
}

// messages received so far, one line each.
func (n *notify) messages() []string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return append([]string(nil), n.seen...)
}

func (n *notify) close() {
	n.conn.Close()
	n.done.Wait()
	os.Remove(n.path)
}
