package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/wsgid/wsgid/docs"
	"github.com/wsgid/wsgid/internal/status"
)

// control serves the control socket: HTTP and JSON. Root, the user that wsgid runs as
// and the admins of the configuration may do everything; whom the file's mode lets in
// besides may look.
type control struct {
	socket *unixSocket
	server *http.Server
	log    hclog.Logger
	uid    int
	admins func() admins // of the configuration that runs
	once   sync.Once
	done   chan struct{}
}

// openControl opens the socket, unless it was inherited, and starts to serve.
func (s *Supervisor) openControl(g *generation, socket *unixSocket) (*control, error) {
	path := g.config.Control.Path
	if socket == nil {
		if err := makeParent(path); err != nil {
			return nil, err
		}
		var err error
		socket, err = listenUnix(socketSpec{
			path: path, mode: g.config.Control.Mode, uid: g.plan.control.uid, gid: g.plan.control.gid, backlog: 64,
		})
		if errors.Is(err, errInUse) {
			return nil, fmt.Errorf("wsgid is already running with this control socket: %w", err)
		}
		if err != nil {
			return nil, err
		}
	}
	listener, err := net.FileListener(socket.file)
	if err != nil {
		socket.close()
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	c := &control{socket: socket, log: s.log.Named("control"), uid: os.Geteuid(), admins: func() admins { return s.generation().plan.admins }, done: make(chan struct{})}
	mux := http.NewServeMux()
	admin := func(pattern string, handler http.HandlerFunc) { mux.Handle(pattern, c.admin(handler)) }
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		c.answer(w, http.StatusOK, s.Snapshot(r.Context()))
	})
	mux.HandleFunc("GET /v1/version", func(w http.ResponseWriter, _ *http.Request) {
		c.answer(w, http.StatusOK, status.Version{Version: s.options.Version, PID: s.pid})
	})
	mux.HandleFunc("GET /v1/schema", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, c.log, http.StatusOK, "application/schema+json", docs.ControlSchema)
	})
	s.addMonitoring(mux, c.log)
	// It holds the environment of applications and thus their passwords.
	admin("GET /v1/config", func(w http.ResponseWriter, _ *http.Request) {
		c.answer(w, http.StatusOK, s.generation().config.Effective())
	})
	// They show the source of applications.
	admin("GET /v1/stacks", func(w http.ResponseWriter, r *http.Request) {
		answer, err := s.Stacks(r.Context(), r.URL.Query().Get("of"))
		if err != nil {
			c.answer(w, http.StatusNotFound, status.Error{Error: err.Error()})
			return
		}
		c.answer(w, http.StatusOK, answer)
	})
	admin("POST /v1/interrupt", func(w http.ResponseWriter, r *http.Request) {
		answer, err := s.Interrupt(r.Context(), r.URL.Query().Get("request"))
		if err != nil {
			c.answer(w, http.StatusConflict, status.Error{Error: err.Error()})
			return
		}
		c.answer(w, http.StatusOK, answer)
	})
	admin("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		// Applications take their time to start. An error means that the peer has gone.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		c.answer(w, http.StatusOK, s.Reload(r.URL.Query()["group"]))
	})
	admin("POST /v1/groups/{action}", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as above
		answer, err := s.groupCommand(r.PathValue("action"), r.URL.Query())
		if err != nil {
			c.answer(w, http.StatusConflict, status.Error{Error: err.Error()})
			return
		}
		c.answer(w, http.StatusOK, answer)
	})
	admin("POST /v1/logs/reopen", func(w http.ResponseWriter, _ *http.Request) {
		c.answer(w, http.StatusOK, s.ReopenLogs())
	})
	admin("POST /v1/upgrade", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as above
		c.answer(w, http.StatusOK, s.Upgrade(context.WithoutCancel(r.Context())))
	})
	admin("POST /v1/stop", func(w http.ResponseWriter, _ *http.Request) {
		c.answer(w, http.StatusAccepted, status.Version{Version: s.options.Version, PID: s.pid})
		s.requestStop()
	})
	c.server = &http.Server{
		Handler:           c.identified(mux),
		ConnContext:       peerContext,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          c.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	go func() {
		defer close(c.done)
		if err := c.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("control socket failed", "error", err)
		}
	}()
	return c, nil
}

// close finishes what runs, but not long, and removes the socket.
func (c *control) close() { c.once.Do(c.end) }

func (c *control) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := c.server.Shutdown(ctx); err != nil {
		c.server.Close()
	}
	<-c.done
	c.socket.close()
}

func (c *control) answer(w http.ResponseWriter, code int, body any) { writeJSON(w, c.log, code, body) }
