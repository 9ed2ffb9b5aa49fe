package tests

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestApacheSlashes: Apache's settings for slashes, with ProxyPass and with
// SetHandler. Whatever it lets through leads out of no directory.
func TestApacheSlashes(t *testing.T) {
	w := mountWorld(t, "")
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.HandlerProxy + `
Alias "/handled" "{{.Dir}}/scripts"
<Directory "{{.Dir}}/scripts">
  ` + harness.Handler + `
</Directory>
` + virtualServer("on.test", "AllowEncodedSlashes On") +
		virtualServer("nodecode.test", "AllowEncodedSlashes NoDecode") +
		virtualServer("unmerged.test", "MergeSlashes Off")})
	for _, c := range []struct {
		host, url, at, script, info string // no at: anything but a script's answer
	}{
		{"on.test", "/name/a%2Fb", "name", "/name", "/a/b"},
		{"on.test", "/w/one.py%2Fx", "directory", "/w/one.py", "/x"},
		{host: "on.test", url: "/w/..%2fsecret.py"},
		{host: "on.test", url: "/w/%2e%2e%2fsecret.py"},
		{host: "on.test", url: "/w/sub%2f..%2f..%2fsecret.py"},
		{host: "on.test", url: "/m/..%2f..%2fsecret"},
		{host: "on.test", url: "/handled/..%2fsecret.py"},
		{"nodecode.test", "/name/a%2Fb", "name", "/name", "/a%2Fb"},
		{host: "nodecode.test", url: "/w/..%2fsecret.py"},
		{host: "nodecode.test", url: "/m/..%2fsecret"},
		{host: "nodecode.test", url: "/handled/..%2fsecret.py"},
		{"unmerged.test", "/name//x", "name", "/name", "/x"},
		{"unmerged.test", "//name///x//y", "name", "/name", "/x/y"},
		{"unmerged.test", "/w//sub///two.py//x", "directory", "/w/sub/two.py", "/x"},
		{"unmerged.test", "//m//one//bar", "match", "/m/one", "/bar"},
	} {
		response := apache.Get(c.url, "Host: "+c.host)
		if c.at == "" {
			if response.Status != 403 && response.Status != 404 {
				t.Errorf("%s %s: %d %.300s", c.host, c.url, response.Status, response.Body)
			}
			continue
		}
		v := look(t, response)
		if at, script, info := v.env("mod_wsgi.application_group"), v.env("SCRIPT_NAME"), v.env("PATH_INFO"); at != c.at || script != c.script || info != c.info {
			t.Errorf("%s %s: %q %q %q, want %+v", c.host, c.url, at, script, info, c)
		}
	}
}

// virtualServer is a virtual host of Apache that passes on all but /handled.
func virtualServer(name, settings string) string {
	return "<VirtualHost *>\n  ServerName " + name + "\n  " + settings + "\n  ProxyPass \"/handled\" !\n" + harness.ProxyPass + "</VirtualHost>\n"
}

// TestAbsoluteURI: a request for a proxy is served by its path, and its
// authority stands for the Host header.
func TestAbsoluteURI(t *testing.T) {
	address := freeAddress(t)
	w := mountWorld(t, "listen \"http\" {\n  address = \""+address+"\"\n}\n")
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for name, server := range map[string]string{"apache": strings.TrimPrefix(apache.Base, "http://"), "http": address} {
		v := look(t, rawRequest(t, server, "GET http://other.test:81/name/abs?q HTTP/1.1\r\nHost: ignored\r\nConnection: close\r\n\r\n"))
		for key, want := range map[string]string{"SCRIPT_NAME": "/name", "PATH_INFO": "/abs", "QUERY_STRING": "q",
			"REQUEST_URI": "http://other.test:81/name/abs?q", "HTTP_HOST": "other.test:81"} {
			if got := v.env(key); got != want {
				t.Errorf("%s: %s is %q, want %q", name, key, got, want)
			}
		}
	}
}

// rawRequest sends a request as it is written and reads the response.
func rawRequest(t *testing.T, server, request string) *harness.Response {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &harness.Response{Status: response.StatusCode, Header: response.Header, Body: body}
}
