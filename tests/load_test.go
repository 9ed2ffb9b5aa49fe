package tests

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestManyClients: 200 clients at once on 10 threads, without an error.
func TestManyClients(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.App("body_hash.py")
	w.App("slow.py")
	w.Configure(group("only", "#64001", 2, 5) + mount("/hash", "apps/body_hash.py") + mount("/slow", "apps/slow.py") + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	content := payload(30000)
	each := rounds(15, 200)
	const warm = 3
	for number := range warm { // what is opened once, is open
		if err := oneOfThree(t, apache.Client, number, content); err != nil {
			t.Fatal(err)
		}
	}
	// held counts the descriptors of router and workers, without the router's
	// connections to Apache, which keeps as many as it likes.
	held := func(s harness.Status) (counts []int) {
		counts = append(counts, harness.Descriptors(s.RouterPID)-s.Router.Connections)
		for _, pid := range s.PIDs("only") {
			counts = append(counts, harness.Descriptors(pid))
		}
		return counts
	}
	before := held(wsgid.AwaitStatus("every thread is connected", func(s harness.Status) error {
		if connections := s.Group("only").Connections; connections != 10 || s.Router.InFlight != 0 {
			return fmt.Errorf("%d connections, %d in flight", connections, s.Router.InFlight)
		}
		return nil
	}))
	var wait sync.WaitGroup
	for client := range 200 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for number := range each {
				if err := oneOfThree(t, apache.Client, client+number, content); err != nil {
					t.Errorf("client %d, request %d: %v", client, number, err)
					return
				}
			}
		}()
	}
	wait.Wait()
	status := wsgid.AwaitIdle()
	only := status.Group("only")
	if want := uint64(200*each + warm); only.Requests != want || status.Router.Requests != want {
		t.Errorf("%d requests counted in the group, %d in the router, want %d", only.Requests, status.Router.Requests, want)
	}
	if only.Errors+only.Rejected+status.Router.Errors != 0 || len(only.Restarts) != 0 {
		t.Errorf("errors %d, rejected %d, in the router %d, exits %v", only.Errors, only.Rejected, status.Router.Errors, only.Restarts)
	}
	wsgid.AwaitStatus("no descriptor has leaked", func(s harness.Status) error {
		after := held(s)
		for number := range before {
			if number >= len(after) || after[number] > before[number] {
				return fmt.Errorf("router and workers hold %v, before the load %v", after, before)
			}
		}
		return nil
	})
	if got := len(only.Processes); got != 2 {
		t.Errorf("%d processes", got)
	}
	if only.Connections > 10 {
		t.Errorf("%d connections to 10 threads", only.Connections)
	}
}

// oneOfThree sends a GET, a POST or a request that takes a moment.
func oneOfThree(t *testing.T, client *harness.Client, number int, content []byte) error {
	var response *harness.Response
	var err error
	switch number % 3 {
	case 0:
		response, err = client.Try(t.Context(), "GET", "/", nil)
		if err == nil && response.Text() != "Hello, world!\n" {
			return fmt.Errorf("status %d: %.200s", response.Status, response.Body)
		}
	case 1:
		size := number * 37 % len(content)
		response, err = client.Try(t.Context(), "POST", "/hash", bytes.NewReader(content[:size]))
		if err == nil && !bytes.Contains(response.Body, []byte(digest(content[:size]))) {
			return fmt.Errorf("status %d, wrong hash: %.200s", response.Status, response.Body)
		}
	default:
		response, err = client.Try(t.Context(), "GET", "/slow?for=0.01", nil)
	}
	if err != nil {
		return err
	}
	if response.Truncated != nil {
		return fmt.Errorf("status %d, cut off: %w", response.Status, response.Truncated)
	}
	if response.Status != 200 {
		return fmt.Errorf("status %d: %.200s", response.Status, response.Body)
	}
	return nil
}
