package wire

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

func TestConnCarriesMessagesOfSeveralGoroutines(t *testing.T) {
	a, b := net.Pipe()
	sender, receiver := NewConn(a), NewConn(b)
	const senders, each = 4, 50
	var wg sync.WaitGroup
	for s := range senders {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				m := &Message{Type: TypeQuery, ID: uint64(s*each + i), Error: strings.Repeat("x", i*200)}
				if err := sender.Send(m); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	seen := map[uint64]bool{}
	for range senders * each {
		m, err := receiver.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Error) != int(m.ID%each)*200 || seen[m.ID] {
			t.Fatalf("message %d came damaged or twice", m.ID)
		}
		seen[m.ID] = true
	}
	wg.Wait()
	sender.Close()
	if _, err := receiver.Receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("after close: %v", err)
	}
}

func TestConnReportsCutAndBadLines(t *testing.T) {
	for input, want := range map[string]string{
		`{"type":"query"`: "unexpected EOF",
		"no json\n":       "decoding message",
	} {
		a, b := net.Pipe()
		go func() {
			io.WriteString(a, input)
			a.Close()
		}()
		_, err := NewConn(b).Receive()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", input, err)
		}
	}
}
