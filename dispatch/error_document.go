package dispatch

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxErrorDocument bounds the file of an error_document, which is read at once.
const maxErrorDocument = 1 << 20

// page is what a client gets with a refusal.
type page struct {
	status   int
	kind     string // Content-Type
	location string // where it goes instead; empty: nowhere
	body     string
}

// errorDocuments are those that hold for the request.
func (x *exchange) errorDocuments() map[int]string {
	switch {
	case x.target.mount != nil:
		return x.target.mount.ErrorDocuments
	case x.host != nil:
		return x.host.errorDocuments
	}
	return x.router.config.ErrorDocuments
}

// sendPage answers with the error_document of a refusal, else with wsgid's page.
func (x *exchange) sendPage(r *refusal) outcome {
	p := page{status: r.status, kind: "text/html; charset=utf-8"}
	switch document := x.errorDocuments()[r.status]; {
	case document == "" || r.plain:
		p.body = r.body(string(x.requestID))
	case strings.HasPrefix(document, "/"):
		if err := p.read(document); err != nil {
			x.router.log.Error("error_document cannot be read: wsgid's own page is sent", x.named("error", err)...)
			p.body = r.body(string(x.requestID))
		}
	case strings.HasPrefix(document, "http://") || strings.HasPrefix(document, "https://"):
		p.status, p.location, p.kind = http.StatusFound, document, ""
	default:
		p.body = document
	}
	body := p.sent(string(x.env.method))
	x.account.refused(r.code, p.status, len(body))
	if err := x.front.answer(r.header(&p), body); err != nil {
		return broken
	}
	return answered
}

// sent is the body for a method.
func (p *page) sent(method string) string {
	if method == http.MethodHead {
		return ""
	}
	return p.body
}

// read fills in what a file has, whose type its name says as it does for Apache.
func (p *page) read(name string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err //nolint:wrapcheck // likewise
	} else if !info.Mode().IsRegular() || info.Size() > maxErrorDocument {
		return fmt.Errorf("%s is no regular file of at most %d bytes", name, maxErrorDocument)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxErrorDocument))
	if err != nil {
		return err //nolint:wrapcheck // likewise
	}
	p.body = string(content)
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		p.kind, _, _ = strings.Cut(kind, ";")
	}
	return nil
}
