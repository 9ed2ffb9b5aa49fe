package accesslog

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
)

// params are those of a request of a test.
type params map[string]string

func (p params) Param(name string) []byte {
	if v, there := p[name]; there {
		return []byte(v)
	}
	return nil
}

// sample is a request of which everything is known.
func sample() *Request {
	return &Request{
		Start:    time.Date(2026, 3, 4, 5, 6, 7, 89_012_345, time.FixedZone("here", 3600)).Local(),
		Duration: 1500*time.Millisecond + 42*time.Microsecond, Wait: 250 * time.Microsecond, Dispatch: 3 * time.Second,
		Status: 503, Bytes: 217, Code: errcode.QueueFull, PID: 4711, KeptAlive: true,
		ID: []byte("9239c28d98-3"), Method: []byte("GET"), URI: []byte("/a%20b?x=1"), Path: []byte("/a b"), Query: []byte("x=1"),
		Peer: []byte("192.0.2.9"), ServerName: []byte("www.example.com"), Trace: []byte("4bf92f3577b34da6a3ce929d0e0e4736"),
		Script: "/srv/site.wsgi", Mount: "/a", Group: "web", Application: "%{GLOBAL}", Listener: "/run/wsgid/wsgid.sock",
		Params: params{
			"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "4711", "REMOTE_USER": "jo", "SERVER_ADDR": "192.0.2.2", "SERVER_PORT": "443", "SERVER_NAME": "alias.example.com",
			"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_REFERER": "http://example.com/", "HTTP_USER_AGENT": `curl "x"`, "HTTP_HOST": "example.com", "UNIQUE_ID": "aR8s",
			"CONTENT_TYPE": "text/plain", "HTTP_EMPTY": "",
		},
	}
}

// nothing is a request whose parameters nobody could read.
func nothing() *Request {
	return &Request{Start: sample().Start, Status: 400, Code: errcode.MalformedParams, End: Aborted, Params: params{}}
}

func TestDirectives(t *testing.T) {
	at := sample().Start
	for _, tt := range []struct{ format, want, without string }{
		{"%% 100%%", "% 100%", "% 100%"},
		{"%a %{c}a %A %h", "192.0.2.1 192.0.2.9 192.0.2.2 192.0.2.1", "- - - -"},
		{"%b %B", "217 217", "- 0"},
		{"%f %H %l %L %m", "/srv/site.wsgi HTTP/1.1 - 9239c28d98-3 GET", "- - - - -"},
		{"%p %{canonical}p %{local}p %{remote}p", "443 443 443 4711", "- - - -"},
		{"%P %{pid}P", "4711 4711", "- -"},
		{"%q|%r|%U", "?x=1|GET /a%20b?x=1 HTTP/1.1|/a b", "|-|-"},
		{"%s %>s %<s", "503 503 503", "400 400 400"},
		{"%u %v %V %X", "jo www.example.com alias.example.com +", "- - - X"},
		{"%D %T %{s}T %{ms}T %{us}T", "1500042 1 1 1500 1500042", "0 0 0 0 0"},
		{"%{UNIQUE_ID}e %{SCRIPT_URI}e", "aR8s -", "- -"},
		{"%{referer}i %{Content-Type}i %{Empty}i|%{Cookie}i", "http://example.com/ text/plain |-", "- - -|-"},
		{`"%{User-Agent}i"`, `"curl \"x\""`, `"-"`},
		{"%t", at.Format("[02/Jan/2006:15:04:05 -0700]"), at.Format("[02/Jan/2006:15:04:05 -0700]")},
		{"%{sec}t %{msec}t %{usec}t %{msec_frac}t %{usec_frac}t", "1772597167 1772597167089 1772597167089012 089 089012", "1772597167 1772597167089 1772597167089012 089 089012"},
		{"%{begin:sec}t %{end:msec_frac}t", "1772597167 589", "1772597167 089"},
		{"%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t", at.Format("2006-01-02T15:04:05.000-0700"), at.Format("2006-01-02T15:04:05.000-0700")},
		{"%{100%% on %A}t", "100% on Wednesday", "100% on Wednesday"},
		{"%{wsgid:duration}x %{wsgid:wait}x %{wsgid:dispatch}x", "1.500042 0.000250 3.000000", "0.000000 0.000000 0.000000"},
		{"%{wsgid:group}x %{wsgid:application}x %{wsgid:mount}x", "web %{GLOBAL} /a", "- - -"},
		{"%{wsgid:code}x %{wsgid:end}x %{wsgid:trace}x %{wsgid:listener}x", "WSGID-1010 complete 4bf92f3577b34da6a3ce929d0e0e4736 /run/wsgid/wsgid.sock", "WSGID-1001 aborted - -"},
		{"common %m", "common GET", "common -"},
	} {
		f, err := Parse(tt.format)
		if err != nil {
			t.Errorf("%s: %v", tt.format, err)
			continue
		}
		want := strings.NewReplacer("WSGID-1010", errcode.QueueFull.String(), "WSGID-1001", errcode.MalformedParams.String())
		if got := string(f.Append(nil, sample())); got != want.Replace(tt.want)+"\n" {
			t.Errorf("%s: %q, want %q", tt.format, got, tt.want)
		}
		if got := string(f.Append(nil, nothing())); got != want.Replace(tt.without)+"\n" {
			t.Errorf("%s of nothing: %q, want %q", tt.format, got, tt.without)
		}
	}
}

// TestNamed: the formats that have a name.
func TestNamed(t *testing.T) {
	clf := sample().Start.Format("[02/Jan/2006:15:04:05 -0700]")
	for name, want := range map[string]string{
		"common":   `192.0.2.1 - jo ` + clf + ` "GET /a%20b?x=1 HTTP/1.1" 503 217`,
		"combined": `192.0.2.1 - jo ` + clf + ` "GET /a%20b?x=1 HTTP/1.1" 503 217 "http://example.com/" "curl \"x\""`,
		"json": `{"time":"` + sample().Start.Format("2006-01-02T15:04:05.000Z07:00") + `","request":"9239c28d98-3","method":"GET","uri":"/a%20b?x=1","protocol":"HTTP/1.1","host":"example.com",` +
			`"client":"192.0.2.1","user":"jo","status":503,"bytes":217,"duration":1.500042,"wait":0.000250,"dispatch":3.000000,"end":"complete","code":"` + errcode.QueueFull.String() + `",` +
			`"group":"web","application":"%{GLOBAL}","pid":4711,"mount":"/a","script":"/srv/site.wsgi","listener":"/run/wsgid/wsgid.sock",` +
			`"referer":"http://example.com/","user_agent":"curl \"x\"","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}`,
	} {
		f, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.Append(nil, sample())); got != want+"\n" {
			t.Errorf("%s:\n%swant\n%s", name, got, want)
		}
	}
	f, _ := Parse(JSON)
	var object map[string]any
	if err := json.Unmarshal(f.Append(nil, nothing()), &object); err != nil || len(object) != 8 {
		t.Errorf("%v %v", object, err)
	}
}

// TestStamp: a second is written once, and the next one anew.
func TestStamp(t *testing.T) {
	f, _ := Parse("%t")
	r := sample()
	for _, add := range []time.Duration{0, 100 * time.Millisecond, time.Second, 0} {
		r.Start = sample().Start.Add(add)
		if got, want := string(f.Append(nil, r)), r.Start.Format("[02/Jan/2006:15:04:05 -0700]\n"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestWrongFormats(t *testing.T) {
	for format, want := range map[string]Error{
		"combind":        {Directive: "combind", Word: "combind", Known: []string{"combined", "common", "json"}},
		"":               {Why: "it is no name of a format"},
		"%h %":           {Directive: "%", Why: "the letter is missing"},
		"%{Referer":      {Directive: "%{Referer", Why: "the brace is not closed"},
		"%{Referer}":     {Directive: "%{Referer}", Why: "the letter is missing"},
		"%Z":             {Directive: "%Z", Why: "there is no such directive"},
		"%{x}h":          {Directive: "%{x}h", Why: "there is no such directive"},
		"%e":             {Directive: "%e", Why: "such as %{UNIQUE_ID}e"},
		"%{}e":           {Directive: "%{}e", Why: "there is no such directive"},
		"%i":             {Directive: "%i", Why: "such as %{Referer}i"},
		"%x":             {Directive: "%x", Why: "such as %{wsgid:wait}x"},
		"%{wsgid:wiat}x": {Directive: "%{wsgid:wiat}x", Why: "wsgid:wait", Word: "wsgid:wiat"},
		"%{m}T":          {Directive: "%{m}T", Why: "ms, s, us", Word: "m"},
		"%{tid}P":        {Directive: "%{tid}P", Why: "one of pid", Word: "tid"},
		"%400s":          {Directive: "%4", Why: "conditions on the status"},
		"%!200{x}i":      {Directive: "%!", Why: "conditions on the status"},
		"%{X}o":          {Directive: "%{X}o", Why: "headers of the response"},
		"%O":             {Directive: "%O", Why: "%B are the bytes"},
		"%{%Q}t":         {Directive: "%{%Q}t", Why: "%Q is no part of a time"},
		"%{%}t":          {Directive: "%{%}t", Why: "ends in a percent sign"},
		"%{end:}t":       {Directive: "%{end:}t", Why: "names no time"},
	} {
		_, err := Parse(format)
		var got *Error
		if !errors.As(err, &got) || got.Directive != want.Directive || !strings.Contains(got.Why, want.Why) || got.Word != want.Word ||
			want.Known != nil && strings.Join(got.Known, " ") != strings.Join(want.Known, " ") {
			t.Errorf("%q: %+v, want %+v", format, err, want)
		}
	}
}
