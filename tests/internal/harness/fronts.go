package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// StartNginx starts nginx with stock FastCGI parameters and kept connections
// in front of the world's socket.
func (w *World) StartNginx() *Client {
	w.T.Helper()
	return w.StartNginxWith(`location / {
      include /etc/nginx/fastcgi_params;
      fastcgi_pass wsgid;
      fastcgi_keep_conn on;
    }`)
}

// StartNginxWith starts nginx with these locations; upstream wsgid is the
// world's socket.
func (w *World) StartNginxWith(locations string) *Client {
	w.T.Helper()
	return w.StartNginxHTTP("upstream wsgid { server unix:{{.Socket}}; keepalive 16; }\n  server {\n    listen 127.0.0.1:PORT;\n    " + locations + "\n  }")
}

// StartNginxHTTP starts nginx with these lines in http { … }. PORT is where it is to listen.
func (w *World) StartNginxHTTP(blocks string) *Client {
	w.T.Helper()
	return w.startFront("nginx", func(port int) (argv []string) {
		w.must(os.MkdirAll(w.Path("nginx"), 0o755))
		user := ""
		if os.Getuid() == 0 {
			user = "user www-data;\n"
		}
		path := w.Write("nginx/nginx.conf", user+w.Expand(strings.ReplaceAll(strings.ReplaceAll(`
daemon off;
worker_processes 1;
pid {{.Dir}}/nginx/nginx.pid;
error_log stderr info;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path {{.Dir}}/nginx/body;
  fastcgi_temp_path     {{.Dir}}/nginx/fastcgi;
  proxy_temp_path       {{.Dir}}/nginx/proxy;
  uwsgi_temp_path       {{.Dir}}/nginx/uwsgi;
  scgi_temp_path        {{.Dir}}/nginx/scgi;
  client_max_body_size 64m;
  BLOCKS
}
`, "BLOCKS", blocks), "PORT", fmt.Sprint(port))))
		return []string{Need(w.T, "nginx"), "-c", path, "-e", "stderr"}
	})
}

// StartLighttpd starts lighttpd with a prefix match in front of the world's socket.
func (w *World) StartLighttpd() *Client {
	w.T.Helper()
	return w.StartLighttpdWith(`"/" => (( "socket" => "{{.Socket}}", "check-local" => "disable", "fix-root-scriptname" => "enable" ))`)
}

// StartLighttpdWith starts lighttpd with this in fastcgi.server.
func (w *World) StartLighttpdWith(servers string) *Client {
	w.T.Helper()
	return w.StartLighttpdConfig("server.modules = ( \"mod_fastcgi\" )\nfastcgi.server = ( " + servers + " )\n")
}

// StartLighttpdConfig starts lighttpd with these lines.
func (w *World) StartLighttpdConfig(lines string) *Client {
	w.T.Helper()
	return w.startFront("lighttpd", func(port int) (argv []string) {
		w.must(os.MkdirAll(w.Path("lighttpd/docs"), 0o755))
		user := ""
		if os.Getuid() == 0 {
			user = "server.username = \"www-data\"\nserver.groupname = \"www-data\"\n"
			w.must(os.Chown(w.Path("lighttpd"), 33, 33))
		}
		path := w.Write("lighttpd/lighttpd.conf", user+w.Expand(strings.ReplaceAll(strings.ReplaceAll(`
server.bind = "127.0.0.1"
server.port = PORT
server.document-root = "{{.Dir}}/lighttpd/docs"
server.upload-dirs = ( "{{.Dir}}/lighttpd" )
LINES
`, "LINES", lines), "PORT", fmt.Sprint(port))))
		return []string{Need(w.T, "lighttpd"), "-D", "-f", path}
	})
}

// StartCaddy starts Caddy, which passes on every URL, in front of the world's socket.
func (w *World) StartCaddy() *Client {
	w.T.Helper()
	return w.startFront("caddy", func(port int) (argv []string) {
		// Written as JSON: a Caddyfile of 2.6 cannot say that nothing is to be
		// kept in the directory of whoever runs the tests.
		path := w.Write("caddy/caddy.json", w.Expand(strings.ReplaceAll(`{
  "admin": {"disabled": true, "config": {"persist": false}},
  "storage": {"module": "file_system", "root": "{{.Dir}}/caddy"},
  "apps": {"http": {"grace_period": "1s", "servers": {"wsgid": {
    "listen": ["127.0.0.1:PORT"],
    "automatic_https": {"disable": true},
    "routes": [{"handle": [{"handler": "reverse_proxy", "transport": {"protocol": "fastcgi"},
      "upstreams": [{"dial": "unix/{{.Socket}}"}]}]}]
  }}}}
}`, "PORT", fmt.Sprint(port))))
		return []string{Need(w.T, "caddy"), "run", "--config", path}
	})
}

// StartCaddyWith starts Caddy with these lines of a Caddyfile for its site.
func (w *World) StartCaddyWith(site string) *Client {
	w.T.Helper()
	return w.StartCaddyfile("http://127.0.0.1:PORT {\n" + site + "\n}\n")
}

// StartCaddyfile starts Caddy with a Caddyfile. PORT is where it is to listen.
func (w *World) StartCaddyfile(text string) *Client {
	w.T.Helper()
	return w.startFront("caddy", func(port int) []string {
		return w.caddyfile(w.Expand(strings.ReplaceAll(text, "PORT", fmt.Sprint(port))))
	})
}

// caddyfile turns a Caddyfile into JSON, for the reason above.
func (w *World) caddyfile(text string) (argv []string) {
	w.T.Helper()
	caddy := Need(w.T, "caddy")
	source := w.Write("caddy/Caddyfile", text)
	adapt := exec.Command(caddy, "adapt", "--config", source, "--adapter", "caddyfile")
	var complaints strings.Builder
	adapt.Stderr = &complaints
	out, err := adapt.Output()
	if err != nil {
		w.T.Fatalf("caddy adapt: %v: %s", err, complaints.String())
	}
	var config map[string]any
	w.must(json.Unmarshal(out, &config))
	config["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	config["storage"] = map[string]any{"module": "file_system", "root": w.Path("caddy")}
	out, err = json.Marshal(config)
	w.must(err)
	return []string{caddy, "run", "--config", w.Write("caddy/caddy.json", string(out))}
}

// startFront starts a server on a free port, with another one when the port
// was taken meanwhile.
func (w *World) startFront(name string, prepare func(port int) (argv []string)) *Client {
	w.T.Helper()
	var report string
	for range 5 {
		port := FreePort(w.T)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		var s *server
		if s, report = startServer(w.T, name, address, prepare(port)); s != nil {
			w.T.Cleanup(func() {
				s.stop()
				if w.T.Failed() {
					w.T.Logf("output of %s:\n%s", name, s.log.Tail(40))
				}
			})
			return NewClient(w.T, "http://"+address)
		}
	}
	w.T.Fatalf("%s does not start: %s", name, report)
	return nil
}
