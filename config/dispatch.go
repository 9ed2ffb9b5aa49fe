package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Isolation says where scripts of the router are evaluated.
type Isolation string

// Values of isolation.
const (
	IsolationNone    Isolation = "none"    // in the router's own Python
	IsolationProcess Isolation = "process" // in a process of its own, the dispatch helper
)

// Dispatch is the dispatch block: what concerns all scripts that decide about
// requests together.
type Dispatch struct {
	// Isolation, default none.
	Isolation Isolation
	// User and Group the dispatch helper runs as when wsgid is started as root;
	// default nobody; Group defaults to the user's.
	User, Group string
	Range       hcl.Range `json:"-"`
}

// dispatchOptions are those of dispatch { … }.
func (d *decoder) dispatchOptions(o *Dispatch) options {
	return options{
		"isolation": d.str((*string)(&o.Isolation)),
		"user":      d.str(&o.User),
		"group":     d.str(&o.Group),
	}
}

func (d *decoder) decodeDispatch(block *hclsyntax.Block) {
	if d.once(block, 0) {
		o := defaultDispatch()
		o.Range = d.decodeBody("dispatch", block, d.dispatchOptions(&o))
		d.config.Dispatch = &o
	}
}

// DispatchHelper is the dispatch block if scripts are evaluated in a process
// of their own, else nil.
func (c *Config) DispatchHelper() *Dispatch {
	if c.Dispatch == nil || c.Dispatch.Isolation != IsolationProcess {
		return nil
	}
	return c.Dispatch
}

// dispatch validates the dispatch block. A helper with the router's user would
// be no wall: workers serve whoever has the router's uid.
func (v *validator) dispatch(o *Dispatch) {
	if o.Isolation != IsolationNone && o.Isolation != IsolationProcess {
		v.add(v.place(o.Range, "isolation"), "Wrong value", "isolation is \"none\" or \"process\"; %q is neither%s", o.Isolation,
			didYouMean(string(o.Isolation), []string{string(IsolationNone), string(IsolationProcess)}))
		return
	}
	v.user(o.Range, o.User, o.Group)
	if o.Isolation == IsolationNone {
		for _, option := range []string{"user", "group"} {
			if v.given(o.Range, option) {
				v.add(v.place(o.Range, option), "No process of its own", "Option %q is for isolation = \"process\": without it scripts run in the router, as its user.", option)
			}
		}
		return
	}
	if v.identity.Root() && o.User != "" && o.User == v.config.Router.User {
		v.warn(v.place(o.Range, "user"), "Same user", "User %q is the router's too: scripts could do all that the router can. Name a user of their own.", o.User)
	}
}
