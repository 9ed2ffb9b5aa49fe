package dispatch

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// records cuts body into STDOUT records of the given sizes, again and again.
func records(body []byte, padding int, sizes ...int) (sent []byte) {
	for i := 0; len(body) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(body))
		sent = protocol.AppendHeader(sent, protocol.Stdout, 1, n, padding)
		sent = append(sent, body[:n]...)
		sent = append(sent, make([]byte, padding)...)
		body = body[n:]
	}
	return sent
}

// Whatever the records are like, and wherever a read ends, the answer arrives
// as the worker sent it.
func TestRecordsOfAllSizes(t *testing.T) {
	body := bigBody(1 << 20)
	head := stdout([]byte("Status: 200 OK\r\n\r\n"))
	noise := protocol.AppendStream(nil, protocol.Stderr, 1, bigBody(40000))
	for name, all := range map[string][]byte{
		"64 KiB pieces":    records(body, 0, 65528, 8),
		"largest":          records(body, 0, 65535),
		"largest, padded":  records(body, 255, 65535),
		"just bulk":        records(body, 1, bulk+ahead, bulk+ahead-1, bulk+ahead+1),
		"small":            records(body, 0, 4000),
		"large then small": records(body, 7, 65535, 100, 50, 1, 3000, 200, 40000, 8000),
		"header and more":  records(body, 0, bulk, 1, bulk, ahead, bulk, ahead-8, bulk, ahead-16),
		"noise between":    append(append(records(body[:500000], 0, 65528, 8), noise...), records(body[500000:], 3, 60000)...),
	} {
		for _, piece := range []int{len(all), 65536 + 16, 30011, 1009} {
			t.Run(fmt.Sprintf("%s/%d", name, piece), func(t *testing.T) {
				t.Parallel()
				var config *wire.RouterConfig
				oneGroup(t, func(c *wire.RouterConfig) {
					c.Listeners = []wire.Listener{{Kind: wire.ListenUnix}, {Kind: wire.ListenTCP}}
					config = c
				}, func(q *fakeRequest) {
					q.body()
					b := append(append(bytes.Clone(head), all...), endRequest()...)
					for len(b) > 0 {
						n := min(piece, len(b))
						q.w.Write(b[:n])
						b = b[n:]
					}
				}, 1)
				for i, id := range []uint16{1, 7} {
					f := dialFront(t, string(config.Listeners[i].Kind), config.Listeners[i].Address)
					f.SetDeadline(time.Now().Add(longWait))
					for range 2 {
						f.send(requestBytes(id, 1, nil, "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/"))
						a, err := f.read()
						if err != nil || !a.ended || a.body != string(body) {
							t.Fatalf("id %d: %d bytes, ended %v, %v", id, len(a.body), a.ended, err)
						}
					}
				}
			})
		}
	}
}

// Large records take the way past our memory.
func TestLargeRecordsGoThroughAPipe(t *testing.T) {
	for len(pipes) > 0 {
		p := <-pipes
		p.held = 1 // not to be kept
		p.release()
	}
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		q.reply(string(bigBody(300000)))
	}, 1)
	if a := r.mustGet(r.front(), "/"); a.body != string(bigBody(300000)) {
		t.Errorf("%d bytes", len(a.body))
	}
	select {
	case p := <-pipes:
		p.release()
	case <-time.After(longWait):
		t.Error("there is no used pipe")
	}
}

// A worker that dies inside a large record cuts the answer.
func TestDeathInsideALargeRecord(t *testing.T) {
	r, g := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		q.w.Write(stdout([]byte("Status: 200 OK\r\n\r\n")))
		q.w.Write(records(bigBody(200000), 0, 65528)[:170000])
		q.w.Close()
	}, 1)
	f := r.front()
	f.SetDeadline(time.Now().Add(longWait))
	if a, err := f.get("/"); err == nil || a.ended {
		t.Errorf("ended %v, %v", a.ended, err)
	}
	r.wantLog("worker died while sending its response")
	g.kill(100)
}

// A client that goes inside a large record frees the worker, and nothing of
// the record comes to the next one.
func TestClientGoneInsideALargeRecord(t *testing.T) {
	body := bigBody(8 << 20)
	ended := make(chan error, 1)
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		if q.env["PATH_INFO"] == "/good" {
			q.reply("good")
			return
		}
		_, err := q.w.Write(append(stdout([]byte("Status: 200 OK\r\n\r\n")), records(body, 0, 65528, 8)...))
		ended <- err
	}, 1)
	for range 3 {
		f := r.front()
		f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/"))
		if _, err := io.ReadFull(f, make([]byte, 300000)); err != nil {
			t.Fatal(err)
		}
		f.Close()
		select {
		case err := <-ended:
			if err == nil {
				t.Error("the worker could send everything")
			}
		case <-time.After(longWait):
			t.Fatal("the worker still sends")
		}
		if a := r.mustGet(r.front(), "/good"); a.body != "good" {
			t.Errorf("%+v", a)
		}
	}
}
