package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
)

// firstPort is where the ports begin that FreePort gives. They end where those
// begin that the kernel takes for clients and for servers that ask for any.
const firstPort = 10000

// FreePort returns a loopback port for a server that cannot be told to listen on
// port 0, until the test ends. Neither the kernel nor another test, of whichever
// process, gives it to anybody else meanwhile.
func FreePort(t testing.TB) int {
	t.Helper()
	end := 32768
	if content, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(content), &end); err != nil {
			t.Fatal(err)
		}
	}
	if end < firstPort+1000 {
		t.Fatalf("the kernel takes ports from %d on: raise net.ipv4.ip_local_port_range", end)
	}
	var err error
	for range 1000 {
		port := firstPort + rand.IntN(end-firstPort)
		// A name that ends with its process stands for the port.
		var held, listener net.Listener
		if held, err = net.Listen("unix", fmt.Sprintf("@wsgid-test-port-%d", port)); err != nil {
			continue
		}
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			held.Close()
			continue
		}
		listener.Close()
		t.Cleanup(func() { held.Close() })
		return port
	}
	t.Fatalf("no port is free: %v", err)
	return 0
}
