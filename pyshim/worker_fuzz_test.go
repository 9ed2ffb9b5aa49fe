package pyshim_test

import (
	"bytes"
	"io"
	"math/rand"
	"net"
	"os"
	"testing"
	"time"
)

// fuzzWorker names the compiled worker to the processes that do the fuzzing. If
// each compiled one, the time would be over before.
const fuzzWorker = "WSGID_TEST_FUZZ_WORKER"

// FuzzWorker mutates the bytes of valid requests: a connection may go, the
// worker stays. With go test alone it runs its seeds; WSGID_TEST_ASAN=1 makes
// every run one under the sanitizers.
func FuzzWorker(f *testing.F) {
	if path := os.Getenv(fuzzWorker); path != "" {
		plain.once.Do(func() { plain.path, plain.borrowed = path, true })
	}
	f.Setenv(fuzzWorker, plain.workerBinary(f))
	w := startWorker(f, workerOptions{threads: 4})
	seeds := [][]byte{
		request(script(f, "hello.py", "application"), []byte("body"), true),
		request(script(f, "body.py", "methods", "CONTENT_LENGTH=9"), []byte("a\nb\nc\nd\ne"), true),
		request(script(f, "body.py", "lines", "WSGID_WANT_ACCEPT=1"), bytes.Repeat([]byte("line\n"), 100), true),
		append(record(typeGetValues, 0, pair("WSGID_PID", "")), request(script(f, "responses.py", "raises"), nil, true)...),
	}
	for _, seed := range seeds {
		f.Add(seed, int64(1), uint8(0))
		f.Add(seed, int64(2), uint8(6))
	}
	f.Fuzz(func(t *testing.T, b []byte, random int64, changes uint8) {
		r := rand.New(rand.NewSource(random))
		b = append([]byte{}, b...)
		for range changes % 16 {
			if len(b) > 0 {
				b[r.Intn(len(b))] ^= byte(1 << r.Intn(8))
			}
		}
		c, err := net.Dial("unix", w.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		go func() {
			_, _ = c.Write(b)
			_ = c.(*net.UnixConn).CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, c)
		select {
		case <-w.exited:
			t.Fatalf("the worker died: %s", w.stderr)
		default:
		}
	})
}
