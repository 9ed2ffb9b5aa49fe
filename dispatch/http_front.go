package dispatch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/protocol"
)

// maxResponseHeader bounds the header block of an application's answer.
const maxResponseHeader = 256 << 10

// httpListener serves HTTP on one listener, for development and small sites:
// a request becomes parameters and goes the way of all others.
type httpListener struct {
	router  *Router
	l       *listener
	server  *http.Server
	statics []staticDir
	spare   sync.Pool // of *httpFront
	adopted *adopted

	mu    sync.Mutex
	conns map[*countedConn]struct{} // all that are open
}

func newHTTPListener(r *Router, l *listener) (*httpListener, error) {
	h := &httpListener{router: r, l: l, adopted: newAdopted(l.socket.Addr()), conns: map[*countedConn]struct{}{}}
	for _, s := range l.Static {
		dir, err := openStatic(s)
		if err != nil {
			return nil, err
		}
		h.statics = append(h.statics, dir)
	}
	h.spare.New = func() any { return &httpFront{buf: make([]byte, 32<<10)} }
	h.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: l.HeaderTimeout,
		IdleTimeout:       l.IdleTimeout,
		MaxHeaderBytes:    r.config.Limits.MaxHeaderBytes,
		ConnState:         betweenRequests,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, countedKey{}, c)
		},
		ErrorLog: log.New(httpLog{r.log}, "", 0),
	}
	return h, nil
}

// httpLog takes what net/http wants to say: about broken clients, at debug.
type httpLog struct{ log hclog.Logger }

// Write logs one line.
func (h httpLog) Write(p []byte) (int, error) {
	h.log.Debug("http front", "message", strings.TrimSpace(string(p)))
	return len(p), nil
}

// run serves until the listener is closed.
func (h *httpListener) run() {
	h.router.background(func() {
		_ = h.server.Serve(h.adopted) // it says only that it is closed
	})
	err := h.server.Serve(&gate{h.l.socket, h.router, h.l, h})
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		h.router.log.Error("http front ended", "listener", h.l.Address, "error", err)
	}
}

// drain closes idle connections and waits for the others, at most until ctx ends.
func (h *httpListener) drain(ctx context.Context) {
	if h.server.Shutdown(ctx) != nil {
		h.server.Close()
	}
}

func (h *httpListener) close() {
	h.server.Close()
	_ = h.adopted.Close()
	for _, s := range h.statics {
		_ = s.root.Close() // it was only read
	}
}

// ServeHTTP serves one request: a static file, or an application.
func (h *httpListener) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if len(req.TransferEncoding) > 0 || !req.ProtoAtLeast(1, 1) {
		// The client or a proxy before it may have meant another end of the
		// body: by a Content-Length beside Transfer-Encoding, or by a
		// Transfer-Encoding in HTTP/1.0, both of which net/http has taken out.
		// What follows must not be taken for a request (RFC 9112, 6.1).
		w.Header().Set("Connection", "close")
	}
	if h.serveStatic(w, req) {
		return
	}
	f := h.spare.Get().(*httpFront)
	o := f.serve(h, w, req)
	whole := true
	if o != broken {
		whole = h.dropBody(w, req, o != left && f.ended, o != left && f.x.killedBy() == notKilled)
	}
	if o != left { // else whoever answered may still use f
		f.reset()
		h.spare.Put(f)
	}
	if o == broken || !whole {
		panic(http.ErrAbortHandler) // net/http's way to cut a response
	}
}

// dropBody drops what is left of a request's body when it has been answered,
// and says whether the connection may be used again. The answer goes out
// first. wait: the client gets body_timeout for the rest; else it had its time.
//
// net/http would drop it too, but too late under full duplex: it then begins to
// look for a hang-up while it waits for the next request, and panics
// (golang/go issue 68560).
func (h *httpListener) dropBody(w http.ResponseWriter, req *http.Request, ended, wait bool) bool {
	if ended || req.Body == nil || req.Body == http.NoBody {
		return true
	}
	rc := http.NewResponseController(w)
	if rc.Flush() != nil {
		return false
	}
	deadline := past
	if wait {
		deadline = time.Time{}
		if h.l.BodyTimeout > 0 {
			deadline = time.Now().Add(h.l.BodyTimeout)
		}
	}
	return rc.SetReadDeadline(deadline) == nil && req.Body.Close() == nil
}

// httpFront is one HTTP request as the front of an exchange.
type httpFront struct {
	x      exchange
	w      http.ResponseWriter
	rc     *http.ResponseController
	req    *http.Request
	params []byte
	buf    []byte // a piece of the body
	ended  bool   // the body has been read to its end

	// What is left of the current STDOUT record in the next call of forward.
	content, padding int
	head             []byte // the answer's header block while it is incomplete
	headDone         bool
}

func (f *httpFront) serve(h *httpListener, w http.ResponseWriter, req *http.Request) outcome {
	r := h.router
	f.w, f.req, f.rc = w, req, http.NewResponseController(w)
	f.x.router, f.x.listener, f.x.front = r, h.l, f
	f.ended = req.Body == nil || req.Body == http.NoBody
	if !f.ended {
		// Else net/http eats what is left of the body when the answer begins.
		// HTTP/1, the only version here, supports it.
		_ = f.rc.EnableFullDuplex()
	}
	f.x.arrive()
	r.fronts.add(&f.x)
	defer r.fronts.drop(&f.x)
	defer f.x.depart()
	f.params = appendHTTPParams(f.params[:0], req, r.config.Version)
	o := f.x.serve(f.params, protocol.Limits{Total: 2*r.config.Limits.MaxHeaderBytes + 4096})
	if o != left {
		f.x.logAccess(o, o != broken && !req.Close)
		r.requests.Add(1)
	}
	return o
}

func (f *httpFront) reset() {
	f.w, f.req, f.rc = nil, nil, nil
	f.content, f.padding, f.head, f.headDone = 0, 0, f.head[:0], false
	if cap(f.x.body) > keepScratch {
		f.x.body = nil
	}
	if cap(f.x.out) > keepScratch {
		f.x.out = nil
	}
}

func (f *httpFront) id() uint16       { return 1 }
func (f *httpFront) bodyComing(int64) {}
func (f *httpFront) bodyReady() bool  { return f.ended }

func (f *httpFront) patience(limit time.Duration) {
	if limit == 0 {
		limit = f.x.listener.BodyTimeout
	}
	if c, ok := f.req.Context().Value(countedKey{}).(*countedConn); ok {
		c.patience = limit // net/http has taken away the last deadline
	}
}

// hurry also tells the client not to use the connection again: nobody will read
// from it before whoever is caught in Python comes back.
func (f *httpFront) hurry() {
	f.w.Header().Set("Connection", "close")
	_ = f.rc.SetWriteDeadline(time.Now().Add(hurryFor))
}

// aborted is never possible: only a closed connection says so.
func (f *httpFront) aborted() error { return errors.ErrUnsupported }

func (f *httpFront) gone() killReason {
	if f.req.Context().Err() != nil {
		return clientGone
	}
	return notKilled
}

func (f *httpFront) interrupt() {
	if c, ok := f.req.Context().Value(countedKey{}).(*countedConn); ok {
		c.interrupt()
	}
}

func (f *httpFront) nextBody() ([]byte, error) {
	if f.ended {
		return nil, io.EOF
	}
	for {
		n, err := f.req.Body.Read(f.buf)
		f.x.since.Store(f.x.router.clock())
		if err == io.EOF {
			f.ended = true
		}
		switch {
		case n > 0:
			return f.buf[:n], nil
		case err == nil:
		case err == io.EOF:
			return nil, io.EOF
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, protocol.ErrInterrupted
		default:
			return nil, err
		}
	}
}

// forward takes the content out of STDOUT records. A record header is never
// cut in two: reply.walk passes it as a whole.
func (f *httpFront) forward(b []byte, _, last bool) error {
	for len(b) > 0 {
		if f.content == 0 && f.padding == 0 {
			h, err := protocol.ParseHeader(b)
			if err != nil {
				return err
			}
			b = b[protocol.HeaderLen:]
			if h.Type == protocol.EndRequest {
				return f.finish()
			}
			f.content, f.padding = h.ContentLength, h.PaddingLength
		}
		n := min(f.content, len(b))
		if n > 0 {
			if err := f.output(b[:n]); err != nil {
				return err
			}
		}
		f.content -= n
		b = b[n:]
		n = min(f.padding, len(b))
		if f.content == 0 {
			f.padding -= n
			b = b[n:]
		}
	}
	if f.headDone && !last {
		return f.rc.Flush()
	}
	return nil
}

// output takes part of the CGI response: a header block, then the body.
func (f *httpFront) output(b []byte) error {
	if !f.headDone {
		f.head = append(f.head, b...)
		at, size := headerEnd(f.head)
		if at < 0 {
			if len(f.head) > maxResponseHeader {
				return errors.New("response header is too long")
			}
			return nil
		}
		f.sendHeader(f.head[:at])
		b = f.head[at+size:]
	}
	if len(b) == 0 {
		return nil
	}
	_, err := f.w.Write(b)
	if errors.Is(err, http.ErrBodyNotAllowed) || errors.Is(err, http.ErrContentLength) {
		return nil // HEAD, 204, 304; more than the application announced
	}
	return err
}

func (f *httpFront) finish() error {
	if !f.headDone {
		return errors.New("response has no header")
	}
	return nil
}

// headerEnd finds the empty line after a header block and its length.
func headerEnd(b []byte) (at, size int) {
	crlf, lf := bytes.Index(b, []byte("\r\n\r\n")), bytes.Index(b, []byte("\n\n"))
	if crlf >= 0 && (lf < 0 || crlf < lf) {
		return crlf, 4
	}
	return lf, 2
}

// sendHeader turns a CGI header block into the head of an HTTP response.
func (f *httpFront) sendHeader(block []byte) {
	f.headDone = true
	status := http.StatusOK
	out := f.w.Header()
	for line := range bytes.SplitSeq(block, []byte("\n")) {
		name, value, ok := strings.Cut(strings.TrimSuffix(string(line), "\r"), ":")
		if !ok || name == "" {
			continue
		}
		value = strings.TrimSpace(value)
		switch key := http.CanonicalHeaderKey(name); key {
		case "Status":
			digits, _, _ := strings.Cut(value, " ")
			if n, err := strconv.Atoi(digits); err == nil && n >= 200 && n <= 999 {
				status = n
			}
		case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			// between the application's server and its peer, which is us
		default:
			out[key] = append(out[key], value)
		}
	}
	if out["Content-Type"] == nil {
		out["Content-Type"] = nil // none is invented
	}
	f.w.WriteHeader(status)
}

// answer sends a response of the router itself.
func (f *httpFront) answer(header, body string) error {
	block := strings.TrimSuffix(header, "\r\n\r\n")
	f.sendHeader([]byte(block))
	_, err := io.WriteString(f.w, body)
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return nil
	}
	return err
}

// abandon ends the answer that was sent for a request caught in Python.
func (f *httpFront) abandon() {
	// A client that is gone needs no end.
	_ = f.rc.Flush()
}
