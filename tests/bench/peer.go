package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// peer is one way to serve the application behind Apache.
type peer struct {
	name  string
	title string
	// front is the name of its Apache; backend of what serves behind it,
	// empty when that is Apache's own.
	front, backend string
	// conf is its part of the Apache configuration.
	conf string
	// workloads it cannot run.
	without string
}

// The programs and modules of Debian that the peers need.
const (
	apache   = "/usr/sbin/apache2"
	modules  = "/usr/lib/apache2/modules/"
	uwsgi    = "/usr/bin/uwsgi_python3"
	gunicorn = "/usr/bin/gunicorn"
	gcc      = "/usr/bin/gcc"
)

// packages that hold them.
const packages = "apache2-bin libapache2-mod-wsgi-py3 uwsgi-core uwsgi-plugin-python3 gunicorn gcc libc6-dev"

const (
	frontProxy = "httpd"
	frontWSGI  = "httpd-mod-wsgi"
	// frontMigrated has what wsgid apache convert makes of mod_wsgi's.
	frontMigrated = "httpd-migrated"
	migrated      = "wsgid-migrated"
	// observed is wsgid with everything on that tells of requests; while it is
	// measured its metrics are read once a second.
	observed = "wsgid-observed"
)

// peers in the order of the tables. Every one but the floor runs site/app.py.
// What goes through mod_proxy has its larger buffer, which the documentation of
// wsgid recommends.
func peers() []peer {
	return []peer{
		{name: "floor", title: "constant FastCGI answer in C (floor)", front: frontProxy, backend: "floor", without: "sleep", conf: `
ProxyPass "/floor/stream" "unix:${run}/floor-stream.sock|fcgi://floor-stream/" enablereuse=on iobuffersize=65528
ProxyPass "/floor" "unix:${run}/floor.sock|fcgi://floor/" enablereuse=on iobuffersize=65528
`},
		{name: "wsgid", title: "wsgid, ProxyPass", front: frontProxy, backend: "wsgid", conf: `
ProxyPass "/wsgid" "unix:${run}/wsgid.sock|fcgi://wsgid/" enablereuse=on iobuffersize=65528
`},
		{name: "wsgid-handler", title: "wsgid, Alias + SetHandler", front: frontProxy, backend: "wsgid", conf: `
<Proxy "unix:${run}/wsgid.sock|fcgi://wsgid-handler/" enablereuse=on iobuffersize=65528>
</Proxy>
Alias "/wsgid-handler" "${dir}/app.py"
<Location "/wsgid-handler">
    SetHandler "proxy:unix:${run}/wsgid.sock|fcgi://wsgid-handler/"
</Location>
`},
		{name: "wsgid-dispatch", title: "wsgid, dispatch script", front: frontProxy, backend: "wsgid-dispatch", conf: `
ProxyPass "/wsgid-dispatch" "unix:${run}/wsgid-dispatch.sock|fcgi://wsgid-dispatch/" enablereuse=on iobuffersize=65528
`},
		{name: "wsgid-embedded", title: "wsgid, embedded", front: frontProxy, backend: "wsgid-embedded", conf: `
ProxyPass "/wsgid-embedded" "unix:${run}/wsgid-embedded.sock|fcgi://wsgid-embedded/" enablereuse=on iobuffersize=65528
`},
		{name: observed, title: "wsgid, access log, metrics and tracing ids", front: frontProxy, backend: observed, conf: `
ProxyPass "/wsgid-observed" "unix:${run}/wsgid-observed.sock|fcgi://wsgid-observed/" enablereuse=on iobuffersize=65528
`},
		{name: "mod_wsgi", title: "mod_wsgi daemon mode", front: frontWSGI, conf: modWSGIDaemon + `
WSGIScriptAlias /mod_wsgi ${dir}/app.py process-group=bench application-group=%{GLOBAL}
`},
		{name: "mod_wsgi-dispatch", title: "mod_wsgi daemon mode, WSGIDispatchScript", front: frontWSGI, conf: `
WSGIScriptAlias /mod_wsgi-dispatch ${dir}/app.py
<Location /mod_wsgi-dispatch>
    WSGIApplicationGroup %{GLOBAL}
    WSGIDispatchScript ${dir}/dispatch.py
</Location>
`},
		{name: migrated, title: "wsgid, mod_wsgi's configuration converted", front: frontMigrated, backend: migrated, conf: `
WSGIScriptAlias /wsgid-migrated ${dir}/app.py process-group=bench application-group=%{GLOBAL}
`},
		{name: "uwsgi", title: "uWSGI, mod_proxy_uwsgi", front: frontProxy, backend: "uwsgi", conf: `
ProxyPass "/uwsgi" "unix:${run}/uwsgi.sock|uwsgi://uwsgi/" iobuffersize=65528
`},
		{name: "gunicorn", title: "gunicorn gthread, mod_proxy_http", front: frontProxy, backend: "gunicorn", conf: `
ProxyPass "/gunicorn" "unix:${run}/gunicorn.sock|http://gunicorn/" iobuffersize=65528
`},
	}
}

const modWSGIDaemon = `
WSGISocketPrefix ${dir}/mod_wsgi
WSGIDaemonProcess bench processes=${processes} threads=${threads} display-name=%{GROUP} ${mod_wsgi_user}
`

// missing names the first program or module that the peers need and that is
// not there; "" if all are.
func missing(wsgid string, chosen []peer) error {
	need := []string{apache, gcc, modules + "mod_proxy_fcgi.so"}
	for _, p := range chosen {
		switch {
		case p.front == frontWSGI:
			need = append(need, modules+"mod_wsgi.so")
		case p.backend == "uwsgi":
			need = append(need, uwsgi, modules+"mod_proxy_uwsgi.so")
		case p.backend == "gunicorn":
			need = append(need, gunicorn)
		case strings.HasPrefix(p.backend, "wsgid"):
			if _, err := os.Stat(wsgid); err != nil {
				return fmt.Errorf("no wsgid (%w): make build", err)
			}
		}
	}
	for _, path := range need {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("a peer is missing (%w): apt-get install %s", err, packages)
		}
	}
	return nil
}

// startBackend starts what serves behind Apache.
func startBackend(s *site, name string) (*process, error) {
	socket := s.socket(name)
	var argv []string
	switch name {
	case "floor":
		program := s.path("floor")
		if out, err := exec.Command(gcc, "-std=gnu11", "-O2", "-pthread", "-o", program, s.path("floor.c")).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compile the floor: %w\n%s", err, out)
		}
		argv = []string{program, socket, "0", s.socket("floor-stream"), fmt.Sprint(1 << 20)}
	case "uwsgi":
		argv = []string{uwsgi, "--master", "--need-app", "--die-on-term", "--disable-logging", "--enable-threads",
			"--single-interpreter", "--processes", fmt.Sprint(processes), "--threads", fmt.Sprint(threads), "--listen", "1024",
			"--socket", socket, "--chmod-socket=666", "--wsgi-file", s.path("app.py")}
		if s.user != "" {
			argv = append(argv, "--uid", s.user, "--gid", s.user)
		}
	case "gunicorn":
		argv = []string{gunicorn, "--worker-class", "gthread", "--workers", fmt.Sprint(processes), "--threads", fmt.Sprint(threads),
			"--keep-alive", "60", "--umask", "0", "--bind", "unix:" + socket, "--chdir", s.dir, "--log-level", "warning"}
		if s.user != "" {
			argv = append(argv, "--user", s.user, "--group", s.user)
		}
		argv = append(argv, "app:application")
	case migrated:
		conf, err := convertSite(s)
		if err != nil {
			return nil, err
		}
		argv = []string{s.wsgid, "run", "--config", conf}
	default:
		conf, err := s.write(name+".hcl", wsgidConf(s, name))
		if err != nil {
			return nil, err
		}
		argv = []string{s.wsgid, "run", "--config", conf}
	}
	p, err := startProcess(s.dir, name, argv...)
	if err != nil {
		return nil, err
	}
	if err := p.waitListening("unix", socket); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// wsgidConf is the configuration of one wsgid.
func wsgidConf(s *site, name string) string {
	conf := `
listen "unix" {
  path = "${run}/${name}.sock"
}
router {
  threads = ${all}
}
control {
  path = "${run}/${name}-control.sock"
}
log {
  level = "warn"
}
`
	if name != "wsgid-embedded" {
		conf += `
daemon_process "bench" {
  processes = ${processes}
  threads   = ${threads}
  ${account}
}
`
	}
	mount := `
script_alias "/${mount}" {
  target        = "${dir}/app.py"
  process_group = "${group}"
}
`
	group, account := "bench", ""
	switch name {
	case "wsgid":
		conf += strings.ReplaceAll(mount, "${mount}", "wsgid-handler")
	case "wsgid-dispatch":
		conf += "\ndispatch_script \"${dir}/dispatch.py\" {}\n"
	case "wsgid-embedded":
		group = "%{GLOBAL}"
	case observed:
		conf += `
access_log {
  path = "${dir}/access.log"
}
tracing {
}
`
	}
	if s.user != "" {
		account = `user = "#64001"`
	}
	return s.expand(conf+mount, "${name}", name, "${mount}", name, "${group}", group, "${account}", account)
}
