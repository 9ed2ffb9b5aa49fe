package dispatch

import (
	"fmt"
	"testing"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

func TestVirtualHosts(t *testing.T) {
	hosts := []wire.VirtualHost{
		{ServerName: "www.Example.test", Names: []string{"www.Example.test", "example.test."}},
		{ServerName: "secure.test", Names: []string{"secure.test", "www.example.test"}, Ports: []int{443, 8443}},
		{Names: []string{"*.example.test"}},
		{ServerName: "deep", Names: []string{"deep", "*.deep.example.test"}},
		{ServerName: "six", Names: []string{"[2001:DB8::1]"}},
		{ServerName: "four", Names: []string{"192.0.2.1"}},
		{ServerName: "only", Names: []string{"only.test"}, Ports: []int{80}},
	}
	withDefault := append(hosts[:len(hosts):len(hosts)], wire.VirtualHost{ServerName: "rest", Names: []string{"rest", "*"}})
	tests := []struct {
		host, name, port string
		want             string // ServerName, "-" none
		server           string // serverName afterwards, default want
	}{
		{host: "www.example.test", port: "80", want: "www.Example.test"},
		{host: "WWW.EXAMPLE.TEST:8080", port: "8080", want: "www.Example.test"},
		{host: "www.example.test.", want: "www.Example.test"},
		{host: "www.example.test.:80", want: "www.Example.test"},
		{host: "example.test", want: "www.Example.test"},
		{host: "www.example.test", port: "443", want: "secure.test"},
		{host: "secure.test", port: "8443", want: "secure.test"},
		{host: "a.example.test", name: "front", want: "", server: "front"},
		{host: "a.b.example.test", name: "front", want: "", server: "front"},
		{host: "a.deep.example.test", want: "deep"},
		{host: "deep.example.test", name: "front", want: "", server: "front"},
		{host: "[2001:db8:0::1]:80", want: "six"},
		{host: "192.0.2.1", want: "four"},
		{host: "only.test", port: "80", want: "only"},

		// The header counts, whatever SERVER_NAME says; without one SERVER_NAME does.
		{host: "only.test", name: "deep", port: "80", want: "only"},
		{name: "Deep", want: "deep"},
		{name: "[2001:db8::1]", want: "six"},
	}
	for _, defaulted := range []bool{false, true} {
		table := newHostTable(hosts, nil)
		none := "-"
		if defaulted {
			table = newHostTable(withDefault, nil)
			none = "rest"
		}
		all := tests
		for _, c := range []struct{ host, name, port string }{
			{"nobody.test", "deep", "80"}, {"only.test", "", "8080"}, {"xexample.test", "", ""}, {"test", "", ""},
			{"secure.test", "", "80"}, {"secure.test", "", ""}, {"secure.test", "", "x"}, {"[::1]", "", ""},
			{"", "_", ""}, {"", "*.x", ""}, {"", "", ""},
		} {
			server := c.name
			if defaulted {
				server = "rest"
			}
			all = append(all[:len(all):len(all)], struct{ host, name, port, want, server string }{c.host, c.name, c.port, none, server})
		}
		for _, tt := range all {
			x := &exchange{router: &Router{hosts: table}}
			pairs := pairsOf("SERVER_NAME", tt.name, "SERVER_PORT", tt.port)
			if tt.host != "" {
				pairs = pairsOf("SERVER_NAME", tt.name, "SERVER_PORT", tt.port, "HTTP_HOST", tt.host)
			}
			if err := x.env.parse(pairs, protocol.Limits{}); err != nil {
				t.Fatal(err)
			}
			_, r := x.chooseHost()
			got := "-"
			if x.host != nil {
				got = string(x.host.serverName)
			}
			if tt.server == "" {
				tt.server = tt.want
			}
			if tt.server == "-" {
				tt.server = ""
			}
			if r != nil || got != tt.want || string(x.env.serverName) != tt.server {
				t.Errorf("default %v, %+v: host %q, server name %q, refusal %+v", defaulted, tt, got, x.env.serverName, r)
			}
		}
	}
	for _, host := range []string{"a b", "h:", "h:99999", "a..b", "[::1", "/etc", "x\r\n"} {
		x := &exchange{router: &Router{hosts: newHostTable(withDefault, nil)}}
		if err := x.env.parse(pairsOf("SERVER_NAME", "only.test", "HTTP_HOST", host), protocol.Limits{}); err != nil {
			t.Fatal(err)
		}
		if _, r := x.chooseHost(); r == nil || r.code != errcode.BadHost {
			t.Errorf("%q: %+v", host, r)
		}
	}
}

// BenchmarkVirtualHost: what the choice among a thousand hosts costs a request.
func BenchmarkVirtualHost(b *testing.B) {
	var hosts []wire.VirtualHost
	for i := range 1000 {
		name := fmt.Sprintf("site%d.example.test", i)
		hosts = append(hosts, wire.VirtualHost{ServerName: name, Names: []string{name, "*." + name}})
	}
	x := &exchange{router: &Router{hosts: newHostTable(hosts, nil)}}
	for _, host := range []string{"site700.example.test", "WWW.deep.site700.example.test:8080", "nobody.test"} {
		b.Run(host, func(b *testing.B) {
			x.env.httpHost, x.env.serverPort = []byte(host), []byte("8080")
			b.ReportAllocs()
			for b.Loop() {
				if _, r := x.chooseHost(); r != nil {
					b.Fatal(r)
				}
			}
		})
	}
}

// TestVirtualHostMounts: a host's own mounts come before the global ones, and
// no request meets those of another host.
func TestVirtualHostMounts(t *testing.T) {
	global := newMountTable([]wire.Mount{{Prefix: "/first", Target: "/a/first"}, {Prefix: "/", Target: "/a/global"}})
	r := &Router{mounts: global, hosts: newHostTable([]wire.VirtualHost{
		{Names: []string{"a.test"}, Mounts: []wire.Mount{{Prefix: "/first/a", Target: "/a/a"}}},
		{Names: []string{"b.test"}, Mounts: []wire.Mount{{Prefix: "/b", Target: "/a/b"}},
			Inherited: []wire.Mount{{Prefix: "/first", Target: "/a/first", RefuseChunked: true}}},
	}, global)}
	for _, tt := range []struct{ host, path, front, script string }{
		{host: "a.test", path: "/first/a/x", script: "/a/a"},
		{host: "a.test", path: "/first/b", script: "/a/first"},
		{host: "a.test", path: "/b", script: "/a/global"},
		{host: "b.test", path: "/first/a/x", script: "/a/first"},
		{host: "b.test", path: "/b", script: "/a/b"},
		{host: "c.test", path: "/first/a", script: "/a/first"},
		{host: "c.test", path: "/b", script: "/a/global"},
		{host: "b.test", path: "/x", front: "/a/b", script: "/a/b"},
		{host: "b.test", path: "/x", front: "/a/a", script: ""},
	} {
		x := &exchange{router: r}
		if err := x.env.parse(pairsOf("HTTP_HOST", tt.host, "PATH_INFO", tt.path, "SCRIPT_FILENAME", tt.front), protocol.Limits{}); err != nil {
			t.Fatal(err)
		}
		mounts, refused := x.chooseHost()
		if refused != nil {
			t.Fatal(refused)
		}
		got, refused := mounts.find(&x.env, x.env.urlPath(nil))
		if got.script != tt.script || (refused != nil) != (tt.script == "") {
			t.Errorf("%+v: %q %+v", tt, got.script, refused)
		}
		if refused == nil && tt.host == "b.test" && got.script == "/a/first" && !got.mount.adjusts {
			t.Errorf("%+v: the mount does not have the host's settings", tt)
		}
	}
}

// TestVirtualHostID: only a trusted web server chooses by id, and no host of an id
// is met by its name.
func TestVirtualHostID(t *testing.T) {
	table := newHostTable([]wire.VirtualHost{{ID: "a", ServerName: "a.test", Names: []string{"a.test"}}, {ServerName: "b.test", Names: []string{"b.test"}}}, nil)
	for _, tt := range []struct {
		trusted        bool
		host, id, want string
	}{
		{true, "b.test", "a", "a.test"}, {false, "b.test", "a", "b.test"}, {true, "b.test", "", "b.test"}, {true, "a.test", "", ""},
	} {
		x := &exchange{router: &Router{hosts: table}, listener: &listener{Listener: wire.Listener{TrustFrontServer: tt.trusted}}}
		if err := x.env.parse(pairsOf("HTTP_HOST", tt.host, "WSGID_VIRTUAL_HOST", tt.id), protocol.Limits{}); err != nil {
			t.Fatal(err)
		}
		if _, r := x.chooseHost(); r != nil {
			t.Fatal(r)
		}
		got := ""
		if x.host != nil {
			got = string(x.host.serverName)
		}
		if got != tt.want {
			t.Errorf("%+v: host %q", tt, got)
		}
	}
}
