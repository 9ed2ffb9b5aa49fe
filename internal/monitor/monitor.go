// Package monitor is the unprivileged process that serves metrics, health and status
// on TCP, and the page that shows it. It passes questions on to the supervisor, one
// after another, and answers also when that does not. It must not know what the answers say.
package monitor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/page"
)

const (
	// patience is how long somebody waits for the supervisor.
	patience = 3 * time.Second
	// fresh is how long an answer serves for everybody: many who look cost the
	// supervisor no more than one.
	fresh = 500 * time.Millisecond
	// maxAnswer bounds what is taken from the supervisor.
	maxAnswer = 64 << 20
)

// paths are what may be asked, and whether an old answer is better than none.
var paths = map[string]bool{"/metrics": true, "/status": true, "/healthz": false, "/readyz": false}

// answer is what the supervisor has said.
type answer struct {
	at         time.Time
	code       int
	kind, body string
}

// question is one that is on its way; everybody who asks the same waits for it.
type question struct {
	done   chan struct{}
	answer *answer // when done is closed
}

// server asks and answers.
type server struct {
	log  hclog.Logger
	page *page.Page
	asks chan string // to the one who speaks with the supervisor

	mu      sync.Mutex
	running map[string]*question
	last    map[string]*answer
}

// Serve answers on the listener until ctx ends, or the supervisor at the other end of
// conn has gone.
func Serve(ctx context.Context, listener net.Listener, conn net.Conn, log hclog.Logger) error {
	s := &server{log: log, page: page.New(), asks: make(chan string, len(paths)), running: map[string]*question{}, last: map[string]*answer{}}
	web := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 8 << 10,
		ErrorLog: log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() {
		defer cancel()
		if err := s.speak(ctx, conn); err != nil && ctx.Err() == nil {
			log.Debug("the supervisor has gone", "error", err)
		}
	})
	stop := context.AfterFunc(ctx, func() {
		conn.Close()
		web.Close()
	})
	defer stop()
	err := web.Serve(listener)
	cancel()
	wait.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving the monitor: %w", err)
}

// speak puts questions to the supervisor, each when the one before is answered.
func (s *server) speak(ctx context.Context, conn net.Conn) error {
	reader := bufio.NewReader(conn)
	for {
		var path string
		select {
		case path = <-s.asks:
		case <-ctx.Done():
			return nil
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://wsgid"+path, nil)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", path, err)
		}
		if err := request.Write(conn); err != nil {
			return fmt.Errorf("asking for %s: %w", path, err)
		}
		response, err := http.ReadResponse(reader, request)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		response.Body.Close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		s.answered(path, &answer{at: time.Now(), code: response.StatusCode, kind: response.Header.Get("Content-Type"), body: string(body)})
	}
}

func (s *server) answered(path string, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[path] = a
	if q := s.running[path]; q != nil {
		delete(s.running, path)
		q.answer = a
		close(q.done)
	}
}

// ask gives what the supervisor says, or nil if it does not in time.
func (s *server) ask(ctx context.Context, path string) *answer {
	s.mu.Lock()
	if a := s.last[path]; a != nil && time.Since(a.at) < fresh {
		s.mu.Unlock()
		return a
	}
	q := s.running[path]
	if q == nil {
		q = &question{done: make(chan struct{})}
		s.running[path] = q
		s.asks <- path // there is room for each path once
	}
	s.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-q.done:
		return q.answer
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// ServeHTTP answers one who looks.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	old, known := paths[r.URL.Path]
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/" {
		s.page.ServeHTTP(w, r) // without the supervisor
		return
	}
	if !known {
		http.Error(w, "there are /, /metrics, /healthz, /readyz and /status", http.StatusNotFound)
		return
	}
	a := s.ask(r.Context(), r.URL.Path)
	if a == nil && old {
		s.mu.Lock()
		a = s.last[r.URL.Path]
		s.mu.Unlock()
		if a != nil {
			w.Header().Set("Age", strconv.Itoa(int(time.Since(a.at).Seconds())))
			w.Header().Set("X-WSGID-Stale", "the supervisor does not answer")
		}
	}
	if a == nil {
		http.Error(w, "the supervisor does not answer", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(a.code)
	if _, err := io.WriteString(w, a.body); err != nil {
		s.log.Debug("answer not written", "error", err)
	}
}
