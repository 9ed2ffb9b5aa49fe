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

// machine holds the state of one process.
type machine struct {
	mu      sync.Mutex
	current state
	entered [stateCount]bool
}

func newMachine() *machine {
	m := &machine{}
	m.entered[stateStarting] = true
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
			m.entered[next] = true
			return nil
		}
	}
	return fmt.Errorf("process state %s cannot follow %s", next, m.current)
}

// was says whether the state has ever been entered.
func (m *machine) was(s state) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entered[s]
}
