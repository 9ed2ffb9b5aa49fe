package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

const tenMiB = 10 << 20

// payload is incompressible and the same in every run; lines are of all lengths.
func payload(size int) []byte {
	source := rand.NewChaCha8([32]byte{7})
	content := make([]byte, size)
	_, _ = source.Read(content)
	return content
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// hashed is the answer of apps/body_hash.py.
type hashed struct {
	SHA256     string
	Length     int
	PID        int
	Generation string
	Announced  *string `json:"content_length"`
	Terminated bool
	Rest       string
}

// hideLength makes net/http send a chunked body.
type hideLength struct{ io.Reader }

func upload(t *testing.T, client *harness.Client, path string, content []byte, chunked bool) hashed {
	t.Helper()
	var body io.Reader = bytes.NewReader(content)
	if chunked {
		body = hideLength{body}
	}
	response := client.Do("POST", path, body, "Content-Type: application/octet-stream")
	if response.Status != 200 {
		t.Fatalf("%s: %d %s", path, response.Status, response.Body)
	}
	var got hashed
	response.JSON(t, &got)
	if got.Length != len(content) || got.SHA256 != digest(content) || got.Rest != "" {
		t.Fatalf("%s chunked=%v: %d bytes with hash %s arrived, sent %d with %s", path, chunked, got.Length, got.SHA256, len(content), digest(content))
	}
	return got
}

// TestUpload: bodies of many sizes, with a length and chunked, read in every
// way, arrive byte by byte.
func TestUpload(t *testing.T) {
	w := newWorld(t)
	w.App("body_hash.py")
	w.Configure(group("only", "#64001", 2, 3) + mount("/", "apps/body_hash.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	content := payload(tenMiB)
	for _, by := range []string{"read", "read:1000", "read:65536", "read:3000000", "readline", "iter", "readlines"} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("10MiB,%s,chunked=%v", by, chunked), func(t *testing.T) {
				got := upload(t, apache.Client, "/?by="+by, content, chunked)
				if !got.Terminated {
					t.Error("wsgi.input_terminated is not set")
				}
				if !chunked && (got.Announced == nil || *got.Announced != fmt.Sprint(tenMiB)) {
					t.Error("CONTENT_LENGTH is wrong")
				}
			})
		}
	}
	// Around the sizes of records, of Apache's buffers and of request_buffer.
	for _, size := range []int{0, 1, 8191, 8192, 8193, 16384, 65535, 65536, 65537, 131072, 1 << 20} {
		for _, chunked := range []bool{false, true} {
			upload(t, apache.Client, "/?by=read", content[:size], chunked)
		}
	}
}

// TestDownload: 10 MiB arrive byte by byte, in small and large pieces, with
// and without a length.
func TestDownload(t *testing.T) {
	w := newWorld(t)
	w.App("download.py")
	w.Configure(group("only", "#64001", 2, 3) + mount("/", "apps/download.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "SetEnv ap_trust_cgilike_cl 1\n" + harness.ProxyPass})
	pattern := make([]byte, 256)
	for i := range pattern {
		pattern[i] = byte(i)
	}
	for _, piece := range []int{tenMiB, 1 << 20, 65536, 65535, 4096, 777} {
		for _, length := range []string{"", "&length=1"} {
			size := tenMiB
			if piece == 777 {
				size = 1 << 20
			}
			response := apache.Get(fmt.Sprintf("/?size=%d&piece=%d%s", size, piece, length))
			want := bytes.Repeat(pattern, size/256)
			if response.Status != 200 || response.Truncated != nil || !bytes.Equal(response.Body, want) {
				t.Errorf("piece %d%s: status %d, %d bytes, %v", piece, length, response.Status, len(response.Body), response.Truncated)
			}
			if length != "" && response.Header.Get("Content-Length") != fmt.Sprint(size) {
				t.Errorf("piece %d: Content-Length %q", piece, response.Header.Get("Content-Length"))
			}
		}
	}
	if head := apache.Do("HEAD", fmt.Sprintf("/?size=%d&length=1", tenMiB), nil); head.Status != 200 || len(head.Body) != 0 || head.Header.Get("Content-Length") != fmt.Sprint(tenMiB) {
		t.Errorf("HEAD: %d %v", head.Status, head.Header)
	}
}

// readStream reads a response of five pieces, of which an application sends
// number n when the file gate has n bytes: each must be here before the next is made.
func readStream(t *testing.T, apache *harness.Apache, path, gate, format string) {
	t.Helper()
	grow := func(size int) {
		if err := os.WriteFile(gate, []byte(strings.Repeat("x", size)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	grow(0)
	request, err := http.NewRequestWithContext(t.Context(), "GET", apache.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := apache.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for number := range 5 {
		want := fmt.Sprintf(format, number)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
		grow(number + 1)
	}
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) != 0 {
		t.Errorf("after the last piece: %q %v", rest, err)
	}
}

// TestStreaming: a chunk reaches the client before the application makes the next one.
func TestStreaming(t *testing.T) {
	w := newWorld(t)
	w.App("stream.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/stream.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	gate := w.Path("gate")
	readStream(t, apache, "/?count=5&gate="+gate, gate, "chunk %d\n")
}

// TestLateException: an exception after a part of the response has reached the
// client is a cut that the client can see, and a traceback in the log.
func TestLateException(t *testing.T) {
	w := newWorld(t)
	w.App("stream.py")
	gate := w.Write("gate", "")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/stream.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for range rounds(3, 30) {
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		response, err := apache.HTTP.Get(apache.Base + "/?count=2&fail=1&gate=" + gate)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, len("chunk 0\n"))
		if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "chunk 0\n" {
			t.Errorf("%q %v", first, err)
		}
		if err := os.WriteFile(gate, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(response.Body); err == nil || len(rest) != 0 {
			t.Errorf("the client sees no cut: %q %v", rest, err)
		}
		response.Body.Close()
	}
	wsgid.Log.Await(t, "the traceback", harness.Containing("ValueError: raised in the middle", "WSGID-1105"))
}

// TestRefusedUpload: the first request after the script has changed is a 10 MiB
// POST. The process that has the old code refuses it; it arrives byte by byte
// in one with the new code, with a length and chunked.
func TestRefusedUpload(t *testing.T) {
	w := newWorld(t)
	w.App("body_hash.py")
	source, err := os.ReadFile(w.Path("apps/body_hash.py"))
	if err != nil {
		t.Fatal(err)
	}
	w.Configure(group("only", "#64001", 2, 3) + mount("/", "apps/body_hash.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	content := payload(tenMiB)
	upload(t, apache.Client, "/", content[:100], false)
	for number := range rounds(4, 20) {
		before := wsgid.AwaitReady("only").PIDs("only")
		generation := fmt.Sprintf("GENERATION-%d", number+2)
		w.Write("apps/body_hash.py", strings.Replace(string(source), "GENERATION-1", generation, 1))
		size := []int{tenMiB, 60000, tenMiB - 1, 200000}[number%4]
		got := upload(t, apache.Client, "/?by=read:100000", content[:size], number%2 == 1)
		if got.Generation != generation || slices.Contains(before, got.PID) {
			t.Fatalf("answered by %s in pid %d; before the change: %v", got.Generation, got.PID, before)
		}
	}
	status := wsgid.AwaitReady("only").Group("only")
	if status.Refused == 0 || status.Restarts["script_reload"] == 0 {
		t.Errorf("refused %d, restarts %v", status.Refused, status.Restarts)
	}
	if status.Restarts["crash"] != 0 {
		t.Errorf("processes crashed: %v", status.Restarts)
	}
}

// TestEarlyAnswer: an application that answers without reading gets its answer
// through, whatever the size of the body; the connections stay good.
func TestEarlyAnswer(t *testing.T) {
	w := newWorld(t)
	w.App("refuse_body.py")
	w.App("body_hash.py")
	w.Configure(group("only", "#64001", 1, 3) + mount("/limited", "apps/body_hash.py", "max_body_bytes = 100000") +
		mount("/hash", "apps/body_hash.py") + mount("/", "apps/refuse_body.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	content := payload(tenMiB)
	for range rounds(3, 30) {
		for _, size := range []int{100, 70000, tenMiB} {
			response := apache.Do("POST", "/", bytes.NewReader(content[:size]))
			if response.Status != 413 || response.Text() != "too big\n" {
				t.Fatalf("%d bytes: %d %q", size, response.Status, response.Body)
			}
		}
		wantError(t, apache.Do("POST", "/limited", bytes.NewReader(content)), 413, "WSGID-1009")
		wantError(t, apache.Do("POST", "/limited", hideLength{bytes.NewReader(content)}), 413, "WSGID-1009")
		upload(t, apache.Client, "/limited", content[:100000], false)
		upload(t, apache.Client, "/hash", content[:300000], false)
	}
}

// TestClientGone: who hangs up in the middle of an upload or a download leaves
// no thread stuck.
func TestClientGone(t *testing.T) {
	w := newWorld(t)
	w.App("body_hash.py")
	w.App("download.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/down", "apps/download.py") + mount("/", "apps/body_hash.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for range rounds(4, 40) {
		reader, writer := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), "POST", apache.Base+"/", reader)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = tenMiB
		go func() {
			_, _ = writer.Write(make([]byte, 300000))
			writer.CloseWithError(io.ErrUnexpectedEOF)
		}()
		if response, err := apache.HTTP.Do(request); err == nil {
			response.Body.Close()
		}
		response, err := apache.HTTP.Get(apache.Base + fmt.Sprintf("/down?size=%d", tenMiB*4))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close() // unread: the transport closes the connection
	}
	content := payload(100000)
	for range 4 {
		upload(t, apache.Client, "/", content, false)
	}
	wsgid.AwaitIdle()
}
