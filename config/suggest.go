package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// blockNames are the blocks of a configuration, in the order of the reference.
var blockNames = []string{"listen", "router", "daemon_process", "interpreter_options", "script_alias", "script_alias_match", "script_root", "handler_script", "virtual_host", "import_script", "dispatch", "dispatch_script",
	"auth_user_script", "auth_group_script", "access_script", "control", "monitor", "tracing", "log", accessLog}

// similar gives the word nearest to name, or "" when none is near enough.
// mod_wsgi writes its options with hyphens; those are near by nature.
func similar(name string, words []string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	best, distance := "", 3 // two slips; a third makes another word
	for _, word := range words {
		if d := levenshtein.Distance(name, word, nil); d < distance {
			best, distance = word, d
		}
	}
	return best
}

// didYouMean ends a message about an unknown word.
func didYouMean(name string, words []string) string {
	if word := similar(name, words); word != "" {
		return fmt.Sprintf("; did you mean %q?", word)
	}
	return "."
}

// unknownAtTop is the message for an attribute outside every block.
func unknownAtTop(name string) string {
	if slices.Contains(blockNames, name) {
		return fmt.Sprintf("%q is a block: write %s { … }, without an equals sign.", name, name)
	}
	return fmt.Sprintf("There is no option %q outside of blocks%s", name, didYouMean(name, append([]string{"include"}, blockNames...)))
}

// unknownBlock is the message for a block that does not exist.
func unknownBlock(name string) string {
	if name == "include" {
		return `"include" is an option: write include = ["conf.d/*.hcl"].`
	}
	return fmt.Sprintf("There is no block %q%s", name, didYouMean(name, blockNames))
}

// checkNames reports what a block holds but does not know: neither one of the
// options nor one of the blocks. where is how messages call the block.
func (d *decoder) checkNames(where string, body *hclsyntax.Body, options, blocks []string) {
	for _, attribute := range sortedAttributes(body) {
		if slices.Contains(options, attribute.Name) {
			continue
		}
		if slices.Contains(blocks, attribute.Name) {
			d.add(attribute.NameRange, "Unknown option", "%q is a block inside %s: write it without an equals sign.", attribute.Name, where)
			continue
		}
		ending := elsewhere(where, attribute.Name)
		if ending == "" {
			ending = ofModWSGI(where, attribute.Name)
		}
		if ending == "" {
			ending = didYouMean(attribute.Name, slices.Concat(options, blocks))
		}
		d.add(attribute.NameRange, "Unknown option", "There is no option %q in %s%s", attribute.Name, where, ending)
	}
	for _, block := range body.Blocks {
		if slices.Contains(blocks, block.Type) {
			continue
		}
		if slices.Contains(options, block.Type) {
			d.add(block.TypeRange, "Unknown block", "%q is an option of %s: write %s = ….", block.Type, where, block.Type)
			continue
		}
		ending := elsewhere(where, block.Type)
		switch {
		case ending != "":
		case slices.Contains(blockNames, block.Type):
			ending = "; it stands by itself, outside of other blocks."
		default:
			ending = didYouMean(block.Type, blocks)
		}
		d.add(block.TypeRange, "Unknown block", "There is no block %q in %s%s", block.Type, where, ending)
	}
}
