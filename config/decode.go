package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// decoder turns blocks into the model, on top of the defaults. It goes on
// after an error, so that all of them are reported at once.
type decoder struct {
	diags  hcl.Diagnostics
	config Config
	// places says where the options of the block with this range stand.
	places map[hcl.Range]map[string]hcl.Range
	// unread are the options whose value is null (true) or could not be read:
	// they count as not given, so that one mistake gives one message.
	unread map[hcl.Range]bool
	// source is what Effective needs of what was read.
	source Source
	// orders counts the blocks that have scripts imported.
	orders int
	// landlocks are the landlock blocks of daemon_process blocks, by the range
	// of these.
	landlocks map[hcl.Range]hcl.Range
	// single remembers the blocks that may occur once.
	single map[string]hcl.Range
}

// add reports an error at a place.
func (d *decoder) add(at hcl.Range, summary, format string, arguments ...any) {
	d.diags = append(d.diags, problem(at, summary, fmt.Sprintf(format, arguments...)))
}

// warn reports what is allowed but hardly meant.
func (d *decoder) warn(at hcl.Range, summary, format string, arguments ...any) {
	w := problem(at, summary, fmt.Sprintf(format, arguments...))
	w.Severity = hcl.DiagWarning
	d.diags = append(d.diags, w)
}

// decodeBlocks decodes the top-level blocks, in file order.
func (d *decoder) decodeBlocks(blocks []*hclsyntax.Block) {
	d.single = map[string]hcl.Range{}
	for _, block := range blocks {
		switch block.Type {
		case "listen":
			d.decodeListen(block)
		case "router":
			d.decodeRouter(block)
		case "daemon_process":
			d.decodeDaemonProcess(block)
		case "interpreter_options":
			d.decodeInterpreterBlock(block)
		case scriptAlias, scriptAliasMatch, scriptRoot, handlerScript:
			d.decodeScriptAlias(block, &d.config.ScriptAliases)
		case "virtual_host":
			d.decodeVirtualHost(block)
		case "import_script":
			d.decodeImportScript(block)
		case "dispatch":
			d.decodeDispatch(block)
		case "dispatch_script":
			d.decodeDispatchScript(block)
		case "auth_user_script", "auth_group_script", "access_script":
			d.decodeAuthScript(block)
		case "monitor":
			d.decodeMonitor(block)
		case "tracing":
			d.decodeTracing(block)
		case "control":
			d.decodeControl(block)
		case "log":
			d.decodeLog(block)
		case accessLog:
			d.decodeAccessLog(block, &d.config.AccessLogs)
		default:
			d.add(block.TypeRange, "Unknown block", "%s", unknownBlock(block.Type))
		}
	}
}

// options are the readers of a block's options by name: what the block knows
// and how each is read, in one place.
type options map[string]reader

// decodeBody reads the options of a block into the model and remembers where
// each stands. nested are the blocks it may hold, which the caller reads. It
// returns the range that the block is known by.
func (d *decoder) decodeBody(where string, block *hclsyntax.Block, known options, nested ...string) hcl.Range {
	at := block.DefRange()
	d.checkNames(where, block.Body, sortedKeys(known), nested)
	places := map[string]hcl.Range{}
	for _, attribute := range sortedAttributes(block.Body) {
		places[attribute.Name] = attribute.SrcRange
		if option, ok := known[attribute.Name]; ok {
			option.read(attribute.AsHCLAttribute())
		}
	}
	d.places[at] = places
	d.remember(at, block.Body)
	return at
}

// label gives the one label that a block needs. what says what it is and
// example how it is written.
func (d *decoder) label(block *hclsyntax.Block, what, example string) (string, bool) {
	if len(block.Labels) != 1 {
		article := "A"
		if strings.ContainsRune("aeiou", rune(block.Type[0])) {
			article = "An"
		}
		d.add(block.DefRange(), "Wrong block header", "%s %s block has exactly one label, %s: write %s { … }.", article, block.Type, what, example)
		return "", false
	}
	label := restoreExpansions(block.Labels[0])
	if strings.ContainsAny(label, "\x00\n\r") {
		d.add(block.LabelRanges[0], "Wrong block header", "The label of %s holds a NUL or a line end.", block.Type)
		return "", false
	}
	return label, true
}

// once reports a second block of a kind that may occur once, and labels where
// there are none. It returns false if the block is to be left out.
func (d *decoder) once(block *hclsyntax.Block, labels int) bool {
	if first, found := d.single[block.Type]; found {
		d.add(block.DefRange(), "Duplicate block", "There is one %s block in a configuration; the first is at %s:%d.", block.Type, first.Filename, first.Start.Line)
		return false
	}
	d.single[block.Type] = block.DefRange()
	if labels == 0 && len(block.Labels) > 0 {
		d.add(block.DefRange(), "Wrong block header", "A %s block has no label: write %s { … }.", block.Type, block.Type)
	}
	return true
}

// place is where an option of the block at a range stands, or the block itself.
func (d *decoder) place(block hcl.Range, option string) hcl.Range {
	if at, ok := d.places[block][option]; ok {
		return at
	}
	return block
}

// written says whether an option of the block at a range is there at all.
func (d *decoder) written(block hcl.Range, option string) bool {
	_, ok := d.places[block][option]
	return ok
}

// given says whether an option of the block at a range has a value that was read.
func (d *decoder) given(block hcl.Range, option string) bool {
	at, ok := d.places[block][option]
	_, bad := d.unread[at]
	return ok && !bad
}

// need reports an option without which the block makes no sense; called when
// the block has been read.
func (d *decoder) need(block hcl.Range, where, option, example string) {
	if !d.written(block, option) || d.unread[d.place(block, option)] {
		d.add(block, "Missing option", "%s needs the option %q, such as %s = %q.", where, option, option, example)
	}
}

// ignore makes an option count as not given.
func (d *decoder) ignore(a *hcl.Attribute, null bool) {
	if d.unread == nil {
		d.unread = map[hcl.Range]bool{}
	}
	d.unread[a.Range] = null
}
