package supervisor

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/metrics"
	"github.com/wsgid/wsgid/internal/page"
)

// addMonitoring adds what monitoring asks for: on the control socket for everybody
// who reaches it, and for the monitor process.
func (s *Supervisor) addMonitoring(mux *http.ServeMux, log hclog.Logger) {
	const plain = "text/plain; charset=utf-8"
	mux.Handle("GET /{$}", page.New())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, log, http.StatusOK, plain, []byte("ok\n")) // that it answers is what is asked
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if phase := s.currentPhase(); phase != phaseReady {
			writeAnswer(w, log, http.StatusServiceUnavailable, plain, []byte("wsgid is "+phase.String()+"\n"))
			return
		}
		writeAnswer(w, log, http.StatusOK, plain, []byte("ready\n"))
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, log, http.StatusOK, s.Snapshot(r.Context()))
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		var text bytes.Buffer
		if err := metrics.Write(&text, s.Snapshot(r.Context())); err != nil {
			log.Error("metrics not written", "error", err)
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		writeAnswer(w, log, http.StatusOK, metrics.ContentType, text.Bytes())
	})
}

// writeJSON answers with a value as JSON.
func writeJSON(w http.ResponseWriter, log hclog.Logger, code int, value any) {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		log.Error("answer not encoded", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	writeAnswer(w, log, code, "application/json", append(data, '\n'))
}

func writeAnswer(w http.ResponseWriter, log hclog.Logger, code int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(code)
	if _, err := w.Write(body); err != nil {
		log.Debug("answer not written", "error", err)
	}
}
