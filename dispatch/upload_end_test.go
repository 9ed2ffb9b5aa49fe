package dispatch

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/protocol"
)

// The next request, or the end of the connection, may be seen by the upload of
// a request that has just been answered: its body has not broken off.
func TestWhatEndsAnUpload(t *testing.T) {
	for _, tt := range []struct {
		err   error
		ended bool
		want  killReason
	}{
		{protocol.ErrEnded, true, notKilled},
		{errShortBody, true, notKilled},
		{protocol.ErrInterrupted, false, notKilled},
		{errShortBody, false, bodyCut},
		{errBodyTooLarge, false, bodyOver},
		{protocol.ErrAbortRecord, false, clientAborted},
		{protocol.ErrAborted, false, clientGone},
	} {
		x := &exchange{router: &Router{log: hclog.NewNullLogger()}}
		x.ended.Store(tt.ended)
		u := &upload{x: x}
		u.broken(tt.err)
		if got := x.killedBy(); got != tt.want || u.failed != (tt.want != notKilled) {
			t.Errorf("%v, ended %v: %d %v, want %d", tt.err, tt.ended, got, u.failed, tt.want)
		}
	}
}

// The answer to a management record never gets into a record of the worker.
func TestManagementRecordInsideARecord(t *testing.T) {
	const half = 30
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.accept()
		out := stdout([]byte("Status: 200 OK\r\n\r\nin one piece"))
		q.w.Write(out[:half])
		q.body()
		q.w.Write(append(out[half:], endRequest()...))
	}, 1)
	f := r.front()
	f.SetDeadline(time.Now().Add(longWait))
	request := postBytes(bigBody(100000), "")
	f.Write(request[:len(request)-protocol.HeaderLen])
	head := make([]byte, half)
	if _, err := io.ReadFull(f, head); err != nil {
		t.Fatal(err)
	}
	f.Write(append(protocol.AppendHeader(nil, protocol.GetValues, 0, 0, 0), request[len(request)-protocol.HeaderLen:]...))
	f.rd = protocol.NewReader(io.MultiReader(bytes.NewReader(head), f), 0)
	if a, err := f.read(); errors.Is(err, io.EOF) || a.body != "in one piece" || !a.ended {
		t.Errorf("%+v %v", a, err)
	}
}
