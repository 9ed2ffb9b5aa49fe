package supervisor

import (
	"strings"
	"testing"
)

// FuzzLineJoiner: whatever a child writes, in whatever pieces, the supervisor goes on and
// keeps no more of it than some events.
func FuzzLineJoiner(f *testing.F) {
	long := strings.Repeat("x", maxEvent+1)
	for _, seed := range []string{
		"Exception in thread " + long + "\nmore\n",
		"Exception ignored in " + long + "\nmore\nmore\n",
		"Traceback (most recent call last):\n" + long + "\n\n\n\n\n\n\n" + "Traceback (most recent call last):\nX\n",
		"Traceback (most recent call last):\nX\n" + strings.Repeat("\n", 100000),
		"Traceback (most recent call last):\nX\n" + strings.Repeat("During handling of the above exception, another\n", 1000),
		"Fatal Python error: " + long + "\n" + strings.Repeat("more\n", 10),
	} {
		f.Add(seed, 65536)
	}
	f.Fuzz(func(t *testing.T, text string, piece int) {
		const most = maxEvent + 100 // with the mark of what is missing
		j := &lineJoiner{emit: func(event string, _ bool) {
			if len(event) > most {
				t.Fatalf("an event of %d bytes", len(event))
			}
		}}
		for piece = max(1, piece); len(text) > 0; {
			n := min(piece, len(text))
			j.write([]byte(text[:n]))
			text = text[n:]
			if len(j.lines) > between || j.held.Len() > maxEvent || len(j.partial) > maxEvent {
				t.Fatalf("%d lines, %d and %d bytes are kept", len(j.lines), j.held.Len(), len(j.partial))
			}
		}
		j.flushAll()
	})
}
