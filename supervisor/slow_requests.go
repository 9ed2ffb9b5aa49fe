package supervisor

import (
	"context"
	"time"

	"github.com/wsgid/wsgid/internal/status"
)

// slowLook is how often requests are looked at, at most and at least.
const (
	slowLookMost  = time.Second
	slowLookLeast = 20 * time.Millisecond
)

// requestKey tells requests of one process apart.
type requestKey struct {
	thread  int
	id      string
	started time.Time
}

// watchSlow logs each request once that runs for longer than slow_request, until
// the process ends. It reads the scoreboard, so that it sees them whatever hangs.
func (p *process) watchSlow(limit time.Duration) {
	defer close(p.slowEnded)
	ticker := time.NewTicker(min(max(limit/4, slowLookLeast), slowLookMost))
	defer ticker.Stop()
	told := map[requestKey]bool{}
	var rest time.Time // until then nothing is asked
	for {
		select {
		case <-p.child.exited: // which ends stacks, too
			return
		case now := <-ticker.C:
			if now.Before(rest) {
				continue
			}
		}
		running := map[requestKey]bool{}
		var slow []status.Request
		board := p.board.Read()
		for _, r := range runningOf(&board) {
			key := requestKey{r.Thread, r.ID, r.Started}
			if running[key] = told[key]; !told[key] && !r.Started.IsZero() && time.Since(r.Started) >= limit {
				running[key] = true
				slow = append(slow, r)
			}
		}
		told = running
		if len(slow) > 0 {
			begun := time.Now()
			p.tellSlow(slow, p.tellStacks(context.Background()))
			// What the process writes, it may write at will: it gets a tenth of our time.
			rest = time.Now().Add(min(9*time.Since(begun), slowLookMost))
		}
	}
}

// tellSlow logs requests, and where they are.
func (p *process) tellSlow(slow []status.Request, stacks status.Stacks) {
	for _, r := range slow {
		args := append(requestFields(&r), "elapsed", time.Since(r.Started).Round(time.Millisecond).String())
		for _, t := range stacks.Threads {
			if t.Request == nil || t.Request.Thread != r.Thread || t.Request.ID != r.ID {
				continue
			}
			args = append(args, "thread", t.TID, "state", t.State)
			if t.Interrupted {
				args = append(args, "gil", "held")
			}
			if t.Stack != "" {
				args = append(args, "stack", t.Stack)
			}
		}
		if !stacks.Answered {
			args = append(args, "process", "does not answer")
		}
		p.log.Warn("request runs for longer than slow_request", args...)
	}
}

// requestFields are what the log says of a request.
func requestFields(r *status.Request) []any {
	fields := []any{"request", r.ID, "method", r.Method, "uri", r.URI, "client", r.Client, "application", r.Application, "phase", r.State}
	if r.Trace != "" {
		fields = append(fields, "trace", r.Trace)
	}
	return fields
}

// about is what else a record of a time-out says: what the request is, and how long
// it has run for. It may have ended before the record was read here. Nil if its thread
// runs another one already.
func (p *process) about(id string) []any {
	r, known := p.board.Request(id)
	if !known {
		return nil
	}
	return []any{"method", r.Method, "uri", r.URI, "client", r.Client, "elapsed", time.Since(displayTime(r.Start)).Round(time.Millisecond).String()}
}
