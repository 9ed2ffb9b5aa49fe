package main

import (
	"fmt"
	"net"
)

// httpd is an Apache 2.4 in front of peers. mod_wsgi gets one of its own, so
// that no other peer pays for the Python inside it.
type httpd struct {
	*process
	port int
}

const httpdConf = `
ServerRoot "/usr/lib/apache2"
DefaultRuntimeDir "${dir}"
PidFile "${dir}/${name}.pid"
ErrorLog "${dir}/${name}-error.log"
LogLevel error
Listen 127.0.0.1:${port}
ServerName 127.0.0.1
${account}
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule alias_module modules/mod_alias.so
LoadModule env_module modules/mod_env.so
${modules}
# Room for 64 kept connections in each of two processes, and some to spare: a
# process all of whose threads are busy closes kept connections, under a request
# that is on its way. None is ever started or ended between rounds.
ServerLimit 2
StartServers 2
ThreadsPerChild 80
ThreadLimit 80
MaxRequestWorkers 160
MinSpareThreads 1
MaxSpareThreads 160
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
ProxyTimeout 60
SetEnv ap_trust_cgilike_cl 1
<Directory />
    AllowOverride None
</Directory>
<Directory "${dir}">
    Require all granted
</Directory>
`

// ProxyTimeout is a directive of mod_proxy.
const proxyModules = `
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_fcgi_module modules/mod_proxy_fcgi.so
LoadModule proxy_uwsgi_module modules/mod_proxy_uwsgi.so
LoadModule proxy_http_module modules/mod_proxy_http.so
`

const wsgiModules = proxyModules + "LoadModule wsgi_module modules/mod_wsgi.so\n"

// startHTTPD starts an Apache with the configurations of its peers.
func startHTTPD(s *site, name, modules, peerConf string) (*httpd, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	account := ""
	if s.user != "" {
		account = "User ${user}\nGroup ${user}"
	}
	conf := s.expand(httpdConf, "${name}", name, "${port}", fmt.Sprint(port), "${modules}", modules, "${account}", s.expand(account)) + s.expand(peerConf)
	path, err := s.write(name+".conf", conf)
	if name == frontMigrated { // its configuration is there already
		path, err = s.path(migrated)+"/httpd.conf", nil
	}
	if err != nil {
		return nil, err
	}
	p, err := startProcess(s.dir, name, apache, "-f", path, "-DFOREGROUND", "-C", fmt.Sprintf("Define %s %d", migratedPort, port))
	if err != nil {
		return nil, err
	}
	if err := p.waitListening("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
		p.stop()
		return nil, err
	}
	return &httpd{process: p, port: port}, nil
}
