package supervisor

import (
	"sync"

	"github.com/wsgid/wsgid/internal/wire"
)

// outbox is the queue of messages for one router. Putting never blocks: a
// router that does not read must not hold up the supervisor. What it has to
// be told is little, so the queue is not bounded.
type outbox struct {
	conn *wire.Conn
	wake chan struct{}
	quit chan struct{}
	done chan struct{}

	mu    sync.Mutex
	queue []*wire.Message
}

// newOutbox starts the one sender of conn; broken is called when it fails.
func newOutbox(conn *wire.Conn, broken func(error)) *outbox {
	o := &outbox{conn: conn, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go o.run(broken)
	return o
}

func (o *outbox) put(m *wire.Message) {
	o.mu.Lock()
	o.queue = append(o.queue, m)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) run(broken func(error)) {
	defer close(o.done)
	for {
		select {
		case <-o.wake:
		case <-o.quit:
			return
		}
		o.mu.Lock()
		queue := o.queue
		o.queue = nil
		o.mu.Unlock()
		for _, m := range queue {
			if err := o.conn.Send(m); err != nil {
				broken(err)
				return
			}
		}
	}
}

// close ends the sender; the connection has to be closed before.
func (o *outbox) close() {
	close(o.quit)
	<-o.done
}
