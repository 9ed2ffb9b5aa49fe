package supervisor

import (
	"bytes"
	"net/http"

	"github.com/wsgid/wsgid/internal/metrics"
)

// lookAt adds what monitoring asks for, which everybody may who reaches the socket.
func (s *Supervisor) lookAt(mux *http.ServeMux, c *control) {
	plain := func(w http.ResponseWriter, code int, text string) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(code)
		if _, err := w.Write([]byte(text + "\n")); err != nil {
			c.log.Debug("control answer not written", "error", err)
		}
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok") // that it answers is what is asked
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if phase := s.currentPhase().String(); phase != "ready" {
			plain(w, http.StatusServiceUnavailable, "wsgid is "+phase)
			return
		}
		plain(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		c.answer(w, http.StatusOK, s.Snapshot(r.Context()))
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		var text bytes.Buffer
		if err := metrics.Write(&text, s.Snapshot(r.Context())); err != nil {
			c.log.Error("metrics not written", "error", err)
			plain(w, http.StatusInternalServerError, "internal error")
			return
		}
		w.Header().Set("Content-Type", metrics.ContentType)
		if _, err := w.Write(text.Bytes()); err != nil {
			c.log.Debug("control answer not written", "error", err)
		}
	})
}
