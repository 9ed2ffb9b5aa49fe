package config

import (
	"math/big"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Unlimited is the value of a resource limit that there is not.
const Unlimited = -1

// rlimitNames are the limits of a process that can be set (setrlimit(2)); data,
// as and cpu have options of their own, called as in mod_wsgi.
var rlimitNames = []string{"core", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rtprio", "rttime", "sigpending", "stack"}

// rlimitInstead are options that stand for a limit.
var rlimitInstead = map[string]string{"data": "memory_limit", "as": "virtual_memory_limit", "cpu": "cpu_time_limit"}

// Limits bound what the processes of a group use.
type Limits struct {
	CgroupLimits
	// Rlimits of each process by name; Unlimited; nil: those of wsgid.
	Rlimits map[string]int64
}

// CgroupLimits are those of all processes of a group together, kept by the
// kernel's cgroup; 0: no limit.
type CgroupLimits struct {
	MemoryMax  int64   // bytes; beyond it the kernel kills
	MemoryHigh int64   // bytes; beyond it the kernel reclaims and slows down
	PidsMax    int     // processes and threads
	CPUWeight  int     // share against others, 1 to 10000; usual: 100
	CPUMax     float64 // processors
}

// limitOptions are those of Limits.
func (d *decoder) limitOptions(l *Limits) options {
	return options{
		"memory_max":  d.size(&l.MemoryMax, mib, maxMemory),
		"memory_high": d.size(&l.MemoryHigh, mib, maxMemory),
		"pids_max":    d.integer(&l.PidsMax, 1, 1<<22),
		"cpu_weight":  d.integer(&l.CPUWeight, 1, 10000),
		"cpu_max":     d.processors(&l.CPUMax),
		"rlimits":     d.rlimits(&l.Rlimits),
	}
}

// processors reads how many processors' time may be used, parts of one too.
func (d *decoder) processors(to *float64) reader {
	const low, high = 0.01, 10000
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		var n float64
		if v.Type() == cty.Number {
			n, _ = v.AsBigFloat().Float64()
		}
		if n < low || n > high {
			d.wrong(a, "is a number of processors from %g to %d, such as 0.5 or 2.", low, high)
			return
		}
		*to = n
	}, func() cty.Value {
		if *to == 0 {
			return cty.NullVal(cty.Number)
		}
		return cty.NumberFloatVal(*to)
	}}
}

// rlimits reads a map of limits.
func (d *decoder) rlimits(to *map[string]int64) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		if t := v.Type(); !t.IsObjectType() && !t.IsMapType() {
			d.wrong(a, `is a map: write { nofile = 65536, core = 0, memlock = "unlimited" }.`)
			return
		}
		limits := map[string]int64{}
		values := v.AsValueMap()
		for _, name := range sortedKeys(values) {
			element := values[name]
			instead := rlimitInstead[name]
			switch {
			case instead != "":
				d.wrong(a, "has no %q: that is the option %s.", name, instead)
			case !slices.Contains(rlimitNames, name):
				d.wrong(a, "has no %q: there are %s%s", name, strings.Join(rlimitNames, ", "), didYouMean(name, rlimitNames))
			default:
				n, ok := rlimitValue(element)
				if !ok {
					d.wrong(a, `needs a whole number from 0 on, or "unlimited", as value of %s.`, name)
				}
				limits[name] = n
			}
		}
		*to = limits
	}, func() cty.Value { return showRlimits(*to) }}
}

func rlimitValue(v cty.Value) (n int64, ok bool) {
	switch {
	case v.IsNull():
	case v.Type() == cty.String:
		return Unlimited, v.AsString() == "unlimited"
	case v.Type() == cty.Number:
		n, accuracy := v.AsBigFloat().Int64()
		return n, accuracy == big.Exact && n >= 0
	}
	return 0, false
}

func showRlimits(limits map[string]int64) cty.Value {
	if limits == nil {
		return cty.NullVal(cty.Map(cty.Number))
	}
	values := map[string]cty.Value{}
	for name, n := range limits {
		if values[name] = cty.NumberIntVal(n); n == Unlimited {
			values[name] = cty.StringVal("unlimited")
		}
	}
	return cty.ObjectVal(values)
}

// limits validates the limits of a group.
func (v *validator) limits(p *DaemonProcess) {
	if p.MemoryMax > 0 && p.MemoryHigh >= p.MemoryMax {
		v.add(v.place(p.Range, "memory_high"), "Limit without effect", "memory_high is where the kernel begins to press, before it kills at memory_max = %d bytes: set it lower, or take it out.", p.MemoryMax)
	}
	if least := p.Processes * (p.Threads + 1); p.PidsMax > 0 && p.PidsMax < least {
		v.warn(v.place(p.Range, "pids_max"), "Limit is too low", "pids_max counts threads, too: %d processes of %d threads cannot start with %d; allow some more than %d.", p.Processes, p.Threads, p.PidsMax, least)
	}
	at := v.place(p.Range, "rlimits")
	if n, set := p.Rlimits["nofile"]; set && n != Unlimited && n < leastFiles(p) {
		v.add(at, "Limit is too low", "A process with %d threads needs at least %d descriptors, and nofile is %d.", p.Threads, leastFiles(p), n)
	}
	if n, set := p.Rlimits["stack"]; set && n != Unlimited && n < mib {
		v.add(at, "Limit is too low", "Python does not start with a stack of %d bytes: 1 MiB (1048576) is the least.", n)
	}
}

// leastFiles is how many descriptors a process needs: a connection for each
// thread and what Python and the log take.
func leastFiles(p *DaemonProcess) int64 { return int64(p.Threads) + 64 }
