package logwriter

import (
	"cmp"
	"errors"
	"slices"
	"sync"
)

// Destination is what a Set knows of one.
type Destination interface {
	Name() string
	Reopen() error
	Stats() Stats
}

// Set are the destinations that are open, in order to open them all anew and to say
// how they do. The zero value is empty.
type Set struct {
	mu   sync.Mutex
	open []Destination
}

// Add adds one. It stays until wsgid ends.
func (s *Set) Add(d Destination) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, d)
}

// All are the destinations by name.
func (s *Set) All() []Destination {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.open)
	slices.SortStableFunc(all, func(a, b Destination) int { return cmp.Compare(a.Name(), b.Name()) })
	return all
}

// Reopen opens all of them anew. Those that fail go on with the old file.
func (s *Set) Reopen() error {
	var errs []error
	for _, d := range s.All() {
		errs = append(errs, d.Reopen())
	}
	return errors.Join(errs...)
}
