// Package page is the web page that shows the status: bytes that never change, which
// the browser fills from /status beside it. It must not know what a status is.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
)

//go:embed assets
var assets embed.FS

// scripts are one program, in this order.
var scripts = []string{"format.js", "history.js", "document.js", "table.js", "group.js", "sections.js", "live.js"}

// Page is the page and the headers that go with it.
type Page struct {
	body   []byte
	policy string
}

// New puts the page together. It needs nothing from elsewhere and may do nothing but
// what its own script and style do, which the policy knows by their hashes.
func New() *Page {
	var program bytes.Buffer
	for _, name := range scripts {
		program.Write(asset(name))
	}
	style := asset("page.css")
	body := bytes.Replace(asset("page.html"), []byte("{{style}}"), style, 1)
	body = bytes.Replace(body, []byte("{{script}}"), program.Bytes(), 1)
	return &Page{body: body, policy: fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src data:; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", hash(program.Bytes()), hash(style))}
}

// asset is a file of the binary, which cannot lack it.
func asset(name string) []byte {
	data, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return data
}

// hash is how a policy names a text.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// ServeHTTP answers with the page, whatever the path is.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodHead {
		_, _ = w.Write(p.body) // an error means that the peer has gone
	}
}
