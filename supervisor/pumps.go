package supervisor

import "sync"

// pumps owns every log pump: most end with their process, but a descendant
// that left the process group may keep a pipe open until wsgid ends.
type pumps struct {
	mu  sync.Mutex
	all map[*logPump]struct{}
}

func (s *pumps) add(p *logPump) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*logPump]struct{}{}
	}
	for old := range s.all { // forget those that have ended
		select {
		case <-old.done:
			delete(s.all, old)
		default:
		}
	}
	s.all[p] = struct{}{}
}

// close ends what is left and waits for it.
func (s *pumps) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.all {
		p.stop()
	}
	s.all = nil
}
