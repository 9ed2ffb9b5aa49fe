package apacheconf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outline writes nodes as text: one line each, indented.
func outline(f *File, nodes []Node, indent string) (lines []string) {
	for i := range nodes {
		switch n := &nodes[i]; n.Kind {
		case Text:
			lines = append(lines, fmt.Sprintf("%stext %d", indent, f.Line(n.Start)))
		case Directive:
			lines = append(lines, fmt.Sprintf("%s%d %s [%s]", indent, f.Line(n.Start), n.Name, strings.Join(Words(n.Args), "|")))
		case Section:
			lines = append(lines, fmt.Sprintf("%s%d <%s> [%s]", indent, f.Line(n.Start), n.Name, strings.Join(Words(n.Args), "|")))
			lines = append(lines, outline(f, n.Children, indent+"  ")...)
		}
	}
	return lines
}

func TestParse(t *testing.T) {
	for name, row := range map[string]struct{ source, want string }{
		"nothing":         {"", ""},
		"directive":       {"Listen 80\n", "1 Listen [80]"},
		"no line end":     {"Listen 80", "1 Listen [80]"},
		"CRLF":            {"Listen 80\r\nServerName x\r\n", "1 Listen [80]\n2 ServerName [x]"},
		"blanks":          {"  \t Listen\t 80  \n\n\n", "1 Listen [80]\ntext 2"},
		"comment":         {"# Listen 80\n  # more\nA b # c\n", "text 1\n3 A [b|#|c]"},
		"continuation":    {"A b \\\n  c \\\r\n d\nE\n", "1 A [b|c|d]\n4 E []"},
		"of a word":       {"WSGIScript\\\nAlias / /x\n", "1 WSGIScriptAlias [/|/x]"},
		"of a comment":    {"# a \\\nListen 80\nB\n", "text 1\n3 B []"},
		"at the end":      {"A b\\\n", "1 A [b]"},
		"last byte":       {"A b\\", "1 A [b\\]"},
		"blank behind it": {"A b\\ \nC\n", "1 A [b\\]\n2 C []"},
		"quotes":          {`A "b c" 'd "e"' "f\"g" "h\\" "i\j" "k`, "1 A [b c|d \"e\"|f\"g|h\\|i\\j|k]"},
		"quotes inside":   {`A b"c d"e`, `1 A [b"c|d"e]`},
		"quotes together": {`A "b""c"`, `1 A [b|c]`},
		"section":         {"<Directory /x>\n  A b\n</Directory>\n", "1 <Directory> [/x]\n  2 A [b]"},
		"case":            {"<ifModule x>\n</IFMODULE>\n", "1 <ifModule> [x]"},
		"nested":          {"<A x>\n<B y>\nC\n</B>\n# d\n</A>\nE", "1 <A> [x]\n  2 <B> [y]\n    3 C []\n  text 5\n7 E []"},
		"blank in tags":   {"<IfVersion < 2.3 >\n</IfVersion >\n", "1 <IfVersion> [<|2.3]"},
		"continued tag":   {"<Limit GET \\\n POST>\n</Limit>\n", "1 <Limit> [GET|POST]"},
		"bracket in it":   {"<LocationMatch \"^/(?<a>b)\">\n</LocationMatch>\n", "1 <LocationMatch> [^/(?<a>b)]"},
		"no argument":     {"<Else>\n</Else>\n", "1 <Else> []"},
		"UTF-8":           {"# ü\nA ü\xff\n", "text 1\n2 A [ü\xff]"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("x.conf", []byte(row.source))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(outline(f, f.Nodes, ""), "\n"); got != row.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, row.want)
			}
			covers(t, f)
		})
	}
}

// covers checks that the nodes are all bytes of the file, in order.
func covers(t *testing.T, f *File) {
	t.Helper()
	var check func(nodes []Node, from, to int)
	check = func(nodes []Node, from, to int) {
		for i := range nodes {
			n := &nodes[i]
			if n.Start != from || n.End <= n.Start {
				t.Fatalf("node %d of %d to %d begins behind %d", i, n.Start, n.End, from)
			}
			if n.Kind == Section {
				check(n.Children, n.OpenEnd, n.CloseStart)
			}
			from = n.End
		}
		if from != to {
			t.Fatalf("the nodes end at %d, not at %d", from, to)
		}
	}
	check(f.Nodes, 0, len(f.Source))
}

func TestParseErrors(t *testing.T) {
	for name, row := range map[string]struct{ source, want string }{
		"not ended":      {"A\n<Directory /x>\nB\n", "x.conf:2: section is not ended: <Directory /x> (write </Directory> behind its last line)"},
		"not begun":      {"A\n</Directory>\n", "x.conf:2: end of a section that was not begun: </Directory>"},
		"crossed":        {"<A x>\n<B y>\n</A>\n</B>\n", "x.conf:3: expected </B> of line 2: </A>"},
		"no bracket":     {"\n<VirtualHost *:80\n", "x.conf:2: <VirtualHost> directive missing closing \">\": <VirtualHost *:80"},
		"end no bracket": {"<A x>\n</A\n", "x.conf:2: end tag without \">\": </A (write </A>)"},
		"too deep":       {strings.Repeat("<A x>\n", 300), "x.conf:201: sections are nested too deep"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.conf", []byte(row.source))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("%v, want %s", err, row.want)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for _, word := range []string{"", "a", "a b", `a"b`, `a'b`, `a\b`, `a\`, `"`, `\"`, "#x", "a>", "ü", "'"} {
		f, err := Parse("x", []byte("A "+Quote(word)+" z\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := Words(f.Nodes[0].Args); len(got) != 2 || got[0] != word {
			t.Errorf("%q as %s is read as %q", word, Quote(word), got)
		}
	}
}

// TestLargeFile: what a file of a million lines takes grows with it, not with
// its square.
func TestLargeFile(t *testing.T) {
	n := 500000
	if testing.Short() {
		n /= 20
	}
	const line = "    WSGIScriptAlias /application-%d \"/srv/sites/%d/app.wsgi\" process-group=g%d \\\n        application-group=%%{GLOBAL}\n"
	var source bytes.Buffer
	for i := range n {
		fmt.Fprintf(&source, line, i, i, i%100)
	}
	f, err := Parse("large.conf", source.Bytes())
	if err != nil || len(f.Nodes) != n {
		t.Fatalf("%v", err)
	}
	c, err := Evaluate(f, Options{})
	if err != nil || len(c.Items) != n || c.Items[n-1].Position().Line != 2*n-1 {
		t.Errorf("%v", err)
	}
	continued := append(bytes.Repeat([]byte("a b c d e f \\\n"), n), "end\n"...)
	if f, err = Parse("continued.conf", continued); err != nil || len(Words(f.Nodes[0].Args)) != 6*n {
		t.Errorf("%v", err)
	}
}

// realConfigurations are of the kind found in public repositories, where they lie
// beside the project.
func realConfigurations(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("../../shared/testdata/apache/real/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(own) == 0 {
		t.Fatalf("no configurations: %v", err)
	}
	return append(names, own...)
}

func TestConfigurations(t *testing.T) {
	for _, name := range realConfigurations(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(name, source)
			if strings.Contains(name, "broken-quotes-close-tag") || strings.Contains(name, "broken_") {
				if err == nil {
					t.Error("it is taken")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			covers(t, f)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range realConfigurations(f) {
		if source, err := os.ReadFile(name); err == nil {
			f.Add(source)
		}
	}
	f.Add([]byte("<Macro A $b>\nB $b\n</Macro>\nUse A c\n<IfDefine !X>\nDefine X ${Y}\n</IfDefine>\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		before := bytes.Clone(source)
		file, err := Parse("x.conf", source)
		if !bytes.Equal(before, source) {
			t.Fatal("the source was changed")
		}
		if err != nil {
			return
		}
		covers(t, file)
		c, err := Evaluate(file, Options{FS: noFiles{}})
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 {
				t.Fatalf("%v", err)
			}
			return
		}
		NewModel(c)
	})
}
