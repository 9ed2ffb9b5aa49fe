package dispatch

import (
	"io"
	"net/http"
	"time"

	"github.com/wsgid/wsgid/protocol"
)

// serveStatic answers for static files, and says whether it did.
func (h *httpListener) serveStatic(w http.ResponseWriter, req *http.Request) bool {
	if len(h.statics) == 0 {
		return false
	}
	start, counted := time.Now(), &countedResponse{ResponseWriter: w}
	if h.router.access != nil {
		w = counted
	}
	for i := range h.statics {
		if h.statics[i].serve(w, req) {
			if h.router.access != nil {
				h.logStatic(counted, req, start)
			}
			return true
		}
	}
	return false
}

// logStatic writes the line of a request for a static file, as if an exchange had
// served it.
func (h *httpListener) logStatic(w *countedResponse, req *http.Request, start time.Time) {
	f := h.spare.Get().(*httpFront)
	defer h.spare.Put(f)
	x := &f.x
	x.router, x.listener, x.front = h.router, h.l, f
	f.params = appendHTTPParams(f.params[:0], req, h.router.config.Version)
	_ = x.read(f.params, protocol.Limits{}) // net/http has bounded it
	_, _ = x.chooseHost()                   // for a Host that is none there is none
	x.start, x.path = start, x.env.urlPath(x.path)
	x.account.meter.status, x.account.meter.bytes = w.status, w.bytes
	o := answered
	if w.failed {
		o = broken
	}
	x.logAccess(o, o == answered && !req.Close)
}

// countedResponse notes what is sent.
type countedResponse struct {
	http.ResponseWriter
	status int
	bytes  int64
	failed bool
}

// WriteHeader notes the status.
func (w *countedResponse) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (w *countedResponse) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.count(int64(n), err)
	return n, err
}

// ReadFrom has the kernel copy files, where the response can.
func (w *countedResponse) ReadFrom(from io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, from)
	w.count(n, err)
	return n, err //nolint:wrapcheck // an io.ReaderFrom
}

func (w *countedResponse) count(n int64, err error) {
	w.bytes += n
	w.failed = w.failed || err != nil
}
