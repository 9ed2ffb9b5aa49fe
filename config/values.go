package config

import (
	"math"
	"math/big"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// reader is how an option is read into the model, and how what the model holds
// is written: null where nothing is said.
type reader struct {
	// read leaves the model alone when the value is null (the default stays) or
	// wrong (a diagnostic is added).
	read func(*hcl.Attribute)
	show func() cty.Value
}

// value evaluates an attribute. No variables and no functions exist.
func (d *decoder) value(a *hcl.Attribute) (cty.Value, bool) {
	v, diags := a.Expr.Value(nil)
	d.diags = append(d.diags, diags...)
	if diags.HasErrors() || !v.IsWhollyKnown() || v.IsNull() {
		d.ignore(a, v.IsNull() && !diags.HasErrors())
		return cty.NilVal, false
	}
	return v, true
}

// wrong reports a value of the wrong kind.
func (d *decoder) wrong(a *hcl.Attribute, format string, arguments ...any) {
	d.ignore(a, false)
	d.add(a.Expr.Range(), "Wrong value", "Option %q "+format, append([]any{a.Name}, arguments...)...)
}

// text reads what a cty string holds, refusing what no path, name or
// environment can carry.
func (d *decoder) text(a *hcl.Attribute, v cty.Value) (string, bool) {
	if v.IsNull() || v.Type() != cty.String {
		d.wrong(a, "needs text in quotes.")
		return "", false
	}
	s := restoreExpansions(v.AsString())
	if strings.ContainsAny(s, "\x00\n\r\x01\x02") {
		d.wrong(a, "holds a NUL, a line end or another control character; take it out.")
		return "", false
	}
	return s, true
}

func (d *decoder) str(to *string) reader {
	return reader{func(a *hcl.Attribute) {
		if v, ok := d.value(a); ok {
			if s, ok := d.text(a, v); ok {
				*to = s
			}
		}
	}, func() cty.Value { return showText(*to) }}
}

func (d *decoder) boolean(to *bool) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		if v.Type() != cty.Bool {
			d.wrong(a, "is true or false, without quotes.")
			return
		}
		*to = v.True()
	}, func() cty.Value { return cty.BoolVal(*to) }}
}

// whole reads a whole number between low and high.
func (d *decoder) whole(a *hcl.Attribute, v cty.Value, low, high int64) (int64, bool) {
	if v.Type() == cty.Number {
		if n, accuracy := v.AsBigFloat().Int64(); accuracy == big.Exact && n >= low && n <= high {
			return n, true
		}
	}
	d.wrong(a, "is a whole number from %d to %d.", low, high)
	return 0, false
}

// inverted reads a truth value whose default is true, into a field that is false
// then.
func (d *decoder) inverted(to *bool) reader {
	return reader{func(a *hcl.Attribute) {
		value := !*to
		d.boolean(&value).read(a)
		*to = !value
	}, func() cty.Value { return cty.BoolVal(!*to) }}
}

// share reads a number from 0 to 1.
func (d *decoder) share(to *float64) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		if v.Type() == cty.Number {
			if n, _ := v.AsBigFloat().Float64(); n >= 0 && n <= 1 {
				*to = n
				return
			}
		}
		d.wrong(a, "is a number from 0 to 1, such as 0.1.")
	}, func() cty.Value { return cty.NumberFloatVal(*to) }}
}

func (d *decoder) integer(to *int, low, high int) reader {
	return reader{func(a *hcl.Attribute) {
		if v, ok := d.value(a); ok {
			if n, ok := d.whole(a, v, int64(low), int64(high)); ok {
				*to = int(n)
			}
		}
	}, func() cty.Value { return showInteger(*to, low, high) }}
}

// maxDuration is far more than any timeout is good for, and far from overflow.
const maxDuration = 365 * 24 * time.Hour

// duration reads a number of seconds, as mod_wsgi writes it, or text with a unit.
func (d *decoder) duration(to *time.Duration) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		var result time.Duration
		switch v.Type() {
		case cty.Number:
			seconds, _ := v.AsBigFloat().Float64()
			if math.Abs(seconds) > maxDuration.Seconds() {
				seconds = math.Copysign(2*maxDuration.Seconds(), seconds)
			}
			result = time.Duration(seconds * float64(time.Second))
		case cty.String:
			parsed, err := time.ParseDuration(v.AsString())
			if err != nil {
				d.wrong(a, `is a number of seconds, or a number with a unit in quotes such as "45s", "500ms" or "1h30m".`)
				return
			}
			result = parsed
		default:
			d.wrong(a, `is a number of seconds, or a number with a unit in quotes such as "45s", "500ms" or "1h30m".`)
			return
		}
		if result < 0 || result > maxDuration {
			d.wrong(a, "is a time from 0 to 365 days.")
			return
		}
		*to = result
	}, func() cty.Value { return showDuration(*to) }}
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15}) ?(B|kB|KB|MB|GB|KiB|MiB|GiB)?$`)

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// size reads a number of bytes, or text with a unit.
func (d *decoder) size(to *int64, low, high int64) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		if v.Type() == cty.Number {
			if n, ok := d.whole(a, v, low, high); ok {
				*to = n
			}
			return
		}
		var match []string
		if v.Type() == cty.String {
			match = sizePattern.FindStringSubmatch(v.AsString())
		}
		if match == nil {
			d.wrong(a, `is a number of bytes, or a whole number with a unit in quotes such as "64KiB", "8MiB" or "1MB".`)
			return
		}
		n, err := strconv.ParseInt(match[1], 10, 64)
		unit := sizeUnits[match[2]]
		if err != nil || n > math.MaxInt64/unit || n*unit < low || n*unit > high {
			d.wrong(a, "is a size from %d to %d bytes.", low, high)
			return
		}
		*to = n * unit
	}, func() cty.Value { return showSize(*to, low, high) }}
}

// octal reads permission bits, which are written as text so that nobody
// mistakes 22 for "022".
func (d *decoder) octal(a *hcl.Attribute) (int, bool) {
	v, ok := d.value(a)
	if !ok {
		return 0, false
	}
	if v.Type() == cty.String {
		if n, err := strconv.ParseUint(v.AsString(), 8, 16); err == nil && n <= 0o777 {
			return int(n), true
		}
	}
	example := "0660"
	if a.Name == "umask" {
		example = "0022"
	}
	d.wrong(a, `is an octal number in quotes from "0000" to "0777", such as %q.`, example)
	return 0, false
}

func (d *decoder) mode(to *os.FileMode) reader {
	return reader{func(a *hcl.Attribute) {
		if n, ok := d.octal(a); ok {
			*to = os.FileMode(n)
		}
	}, func() cty.Value { return showOctal(int(*to)) }}
}

// umask reads the bits that the processes of a group take away.
func (d *decoder) umask(to *int) reader {
	return reader{func(a *hcl.Attribute) {
		if n, ok := d.octal(a); ok {
			*to = n
		}
	}, func() cty.Value { return showOctal(*to) }}
}

// elements gives the elements of a list.
func (d *decoder) elements(a *hcl.Attribute) ([]cty.Value, bool) {
	v, ok := d.value(a)
	if !ok {
		return nil, false
	}
	if t := v.Type(); !t.IsTupleType() && !t.IsListType() {
		d.wrong(a, `is a list of texts: write ["…", "…"].`)
		return nil, false
	}
	return v.AsValueSlice(), true
}

// list reads a list of strings. An empty list is not nil.
func (d *decoder) list(to *[]string) reader {
	return reader{func(a *hcl.Attribute) {
		elements, ok := d.elements(a)
		if !ok {
			return
		}
		result := []string{}
		for _, element := range elements {
			s, ok := d.text(a, element)
			if !ok {
				return
			}
			if s == "" {
				d.wrong(a, "holds an empty text; take it out.")
				return
			}
			result = append(result, s)
		}
		*to = result
	}, func() cty.Value { return showTexts(*to) }}
}

// named reads a map of texts whose names have a form, which what describes.
// Numbers and truth values become text.
func (d *decoder) named(to *map[string]string, form *regexp.Regexp, what string) reader {
	return reader{func(a *hcl.Attribute) {
		v, ok := d.value(a)
		if !ok {
			return
		}
		if t := v.Type(); !t.IsObjectType() && !t.IsMapType() {
			d.wrong(a, `is a map: write { NAME = "value" }.`)
			return
		}
		result := map[string]string{}
		values := v.AsValueMap()
		for _, name := range sortedKeys(values) {
			element := values[name]
			name = restoreExpansions(name)
			if !form.MatchString(name) {
				d.wrong(a, "has the name %q, which is no name of %s.", name, what)
				continue
			}
			converted, err := convert.Convert(element, cty.String)
			if err != nil || converted.IsNull() {
				d.wrong(a, "needs a text as value of %s.", name)
				continue
			}
			if s, ok := d.text(a, converted); ok {
				result[name] = s
			}
		}
		*to = result
	}, func() cty.Value { return showEnvironment(*to) }}
}

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment reads a map of environment variables.
func (d *decoder) environment(to *map[string]string) reader {
	return d.named(to, environmentName, "an environment variable: letters, digits and _, not beginning with a digit")
}

// prefixes reads a list of IP addresses and networks. An empty list is not nil.
func (d *decoder) prefixes(to *[]netip.Prefix) reader {
	return reader{func(a *hcl.Attribute) {
		var texts []string
		d.list(&texts).read(a)
		if texts != nil {
			*to = []netip.Prefix{}
		}
		for _, text := range texts {
			if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
				*to = append(*to, netip.PrefixFrom(address, address.BitLen()))
				continue
			}
			prefix, err := netip.ParsePrefix(text)
			switch {
			case err != nil:
				d.wrong(a, `holds %q; it takes IP addresses and networks, such as "192.0.2.10" or "10.0.0.0/8".`, text)
			case prefix != prefix.Masked():
				d.wrong(a, "holds %q, an address inside a network; did you mean %q?", text, prefix.Masked().String())
			default:
				*to = append(*to, prefix)
			}
		}
	}, func() cty.Value { return showPrefixes(*to) }}
}

// sortedKeys gives the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
