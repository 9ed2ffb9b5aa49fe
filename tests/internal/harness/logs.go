package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Record is one line of wsgid's log.
type Record struct {
	// Line as it was written.
	Line string
	// Fields of a JSON line; nil when it is none.
	Fields map[string]any
}

// Text of a field; empty when it is not there. Numbers are decimal.
func (r Record) Text(field string) string {
	value, ok := r.Fields[field]
	if !ok {
		return ""
	}
	if number, ok := value.(float64); ok {
		return fmt.Sprintf("%.0f", number)
	}
	return fmt.Sprint(value)
}

// Message is the record's message.
func (r Record) Message() string { return r.Text("@message") }

// Level is the record's level: trace, debug, info, warn, error.
func (r Record) Level() string { return r.Text("@level") }

// Log collects what a process writes, line by line.
type Log struct {
	mutex   sync.Mutex
	records []Record
	changed chan struct{}
	closed  chan struct{}
	source  io.ReadCloser
	reading sync.Mutex // held over each read
}

// Stall has it read nothing until the returned function is called, as a log
// collector that is busy or hangs.
func (l *Log) Stall() (goOn func()) {
	release := make(chan struct{})
	go func() { // takes the lock when the line that is being read has come, or the end
		l.reading.Lock()
		defer l.reading.Unlock()
		<-release
	}()
	return sync.OnceFunc(func() { close(release) })
}

// HangUp closes the reading end, as a log collector that dies does.
func (l *Log) HangUp() {
	l.source.Close()
	<-l.closed
}

// newLog reads until the end of source, in a goroutine that Closed tells of.
func newLog(source io.ReadCloser) *Log {
	l := &Log{changed: make(chan struct{}), closed: make(chan struct{}), source: source}
	go func() {
		defer close(l.closed)
		defer source.Close()
		reader := bufio.NewReader(source)
		for {
			l.reading.Lock()
			line, err := reader.ReadString('\n')
			l.reading.Unlock()
			if line != "" {
				l.add(strings.TrimSuffix(line, "\n"))
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *Log) add(line string) {
	record := Record{Line: line}
	if strings.HasPrefix(line, "{") {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil {
			record.Fields = fields
		}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.records = append(l.records, record)
	close(l.changed)
	l.changed = make(chan struct{})
}

// Closed is closed when nobody holds the writing end any more.
func (l *Log) Closed() <-chan struct{} { return l.closed }

// Records so far.
func (l *Log) Records() []Record {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]Record(nil), l.records...)
}

// Mark is the number of records so far, for AwaitFrom.
func (l *Log) Mark() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.records)
}

// Find returns the records that match.
func (l *Log) Find(match func(Record) bool) []Record {
	var found []Record
	for _, record := range l.Records() {
		if match(record) {
			found = append(found, record)
		}
	}
	return found
}

// Await waits for a record that matches, among those so far and those to come.
func (l *Log) Await(t testing.TB, what string, match func(Record) bool) Record {
	t.Helper()
	return l.AwaitFrom(t, 0, what, match)
}

// AwaitFrom is Await for records after a Mark.
func (l *Log) AwaitFrom(t testing.TB, mark int, what string, match func(Record) bool) Record {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for {
		l.mutex.Lock()
		records, changed := l.records, l.changed
		l.mutex.Unlock()
		for ; mark < len(records); mark++ {
			if match(records[mark]) {
				return records[mark]
			}
		}
		select {
		case <-changed:
		case <-l.closed:
			select {
			case <-changed:
				continue
			default:
				t.Fatalf("the log ended without %s", what)
			}
		case <-deadline.C:
			t.Fatalf("no %s in the log", what)
		}
	}
}

// Tail is the end of the log, for a failure report.
func (l *Log) Tail(lines int) string {
	records := l.Records()
	if len(records) > lines {
		records = records[len(records)-lines:]
	}
	var out strings.Builder
	for _, record := range records {
		out.WriteString(record.Line)
		out.WriteByte('\n')
	}
	return out.String()
}

// Containing matches a line that contains all the texts.
func Containing(texts ...string) func(Record) bool {
	return func(r Record) bool {
		for _, text := range texts {
			if !strings.Contains(r.Line, text) {
				return false
			}
		}
		return true
	}
}
