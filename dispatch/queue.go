package dispatch

import (
	"time"

	"github.com/wsgid/wsgid/internal/wire"
)

// maxOvertaking is how many requests in a row may be served before one that
// has waited longer and has a lower priority. The next thread is then for the
// one that has waited longest, so that none waits for ever.
const maxOvertaking = 3

// waiter is a request that waits for a connection.
type waiter struct {
	got      chan *workerConn // of capacity 1; nil: there will be none, see refused
	refused  *refusal         // set before nil is sent
	avoid    int
	priority int
	// ticket orders waiters by arrival. A request that a process did not take
	// keeps it and gets its place back.
	ticket     uint64
	since      time.Time
	prev, next *waiter
	queued     bool
}

// waitList holds the waiters of one priority in order of arrival.
type waitList struct{ first, last *waiter }

// waitQueue hands out turns by priority, and among equals by arrival. A waiter
// that gives up can be taken from it at once. Its owner's lock protects it.
type waitQueue struct {
	lists     [wire.Priorities]waitList
	length    int
	tickets   uint64 // given out
	overtaken int    // requests served in a row while an older one waited
}

// ticket is that of a request which arrives now. One that need not wait
// arrived before all that wait later.
func (q *waitQueue) ticket(waits bool) uint64 {
	if !waits {
		return q.tickets + 1
	}
	q.tickets++
	return q.tickets
}

// push puts w behind all of its priority that came before it.
func (q *waitQueue) push(w *waiter) {
	l := &q.lists[w.priority]
	before, after := l.last, (*waiter)(nil)
	if before != nil && before.ticket >= w.ticket { // it comes back
		before, after = nil, l.first
		for after.ticket < w.ticket {
			before, after = after, after.next
		}
	}
	w.prev, w.next, w.queued = before, after, true
	if before != nil {
		before.next = w
	} else {
		l.first = w
	}
	if after != nil {
		after.prev = w
	} else {
		l.last = w
	}
	q.length++
}

func (q *waitQueue) remove(w *waiter) {
	l := &q.lists[w.priority]
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.length--
}

// heads are the first of the highest priority and the one that has waited
// longest; nil when nobody waits.
func (q *waitQueue) heads() (highest, oldest *waiter) {
	for i := range q.lists {
		w := q.lists[i].first
		if w == nil {
			continue
		}
		if highest = w; oldest == nil || w.ticket < oldest.ticket {
			oldest = w
		}
	}
	return highest, oldest
}

// serve hands out connections of take, which gets the process to avoid, as
// long as somebody waits and there are some.
func (q *waitQueue) serve(take func(avoid int) *workerConn) {
	for q.length > 0 {
		next, oldest := q.heads()
		if q.overtaken == maxOvertaking {
			next = oldest
		}
		c := take(next.avoid)
		if c == nil {
			return
		}
		if q.overtaken++; next == oldest {
			q.overtaken = 0
		}
		q.remove(next)
		next.got <- c
	}
}

// ahead is how many that wait came before w.
func (q *waitQueue) ahead(w *waiter) (n int) {
	for i := range q.lists {
		for v := q.lists[i].first; v != nil && v.ticket < w.ticket; v = v.next {
			n++
		}
	}
	return n
}

// failAll tells every waiter that there will be no connection, and why.
func (q *waitQueue) failAll(r *refusal) { q.failSince(time.Now(), r) }

// failSince tells those who have waited since before then, and counts them.
func (q *waitQueue) failSince(then time.Time, r *refusal) (n uint64) {
	for i := range q.lists {
		var next *waiter
		for w := q.lists[i].first; w != nil; w = next {
			if next = w.next; w.since.After(then) {
				continue
			}
			q.remove(w)
			w.refused = r
			w.got <- nil
			n++
		}
	}
	return n
}
