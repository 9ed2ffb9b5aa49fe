package supervisor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/wire"
)

// explainMargin is what Python may take beyond the time that scripts have: to
// start, and to give the answer.
const explainMargin = 30 * time.Second

// Explained is the answer to a wire.Question. What comes from the process that
// evaluated the script is its word: the texts are escaped, and nothing more.
type Explained struct {
	// Explanation is nil when the process ended before it had one: Ended.
	Explanation *wire.Explanation
	Ended       string
	// User and UID of the router.
	User string
	UID  int
	// Helper is the user of the dispatch helper, who evaluated the script; empty:
	// the router did.
	Helper string
	// Output is what the script wrote, a line each.
	Output []string
}

// Explain asks a throw-away router, which listens nowhere, what it would do
// with a request: with the configuration's mounts, as the router's user, with
// the router's Python. Where scripts have a process of their own it runs as
// that one's user.
func Explain(ctx context.Context, cfg *config.Config, options Options, question *wire.Question) (*Explained, error) {
	s, err := New(cfg, options)
	if err != nil {
		return nil, err
	}
	end, err := s.prepareLauncher()
	if err != nil {
		return nil, err
	}
	defer end()
	if s.current.plan.helper != nil { // what is kept out of the router is kept out of this one, too
		s.current.router.identity = *s.current.plan.helper
	}
	session, conn, err := s.current.router.start() // without listeners: they are opened by Run
	if err != nil {
		return nil, err
	}
	c := session.child
	defer conn.Close()
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	limit := time.AfterFunc(s.explainLimit(), c.kill)
	defer limit.Stop()
	output := &appOutput{}
	raw := scriptOutput{output: output}
	pump := startLogPump(c.raw, c.records, &lineJoiner{emit: raw.line}, output.record)
	s.pumps.add(pump)
	go c.wait(s.launcher.reaper)

	explained := &Explained{User: s.current.plan.router.User, UID: s.current.plan.router.UID}
	if s.current.plan.helper != nil {
		explained.Helper = s.current.plan.helper.User
	}
	explained.Explanation, err = ask(conn, s.throwAway(), question)
	gone := errors.Is(err, errNoAnswer)
	if !gone {
		c.kill()
	}
	<-c.exited
	pump.drain()
	explained.Output = output.take()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case gone && c.wasKilled():
		explained.Ended = "no decision within " + s.explainLimit().String()
	case gone && c.state != nil:
		explained.Ended = "the process ended while it decided: " + c.state.String()
	case gone:
		explained.Ended = "the process was lost while it decided"
	case err != nil:
		return nil, err
	}
	return explained, nil
}

// scriptOutput keeps what a script wrote past Python's streams, and not what the
// router itself says.
type scriptOutput struct {
	output  *appOutput
	crashed bool
}

// crash begins the report of Go's runtime about a signal in the process.
var crash = regexp.MustCompile(`^(SIG[A-Z]+: |fatal error: |panic: |unexpected fault address)`)

func (s *scriptOutput) line(text string, _ bool) {
	if s.crashed || strings.HasPrefix(text, "{") { // its log
		return
	}
	s.crashed = crash.MatchString(text)
	if s.crashed {
		text, _, _ = strings.Cut(text, "\n")
	}
	s.output.add(text)
}

// throwAway is the configuration of a router that serves nobody.
func (s *Supervisor) throwAway() *wire.RouterConfig {
	w := *s.current.plan.wire
	w.Listeners, w.AccessFiles, w.Embedded.Preload, w.LogLevel = nil, nil, nil, "error"
	return &w
}

// explainLimit is how long the answer may take: no script is asked twice.
func (s *Supervisor) explainLimit() time.Duration {
	limit := explainMargin
	for _, script := range s.current.plan.wire.DispatchScripts {
		limit += script.Timeout
	}
	for _, script := range s.current.plan.wire.AuthScripts {
		limit += script.Timeout
	}
	return limit
}

// errNoAnswer: the process has ended, or is not a router.
var errNoAnswer = errors.New("the router does not answer")

// ask configures a new router and puts the question.
func ask(conn *wire.Conn, w *wire.RouterConfig, question *wire.Question) (*wire.Explanation, error) {
	if err := conn.Send(&wire.Message{Type: wire.TypeConfig, Config: w}); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	for {
		m, err := conn.Receive()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		switch m.Type {
		case wire.TypeReady:
			if err := conn.Send(&wire.Message{Type: wire.TypeExplain, Question: question}); err != nil {
				return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
			}
		case wire.TypeFailed:
			return nil, fmt.Errorf("router cannot start: %s", escape.Line(m.Error))
		case wire.TypeExplained:
			if m.Explanation == nil {
				return nil, errors.New(escape.Line(m.Error))
			}
			escapeExplanation(m.Explanation)
			return m.Explanation, nil
		}
	}
}

// escapeExplanation makes the texts harmless: they come from a process in which
// a script has run.
func escapeExplanation(e *wire.Explanation) {
	texts := []*string{&e.RequestID, &e.Path, &e.Script, &e.ScriptName, &e.PathInfo}
	for i := range e.Overridden {
		texts = append(texts, &e.Overridden[i])
	}
	for _, c := range []*wire.Choice{e.Static, e.Decision} {
		if c != nil {
			texts = append(texts, &c.ProcessGroup, &c.ApplicationGroup, &c.CallableObject)
		}
	}
	if d := e.Dispatch; d != nil {
		texts = append(texts, &d.Script, &d.ApplicationGroup)
		d.LoadError = escape.Text(d.LoadError)
		if r := d.Returned; r != nil {
			for _, returned := range []*string{r.ProcessGroup, r.ApplicationGroup, r.CallableObject} {
				if returned != nil {
					texts = append(texts, returned)
				}
			}
		}
	}
	if r := e.Refusal; r != nil {
		texts = append(texts, &r.Code, &r.Title)
		for i := range r.Details {
			texts = append(texts, &r.Details[i].Name)
			r.Details[i].Value = escape.Text(r.Details[i].Value)
		}
	}
	for i := range e.Environ {
		texts = append(texts, &e.Environ[i].Name, &e.Environ[i].Value)
	}
	for _, text := range texts {
		*text = escape.Line(*text)
	}
}
