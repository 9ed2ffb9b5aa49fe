package dispatch

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

// maxWhole is how much of a request is written to a worker in one go before
// its answer is read. It is below what a unix socket holds, so that a worker
// which answers without reading the body blocks nobody; a longer body is
// written beside the reading.
const maxWhole = 128 << 10

// maxRefusals bounds how often one request is offered. Each refusal takes a
// process out of the choice, so only a group whose processes keep changing
// comes near it (mod_wsgi: 2 × processes + 1).
const maxRefusals = 100

// attempt is what became of sending the request to one worker.
type attempt uint8

const (
	attemptDone   attempt = iota // answered, or the front connection is broken
	attemptAgain                 // it was not run: send it to another
	attemptDied                  // the process ended while it had the request
	attemptBroken                // nothing can be done for the client any more
)

// forwardRequest gets the request to a worker and the answer back.
func (x *exchange) forwardRequest() outcome {
	g := x.route.group
	x.queueStart = time.Now()
	x.front.patience(g.config.ResponseSocketTimeout)
	wantAccept := !x.bodyEnded
	x.finishHead(wantAccept)
	rest := x.body // what is written beside the reading
	if first := min(len(rest), max(0, maxWhole-len(x.out))); wantAccept || first == len(rest) {
		x.out = protocol.AppendStream(x.out, protocol.Stdin, 1, rest[:first])
		rest = rest[first:]
		if !wantAccept {
			x.out = protocol.AppendStreamEnd(x.out, protocol.Stdin, 1)
		}
	}
	avoid, refusals, deaths := 0, 0, 0
	for {
		w, r, o := g.acquire(x, avoid)
		if r != nil {
			return x.refuse(r)
		}
		if o != answered {
			return o
		}
		begun := x.span.now()
		result := x.try(w, wantAccept, rest)
		avoid = w.process.pid
		x.attemptSpan(begun, avoid, result)
		switch result {
		case attemptDone:
			return answered
		case attemptBroken:
			return broken
		case attemptAgain:
			if refusals++; refusals > maxRefusals {
				return x.refuse(refuse(errcode.GroupUnavailable, "group", g.label, "refusals", refusals))
			}
		case attemptDied:
			deaths++
			if r := x.died(deaths, w.process); r != nil {
				return x.refuse(r)
			}
		}
		x.newCaller()
	}
}

// died decides whether a request that was at a process when it ended may be
// sent again: once, and only if doing it twice does no harm.
func (x *exchange) died(deaths int, p *process) *refusal {
	pid := p.pid
	if x.route.group.isOverdue(p) {
		return refuse(errcode.RequestOverdue, "group", x.route.group.config.Name, "pid", pid, "script", x.target.script)
	}
	if deaths > 1 {
		return refuse(errcode.CrashedTwice, "group", x.route.group.label, "pid", pid, "script", x.target.script)
	}
	switch string(x.env.method) {
	case "GET", "HEAD":
		if x.bodyEnded {
			x.tell(hclog.Warn, "worker died, trying another", "group", x.route.group.label, "pid", pid)
			return nil
		}
	}
	return refuse(errcode.WorkerDied, "group", x.route.group.label, "pid", pid, "script", x.target.script)
}

// try sends the request to one worker and passes its answer on.
func (x *exchange) try(w *workerConn, wantAccept bool, rest []byte) attempt {
	x.enter(phaseRunning)
	g := w.group
	if !x.setWorker(w) {
		g.release(w)
		return x.killedAttempt()
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	p := reply{x: x, w: w, buf: buf[:], way: newPassage(w, x.front), meter: x.watch(w)}
	defer p.way.close()
	sent, err := 0, error(nil)
	if wantAccept || len(rest) > 0 {
		sent, err = w.Write(x.out)
	} else {
		sent, p.n, err = w.ask(x.out, p.buf)
	}
	if sent < len(x.out) {
		x.setWorker(nil)
		stale := sent == 0 && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET))
		g.discard(w, x.killedBy() == notKilled)
		if x.killedBy() != notKilled {
			return x.killedAttempt()
		}
		if stale {
			return attemptAgain // it had ended before: not one byte of the request was taken
		}
		return attemptDied
	}
	switch {
	case wantAccept:
		p.accepted = func() { p.up = x.startUpload(w, rest) }
	case len(rest) > 0:
		p.up = x.startUpload(w, rest)
	}
	end := p.run()
	usable := true
	if p.up != nil {
		usable = p.up.stop()
	}
	x.setWorker(nil)
	return x.settle(&p, end, usable, p.up != nil && wantAccept)
}

// settle gives the connection back and says what the end of the answer means.
func (x *exchange) settle(p *reply, end replyEnd, usable, streamed bool) attempt {
	w, g := p.w, p.w.group
	killed := x.killedBy()
	x.account.settled(p, end, killed)
	if killed == notKilled && usable && p.clean() && (end == replyWhole || end == replyRefused || end == replyTruncated || end == replyFailed) {
		if end == replyRefused {
			g.refused(w.process)
		}
		g.release(w)
	} else {
		g.discard(w, end == replyLost && killed == notKilled && !errors.Is(p.err, errReply))
	}
	switch end {
	case replyWhole:
		return attemptDone
	case replyTruncated:
		return attemptBroken
	case replyBlocked:
		x.span.lost()
		x.router.log.Debug("client gave up while the response was sent, or took nothing of it", x.named("error", p.err)...)
		return attemptBroken
	case replyFailed:
		if killed != notKilled {
			return x.killedAttempt()
		}
		if x.sendPage(refuse(p.failure)) != answered { // the worker has logged it
			return attemptBroken
		}
		return attemptDone
	case replyRefused:
		if killed != notKilled {
			return x.killedAttempt()
		}
		return attemptAgain
	}
	switch {
	case killed == clientAborted && p.midRecord:
		return attemptBroken
	case killed != notKilled:
		if p.started && killed != clientAborted {
			return attemptBroken
		}
		return x.killedAttempt()
	case p.started:
		x.tell(hclog.Error, "worker died while sending its response", "group", g.label, "pid", w.process.pid,
			"script", x.target.script, "uri", string(x.env.requestURI), "error", p.err)
		return attemptBroken
	case errors.Is(p.err, errReply):
		x.tell(hclog.Error, "worker gave no valid answer", "group", g.label, "pid", w.process.pid,
			"script", x.target.script, "error", p.err)
	}
	if streamed {
		x.bodyEnded = false // what was streamed is gone: not again
	}
	return attemptDied
}

// killedAttempt answers for an exchange that was killed before its response
// began.
func (x *exchange) killedAttempt() attempt {
	switch x.killedBy() {
	case bodyTimeout:
		x.refuse(refuse(errcode.BodyTimeout, "received", x.bodyRead))
		return attemptDone
	case bodyTooLarge:
		x.refuse(refuse(errcode.BodyTooLarge, "received", x.bodyRead, "limit", x.target.mount.MaxBodyBytes))
		return attemptDone
	case graceOver:
		x.refuse(refuse(errcode.RouterStopping))
		return attemptDone
	case bodyOver:
		x.refuse(refuse(errcode.BodyTooLarge, "limit", x.target.mount.MaxBodyBytes))
		return attemptDone
	case bodyCut:
		x.refuse(refuse(errcode.ShortBody, "content_length", x.env.length, "received", x.bodyRead))
		return attemptDone
	case clientAborted:
		if x.aborted() == finished {
			return attemptDone
		}
		return attemptBroken
	}
	x.router.log.Debug("client gave up", x.named()...)
	return attemptBroken
}

// nextStream puts the next part of the body into s: all that is there.
// CONTENT_LENGTH bounds it. What came before an error is in s as well.
func (x *exchange) nextStream(s *stdin) error {
	s.reset()
	for first := true; first || (!s.full() && x.front.bodyReady()); first = false {
		piece, err := x.nextPiece()
		if errors.Is(err, io.EOF) {
			if x.env.length >= 0 && x.bodyRead < x.env.length {
				return errShortBody
			}
			x.bodyEnded = true
			break
		}
		if err != nil {
			return err
		}
		if length := x.env.length; length >= 0 && x.bodyRead+int64(len(piece)) >= length {
			piece = piece[:length-x.bodyRead]
			x.bodyEnded = true
		}
		x.bodyRead += int64(len(piece))
		if limit := x.target.mount.MaxBodyBytes; limit > 0 && x.bodyRead > limit {
			return errBodyTooLarge
		}
		s.add(piece)
		if x.bodyEnded {
			break
		}
	}
	if x.bodyEnded {
		s.end()
	}
	return nil
}

// nextPiece is nextBody; a wait for it counts against body_timeout.
func (x *exchange) nextPiece() ([]byte, error) {
	if x.front.bodyReady() {
		return x.front.nextBody()
	}
	x.enter(phaseBody)
	defer x.enter(phaseRunning)
	return x.front.nextBody()
}

var (
	errShortBody    = errors.New("body is shorter than its Content-Length")
	errBodyTooLarge = errors.New("body exceeds max_body_bytes")
)
