package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Effective is a configuration with every option that its blocks have, and
// where the value of each comes from.
type Effective struct {
	// File is the main file.
	File string `json:"file"`
	// Blocks in the order in which they were read, included files where they
	// are included; router, control and log last if they are not written.
	Blocks []EffectiveBlock `json:"blocks"`
}

// EffectiveBlock is one block.
type EffectiveBlock struct {
	Block string `json:"block"`
	Label string `json:"label,omitempty"`
	// At is the file and line of the block, nil if it is not written.
	At      *Place            `json:"at,omitempty"`
	Options []EffectiveOption `json:"options"`
	Blocks  []EffectiveBlock  `json:"blocks,omitempty"`
}

// EffectiveOption is one option of a block.
type EffectiveOption struct {
	Name string `json:"name"`
	// Value is as it is written in the file, or as it would be: text, number,
	// truth value, list or map. nil: there is none.
	Value any `json:"value"`
	// Origin says whether the block sets it, inherits it, or has the default.
	Origin Origin `json:"origin"`
	// At is where it is set, in this block or the one that it is inherited
	// from; nil for defaults.
	At *Place `json:"at,omitempty"`
	// From is the block that it is inherited from.
	From string `json:"from,omitempty"`
}

// UnmarshalJSON keeps every digit of a number.
func (o *EffectiveOption) UnmarshalJSON(data []byte) error {
	type plainOption EffectiveOption
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode((*plainOption)(o)); err != nil {
		return fmt.Errorf("option of a configuration: %w", err)
	}
	return nil
}

// Origin is where a value comes from.
type Origin string

// Origins of values.
const (
	OriginSet       Origin = "set"
	OriginInherited Origin = "inherited"
	OriginDefault   Origin = "default"
)

// Place is a line of a file.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

func placeOf(at hcl.Range) *Place { return &Place{at.Filename, at.Start.Line} }

// Source is what a configuration was read from: blocks by their range.
type Source struct {
	order  map[hcl.Range]int
	places map[hcl.Range]map[string]hcl.Range
	values map[hcl.Range]map[string]cty.Value
	// landlocks are the landlock blocks by their daemon_process.
	landlocks map[hcl.Range]hcl.Range
}

// remember notes a block that was read, and what is given in it as it is written.
func (d *decoder) remember(block hcl.Range, body *hclsyntax.Body) {
	s := &d.source
	if s.order == nil {
		s.order, s.values = map[hcl.Range]int{}, map[hcl.Range]map[string]cty.Value{}
	}
	values := map[string]cty.Value{}
	for name, attribute := range body.Attributes {
		if d.given(block, name) {
			if value, diags := attribute.Expr.Value(nil); !diags.HasErrors() {
				values[name] = value
			}
		}
	}
	s.order[block], s.values[block] = len(s.order), values
}

// modelBlock is a block of the model with what its options are.
type modelBlock struct {
	kind, label string
	at          hcl.Range
	options     options
	nested      []modelBlock
}

// blocks are those of the configuration.
func (c *Config) blocks() []modelBlock {
	d, source := &decoder{}, c.source()
	var all []modelBlock
	add := func(kind, label string, at hcl.Range, known options, nested ...modelBlock) {
		all = append(all, modelBlock{kind, label, at, known, nested})
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		var nested []modelBlock
		for j := range l.Static {
			s := &l.Static[j]
			nested = append(nested, modelBlock{"static", s.Prefix, s.Range, d.staticOptions(s), nil})
		}
		add("listen", string(l.Kind), l.Range, d.listenOptions(l), nested...)
	}
	for i := range c.DaemonProcesses {
		p := &c.DaemonProcesses[i]
		var nested []modelBlock
		if p.Landlock != nil {
			nested = []modelBlock{{"landlock", "", source.landlocks[p.Range], d.landlockOptions(p.Landlock), nil}}
		}
		add("daemon_process", p.Name, p.Range, d.daemonProcessOptions(p), nested...)
	}
	for i := range c.InterpreterBlocks {
		b := &c.InterpreterBlocks[i]
		add("interpreter_options", "", b.Range, d.interpreterBlockOptions(b))
	}
	all = append(all, mountModels(d, c.ScriptAliases)...)
	for i := range c.VirtualHosts {
		h := &c.VirtualHosts[i]
		add("virtual_host", h.Name, h.Range, d.virtualHostOptions(h), append(mountModels(d, h.ScriptAliases), accessLogModels(d, h.AccessLogs)...)...)
	}
	for i := range c.ImportScripts {
		s := &c.ImportScripts[i]
		add("import_script", s.Path, s.Range, d.importScriptOptions(s))
	}
	if c.Dispatch != nil {
		add("dispatch", "", c.Dispatch.Range, d.dispatchOptions(c.Dispatch))
	}
	for i := range c.DispatchScripts {
		s := &c.DispatchScripts[i]
		add("dispatch_script", s.Path, s.Range, d.dispatchScriptOptions(s))
	}
	for _, name := range authScriptBlocks {
		scripts := c.AuthScripts(name)
		for i := range scripts {
			add(name, scripts[i].Path, scripts[i].Range, d.authScriptOptions(&scripts[i]))
		}
	}
	add("router", "", c.Router.Range, d.routerOptions(&c.Router))
	add("control", "", c.Control.Range, d.controlOptions(&c.Control))
	if c.Monitor != nil {
		add("monitor", "", c.Monitor.Range, d.monitorOptions(c.Monitor))
	}
	if c.Tracing != nil {
		add("tracing", "", c.Tracing.Range, d.tracingOptions(c.Tracing))
	}
	add("log", "", c.Log.Range, d.logOptions(&c.Log))
	return append(all, accessLogModels(d, c.AccessLogs)...)
}

func mountModels(d *decoder, mounts []ScriptAlias) []modelBlock {
	var all []modelBlock
	for i := range mounts {
		s := &mounts[i]
		all = append(all, modelBlock{s.Block(), s.label(), s.Range, d.mountOptions(s), nil})
	}
	return all
}

func (c *Config) source() *Source {
	if c.Source == nil {
		return &Source{}
	}
	return c.Source
}

// Effective is the configuration with all its options and where each was set.
// Of a Config that was not read from a file all is said to be default.
func (c *Config) Effective() *Effective {
	source, blocks := c.source(), c.blocks()
	slices.SortStableFunc(blocks, func(a, b modelBlock) int { return cmp.Compare(source.rank(a.at), source.rank(b.at)) })
	router := modelBlock{kind: "router", at: c.Router.Range}
	e := &Effective{File: c.File}
	for _, b := range blocks {
		var around []modelBlock
		if b.kind == "virtual_host" || slices.Contains(mountBlocks, b.kind) {
			around = []modelBlock{router}
		}
		e.Blocks = append(e.Blocks, source.block(b, around))
	}
	return e
}

// rank puts what is not written last.
func (s *Source) rank(at hcl.Range) int {
	if n, written := s.order[at]; written {
		return n
	}
	return len(s.order)
}

// block gives one block; around are those that it inherits from, the innermost first.
func (s *Source) block(b modelBlock, around []modelBlock) EffectiveBlock {
	e := EffectiveBlock{Block: b.kind, Label: b.label}
	if _, written := s.order[b.at]; written {
		e.At = placeOf(b.at)
	}
	names := sortedKeys(b.options)
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(s.line(b.at, x), s.line(b.at, y)) })
	for _, name := range names {
		e.Options = append(e.Options, s.option(b, name, around))
	}
	for _, nested := range b.nested {
		e.Blocks = append(e.Blocks, s.block(nested, append([]modelBlock{b}, around...)))
	}
	return e
}

// line sorts options: those that are set first, as they are in the file.
func (s *Source) line(block hcl.Range, name string) int {
	if _, set := s.values[block][name]; set {
		return s.places[block][name].Start.Byte
	}
	return int(^uint(0) >> 1)
}

func (s *Source) option(b modelBlock, name string, around []modelBlock) EffectiveOption {
	if value, set := s.values[b.at][name]; set {
		return EffectiveOption{Name: name, Value: plain(value), Origin: OriginSet, At: placeOf(s.places[b.at][name])}
	}
	o := EffectiveOption{Name: name, Value: plain(b.options[name].show()), Origin: OriginDefault}
	if name == "pass_authorization" && s.asksItself(b.at) {
		return o // keepCredentials
	}
	for _, outer := range around {
		if _, set := s.values[outer.at][name]; set {
			o.Origin, o.At, o.From = OriginInherited, placeOf(s.places[outer.at][name]), outer.title()
			break
		}
	}
	return o
}

// asksItself says whether a block sets an auth_type that asks for passwords.
func (s *Source) asksItself(block hcl.Range) bool {
	kind, set := s.values[block]["auth_type"]
	return set && kind.AsString() != string(AuthNone)
}

func (b modelBlock) title() string {
	if b.label == "" {
		return b.kind
	}
	return fmt.Sprintf("%s %q", b.kind, b.label)
}

// plain is a value as encoding/json knows it.
func plain(v cty.Value) any {
	switch t := v.Type(); {
	case v.IsNull():
		return nil
	case t == cty.Bool:
		return v.True()
	case t == cty.Number:
		return json.Number(v.AsBigFloat().Text('f', -1)) // as go-cty makes text of it
	case t == cty.String:
		return restoreExpansions(v.AsString())
	case t.IsObjectType() || t.IsMapType():
		m := map[string]any{}
		for name, element := range v.AsValueMap() {
			m[restoreExpansions(name)] = plain(element)
		}
		return m
	}
	list := []any{}
	for _, element := range v.AsValueSlice() {
		list = append(list, plain(element))
	}
	return list
}
