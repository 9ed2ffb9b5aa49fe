package page

import (
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/histogram"
)

// TestPage: the policy allows the one script and the one style that are in the page,
// and the page names nothing that lies elsewhere.
func TestPage(t *testing.T) {
	answer := httptest.NewRecorder()
	New().ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	body, policy := answer.Body.String(), answer.Header().Get("Content-Security-Policy")
	for tag, directive := range map[string]string{"script": "script-src ", "style": "style-src "} {
		found := regexp.MustCompile(`(?s)<`+tag+`[^>]*>(.*?)</`+tag+`>`).FindAllStringSubmatch(body, -1)
		if len(found) != 1 || !strings.Contains(policy, directive+hash([]byte(found[0][1]))+";") {
			t.Errorf("%d of %s, and the policy is %s", len(found), tag, policy)
		}
	}
	for _, address := range regexp.MustCompile(`https?://[^"' ]*`).FindAllString(body, -1) {
		if address != "http://www.w3.org/2000/svg" { // a name, not an address
			t.Errorf("the page names %s", address)
		}
	}
	for _, unsafe := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="} {
		if strings.Contains(body, unsafe) {
			t.Errorf("the page uses %s", unsafe)
		}
	}
}

// TestBounds: the page takes the buckets of a histogram for what they are.
func TestBounds(t *testing.T) {
	var bounds []string
	for _, bound := range histogram.Bounds {
		bounds = append(bounds, strconv.FormatFloat(bound.Seconds(), 'f', -1, 64))
	}
	if want := "const bounds = [" + strings.Join(bounds, ", ") + "];"; !strings.Contains(string(asset("format.js")), want) {
		t.Errorf("format.js has not %s", want)
	}
}
