package harness

import (
	"net"
	"testing"
)

// FreePort returns a loopback port that was free a moment ago. A server that
// cannot be told to listen on port 0 takes it; who loses the race asks again.
func FreePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
