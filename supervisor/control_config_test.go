package supervisor

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestControlPermissions: who may look does not see the configuration, which
// has passwords in it, and changes nothing.
func TestControlPermissions(t *testing.T) {
	c := &control{uid: 4711, log: hclog.NewNullLogger()}
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /v1/status", "GET " + configPath, "POST /v1/stop"} {
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	}
	handler := c.authorize(mux)
	for _, row := range []struct {
		method, path string
		stranger     int
	}{
		{"GET", "/v1/status", 200},
		{"POST", "/v1/stop", 403},
		{"GET", "/v1/config", 403},
		{"HEAD", "/v1/config", 403},
		{"GET", "/v1/%63onfig", 403},
		{"GET", "/v1%2Fconfig", 403},
		{"GET", "/v1//config", 307},
		{"GET", "/v1/./config", 307},
		{"GET", "/v1/config/", 404},
	} {
		for uid, want := range map[int]int{0: 200, 4711: 200, 4712: row.stranger, -1: 403} {
			request := httptest.NewRequest(row.method, row.path, nil)
			if uid >= 0 {
				request = request.WithContext(context.WithValue(request.Context(), peerKey{}, uid))
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			got := answer.Code
			if want == 200 && got != 403 {
				continue // where it leads is the matter of the multiplexer
			}
			if got != want {
				t.Errorf("%s %s of uid %d: %d, want %d", row.method, row.path, uid, got, want)
			}
		}
	}
}
