package config

import (
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// InterpreterOptions can be different for each interpreter. nil and 0: not
// said here.
type InterpreterOptions struct {
	// PerInterpreterGIL: a sub-interpreter has a GIL of its own (Python 3.12).
	PerInterpreterGIL *bool
	// FreeThreading: a free-threaded build runs without GIL; of a process as a
	// whole.
	FreeThreading *bool
	// SwitchInterval is what sys.setswitchinterval is called with.
	SwitchInterval time.Duration
	// RestrictStdin, RestrictStdout: default false. RestrictSignal: default
	// true.
	RestrictStdin, RestrictStdout, RestrictSignal *bool
}

// InterpreterBlock is an interpreter_options block: options for the
// interpreters that it selects (mod_wsgi behaviour 1.3).
type InterpreterBlock struct {
	// ProcessGroup and ApplicationGroup select; empty: all. "%{GLOBAL}" is the
	// router, and the main interpreter.
	ProcessGroup, ApplicationGroup string
	// PythonPath is put in front of sys.path, before what other blocks say.
	PythonPath []string
	InterpreterOptions
	Range hcl.Range `json:"-"`
}

// interpreterOptions are the options that interpreter_options, daemon_process
// and router have in common.
func (d *decoder) interpreterOptions(o *InterpreterOptions, path *[]string) options {
	return options{
		"python_path":         d.list(path),
		"per_interpreter_gil": d.optional(&o.PerInterpreterGIL),
		"free_threading":      d.optional(&o.FreeThreading),
		"switch_interval":     d.duration(&o.SwitchInterval),
		"restrict_stdin":      d.optional(&o.RestrictStdin),
		"restrict_stdout":     d.optional(&o.RestrictStdout),
		"restrict_signal":     d.optional(&o.RestrictSignal),
	}
}

// optional reads a truth value that may be absent.
func (d *decoder) optional(to **bool) reader {
	return reader{func(a *hcl.Attribute) {
		value := false
		d.boolean(&value).read(a)
		if _, bad := d.unread[a.Range]; !bad {
			*to = &value
		}
	}, func() cty.Value { return showOptional(*to) }}
}

// interpreterBlockOptions are those of interpreter_options { … }.
func (d *decoder) interpreterBlockOptions(b *InterpreterBlock) options {
	return options{
		"process_group":     d.str(&b.ProcessGroup),
		"application_group": d.str(&b.ApplicationGroup),
	}.with(d.interpreterOptions(&b.InterpreterOptions, &b.PythonPath))
}

func (d *decoder) decodeInterpreterBlock(block *hclsyntax.Block) {
	if len(block.Labels) > 0 {
		d.add(block.DefRange(), "Wrong block header", "interpreter_options has no label: write interpreter_options { process_group = \"…\" … }.")
		return
	}
	b := InterpreterBlock{}
	b.Range = d.decodeBody("interpreter_options", block, d.interpreterBlockOptions(&b))
	d.config.InterpreterBlocks = append(d.config.InterpreterBlocks, b)
}

// Selectors is how many things a block selects by: the more, the more it counts.
func (b *InterpreterBlock) Selectors() int {
	count := 0
	if b.ProcessGroup != "" {
		count++
	}
	if b.ApplicationGroup != "" {
		count++
	}
	return count
}

// interpreterBlock validates an interpreter_options block.
func (v *validator) interpreterBlock(b *InterpreterBlock) {
	names := v.groupNames()
	group := v.place(b.Range, "process_group")
	switch {
	case v.given(b.Range, "process_group") && b.ProcessGroup == "":
		v.add(group, "No process group", "process_group is empty: name a daemon_process, or take it out for all.")
	case b.ProcessGroup == "" || b.ProcessGroup == "%{GLOBAL}" || v.declared(b.ProcessGroup):
	default:
		v.add(group, "Unknown process group", "There is no daemon_process %q%s", b.ProcessGroup, didYouMeanOf(b.ProcessGroup, names))
	}
	application := v.place(b.Range, "application_group")
	switch {
	case v.given(b.Range, "application_group") && b.ApplicationGroup == "":
		v.add(application, "No application group", "application_group is empty: write \"%%{GLOBAL}\" for the main interpreter, or take it out for all.")
	case b.ApplicationGroup != "%{GLOBAL}" && strings.HasPrefix(b.ApplicationGroup, "%{"):
		v.add(application, "Wrong application group", "interpreter_options selects by the name that a request ends up with; %q is not one: write the name, such as \"www.example.com\".", b.ApplicationGroup)
	case strings.ContainsFunc(b.ApplicationGroup, unicode.IsControl):
		v.add(application, "Wrong application group", "application_group holds control characters.")
	}
	v.absolutes(b.Range, "python_path", b.PythonPath)
	if b.FreeThreading != nil && b.ApplicationGroup != "" {
		v.add(v.place(b.Range, "free_threading"), "Not of one interpreter", "free_threading is of a process as a whole: take application_group out, or put it into a block of its own.")
	}
	if b.PerInterpreterGIL != nil && b.ApplicationGroup == "%{GLOBAL}" {
		v.add(v.place(b.Range, "per_interpreter_gil"), "Not of the main interpreter", "per_interpreter_gil is for sub-interpreters; the main interpreter has the GIL that the others share.")
	}
	v.freeThreading(b.Range, &b.InterpreterOptions)
}

// freeThreading warns about what has no effect without the GIL.
func (v *validator) freeThreading(block hcl.Range, o *InterpreterOptions) {
	if o.FreeThreading == nil || !*o.FreeThreading {
		return
	}
	if o.PerInterpreterGIL != nil && *o.PerInterpreterGIL {
		v.warn(v.place(block, "per_interpreter_gil"), "No effect", "With free_threading there is no GIL that an interpreter could have of its own.")
	}
	if o.SwitchInterval > 0 {
		v.warn(v.place(block, "switch_interval"), "No effect", "With free_threading there is no GIL that threads would hand over.")
	}
}

// sharedMain warns about scripts that share the main interpreter of a process
// group: modules, settings and os.environ of one are those of the other.
func (v *validator) sharedMain() {
	first := map[string]*ScriptAlias{}
	told := map[string]bool{}
	for _, s := range v.config.Mounts() {
		if s.ApplicationGroup != "%{GLOBAL}" || s.Directory || strings.HasPrefix(s.ProcessGroup, "%{") && s.ProcessGroup != "%{GLOBAL}" {
			continue
		}
		other, found := first[s.ProcessGroup]
		switch {
		case !found:
			first[s.ProcessGroup] = s
		case other.Target != s.Target && !told[s.ProcessGroup]:
			told[s.ProcessGroup] = true
			v.warn(s.Range, "Shared main interpreter", "This script and %s, of %s (%s:%d), run in the main interpreter of process group %q and share its modules, as two Django sites cannot: unless they belong to one application give each a daemon_process, or an application_group, of its own.",
				other.Target, other.Title(), other.Range.Filename, other.Range.Start.Line, s.ProcessGroup)
		}
	}
}

// interpreterCount reports a process group whose mounts name more interpreters
// than a process of it may have.
func (v *validator) interpreterCount() {
	names := map[string]map[string]bool{}
	for _, s := range v.config.Mounts() {
		if strings.HasPrefix(s.ApplicationGroup, "%{") {
			continue
		}
		if names[s.ProcessGroup] == nil {
			names[s.ProcessGroup] = map[string]bool{}
		}
		names[s.ProcessGroup][s.ApplicationGroup] = true
	}
	check := func(block hcl.Range, group string, limit int) {
		if count := len(names[group]); limit > 0 && count > limit {
			v.add(v.place(block, "max_interpreters"), "Too few interpreters", "The mounts of process group %q name %d application groups besides %%{GLOBAL}, and max_interpreters is %d: raise it.", group, count, limit)
		}
	}
	check(v.config.Router.Range, "%{GLOBAL}", v.config.Router.MaxInterpreters)
	for i := range v.config.DaemonProcesses {
		p := &v.config.DaemonProcesses[i]
		check(p.Range, p.Name, p.MaxInterpreters)
	}
}
