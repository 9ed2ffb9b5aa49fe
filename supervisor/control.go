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
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/docs"
	"github.com/wsgid/wsgid/internal/status"
)

// control serves the control socket: HTTP and JSON. Root and the user that
// wsgid runs as may do everything; whom the file's mode lets in besides may
// look.
type control struct {
	socket *unixSocket
	server *http.Server
	log    hclog.Logger
	uid    int
	once   sync.Once
	done   chan struct{}
}

// configPath answers with the configuration, which holds the environment of
// applications and thus their passwords: not for those who may only look.
const configPath = "/v1/config"

// stacksPath answers with the stacks of threads, which show the source of
// applications: not for them either.
const stacksPath = "/v1/stacks"

// peerKey is where the uid of the peer lies in a request's context.
type peerKey struct{}

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
	c := &control{socket: socket, log: s.log.Named("control"), uid: os.Geteuid(), done: make(chan struct{})}
	mux := http.NewServeMux()
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
	mux.HandleFunc("GET /v1/config", func(w http.ResponseWriter, _ *http.Request) {
		c.answer(w, http.StatusOK, s.generation().config.Effective())
	})
	mux.HandleFunc("GET /v1/stacks", func(w http.ResponseWriter, r *http.Request) {
		answer, err := s.Stacks(r.Context(), r.URL.Query().Get("of"))
		if err != nil {
			c.answer(w, http.StatusNotFound, status.Error{Error: err.Error()})
			return
		}
		c.answer(w, http.StatusOK, answer)
	})
	mux.HandleFunc("POST /v1/interrupt", func(w http.ResponseWriter, r *http.Request) {
		answer, err := s.Interrupt(r.Context(), r.URL.Query().Get("request"))
		if err != nil {
			c.answer(w, http.StatusConflict, status.Error{Error: err.Error()})
			return
		}
		c.answer(w, http.StatusOK, answer)
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		// Applications take their time to start. An error means that the peer has gone.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		c.answer(w, http.StatusOK, s.Reload(r.URL.Query()["group"]))
	})
	mux.HandleFunc("POST /v1/groups/{action}", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as above
		answer, err := s.groupCommand(r.PathValue("action"), r.URL.Query())
		if err != nil {
			c.answer(w, http.StatusConflict, status.Error{Error: err.Error()})
			return
		}
		c.answer(w, http.StatusOK, answer)
	})
	mux.HandleFunc("POST /v1/upgrade", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as above
		c.answer(w, http.StatusOK, s.Upgrade(context.WithoutCancel(r.Context())))
	})
	mux.HandleFunc("POST /v1/stop", func(w http.ResponseWriter, _ *http.Request) {
		c.answer(w, http.StatusAccepted, status.Version{Version: s.options.Version, PID: s.pid})
		s.requestStop()
	})
	c.server = &http.Server{
		Handler:           c.authorize(mux),
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

// peerContext asks the kernel who connected.
func peerContext(ctx context.Context, conn net.Conn) context.Context {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return ctx
	}
	var credentials *unix.Ucred
	var credentialsErr error
	err = raw.Control(func(fd uintptr) {
		credentials, credentialsErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || credentialsErr != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, int(credentials.Uid))
}

// authorize lets strangers read and nothing else.
func (c *control) authorize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, known := r.Context().Value(peerKey{}).(int)
		full := known && (uid == 0 || uid == c.uid)
		looks := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path != configPath && r.URL.Path != stacksPath
		if !known || !full && !looks {
			c.log.Warn("control request refused", "uid", uid, "method", r.Method, "path", r.URL.Path)
			c.answer(w, http.StatusForbidden, status.Error{Error: fmt.Sprintf("uid %d may only look at the status", uid)})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *control) answer(w http.ResponseWriter, code int, body any) { writeJSON(w, c.log, code, body) }
