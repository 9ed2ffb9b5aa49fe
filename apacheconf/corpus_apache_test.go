package apacheconf

import (
	"testing"

	"github.com/wsgid/wsgid/internal/apachetest"
)

// corpus is our own set of configurations.
func corpus(t testing.TB) []*apachetest.Configuration {
	t.Helper()
	all, err := apachetest.Corpus("testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 90 {
		t.Fatalf("there are %d configurations only", len(all))
	}
	return all
}

// TestCorpusInApache: what the configurations say that Apache says of them.
func TestCorpusInApache(t *testing.T) {
	for _, c := range corpus(t) {
		if c.Access() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			p := apachetest.NewPlace(t)
			accepts, said := p.Apache(t, p.Put(t, c))
			if accepts != (c.Apache == apachetest.Accepts) {
				t.Errorf("it %s, and Apache says\n%s", c.Apache, said)
			}
			t.Log(said)
		})
	}
}
