package dispatch

import "bytes"

// statusOf reads the status of an answer from the beginning of its head, with which
// the first STDOUT record of a worker begins (docs/internals.md section 5); 0: it
// cannot be told.
func statusOf(head []byte) int {
	rest, ok := bytes.CutPrefix(head, []byte("Status: "))
	if !ok || len(rest) < 4 || rest[3] != ' ' && rest[3] != '\r' {
		return 0
	}
	status := 0
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return 0
		}
		status = status*10 + int(c-'0')
	}
	return status
}
