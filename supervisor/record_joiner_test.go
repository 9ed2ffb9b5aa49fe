package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLongRecords: parts of several records come mixed; each is one event, with a mark
// if it is too long, and none waits for ever.
func TestLongRecords(t *testing.T) {
	var got []string
	j := &recordJoiner{emit: func(values map[string]string, message string) { got = append(got, values["logger"]+":"+message) }}
	send := func(number, more, message string) {
		packet := "logger\x00L" + number + "\x00part\x00" + number
		if number == "" {
			packet = "logger\x00short"
		}
		j.packet([]byte(packet + strings.Repeat("\x00more\x001", len(more)) + "\x00message\x00" + message))
	}
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%.200q, want %.200q", got, want)
		}
		got = nil
	}
	send("1", "+", "a\n")
	send("2", "+", "b")
	send("", "", "short")
	send("1", "+", "a")
	send("2", "", "B\n")
	send("1", "", "A")
	expect("short:short", "L2:bB\n", "L1:a\naA")

	half := strings.Repeat("x", maxEvent/2)
	for range 3 {
		send("3", "+", half)
	}
	send("3", "", "end")
	expect("L3:" + half + half + fmt.Sprintf("… (truncated, %d bytes)", maxEvent/2+3))

	send("4", "+", "never ended") // its thread waited in vain for the channel
	j.unfinished[0].seen = time.Now().Add(-2 * partPatience)
	send("", "", "later")
	expect("L4:never ended", "short:later")

	for n := range maxUnfinished + 1 {
		send(fmt.Sprint(100+n), "+", "x")
	}
	expect("L100:x")
	got = nil
	for n := range 4 { // more than may wait together
		send(fmt.Sprint(100+n), "+", half+half)
	}
	if j.waiting > maxWaiting || len(got) == 0 {
		t.Errorf("%d bytes wait", j.waiting)
	}
	j.flush()
	got = nil
	for n := range maxUnfinished {
		send(fmt.Sprint(n+1), "+", "x")
	}
	j.flush()
	if j.waiting != 0 || len(got) != maxUnfinished || len(j.unfinished) != 0 {
		t.Errorf("%d are passed on at the end, %d left", len(got), len(j.unfinished))
	}
}

// TestUnfinishedRecord: a record whose other parts never come is passed on by itself.
func TestUnfinishedRecord(t *testing.T) {
	t.Parallel()
	ours, theirs, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 2)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pumpRecords(ours, &recordJoiner{emit: func(_ map[string]string, message string) { got <- message }})
	}()
	for _, packet := range []string{"part\x001\x00more\x001\x00message\x00never ended", "message\x00short"} {
		if _, err := theirs.WriteString(packet); err != nil {
			t.Fatal(err)
		}
	}
	if first, second := <-got, <-got; first != "short" || second != "never ended" {
		t.Errorf("%q, %q", first, second)
	}
	theirs.Close()
	<-ended
	ours.Close()
}
