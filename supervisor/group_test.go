package supervisor

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/wire"
)

// heldWriter is a log that takes a line when it is told to.
type heldWriter struct{ entered, release chan struct{} }

func (w *heldWriter) Write(p []byte) (int, error) {
	close(w.entered)
	<-w.release
	return len(p), nil
}

// TestReadyWhenTheRouterKnows: a slot has settled, and with the last of them
// the start is complete, only when the router has been told of its process: who
// asks or sends a request then finds all of them.
func TestReadyWhenTheRouterKnows(t *testing.T) {
	held := &heldWriter{entered: make(chan struct{}), release: make(chan struct{})}
	g := &group{
		groupPlan: groupPlan{config: &config.DaemonProcess{Name: "web", Threads: 2}}, feed: newGroupFeed("web"), log: hclog.NewNullLogger(),
		stop: make(chan struct{}), announced: wire.GroupState{Name: "web", Available: true},
	}
	p := &process{
		group: g, slot: newSlot(), state: newMachine(), child: &child{pid: 7, started: time.Now()}, serving: make(chan struct{}),
		log: hclog.New(&hclog.LoggerOptions{Output: held}),
	}
	settled := make(chan struct{})
	go func() { g.awaitReady(p); close(settled) }()
	go g.ready(p)
	<-held.entered // the state is ready, the router does not know
	select {
	case <-settled:
		t.Error("settled before the router was told")
	case <-time.After(20 * time.Millisecond):
	}
	close(held.release)
	<-settled
	if told := g.feed.processes[7]; told.State != wire.ProcessReady || told.Threads != 2 {
		t.Errorf("the router was told %+v", told)
	}
}
