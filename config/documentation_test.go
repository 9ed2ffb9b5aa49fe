package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

// documentedRow is a row of a table of options: name, type, default, meaning.
var documentedRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([^|]*) \\| ([^|]*) \\| (.*) \\|$")

// documented is one option as docs/configuration.md describes it.
type documented struct{ name, kind, fallback, meaning string }

// documentedOptions reads the page: the options by the title of their section.
func documentedOptions(t *testing.T) (page string, sections map[string][]documented) {
	t.Helper()
	content, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	sections = map[string][]documented{}
	for _, section := range strings.Split(string(content), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		for _, row := range documentedRow.FindAllStringSubmatch(text, -1) {
			sections[title] = append(sections[title], documented{row[1], row[2], row[3], row[4]})
		}
	}
	return string(content), sections
}

// documentedBlock is how the block of a section is written with nothing but
// what it needs, what its options are, and the model that holds its defaults.
type documentedBlock struct {
	open, close string
	needs       map[string]string
	options     []string
	defaults    any
	// derived counts the fields of defaults that are said in words.
	derived int
}

func documentedBlocks() map[string]documentedBlock {
	d := &decoder{}
	listen := func(kind ListenerKind, needs map[string]string, more ...string) documentedBlock {
		l, derived := defaultListener(kind), 1 // Kind
		if kind != ListenHTTP {
			derived-- // responder = true is what NoResponder = false says
		}
		return documentedBlock{open: `listen "` + string(kind) + `" {`, needs: needs, defaults: l, derived: derived,
			options: append(sortedKeys(d.listenOptions(&Listener{Kind: kind})), more...)}
	}
	authScript := func(name string) documentedBlock {
		return documentedBlock{open: name + ` "/etc/a.py" {`, options: sortedKeys(d.authScriptOptions(&AuthScript{})), defaults: defaultAuthScript()}
	}
	return map[string]documentedBlock{
		`listen "unix"`: listen(ListenUnix, map[string]string{"path": `"/run/x.sock"`}),
		`listen "tcp"`:  listen(ListenTCP, map[string]string{"address": `"127.0.0.1:9000"`}),
		`listen "http"`: listen(ListenHTTP, map[string]string{"address": `"127.0.0.1:8000"`}, "static"),
		"static": {open: "listen \"http\" {\naddress = \"127.0.0.1:8000\"\nstatic \"/static/\" {", close: "}", needs: map[string]string{"dir": `"/srv/static"`},
			options: sortedKeys(d.staticOptions(&Static{})), defaults: Static{}},
		// case_sensitivity = true is what FoldCase = false says.
		"router":         {open: "router {", options: sortedKeys(d.routerOptions(&Router{})), defaults: defaultRouter(), derived: -1},
		"daemon_process": {open: `daemon_process "x" {`, options: sortedKeys(d.daemonProcessOptions(&DaemonProcess{})), defaults: defaultDaemonProcess()},
		"landlock": {open: "daemon_process \"x\" {\nlandlock {", close: "}", needs: map[string]string{"read": `["/"]`},
			options: sortedKeys(d.landlockOptions(&Landlock{})), defaults: Landlock{}},
		"interpreter_options": {open: "interpreter_options {", options: sortedKeys(d.interpreterBlockOptions(&InterpreterBlock{})), defaults: InterpreterBlock{}},
		"script_alias": {open: `script_alias "/x" {`, needs: map[string]string{"target": `"/srv/x.wsgi"`},
			options: sortedKeys(d.scriptAliasOptions(&ScriptAlias{})), defaults: defaultScriptAlias()},
		"script_root": {open: `script_root "/srv/x" {`, options: sortedKeys(d.scriptAliasOptions(&ScriptAlias{}).without("target", "preload")),
			defaults: defaultScriptAlias()},
		"handler_script": {open: `handler_script "x" {`, needs: map[string]string{"target": `"/srv/x.wsgi"`},
			options: sortedKeys(d.scriptAliasOptions(&ScriptAlias{}).without("callable_object")), defaults: defaultScriptAlias(), derived: 1}, // CallableObject
		"virtual_host":      {open: `virtual_host "h" {`, options: append(sortedKeys(d.virtualHostOptions(&VirtualHost{})), hostBlocks...), defaults: VirtualHost{}},
		"import_script":     {open: `import_script "/srv/i.py" {`, options: sortedKeys(d.importScriptOptions(&ImportScript{})), defaults: defaultImportScript()},
		"dispatch_script":   {open: `dispatch_script "/etc/d.py" {`, options: sortedKeys(d.dispatchScriptOptions(&DispatchScript{})), defaults: defaultDispatchScript()},
		"dispatch":          {open: "dispatch {", options: sortedKeys(d.dispatchOptions(&Dispatch{})), defaults: defaultDispatch()},
		"auth_user_script":  authScript("auth_user_script"),
		"auth_group_script": authScript("auth_group_script"),
		"access_script":     authScript("access_script"),
		"control":           {open: "control {", options: sortedKeys(d.controlOptions(&Control{})), defaults: defaultControl(root), derived: 1}, // Path
		"monitor":           {open: "monitor {", needs: map[string]string{"listen": `"127.0.0.1:9181"`}, options: sortedKeys(d.monitorOptions(&Monitor{})), defaults: Monitor{}},
		"tracing":           {open: "tracing {", needs: map[string]string{"endpoint": `"http://127.0.0.1:4318"`}, options: sortedKeys(d.tracingOptions(&Tracing{})), defaults: defaultTracing()},
		"log":               {open: "log {", options: sortedKeys(d.logOptions(&Log{})), defaults: defaultLog()},
		"access_log":        {open: "access_log {", needs: map[string]string{"path": `"/var/log/a"`}, options: sortedKeys(d.accessLogOptions(&AccessLog{})), defaults: defaultAccessLog()},
	}
}

// read reads a configuration in which the block has one option set, or with an
// empty value none, or with "-" lacks the option though it needs it.
func (b documentedBlock) read(option, value string) Result {
	var text strings.Builder
	text.WriteString("listen \"unix\" {\npath = \"/run/w.sock\"\ntrust_front_server = true\n}\nscript_alias \"/a\" {\ntarget = \"/srv/a.wsgi\"\nprocess_group = \"%{GLOBAL}\"\n}\n" + b.open + "\n")
	for name, needed := range b.needs {
		if name != option {
			text.WriteString(name + " = " + needed + "\n")
		}
	}
	if value != "" && value != "-" {
		text.WriteString(option + " = " + value + "\n")
	}
	text.WriteString("}\n" + b.close + "\n")
	return ReadBytes("/x/wsgid.hcl", []byte(text.String()), root)
}

// TestDocumentation: docs/configuration.md has exactly the options that exist,
// block by block.
func TestDocumentation(t *testing.T) {
	page, sections := documentedOptions(t)
	for title, block := range documentedBlocks() {
		var got []string
		for _, row := range sections[title] {
			got = append(got, row.name)
		}
		slices.Sort(block.options)
		slices.Sort(got)
		if !slices.Equal(block.options, got) {
			t.Errorf("section %s documents %v, there is %v", title, got, block.options)
		}
	}
	for _, name := range blockNames {
		if !strings.Contains(page, "[`"+name+"`](#"+name) {
			t.Errorf("block %s is not in the list of blocks", name)
		}
	}
}

// documentedValue is a default that stands in the table as a value.
var documentedValue = regexp.MustCompile("^(?:`(\"[^\"]*\")`|([0-9]+)|([0-9]+) s|(0): (?:no limit|never)|(true|false))$")

// inWords are the defaults that are said in words: nothing is set, or another
// option, another block or the machine decides.
var inWords = []string{
	"`\"256MiB\"` with `private_tmp`", "that of wsgid", "that of [`log`](#log)", "that of the request's [`virtual_host`](#virtual_host), else that of [`log`](#log)", "those of wsgid", "the log of wsgid", "that of the listener",
	"1 with `\"dynamic\"`", "1 with `\"dynamic\"`, 0 with `\"on_demand\"`, at least `min_spare`", "10 s with either",
	"none", "not set", "all", "those [below](#settings-by-the-web-server)", "anybody", "Python's own",
	"false, unless `interpreter_options` says so", "true, unless `interpreter_options` says otherwise", "whoever the mode lets in", "those of the user", "the user's primary group",
	"the system's `python3`", "`www-data` where it exists, else `nobody`", "the router's", "the router's user", "the router's group", "`nobody`",
	"the user that started wsgid", "the group that started wsgid", "the one that the request was going to use",
	"that of the `dispatch_script` block with `default = true`",
	"the only `daemon_process`; with none `%{GLOBAL}`; with several it is required",
	"true if the target is a file and process group and application group are fixed names",
	"`/run/wsgid/control.sock`, for an ordinary user `$XDG_RUNTIME_DIR/wsgid/control.sock`",
}

// sameRange and sameSource compare configurations that were written differently.
var (
	sameRange  = cmp.Comparer(func(_, _ hcl.Range) bool { return true })
	sameSource = cmp.Comparer(func(_, _ *Source) bool { return true })
)

// TestDocumentedDefaults: writing the documented default changes nothing, what
// is required is missed, and no option has a default that the page keeps back.
func TestDocumentedDefaults(t *testing.T) {
	_, sections := documentedOptions(t)
	for title, block := range documentedBlocks() {
		plain := block.read("", "")
		if plain.Config == nil {
			t.Fatalf("%s: %v", title, plain.Diagnostics)
		}
		stated := 0
		for _, row := range sections[title] {
			value := documentedValue.FindStringSubmatch(row.fallback)
			switch {
			case value != nil:
				literal := strings.Join(value[1:], "")
				if literal != "0" && literal != "false" {
					stated++
				}
				written := block.read(row.name, literal)
				if written.Config == nil {
					t.Errorf("%s: %s = %s is no value: %v", title, row.name, literal, written.Diagnostics)
					continue
				}
				for i := range written.Config.DaemonProcesses {
					written.Config.DaemonProcesses[i].ProcessesSet = false // that alone it says, as the page tells
				}
				if diff := cmp.Diff(plain.Config, written.Config, sameRange, sameSource); diff != "" {
					t.Errorf("%s: the page says that %s is %s unless it is given; it is not (-left out +written):\n%s", title, row.name, literal, diff)
				}
			case row.fallback == "required":
				if got := block.read(row.name, "-"); got.Config != nil || !strings.Contains(got.Diagnostics.Error(), `needs the option "`+row.name) {
					t.Errorf("%s: %s is said to be required: %v", title, row.name, got.Diagnostics)
				}
			case slices.Contains(inWords, row.fallback):
			default:
				t.Errorf("%s: the default of %s, %q, is neither a value nor one of the known descriptions", title, row.name, row.fallback)
			}
		}
		if set := countDefaults(reflect.ValueOf(block.defaults)); set != stated+block.derived {
			t.Errorf("%s: the code has %d defaults, the page states %d", title, set-block.derived, stated)
		}
	}
}

// countDefaults counts the fields of a block's model that have a value, those
// of what is embedded in it included.
func countDefaults(model reflect.Value) int {
	set := 0
	for field, value := range model.Fields() {
		switch {
		case field.Anonymous:
			set += countDefaults(value)
		case !value.IsZero():
			set++
		}
	}
	return set
}

// documentedRange is a range in the description of a number or size.
var documentedRange = regexp.MustCompile(`(?:^|[ (])(-?[0-9]+)(?: (KiB|MiB|GiB))? to ([0-9]+)(?: (KiB|MiB|GiB))?\b`)

// TestDocumentedRanges: the bounds that the page gives are those of the code,
// and 0 is refused exactly where the page says so.
func TestDocumentedRanges(t *testing.T) {
	_, sections := documentedOptions(t)
	units := map[string]int64{"": 1, "KiB": kib, "MiB": mib, "GiB": gib}
	checked := 0
	for title, block := range documentedBlocks() {
		for _, row := range sections[title] {
			accepts := func(value int64, want bool) {
				t.Helper()
				checked++
				if got := block.read(row.name, strconv.FormatInt(value, 10)); (got.Config != nil) != want {
					t.Errorf("%s: %s = %d, accepted: %v, want %v (%s): %v", title, row.name, value, got.Config != nil, want, row.meaning, got.Diagnostics)
				}
			}
			if found := documentedRange.FindStringSubmatch(row.meaning); found != nil && row.kind != "text" {
				low, _ := strconv.ParseInt(found[1], 10, 64)
				high, _ := strconv.ParseInt(found[3], 10, 64)
				low, high = low*units[found[2]], high*units[found[4]]
				accepts(low-1, false)
				accepts(low, true)
				accepts(high, true)
				accepts(high+1, false)
			}
			if row.kind == "time" && !strings.Contains(row.meaning, "as above") {
				accepts(0, !strings.Contains(row.meaning, "not 0"))
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d values were tried", checked)
	}
}
