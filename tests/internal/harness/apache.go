package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Apache is a running httpd with the event MPM.
type Apache struct {
	*Client
	Port int
	// PID of the parent of the processes that serve.
	PID int
	// TLS is a client for the TLS port; nil without one.
	TLS *Client
	// ErrorLog is the path of its error log.
	ErrorLog string
	t        testing.TB
}

// ApacheOptions of StartApache. In texts, {{.Dir}} and {{.Socket}} are those of
// the world.
type ApacheOptions struct {
	// Config is the body of httpd.conf: what connects it with wsgid.
	Config string
	// TLS adds a virtual host with a self-made certificate and this body.
	TLS string
}

// ProxyPass is the simplest connection: every URL goes to wsgid.
const ProxyPass = `
ProxyPass "/" "unix:{{.Socket}}|fcgi://wsgid/" enablereuse=on flushpackets=on iobuffersize=65528
`

// HandlerProxy defines the kept connections for Alias and SetHandler.
const HandlerProxy = `
<Proxy "unix:{{.Socket}}|fcgi://wsgid/">
  ProxySet enablereuse=on flushpackets=on iobuffersize=65528
</Proxy>
`

// Handler is the SetHandler line that belongs to HandlerProxy.
const Handler = `SetHandler "proxy:unix:{{.Socket}}|fcgi://wsgid/"`

var apacheModules = []string{
	"mpm_event", "authz_core", "authz_host", "authz_user", "authz_groupfile", "authn_core", "authn_file", "authnz_fcgi", "auth_basic", "auth_digest",
	"alias", "dir", "env", "headers", "proxy", "proxy_fcgi", "rewrite", "setenvif",
	"socache_shmcb", "ssl",
}

// moduleDir is where Debian keeps Apache's modules.
const moduleDir = "/usr/lib/apache2/modules"

// StartApache starts httpd and waits until it accepts. It ends with the test.
func (w *World) StartApache(options ApacheOptions) *Apache {
	w.T.Helper()
	w.must(os.MkdirAll(w.Path("httpd/docs"), 0o755))
	return w.startHTTPD("httpd", func(a *Apache) []string {
		return []string{"-f", w.Write("httpd/httpd.conf", w.httpdConf(a, options))}
	})
}

// StartHTTPD starts httpd with a configuration file that is complete and knows of its
// machine by variables of the environment only: ${PORT} to listen on at 127.0.0.1, and
// ${RUN}, a directory of its own for its pid file and error.log.
func (w *World) StartHTTPD(name, conf string) *Apache {
	w.T.Helper()
	w.must(os.MkdirAll(w.Path(name), 0o755))
	return w.startHTTPD(name, func(*Apache) []string { return []string{"-f", conf} })
}

// Secure is a client that speaks TLS to its port.
func (a *Apache) Secure() *Client {
	return NewClient(a.t, fmt.Sprintf("https://127.0.0.1:%d", a.Port))
}

// startHTTPD starts httpd with the arguments that arguments gives for a port, in the
// world's directory of that name.
func (w *World) startHTTPD(name string, arguments func(a *Apache) []string) *Apache {
	w.T.Helper()
	program := Need(w.T, "apache2")
	for attempt := 0; ; attempt++ {
		a := &Apache{t: w.T, Port: FreePort(w.T), ErrorLog: w.Path(name + "/error.log")}
		words := append([]string{program, "-D", "FOREGROUND"}, arguments(a)...)
		s, report := startServer(w.T, name, fmt.Sprintf("127.0.0.1:%d", a.Port), words, fmt.Sprintf("PORT=%d", a.Port), "RUN="+w.Path(name))
		if s == nil {
			if attempt == 4 {
				w.T.Fatalf("httpd does not start: %s", report+readTail(a.ErrorLog))
			}
			continue
		}
		w.T.Cleanup(func() {
			s.stop()
			if w.T.Failed() {
				w.T.Logf("end of httpd's error log:\n%s", readTail(a.ErrorLog))
			}
		})
		a.PID = s.command.Process.Pid
		a.Client = NewClient(w.T, fmt.Sprintf("http://127.0.0.1:%d", a.Port))
		return a
	}
}

// httpdConf is the configuration file of StartApache.
func (w *World) httpdConf(a *Apache, options ApacheOptions) string {
	w.T.Helper()
	var conf strings.Builder
	fmt.Fprintf(&conf, "ServerRoot %q\nServerName localhost\nListen 127.0.0.1:%d\n", w.Path("httpd"), a.Port)
	for _, module := range apacheModules {
		fmt.Fprintf(&conf, "LoadModule %s_module %s/mod_%s.so\n", module, moduleDir, module)
	}
	fmt.Fprintf(&conf, "PidFile %q\nErrorLog %q\nLogLevel info ssl:error\nMutex file:%s\n", w.Path("httpd/httpd.pid"), a.ErrorLog, w.Path("httpd"))
	fmt.Fprintf(&conf, "DocumentRoot %q\nAccessFileName .none\nTimeout %d\n", w.Path("httpd/docs"), int(Patience.Seconds()))
	// One child with a thread for every client of the tests: several would be
	// unevenly loaded and hang up on idle clients, which is not our subject.
	conf.WriteString("StartServers 1\nServerLimit 1\nThreadsPerChild 300\nThreadLimit 300\nMaxRequestWorkers 300\n" +
		"KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 5\nGracefulShutdownTimeout 1\n" +
		"<Directory />\n  Require all granted\n</Directory>\n")
	if os.Getuid() == 0 {
		conf.WriteString("User www-data\nGroup www-data\n")
	}
	conf.WriteString(w.Expand(options.Config))
	if options.TLS != "" {
		port := FreePort(w.T)
		certificate, key := w.Certificate("localhost")
		fmt.Fprintf(&conf, "\nListen 127.0.0.1:%d https\nSSLSessionCache none\n<VirtualHost 127.0.0.1:%d>\nServerName localhost\n"+
			"SSLEngine on\nSSLCertificateFile %q\nSSLCertificateKeyFile %q\n%s\n</VirtualHost>\n",
			port, port, certificate, key, w.Expand(options.TLS))
		a.TLS = NewClient(w.T, fmt.Sprintf("https://127.0.0.1:%d", port))
	}
	return conf.String()
}

// readTail is the end of a file, for a failure report.
func readTail(path string) string {
	content, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err.Error()
	}
	if len(content) > 8000 {
		content = content[len(content)-8000:]
	}
	return string(content)
}
