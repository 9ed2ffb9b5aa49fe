package dispatch

import "testing"

// TestStatusOf: a status is told where one stands, and nowhere else.
func TestStatusOf(t *testing.T) {
	for head, want := range map[string]int{
		"Status: 200 OK\r\nX: y\r\n": 200, "Status: 404 \r\n": 404, "Status: 204\r\n": 204, "Status: 503 ": 503,
		"": 0, "Status: ": 0, "Status: 20": 0, "Status: 200": 0, "Status: 2000\r\n": 0, "Status: 2x0 OK\r\n": 0, "X: y\r\nStatus: 200 OK": 0, "status: 200 OK": 0,
	} {
		if got := statusOf([]byte(head)); got != want {
			t.Errorf("%q: %d", head, got)
		}
	}
}
