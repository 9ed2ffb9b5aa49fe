package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/wsgid/wsgid/config"
)

// estate is what a supervisor leaves to the one that an upgrade puts into its
// place: open descriptors, and what they are.
type estate struct {
	Version    string         `json:"version"`
	Generation int            `json:"generation"` // the highest that was
	Handover   [2]int         `json:"handover"`
	Control    *leftListener  `json:"control,omitempty"`
	Listeners  []leftListener `json:"listeners"`
	// Broken are the groups that served, and the scripts that they could not import.
	Broken map[string][]brokenScript `json:"broken"`
	// Closed are the groups that an administrator has closed, global among them.
	Closed map[string]leftClosing `json:"closed"`
}

type leftClosing struct {
	Why        string        `json:"why"`
	Since      time.Time     `json:"since"`
	RetryAfter time.Duration `json:"retry_after"`
}

// left is the state of a group for an heir.
func (e *estate) left(name string, c closing) {
	if c.why != "" {
		e.Closed[name] = leftClosing{c.why, c.since, c.retryAfter}
	}
}

func (e *estate) closing(name string) closing {
	c := e.Closed[name]
	return closing{c.Why, c.Since, c.RetryAfter}
}

// leftListener is an open socket; with a unix socket the identity of its file.
type leftListener struct {
	Key     string `json:"key,omitempty"`
	Address string `json:"address"`
	FD      int    `json:"fd"`
	Device  uint64 `json:"device,omitempty"`
	Inode   uint64 `json:"inode,omitempty"`
}

type brokenScript struct {
	Application string `json:"application"`
	Path        string `json:"path"`
}

// receiveEstate is the first thing that an heir does.
func receiveEstate(kin *os.File) (*estate, *json.Decoder, error) {
	decoder := json.NewDecoder(kin)
	e := &estate{}
	if err := decoder.Decode(e); err != nil {
		return nil, nil, fmt.Errorf("taking over from the wsgid before: %w", err)
	}
	return e, decoder, nil
}

// before is the generation of the supervisor before, as far as a transition
// wants to know of it.
func (e *estate) before() *generation {
	g := &generation{number: e.Generation, plan: &plan{}}
	for name, scripts := range e.Broken {
		group := &group{groupPlan: groupPlan{config: &config.DaemonProcess{Name: name, Threads: 1}}, loadErrors: map[scriptKey]loadError{}, closing: e.closing(name)}
		for _, s := range scripts {
			group.loadErrors[scriptKey{s.Application, s.Path}] = loadError{}
		}
		g.groups = append(g.groups, group)
	}
	return g
}

// listeners are those that were left; their files stay, whatever happens here,
// until they are owned.
func (e *estate) listeners() *listeners {
	all := &listeners{}
	for _, left := range e.Listeners {
		l := &openListener{key: left.Key, address: left.Address}
		if left.Inode != 0 {
			l.unix = left.socket()
			l.file = l.unix.file
		} else {
			l.file = os.NewFile(uintptr(left.FD), left.Address)
		}
		all.all = append(all.all, l)
	}
	return all
}

func (l *leftListener) socket() *unixSocket {
	return &unixSocket{path: l.Address, file: os.NewFile(uintptr(l.FD), l.Address), device: l.Device, inode: l.Inode, borrowed: true}
}

// takeOver starts this supervisor's generation beside that of the one before,
// and takes its place when it serves.
func (s *Supervisor) takeOver() error {
	g := s.generation()
	s.embedded = s.estate.closing(global)
	t := &transition{s: s, old: s.estate.before(), next: g}
	err := t.prepare()
	word := kinWord{Version: s.options.Version}
	if err != nil {
		word.Failed = err.Error()
	}
	if sendErr := json.NewEncoder(s.options.Predecessor).Encode(word); sendErr != nil && err == nil {
		err = fmt.Errorf("telling the wsgid before: %w", sendErr)
	}
	var answer kinWord
	if err == nil {
		if err = s.kin.Decode(&answer); err == nil && !answer.Yours {
			err = errors.New("the wsgid before does not leave")
		}
	}
	if err != nil {
		t.takeDown()
		return fmt.Errorf("upgrade: %w", err)
	}
	for _, l := range s.fronts.all {
		if l.unix != nil {
			l.unix.borrowed = false
		}
	}
	s.fronts.keep(g.plan.listeners)
	if err := s.fronts.adjust(g.plan.listeners); err != nil {
		s.log.Error("listener not adjusted", "error", err)
	}
	if path := g.config.Control.Path; path != "" {
		if err := s.inheritControl(g); err != nil {
			s.log.Error("control socket not taken over", "error", err)
		}
	}
	if path := g.config.Control.PIDFile; path != "" {
		if err := writePIDFile(path); err != nil {
			s.log.Error("pid file not written", "error", err)
		}
		s.resources.add(func() { removePIDFile(path) })
	}
	g.serve()
	<-g.startGroups(t.services)
	for _, problem := range t.problems {
		s.log.Error("upgraded, but not all of it serves", "error", problem)
	}
	return nil
}

// inheritControl serves on the control socket that was left, or on one of our
// own.
func (s *Supervisor) inheritControl(g *generation) error {
	var socket *unixSocket
	if left := s.estate.Control; left != nil {
		socket = left.socket()
		if left.Address == g.config.Control.Path {
			socket.borrowed = false
		} else {
			socket.close()
			socket = nil
		}
	}
	control, err := s.openControl(g, socket)
	if err != nil {
		return err
	}
	s.control = control
	s.resources.add(control.close)
	return nil
}
