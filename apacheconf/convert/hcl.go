package convert

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// block is a block of wsgid.hcl that is being written.
type block struct {
	kind, label string // label is written for kinds that have one
	comment     string // where it comes from; one line
	options     []option
	blocks      []*block
}

// option is one line: its value is written as HCL.
type option struct{ name, value string }

// labelled are the blocks that have a label.
var labelled = map[string]bool{
	"listen": true, "daemon_process": true, "script_alias": true, "script_alias_match": true, "script_root": true,
	"handler_script": true, "virtual_host": true, "import_script": true, "dispatch_script": true,
	"auth_user_script": true, "auth_group_script": true, "access_script": true,
}

// set adds an option, or replaces its value.
func (b *block) set(name, value string) {
	for i := range b.options {
		if b.options[i].name == name {
			b.options[i].value = value
			return
		}
	}
	b.options = append(b.options, option{name, value})
}

func (b *block) text(name, value string)   { b.set(name, text(value)) }
func (b *block) number(name string, n int) { b.set(name, strconv.Itoa(n)) }
func (b *block) truth(name string, v bool) { b.set(name, strconv.FormatBool(v)) }
func (b *block) list(name string, values []string) {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = text(v)
	}
	b.set(name, "["+strings.Join(quoted, ", ")+"]")
}

// expansion is what wsgid and HCL take as it stands.
var expansion = regexp.MustCompile(`^%\{(GLOBAL|RESOURCE|SERVER|HOST|ENV:[^}]+)\}$`)

// text writes a text of HCL.
func text(value string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i, r := range value {
		switch {
		case r == '"' || r == '\\':
			out.WriteString(`\` + string(r))
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&out, `\u%04x`, r)
		case (r == '$' || r == '%' && !expansion.MatchString(value)) && strings.HasPrefix(value[i+1:], "{"):
			out.WriteString(string(r) + string(r))
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// write writes the block; names and values stand in columns.
func (b *block) write(out *strings.Builder, margin string) {
	if b.comment != "" {
		out.WriteString(margin + "# " + b.comment + "\n")
	}
	out.WriteString(margin + b.kind)
	if labelled[b.kind] {
		out.WriteString(" " + text(b.label))
	}
	if len(b.options)+len(b.blocks) == 0 {
		out.WriteString(" {\n" + margin + "}\n")
		return
	}
	out.WriteString(" {\n")
	width := 0
	for _, o := range b.options {
		width = max(width, len(o.name))
	}
	for _, o := range b.options {
		fmt.Fprintf(out, "%s  %-*s = %s\n", margin, width, o.name, o.value)
	}
	for i, nested := range b.blocks {
		if i > 0 || len(b.options) > 0 {
			out.WriteByte('\n')
		}
		nested.write(out, margin+"  ")
	}
	out.WriteString(margin + "}\n")
}
