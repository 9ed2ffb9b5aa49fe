package dispatch

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/wsgid/wsgid/internal/wire"
)

// staticDir serves the files of one directory. The kernel's openat keeps every
// lookup inside of it, symbolic links included.
type staticDir struct {
	prefix string // with a slash at the end
	root   *os.Root
}

func openStatic(c wire.Static) (staticDir, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return staticDir{}, fmt.Errorf("serving static files of %s: %w", c.Dir, err)
	}
	return staticDir{strings.TrimSuffix(collapse(c.Prefix), "/") + "/", root}, nil
}

// serve answers for URLs below the prefix, and says whether it did. There are
// no listings, no index files and no names that begin with a dot.
func (s *staticDir) serve(w http.ResponseWriter, req *http.Request) bool {
	path := string(normalize([]byte(req.URL.Path)))
	name, ok := strings.CutPrefix(path, s.prefix)
	if !ok {
		return false
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return true
	}
	if name == "" || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || strings.HasSuffix(name, "/") {
		http.NotFound(w, req)
		return true
	}
	// Without O_NONBLOCK a named pipe would hold the request for ever.
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		http.NotFound(w, req)
		return true
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, req)
		return true
	}
	http.ServeContent(w, req, name, info.ModTime(), f)
	return true
}
