package apacheconf

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/apachetest"
)

// printed writes a file again from its nodes.
func printed(f *File) []byte {
	var out bytes.Buffer
	var print func(nodes []Node)
	print = func(nodes []Node) {
		for i := range nodes {
			n := &nodes[i]
			if n.Kind != Section {
				out.WriteString(f.Text(n))
				continue
			}
			out.Write(f.Source[n.Start:n.OpenEnd])
			print(n.Children)
			out.Write(f.Source[n.CloseStart:n.End])
		}
	}
	print(f.Nodes)
	return out.Bytes()
}

// TestCorpus: every configuration is read and written again as it is; those are
// refused that say so, for the reason that they give, and what is to be said
// about the others is said.
func TestCorpus(t *testing.T) {
	for _, c := range corpus(t) {
		t.Run(c.Name, func(t *testing.T) {
			f, err := Parse(c.Path, c.Source)
			if err == nil {
				covers(t, f)
				if !bytes.Equal(printed(f), c.Source) {
					t.Error("it is printed otherwise")
				}
			}
			p := apachetest.NewPlace(t)
			var refusals, warnings []*SyntaxError
			name, o := p.Put(t, c), Options{ServerRoot: p.Root, Environment: p.Environment}
			if c.Access() { // the model is of what stands in <Directory>, which takes more
				o.FS = filesOf(map[string]string{name: "<Directory " + p.AccessDir() + ">\n" + string(p.Here(c.Source)) + "</Directory>\n"})
			}
			config, err := Load(name, o)
			said := fmt.Sprint(err)
			if err == nil {
				m := NewModel(config)
				refusals, warnings = m.Errors, append(config.Warnings, m.Warnings...)
				said = fmt.Sprint(refusals)
			}
			refused := err != nil || len(refusals) > 0
			want := c.Refused
			if c.ByConvert {
				want = ""
			}
			if refused != (want != "") || !strings.Contains(said, want) {
				t.Errorf("%s, want %q", said, want)
			}
			for _, want := range c.Warns {
				if !strings.Contains(fmt.Sprint(warnings), want) {
					t.Errorf("warnings %v, want %q", warnings, want)
				}
			}
			if len(c.Warns) == 0 && len(warnings) > 0 {
				t.Errorf("it says nothing of warnings: %v", warnings)
			}
		})
	}
}
