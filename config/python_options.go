package config

import (
	"math/big"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// PythonOptions say which Python a process loads and how that is started: the
// options that daemon_process and router have in common.
type PythonOptions struct {
	// Python is an executable, PythonHome a venv or prefix; at most one is
	// set; neither: the system's python3.
	Python, PythonHome string
	// PythonPath is put in front of sys.path.
	PythonPath []string
	// PythonEggs is PYTHON_EGG_CACHE; empty: not set.
	PythonEggs string
	// PythonOptimize is the level of -O, 0 to 2.
	PythonOptimize int
	// PythonWarnings are the values of -W, in order.
	PythonWarnings []string
	// PythonHashSeed is "random" or a number; empty: as Python decides.
	PythonHashSeed string
	// PythonDontWriteBytecode: no .pyc files are written (-B).
	PythonDontWriteBytecode bool
	// StackSize of each thread that serves requests, bytes, default 8 MiB.
	StackSize int64
	// MaxInterpreters is how many sub-interpreters a process makes, default
	// 64; 0: no limit.
	MaxInterpreters int
	InterpreterOptions
}

// pythonOptions are those of PythonOptions.
func (d *decoder) pythonOptions(p *PythonOptions) options {
	own := options{
		"python":                     d.str(&p.Python),
		"python_home":                d.str(&p.PythonHome),
		"python_eggs":                d.str(&p.PythonEggs),
		"python_optimize":            d.integer(&p.PythonOptimize, 0, 2),
		"python_warnings":            d.list(&p.PythonWarnings),
		"python_hash_seed":           d.hashSeed(&p.PythonHashSeed),
		"python_dont_write_bytecode": d.boolean(&p.PythonDontWriteBytecode),
		// Below 256 KiB Python's own recursion check comes too late; above 1 GiB a
		// group of many threads does not fit into any address space limit.
		"stack_size":       d.size(&p.StackSize, 256*kib, gib),
		"max_interpreters": d.integer(&p.MaxInterpreters, 0, 1<<20),
	}
	return own.with(d.interpreterOptions(&p.InterpreterOptions, &p.PythonPath))
}

// with adds the options of another set.
func (o options) with(more options) options {
	for name, read := range more {
		o[name] = read
	}
	return o
}

// without takes options away that a kind of block lacks.
func (o options) without(names ...string) options {
	for _, name := range names {
		delete(o, name)
	}
	return o
}

// hashSeed reads "random" or what PYTHONHASHSEED takes as a number.
func (d *decoder) hashSeed(to *string) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		if v.Type() == cty.String && v.AsString() == "random" {
			*to = "random"
			return
		}
		if v.Type() == cty.Number {
			if n, accuracy := v.AsBigFloat().Uint64(); accuracy == big.Exact && n <= 1<<32-1 {
				*to = v.AsBigFloat().Text('f', 0)
				return
			}
		}
		d.wrong(a, `is "random" or a whole number from 0 to 4294967295.`)
	}, func() cty.Value { return showHashSeed(*to) }}
}

// warningActions of Python's -W.
var warningActions = []string{"default", "error", "ignore", "always", "all", "module", "once"}

// python validates the options that choose and start a Python.
func (v *validator) python(block hcl.Range, p *PythonOptions) {
	v.absolute(block, "python", p.Python)
	v.absolute(block, "python_home", p.PythonHome)
	v.absolutes(block, "python_path", p.PythonPath)
	v.absolute(block, "python_eggs", p.PythonEggs)
	if p.Python != "" && p.PythonHome != "" {
		v.add(v.place(block, "python_home"), "Two Pythons", "Give python (an executable) or python_home (a venv or prefix), not both.")
	}
	for _, warning := range p.PythonWarnings {
		action, _, _ := strings.Cut(warning, ":")
		known := slices.ContainsFunc(warningActions, func(word string) bool { return strings.HasPrefix(word, action) })
		switch {
		case strings.Contains(warning, ","):
			v.add(v.place(block, "python_warnings"), "Wrong value", "python_warnings has one filter a text; %q holds a comma: write [\"…\", \"…\"].", warning)
		case action == "" || !known:
			v.add(v.place(block, "python_warnings"), "Wrong value", "A filter of python_warnings is action:message:category:module:line, as for python -W; %q is no action: it is default, error, ignore, always, module or once.", action)
		}
	}
	v.freeThreading(block, &p.InterpreterOptions)
}
