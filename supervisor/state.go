package supervisor

import (
	"fmt"
	"sync"
)

// state is where a worker process is in its life.
type state int

// States, in the only order in which they can follow each other.
const (
	stateStarting state = iota // started, not ready yet
	stateReady                 // serves requests
	stateDraining              // takes no new request, finishes what runs
	stateStopping              // SIGTERM sent, finishes within shutdown_timeout
	stateGone                  // exited and reaped
	stateCount
)

var stateNames = [stateCount]string{"starting", "ready", "draining", "stopping", "gone"}

// String is the state as logs and status show it.
func (s state) String() string { return stateNames[s] }

// transitions lists what may follow each state.
var transitions = [stateCount][]state{
	stateStarting: {stateReady, stateStopping, stateGone},
	stateReady:    {stateDraining, stateStopping, stateGone},
	stateDraining: {stateStopping, stateGone},
	stateStopping: {stateGone},
	stateGone:     nil,
}

// machine holds the state of one process. Waiters are woken by channels.
type machine struct {
	mu      sync.Mutex
	current state
	entered [stateCount]chan struct{}
}

func newMachine() *machine {
	m := &machine{}
	for s := range m.entered {
		m.entered[s] = make(chan struct{})
	}
	close(m.entered[stateStarting])
	return m
}

// get is the current state.
func (m *machine) get() state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current
}

// to enters a state; an illegal transition changes nothing and is an error.
func (m *machine) to(next state) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, allowed := range transitions[m.current] {
		if allowed == next {
			m.current = next
			close(m.entered[next])
			return nil
		}
	}
	return fmt.Errorf("process state %s cannot follow %s", next, m.current)
}

// reached is closed once the state has been entered; it stays open for ever
// when the state is passed over.
func (m *machine) reached(s state) <-chan struct{} { return m.entered[s] }

// was says whether the state has ever been entered.
func (m *machine) was(s state) bool {
	select {
	case <-m.entered[s]:
		return true
	default:
		return false
	}
}
