package scoreboard

import (
	"math/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func pair(t *testing.T, threads int) (*Writer, *Reader, *os.File) {
	t.Helper()
	file, err := Create(threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	reader, err := NewReader(file, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	if reader.Read().Valid {
		t.Error("an empty scoreboard is valid")
	}
	writer, err := NewWriter(file, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { writer.Close() })
	return writer, reader, file
}

func TestWrittenIsRead(t *testing.T) {
	w, r, _ := pair(t, 3)
	start := time.UnixMicro(1_700_000_000_123_456)
	w.SetPython("3.11.2")
	w.SetExit(4)
	w.Count(10, 2, 1)
	w.SetState(0, Idle)
	w.Begin(1, start, "id-1", "GET", "/a\x1b[31m?b\n", "192.0.2.1", "app")
	w.SetTrace(1, [16]byte{0: 0xab, 15: 0x01})
	board := r.Read()
	if !board.Valid || board.Python != "3.11.2" || board.Exit != 4 || board.Finished != 10 ||
		board.Refused != 2 || board.Failed != 1 || len(board.Slots) != 3 || board.Busy() != 1 {
		t.Errorf("unexpected board %+v", board)
	}
	want := Slot{State: Application, Start: start, RequestID: "id-1", Method: "GET",
		URI: `/a\x1b[31m?b\n`, Client: "192.0.2.1", AppName: "app", Trace: "ab000000000000000000000000000001"}
	if got := board.Slots[1]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	w.SetState(1, Idle)
	if got, ok := r.Request("id-1"); !ok || got.URI != want.URI || got.State != Idle || !got.Start.Equal(start) {
		t.Errorf("the one that has ended: %+v", got)
	}
	if idle := r.Read().Slots[1]; idle.URI != "" || idle.RequestID != "" {
		t.Errorf("an idle thread has a request: %+v", idle)
	}
	for _, id := range []string{"", "id-2"} {
		if got, ok := r.Request(id); ok {
			t.Errorf("%q: %+v", id, got)
		}
	}
	if board.Slots[0].State != Idle || board.Slots[2].State != Unused {
		t.Errorf("states %v and %v", board.Slots[0].State, board.Slots[2].State)
	}
}

func TestSizeIsSealed(t *testing.T) {
	_, r, file := pair(t, 1)
	for _, size := range []int64{0, 1 << 20} {
		if err := file.Truncate(size); err == nil {
			t.Errorf("truncated to %d", size)
		}
	}
	r.Read()
}

func TestScribbledHarmsNobody(t *testing.T) {
	const threads = 4
	w, r, _ := pair(t, threads)
	random := rand.New(rand.NewSource(1))
	header := append([]byte(nil), w.Memory()[:16]...)
	for range 2000 {
		random.Read(w.Memory())
		if random.Intn(2) == 0 {
			copy(w.Memory(), header) // a valid head, so that the slots are looked at
		}
		board := r.Read()
		for _, slot := range board.Slots {
			for _, text := range []string{slot.URI, slot.Method, slot.RequestID, slot.Client, slot.AppName, board.Python} {
				if strings.ContainsFunc(text, func(c rune) bool { return c < 0x20 || c == 0x7f }) {
					t.Fatalf("control byte in %q", text)
				}
			}
			_ = slot.State.String()
		}
	}
}

func TestOddSequenceDoesNotHoldTheReader(t *testing.T) {
	w, r, _ := pair(t, 1)
	w.SetState(0, Application)
	w.Memory()[HeaderSize] = 1
	if slot := r.Read().Slots[0]; !slot.Torn || slot.State != Application {
		t.Errorf("got %+v", slot)
	}
}

func TestReadWhileClosing(t *testing.T) {
	_, r, _ := pair(t, 2)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 100 {
				r.Read()
			}
		})
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	wait.Wait()
	if r.Read().Valid {
		t.Error("a closed reader is valid")
	}
}
