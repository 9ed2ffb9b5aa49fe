package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// What readers write: values that the same reader reads back. Nothing said is null.

func showText(text string) cty.Value {
	if text == "" {
		return cty.NullVal(cty.String)
	}
	return cty.StringVal(text)
}

func showOptional(value *bool) cty.Value {
	if value == nil {
		return cty.NullVal(cty.Bool)
	}
	return cty.BoolVal(*value)
}

func showOptionalInteger(n *int) cty.Value {
	if n == nil {
		return cty.NullVal(cty.Number)
	}
	return cty.NumberIntVal(int64(*n))
}

// showInteger takes what the option could not be set to for nothing said.
func showInteger(n, low, high int) cty.Value {
	if n < low || n > high {
		return cty.NullVal(cty.Number)
	}
	return cty.NumberIntVal(int64(n))
}

// showDuration writes "1h30m" where Go writes "1h30m0s".
func showDuration(d time.Duration) cty.Value {
	text := d.String()
	for _, zero := range []string{"0s", "0m"} {
		if cut, found := strings.CutSuffix(text, zero); found && cut != "" && strings.ContainsAny(cut[len(cut)-1:], "hm") {
			text = cut
		}
	}
	return cty.StringVal(text)
}

// showSize uses the largest unit without a remainder. What the option could not
// be set to is nothing said.
func showSize(n, low, high int64) cty.Value {
	if n < low || n > high {
		return cty.NullVal(cty.Number)
	}
	for _, unit := range []string{"GiB", "MiB", "KiB"} {
		if of := sizeUnits[unit]; n >= of && n%of == 0 {
			return cty.StringVal(strconv.FormatInt(n/of, 10) + unit)
		}
	}
	return cty.NumberIntVal(n)
}

func showOctal(bits int) cty.Value { return cty.StringVal(fmt.Sprintf("%04o", bits)) }

func showTexts(texts []string) cty.Value {
	if texts == nil {
		return cty.NullVal(cty.List(cty.String))
	}
	values := make([]cty.Value, len(texts))
	for i, text := range texts {
		values[i] = cty.StringVal(text)
	}
	return cty.TupleVal(values)
}

func showPrefixes(prefixes []netip.Prefix) cty.Value {
	var texts []string
	if prefixes != nil {
		texts = []string{}
	}
	for _, prefix := range prefixes {
		texts = append(texts, prefix.String())
	}
	return showTexts(texts)
}

func showPorts(ports []int) cty.Value {
	if ports == nil {
		return cty.NullVal(cty.List(cty.Number))
	}
	values := make([]cty.Value, len(ports))
	for i, port := range ports {
		values[i] = cty.NumberIntVal(int64(port))
	}
	return cty.TupleVal(values)
}

func showEnvironment(variables map[string]string) cty.Value {
	if variables == nil {
		return cty.NullVal(cty.Map(cty.String))
	}
	values := map[string]cty.Value{}
	for name, value := range variables {
		values[name] = cty.StringVal(value)
	}
	return cty.ObjectVal(values)
}

func showHashSeed(seed string) cty.Value {
	if n, err := strconv.ParseUint(seed, 10, 32); err == nil {
		return cty.NumberUIntVal(n)
	}
	return showText(seed)
}
