package supervisor

import (
	"fmt"
	"time"
)

const (
	// maxEvent bounds one event of a child: a line, a record or a joined traceback.
	maxEvent = 1 << 20
	// maxUnfinished records of a child, one a thread, wait for their other parts.
	maxUnfinished = 16
	// maxWaiting bytes are theirs together.
	maxWaiting = 2 << 20
	// partPatience is how long the next part of a record may take; a full channel
	// costs it 2 s and the others are not sent then.
	partPatience = 5 * time.Second
)

// clipped marks text of which lost bytes are missing at its end.
func clipped(text string, lost int) string {
	if lost == 0 {
		return text
	}
	return fmt.Sprintf("%s… (truncated, %d bytes)", text, lost)
}

// recordJoiner takes the packets of a log channel and puts long records together: those
// of several threads come mixed. It is used by one goroutine.
type recordJoiner struct {
	emit func(values map[string]string, message string)

	unfinished []*longRecord // the oldest first
	waiting    int           // bytes of them
}

// pending says whether a record waits for its other parts.
func (j *recordJoiner) pending() bool { return len(j.unfinished) > 0 }

// longRecord is what has come of a record of several packets.
type longRecord struct {
	values  map[string]string // of the first packet
	message []byte
	lost    int // bytes beyond maxEvent
	seen    time.Time
}

// packet takes one.
func (j *recordJoiner) packet(packet []byte) {
	values, message := parseRecord(string(packet))
	number, last := values["part"], values["more"] == ""
	if j.pending() {
		j.release(time.Now().Add(-partPatience), maxUnfinished, maxWaiting)
	}
	if number == "" {
		j.emit(values, message)
		return
	}
	at := 0
	for at < len(j.unfinished) && j.unfinished[at].values["part"] != number {
		at++
	}
	if at == len(j.unfinished) {
		j.release(time.Time{}, maxUnfinished-1, maxWaiting-len(message))
		at = len(j.unfinished)
		j.unfinished = append(j.unfinished, &longRecord{values: values})
	}
	r := j.unfinished[at]
	r.seen = time.Now()
	room := min(len(message), maxEvent-len(r.message))
	r.message = append(r.message, message[:room]...)
	r.lost += len(message) - room
	j.waiting += room
	if last {
		j.end(at)
	}
}

// release ends records that have got nothing since then, and the oldest ones beyond
// so many, and so many bytes.
func (j *recordJoiner) release(since time.Time, most, bytes int) {
	for at := 0; at < len(j.unfinished); {
		if j.unfinished[at].seen.Before(since) || len(j.unfinished) > most || j.waiting > bytes {
			j.end(at)
			continue
		}
		at++
	}
}

// end passes a record on.
func (j *recordJoiner) end(at int) {
	r := j.unfinished[at]
	j.unfinished = append(j.unfinished[:at], j.unfinished[at+1:]...)
	j.waiting -= len(r.message)
	j.emit(r.values, clipped(string(r.message), r.lost))
}

// flush passes on what is there of the others: no part comes any more.
func (j *recordJoiner) flush() { j.release(time.Time{}, 0, 0) }
