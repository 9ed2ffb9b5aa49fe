package supervisor

import (
	"context"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
)

// queryLimit bounds how long status waits for the router.
const queryLimit = time.Second

// query asks the router for its figures; nil when it does not answer in time.
func (r *router) query(ctx context.Context) *wire.RouterStatus {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	answer := make(chan *wire.RouterStatus, 1)
	r.mu.Lock()
	if r.session == nil || r.session.state != stateReady.String() && r.session.state != stateDraining.String() {
		r.mu.Unlock()
		return nil
	}
	gone := r.session.child.exited
	r.queryID++
	id := r.queryID
	r.queries[id] = answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.queries, id)
		r.mu.Unlock()
	}()
	r.feed.query(id)
	select {
	case status := <-answer:
		return status
	case <-gone:
		return nil
	case <-ctx.Done():
		return nil
	}
}

// told waits until the router has acted on what it was told so far: it takes one
// message after the other. One that does not answer in time is not waited for.
func (r *router) told() { r.query(context.Background()) }

// answered hands an answer to whoever waits for it.
func (r *router) answered(id uint64, status *wire.RouterStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer, ok := r.queries[id]; ok {
		delete(r.queries, id)
		answer <- status
	}
}

// query sends a question to the router, if there is one.
func (f *feed) query(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.send(&wire.Message{Type: wire.TypeQuery, ID: id})
}
