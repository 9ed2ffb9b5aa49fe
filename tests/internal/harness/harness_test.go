package harness

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a FastCGI responder of the standard library on the world's socket:
// the harness is verified without the product.
func stub(t *testing.T, w *World) {
	t.Helper()
	listener, err := net.Listen("unix", w.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.Socket, 0o666); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = fcgi.Serve(listener, http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
			body, _ := io.ReadAll(in.Body)
			env := fcgi.ProcessEnv(in)
			fmt.Fprintf(out, "%s %s %d https=%v cn=%s set=%s", in.Method, in.URL.Path, len(body), in.TLS != nil,
				env["SSL_SERVER_S_DN_CN"], env["WANT"])
		}))
	}()
	t.Cleanup(func() { listener.Close(); <-done })
}

func stubWorld(t *testing.T) *World {
	t.Helper()
	fake := filepath.Join(t.TempDir(), "wsgid")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return New(t, &Binary{Path: fake})
}

func TestApacheFronts(t *testing.T) {
	for name, config := range map[string]string{
		"ProxyPass":  "SetEnv WANT v\n" + ProxyPass,
		"SetHandler": "SetEnv WANT v\nAlias / {{.Dir}}/httpd/docs/\n" + HandlerProxy + "<Location />\n" + Handler + "\n</Location>\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := stubWorld(t)
			stub(t, w)
			apache := w.StartApache(ApacheOptions{Config: config, TLS: "SSLOptions +StdEnvVars\n" + config})
			want := "GET /a/b 0 https=false cn= set=v"
			if got := apache.Get("/a/b"); got.Status != 200 || got.Text() != want {
				t.Fatalf("%d %q, want %q", got.Status, got.Text(), want)
			}
			want = "GET /a/b 0 https=true cn=localhost set=v"
			if got := apache.TLS.Get("/a/b"); got.Status != 200 || got.Text() != want {
				t.Fatalf("%d %q, want %q", got.Status, got.Text(), want)
			}
		})
	}
}

func TestOtherFronts(t *testing.T) {
	for name, start := range map[string]func(*World) *Client{"nginx": (*World).StartNginx, "lighttpd": (*World).StartLighttpd} {
		t.Run(name, func(t *testing.T) {
			w := stubWorld(t)
			stub(t, w)
			client := start(w)
			got := client.Do("POST", "/x?y=1", strings.NewReader("hello"))
			if want := "POST /x 5 https=false cn= set="; got.Status != 200 || got.Text() != want {
				t.Fatalf("%d %q, want %q", got.Status, got.Text(), want)
			}
		})
	}
}

func TestLog(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log := newLog(reader)
	fmt.Fprint(writer, `{"@level":"info","@message":"one","pid":7}`+"\nplain\n")
	record := log.Await(t, "the first record", func(r Record) bool { return r.Message() == "one" })
	if record.Text("pid") != "7" || record.Level() != "info" {
		t.Fatalf("%+v", record)
	}
	go func() {
		fmt.Fprint(writer, "late\n")
		writer.Close()
	}()
	log.Await(t, "the late line", Containing("late"))
	<-log.Closed()
	if got := len(log.Records()); got != 3 {
		t.Fatalf("%d records", got)
	}
}

func TestPythons(t *testing.T) {
	NeedRoot(t)
	w := stubWorld(t)
	for _, python := range w.Pythons() {
		executable := python.Executable
		if python.Home != "" {
			executable = filepath.Join(python.Home, "bin/python3")
			if err := os.WriteFile(filepath.Join(python.Home, "written"), nil, 0o644); err == nil {
				t.Errorf("the original of %s can be changed", python.Version)
			}
		}
		command := exec.Command(executable, "-I", "-c", "import sys; print(sys.prefix)")
		command.Dir = "/"
		// The executable has the place of its library built in; wsgid does not need it.
		command.Env = []string{"LD_LIBRARY_PATH=" + filepath.Join(python.Home, "lib")}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64001, Gid: 64001}}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("Python %s as another user: %v\n%s", python.Version, err, out)
		}
		t.Logf("Python %s: %s prefix %s", python.Version, python.Option(), strings.TrimSpace(string(out)))
	}
}
