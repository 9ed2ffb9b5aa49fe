package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// ErrorDocuments are what clients get for errors that wsgid finds, by HTTP status: the
// absolute path of a file, the URL that they are sent to, or the text itself; empty:
// wsgid's own page.
type ErrorDocuments map[int]string

// errorDocuments reads a map of them.
func (d *decoder) errorDocuments(to *ErrorDocuments) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		if t := v.Type(); !t.IsObjectType() && !t.IsMapType() {
			d.wrong(a, `is a map: write { 500 = "/srv/www/500.html" }.`)
			return
		}
		result := ErrorDocuments{}
		values := v.AsValueMap()
		for _, name := range sortedKeys(values) {
			status, err := strconv.Atoi(name)
			if err != nil || status < 400 || status > 599 {
				d.wrong(a, "has %q, which is no HTTP status of an error: 400 to 599.", name)
				continue
			}
			converted, err := convert.Convert(values[name], cty.String)
			if err != nil || converted.IsNull() {
				d.wrong(a, "needs a text as value of %s.", name)
				continue
			}
			if s, ok := d.text(a, converted); ok {
				result[status] = s
			}
		}
		*to = result
	}, func() cty.Value { return showErrorDocuments(*to) }}
}

func showErrorDocuments(documents ErrorDocuments) cty.Value {
	if len(documents) == 0 {
		return cty.EmptyObjectVal
	}
	values := map[string]cty.Value{}
	for status, document := range documents {
		values[strconv.Itoa(status)] = showText(document)
	}
	return cty.ObjectVal(values)
}

// errorDocument validates those of a block.
func (v *validator) errorDocument(block hcl.Range, documents ErrorDocuments) {
	if !v.given(block, "error_document") {
		return
	}
	at := v.place(block, "error_document")
	for _, status := range slices.Sorted(maps.Keys(documents)) {
		document := documents[status]
		switch {
		case strings.HasPrefix(document, "/"):
			info, err := os.Stat(document)
			if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
				v.warn(at, "No file", "error_document: there is no file %s; until there is, wsgid's own page is sent with status %d.", document, status)
			}
		case isURL(document) && strings.ContainsFunc(document, func(r rune) bool { return r <= ' ' || r > '~' }):
			v.add(at, "Wrong value", "error_document: the URL for %d has a character that must be written as %%XX: %q.", status, document)
		case status == 401 && isURL(document):
			v.add(at, "Wrong value", "error_document: a client that is sent to another URL is not asked for its password: name a file or a text for 401.")
		}
	}
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}
