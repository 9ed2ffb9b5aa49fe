package apacheconf

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// files is a file system of absolute names.
type files struct{ fstest.MapFS }

func filesOf(contents map[string]string) files {
	m := fstest.MapFS{}
	for name, text := range contents {
		m[name[1:]] = &fstest.MapFile{Data: []byte(text)}
	}
	return files{m}
}

func inside(name string) string {
	if name == "/" {
		return "."
	}
	return strings.TrimPrefix(name, "/")
}

func (f files) ReadFile(name string) ([]byte, error)       { return f.MapFS.ReadFile(inside(name)) }
func (f files) ReadDir(name string) ([]fs.DirEntry, error) { return f.MapFS.ReadDir(inside(name)) }
func (f files) Stat(name string) (fs.FileInfo, error)      { return f.MapFS.Stat(inside(name)) }

// noFiles has none.
type noFiles struct{}

func (noFiles) ReadFile(string) ([]byte, error)       { return nil, fs.ErrNotExist }
func (noFiles) ReadDir(string) ([]fs.DirEntry, error) { return nil, fs.ErrNotExist }
func (noFiles) Stat(string) (fs.FileInfo, error)      { return nil, fs.ErrNotExist }

// seen writes what Apache sees, one item a line.
func seen(items []*Item, indent string) string {
	var out strings.Builder
	for _, i := range items {
		name := i.Name
		if i.Node.Kind == Section {
			name = "<" + name + ">"
		}
		fmt.Fprintf(&out, "%s%s\n%s", indent, strings.TrimSpace(name+" "+strings.Join(i.Words, "|")), seen(i.Children, indent+" "))
	}
	return out.String()
}

func TestEvaluate(t *testing.T) {
	for name, row := range map[string]struct {
		source  string
		more    map[string]string
		options Options
		want    string
		skipped string
		warning string
	}{
		"define": {
			source: "Define A b\nX ${A} \"${A} c\" ${B} $A\nUnDefine A\nX ${A}\n", want: "Define A|b\nX b|b c|${B}|$A\nUnDefine A\nX ${A}\n",
			warning: "${B} is not defined",
		},
		"a definition of several words":       {source: "Define A \"b c\"\nX ${A}\n<Y ${A}>\n</Y>\n", want: "Define A|b c\nX b|c\n<Y> b|c\n"},
		"command line and environment":        {source: "X ${A} ${E}\n", options: Options{Defines: map[string]string{"A": "1"}, Environment: func(n string) (string, bool) { return "of " + n, n == "E" }}, want: "X 1|of|E\n"},
		"a definition before the environment": {source: "Define E 1\nX ${E}\n", options: Options{Environment: func(string) (string, bool) { return "2", true }}, want: "Define E|1\nX 1\n"},
		"not of Define":                       {source: "X ${a:b} ${open\n", want: "X ${a:b}|${open\n"},
		"IfDefine":                            {source: "<IfDefine A>\nX\n</IfDefine>\n<IfDefine !A>\nDefine A\nY\n</IfDefine>\n<IfDefine A>\nZ\n</IfDefine>\n", want: "Define A\nY\nZ\n", skipped: "X\n"},
		"IfModule of a part":                  {source: "<IfModule mod_wsgi.c>\nA\n</IfModule>\n<IfModule wsgi_module>\nB\n</IfModule>\n<IfModule !mod_wsgi.c>\nC\n</IfModule>\n<IfModule mod_python.c>\nD\n</IfModule>\n", want: "A\nB\n", skipped: "C\nD\n"},
		"IfModule of the whole":               {source: "<IfModule !wsgi_module>\nLoadModule wsgi_module mod_wsgi.so\n</IfModule>\n<IfModule mod_wsgi.c>\nA\n</IfModule>\n<IfModule mod_ssl.c>\nB\n</IfModule>\n", want: "LoadModule wsgi_module|mod_wsgi.so\nA\n", skipped: "B\n"},
		"IfModule by the name of a file":      {source: "<IfModule event.c>\nA\n</IfModule>\n<IfModule prefork.c>\nB\n</IfModule>\n", want: "A\n", skipped: "B\n"},
		"IfVersion":                           {source: "<IfVersion < 2.3 >\nA\n</IfVersion>\n<IfVersion >= 2.4>\nB\n</IfVersion>\n<IfVersion 2.4.62>\nC\n</IfVersion>\n<IfVersion !~ /^2\\.4/>\nD\n</IfVersion>\n<IfVersion ~ ^2\\.4>\nE\n</IfVersion>\n", want: "B\nC\nE\n", skipped: "A\nD\n"},
		"IfFile":                              {source: "ServerRoot /etc/httpd\n<IfFile conf/x>\nA\n</IfFile>\n<IfFile !/etc/httpd/conf/y>\nB\n</IfFile>\n", more: map[string]string{"/etc/httpd/conf/x": ""}, want: "ServerRoot /etc/httpd\nA\nB\n"},
		"If stays":                            {source: "<If \"%{HTTP_HOST} == 'x'\">\nA\n</If>\n<Else>\nB\n</Else>\n", want: "<If> %{HTTP_HOST} == 'x'\n A\n<Else>\n B\n"},
		"a skipped section":                   {source: "<IfDefine A>\n<Directory /x>\nX ${nobody}\n<IfDefine B>\nY\n</IfDefine>\n</Directory>\n</IfDefine>\n", skipped: "<Directory> /x\nX ${nobody}\n<IfDefine> B\nY\n"},
		"Include": {
			source: "ServerRoot /etc/httpd\nInclude conf.d/*.conf\nIncludeOptional none/*.conf\n<VirtualHost *>\nInclude dir\n</VirtualHost>\n",
			more:   map[string]string{"/etc/httpd/conf.d/b.conf": "B\n", "/etc/httpd/conf.d/a.conf": "A\n", "/etc/httpd/conf.d/.c.conf": "C\n", "/etc/httpd/conf.d/d.txt": "D\n", "/etc/httpd/dir/2/x": "X\n", "/etc/httpd/dir/1": "Y\n"},
			want:   "ServerRoot /etc/httpd\nInclude conf.d/*.conf\nA\nB\nIncludeOptional none/*.conf\n<VirtualHost> *\n Include dir\n Y\n X\n",
		},
		"wildcards in directories": {source: "Include /s/*/conf/[ab].conf\n", more: map[string]string{"/s/2/conf/a.conf": "A2\n", "/s/1/conf/b.conf": "B1\n", "/s/1/conf/c.conf": "C1\n"}, want: "Include /s/*/conf/[ab].conf\nB1\nA2\n"},
		"a variable in Include":    {source: "Define D /d\nInclude ${D}/x\n", more: map[string]string{"/d/x": "X\n"}, want: "Define D|/d\nInclude /d/x\nX\n"},
		"macro": {
			source: "<Macro Site $name $n>\n  WSGIScriptAlias /$name /srv/$n/$name.wsgi\n</Macro>\nUse site a 1\nUSE Site b 2\nUndefMacro Site\n<Macro Site>\nX\n</Macro>\n<Directory /x>\nUse Site\n</Directory>\n",
			want:   "<Macro> Site|$name|$n\nUse site|a|1\nWSGIScriptAlias /a|/srv/1/a.wsgi\nUSE Site|b|2\nWSGIScriptAlias /b|/srv/2/b.wsgi\nUndefMacro Site\n<Macro> Site\n<Directory> /x\n Use Site\n X\n",
		},
		"macro of macros": {source: "<Macro A ${x}>\nX ${x}\n</Macro>\n<Macro B %y>\nUse A %y\n</Macro>\nUse B 1\n", want: "<Macro> A|${x}\n<Macro> B|%y\nUse B|1\nUse A|1\nX 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			contents := map[string]string{"/etc/httpd/httpd.conf": row.source}
			for name, text := range row.more {
				contents[name] = text
			}
			o := row.options
			o.FS = filesOf(contents)
			c, err := Load("/etc/httpd/httpd.conf", o)
			if err != nil {
				t.Fatal(err)
			}
			if got := seen(c.Items, ""); got != row.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, row.want)
			}
			var skipped []*Item
			for _, i := range c.Skipped {
				flat := *i
				flat.Children = nil
				skipped = append(skipped, &flat)
			}
			if got := seen(skipped, ""); got != row.skipped {
				t.Errorf("skipped:\n%s\nwant:\n%s", got, row.skipped)
			}
			warnings := fmt.Sprint(c.Warnings)
			if row.warning == "" && len(c.Warnings) > 0 && name != "define" && !strings.Contains(row.source, "open") || !strings.Contains(warnings, row.warning) {
				t.Errorf("warnings %s, want %q", warnings, row.warning)
			}
		})
	}
}

func TestEvaluateErrors(t *testing.T) {
	for name, row := range map[string]struct {
		source string
		more   map[string]string
		want   string
	}{
		"no such file":      {source: "\nInclude /nowhere.conf\n", want: "/c:2: /nowhere.conf: there is no such file: Include /nowhere.conf (make it, or write IncludeOptional)"},
		"no argument":       {source: "Include\n", want: "/c:1: Include takes one argument"},
		"of an included":    {source: "Include /d\n", more: map[string]string{"/d": "A\n<B x>\n"}, want: "/d:2: section is not ended"},
		"itself":            {source: "Include /c\n", want: "/c:1: files are included more than 128 deep"},
		"version":           {source: "<IfVersion >= two>\n</IfVersion>\n", want: `/c:1: "two" is no version`},
		"comparison":        {source: "<IfVersion => 2>\n</IfVersion>\n", want: `/c:1: "=>" compares nothing`},
		"no condition":      {source: "<IfDefine>\n</IfDefine>\n", want: "/c:1: section without an argument"},
		"unknown macro":     {source: "Use A\n", want: "/c:1: macro A is not defined"},
		"values":            {source: "<Macro A $x>\n</Macro>\nUse A\n", want: "/c:3: macro A takes 1 values, and there are 0: Use A (it is defined in /c:1)"},
		"twice":             {source: "<Macro A>\n</Macro>\n<Macro a>\n</Macro>\n", want: "/c:3: macro a is defined twice"},
		"a macro of itself": {source: "<Macro A>\nUse A\nUse A\n</Macro>\nUse A\n", want: "macros are used more than 128 deep"},
		"within a macro":    {source: "<Macro A>\n  <B x>\n  </B>\n  Include /gone\n</Macro>\nUse A\n", want: "macro A used in /c:6:3: /gone: there is no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			contents := map[string]string{"/c": row.source}
			for name, text := range row.more {
				contents[name] = text
			}
			_, err := Load("/c", Options{FS: filesOf(contents)})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %s", err, row.want)
			}
		})
	}
	if _, err := Load("/c", Options{FS: noFiles{}}); err == nil || !strings.Contains(err.Error(), "reading the configuration of Apache") {
		t.Errorf("%v", err)
	}
}

func TestItemsSayWhereTheyAre(t *testing.T) {
	c, err := Load("/c", Options{FS: filesOf(map[string]string{
		"/c": "A\n<IfDefine !X>\n<VirtualHost *>\n  Include /d\n</VirtualHost>\n</IfDefine>\n", "/d": "\n\nWSGIPassAuthorization On\n",
	})})
	if err != nil {
		t.Fatal(err)
	}
	host := c.Items[1]
	item := host.Children[1]
	if item.Position().String() != "/d:3" || item.Via != host.Children[0] || item.Parent != host || !host.Condition.Is("ifdefine") || item.Condition != host.Condition {
		t.Errorf("%+v", item)
	}
	if problem := item.Problem("write off", "wrong: %d", 1).Error(); problem != "/d:3: wrong: 1: WSGIPassAuthorization On (write off)" {
		t.Error(problem)
	}
	if got := host.File.Text(host.Node); !strings.HasPrefix(got, "<VirtualHost *>\n") || !strings.HasSuffix(got, "</VirtualHost>\n") {
		t.Errorf("%q", got)
	}
}
