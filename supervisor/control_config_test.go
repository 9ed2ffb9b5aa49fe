package supervisor

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
)

// TestControlPermissions: who may look does not do what admins may.
func TestControlPermissions(t *testing.T) {
	c := &control{uid: 4711, log: hclog.NewNullLogger(), admins: func() admins { return admins{uids: []int{5001}, gids: []int{6001}} }}
	mux := http.NewServeMux()
	done := func(http.ResponseWriter, *http.Request) {}
	mux.HandleFunc("GET /v1/status", done)
	for _, pattern := range []string{"GET /v1/config", "POST /v1/stop"} {
		mux.HandleFunc(pattern, c.admin(done))
	}
	handler := c.identified(mux)
	for _, row := range []struct {
		method, path string
		stranger     int
	}{
		{"GET", "/v1/status", 200},
		{"POST", "/v1/stop", 403},
		{"GET", "/v1/config", 403},
		{"HEAD", "/v1/config", 403},
		{"GET", "/v1/%63onfig", 403},
		{"GET", "/v1%2Fconfig", 404},
		{"GET", "/v1//config", 307},
		{"GET", "/v1/./config", 307},
		{"GET", "/v1/config/", 404},
	} {
		for _, who := range []struct {
			name string
			peer *peer
			want int
		}{
			{"root", &peer{0, []int{0}}, 200}, {"its own user", &peer{4711, nil}, 200}, {"an admin", &peer{5001, []int{1}}, 200},
			{"one of an admin's group", &peer{5002, []int{1, 6001}}, 200}, {"a stranger", &peer{4712, []int{5001, 4711, 0}}, row.stranger}, {"nobody knows", nil, 403},
		} {
			request := httptest.NewRequest(row.method, row.path, nil)
			if who.peer != nil {
				request = request.WithContext(context.WithValue(request.Context(), peerKey{}, who.peer))
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			got := answer.Code
			if who.want == 200 && got != 403 {
				continue // where it leads is the matter of the multiplexer
			}
			if got != who.want {
				t.Errorf("%s %s of %s: %d, want %d", row.method, row.path, who.name, got, who.want)
			}
		}
	}
	request := httptest.NewRequest("POST", "/v1/stop", nil)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request.WithContext(context.WithValue(request.Context(), peerKey{}, &peer{4712, []int{100, 4712}})))
	if text := answer.Body.String(); !strings.Contains(text, "uid 4712 may only look (its groups are 100 4712); POST /v1/stop is for root, uid 4711, and admin_users and admin_groups of the control block") {
		t.Errorf("%s", text)
	}
	request.Header.Set("Origin", "https://elsewhere.example")
	answer = httptest.NewRecorder()
	handler.ServeHTTP(answer, request.WithContext(context.WithValue(request.Context(), peerKey{}, &peer{0, nil})))
	if answer.Code != 403 || !strings.Contains(answer.Body.String(), "not for web pages") {
		t.Errorf("a web page in a browser of root: %d %s", answer.Code, answer.Body.String())
	}
}

// TestPeer: who is at the other end is this process, with all its groups.
func TestPeer(t *testing.T) {
	path := t.TempDir() + "/s"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p, _ := peerContext(t.Context(), server).Value(peerKey{}).(*peer)
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if p == nil || p.uid != os.Geteuid() || !slices.Equal(p.gids, append([]int{os.Getegid()}, groups...)) {
		t.Errorf("%+v", p)
	}
}

// TestLookupAdmins: names that there are not are said with their option.
func TestLookupAdmins(t *testing.T) {
	a, err := lookupAdmins(&config.Control{AdminUsers: []string{"root", "#5001", "nobody"}, AdminGroups: []string{"#6001"}}, ownership{0, 0})
	if err != nil || len(a.uids) != 3 || a.uids[1] != 5001 || !slices.Equal(a.shutOut, []string{"nobody"}) || !slices.Equal(a.gids, []int{6001}) {
		t.Errorf("%+v, %v", a, err)
	}
	nobody, err := lookupUser("nobody")
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range []ownership{{nobody.UID, 0}, {0, nobody.GID}} {
		if a, err := lookupAdmins(&config.Control{AdminUsers: []string{"nobody"}}, owner); err != nil || a.shutOut != nil {
			t.Errorf("%+v: %+v, %v", owner, a, err)
		}
	}
	for option, c := range map[string]*config.Control{"admin_users: ": {AdminUsers: []string{"nobody-knows"}}, "admin_groups: ": {AdminGroups: []string{"nobody-knows"}}} {
		if _, err := lookupAdmins(c, ownership{}); err == nil || !strings.HasPrefix(err.Error(), option) || !strings.Contains(err.Error(), "nobody-knows") {
			t.Errorf("%v", err)
		}
	}
}
