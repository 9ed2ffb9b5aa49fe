package apacheconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// context is where a directive may stand, a set.
type context uint8

const (
	inMain    context = 1 << iota // main server
	inHost                        // <VirtualHost>
	inDir                         // <Directory>, <Location>, <Files> and the like
	inAccess                      // .htaccess
	inOptions                     // <WSGIInterpreterOptions>

	global     = inMain
	servers    = inMain | inHost
	everywhere = servers | inDir
	requests   = everywhere | inAccess
	auth       = inDir | inAccess | servers // the parser takes the last two, which do nothing
)

// form is what a directive takes.
type form uint8

const (
	onOff  form = iota
	one         // one word
	more        // one or several
	script      // a path and options
	alias       // URL, target and options
	named       // name, target and options
	daemon      // a name and options
	container
	nothing // whatever stands there: it is gone
)

// kind describes a directive of mod_wsgi (behaviour spec section 1).
type kind struct {
	context context
	form    form
	options []string // of form script and the like
	since   int      // major version of mod_wsgi that it came with, 0: 4 or before
	removed string   // why there is none any more
}

var groupOptions = []string{"process-group", "application-group"}

var directives = map[string]kind{
	"WSGIScriptAlias":      {servers, alias, append(groupOptions[:2:2], "callable-object", "pass-authorization"), 0, ""},
	"WSGIScriptAliasMatch": {servers, alias, append(groupOptions[:2:2], "callable-object", "pass-authorization"), 0, ""},
	"WSGIHandlerScript":    {everywhere, named, append(groupOptions[:2:2], "pass-authorization"), 0, ""},
	"WSGIImportScript":     {servers, script, groupOptions, 0, ""},
	"WSGIDispatchScript":   {everywhere, script, groupOptions[1:], 0, ""},
	"WSGIProcessGroup":     {everywhere, one, nil, 0, ""},
	"WSGIApplicationGroup": {everywhere, one, nil, 0, ""},
	"WSGICallableObject":   {requests, one, nil, 0, ""},
	"WSGIRestrictProcess":  {everywhere, more, nil, 0, ""},
	"WSGIRestrictEmbedded": {global, onOff, nil, 0, ""},
	"WSGICaseSensitivity":  {global, onOff, nil, 0, ""},
	"WSGIScriptReloading":  {requests, onOff, nil, 0, ""},
	"WSGISocketPrefix":     {global, one, nil, 0, ""},
	"WSGISocketRotation":   {global, onOff, nil, 0, ""},
	"WSGIAcceptMutex":      {global, one, nil, 0, ""},

	"WSGIDaemonProcess":    {servers, daemon, nil, 0, ""},
	"WSGIServerMetrics":    {global, onOff, nil, 0, ""},
	"WSGIIgnoreActivity":   {requests, onOff, nil, 0, ""},
	"WSGITelemetryService": {global, script, []string{"interval"}, 6, ""},
	"WSGISlowRequests":     {global, one, nil, 6, ""},
	"WSGITelemetryOptions": {global, more, nil, 6, ""},
	"WSGIVerboseDebugging": {global, onOff, nil, 0, ""},

	"WSGIPythonHome":         {global, one, nil, 0, ""},
	"WSGIPythonPath":         {global | inOptions, one, nil, 0, ""},
	"WSGIPythonEggs":         {global, one, nil, 0, ""},
	"WSGIPythonOptimize":     {global, one, nil, 0, ""},
	"WSGIPythonWarnings":     {global, one, nil, 0, ""},
	"WSGIPythonHashSeed":     {global, one, nil, 0, ""},
	"WSGIDontWriteBytecode":  {global, onOff, nil, 0, ""},
	"WSGISwitchInterval":     {global | inOptions, one, nil, 0, ""},
	"WSGIDestroyInterpreter": {global, onOff, nil, 0, ""},
	"WSGIPerInterpreterGIL":  {global | inOptions, onOff, nil, 6, ""},
	"WSGIFreeThreading":      {global | inOptions, onOff, nil, 6, ""},
	"WSGIInterpreterOptions": {global, container, groupOptions, 6, ""},
	"WSGIRestrictStdin":      {global | inOptions, onOff, nil, 0, ""},
	"WSGIRestrictStdout":     {global | inOptions, onOff, nil, 0, ""},
	"WSGIRestrictSignal":     {global | inOptions, onOff, nil, 0, ""},

	"WSGIPassAuthorization":   {requests, onOff, nil, 0, ""},
	"WSGIPassApacheRequest":   {everywhere, onOff, nil, 0, ""},
	"WSGIChunkedRequest":      {requests, onOff, nil, 0, ""},
	"WSGIMapHEADToGET":        {requests, one, nil, 0, ""},
	"WSGIErrorOverride":       {requests, onOff, nil, 0, ""},
	"WSGIEnableSendfile":      {requests, onOff, nil, 0, ""},
	"WSGITrustedProxyHeaders": {requests, more, nil, 0, ""},
	"WSGITrustedProxies":      {requests, more, nil, 0, ""},

	"WSGIAccessScript":       {auth, script, groupOptions[1:], 0, ""},
	"WSGIAuthUserScript":     {auth, script, groupOptions[1:], 0, ""},
	"WSGIAuthGroupScript":    {auth, script, groupOptions[1:], 0, ""},
	"WSGIGroupAuthoritative": {auth, onOff, nil, 0, ""},

	"WSGILazyInitialization":  {global, nothing, nil, 0, "Python is always started when it is needed first"},
	"WSGIPy3kWarningFlag":     {global, nothing, nil, 0, "it was for Python 2"},
	"WSGINewRelicConfigFile":  {global, nothing, nil, 0, "New Relic's agent is started in the script, or by newrelic-admin"},
	"WSGINewRelicEnvironment": {global, nothing, nil, 0, "New Relic's agent is started in the script, or by newrelic-admin"},
	"WSGIApplicationWrapper":  {everywhere, nothing, nil, 0, "the script itself wraps its application"},
	"WSGIReloadMechanism":     {everywhere, nothing, nil, 0, "mod_wsgi 3 has taken it out: processes are replaced"},
}

// directiveNames in order.
var directiveNames = func() (names []string) {
	for name := range directives {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()

// lookup finds a directive of mod_wsgi in any case; ok is false for others.
func lookup(name string) (known string, k kind, ok bool) {
	for _, known := range directiveNames {
		if equalFold(known, name) {
			return known, directives[known], true
		}
	}
	return "", kind{}, false
}

// Removed says why mod_wsgi has no directive of this name any more; empty: it has, or
// never had.
func Removed(name string) string {
	_, k, _ := lookup(name)
	return k.removed
}

// OfWSGI says whether a name looks like one of mod_wsgi's.
func OfWSGI(name string) bool { return len(name) > 4 && equalFold(name[:4], "WSGI") }

// similar is the word that somebody may have meant; empty: none.
func similar(name string, words []string) string {
	best, distance := "", 4
	for _, word := range words {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(word), nil); d < distance {
			best, distance = word, d
		}
	}
	return best
}

// where says in words where a directive may stand.
func (c context) where() string {
	var places []string
	for _, p := range []struct {
		context context
		name    string
	}{
		{inMain, "at server level"}, {inHost, "in <VirtualHost>"}, {inDir, "in <Directory>, <Location> and <Files>"},
		{inAccess, "in .htaccess"}, {inOptions, "in <WSGIInterpreterOptions>"},
	} {
		if c&p.context != 0 {
			places = append(places, p.name)
		}
	}
	if len(places) > 1 {
		last := len(places) - 1
		return strings.Join(places[:last], ", ") + " and " + places[last]
	}
	return strings.Join(places, "")
}

// check validates name, place and arguments as Apache does when it starts; the
// error ends the start there. Directives of others are not looked at.
func (i *Item) check(access bool) (known string, k kind, problem *SyntaxError) {
	if !OfWSGI(i.Name) {
		return "", kind{}, nil
	}
	known, k, ok := lookup(i.Name)
	if !ok {
		hint := "take it out"
		if word := similar(i.Name, directiveNames); word != "" {
			hint = "did you mean " + word + "?"
		}
		return "", kind{}, i.Problem(hint, "mod_wsgi has no directive %s", i.Name)
	}
	if k.form == nothing {
		return known, k, nil
	}
	if here := i.context(access); here&k.context == 0 {
		return known, k, i.Problem("move it", "%s may stand %s only", known, k.context.where())
	}
	if (k.form == container) != (i.Node.Kind == Section) {
		return known, k, i.Problem(map[bool]string{true: "write <" + known + " …> … </" + known + ">", false: "write it without < and >"}[k.form == container], "%s is %s section", known, map[bool]string{true: "a", false: "no"}[k.form == container])
	}
	if problem := i.checkArguments(known, k); problem != nil {
		return known, k, problem
	}
	return known, k, i.checkValues(known)
}

// context is the innermost section that counts.
func (i *Item) context(access bool) context {
	for p := i.Parent; p != nil; p = p.Parent {
		switch {
		case p.Is("WSGIInterpreterOptions"):
			return inOptions
		case p.Is("VirtualHost"):
			return inHost
		case p.DirectoryContext():
			return inDir
		}
	}
	if access {
		return inAccess
	}
	return inMain
}

// DirectoryContext says whether a section is a directory context (ap_directory_walk and
// its relatives).
func (i *Item) DirectoryContext() bool {
	if i.Node.Kind != Section {
		return false
	}
	for _, name := range []string{"Directory", "DirectoryMatch", "Location", "LocationMatch", "Files", "FilesMatch", "If", "ElseIf", "Else", "Limit", "LimitExcept", "Proxy", "ProxyMatch"} {
		if i.Is(name) {
			return true
		}
	}
	return false
}

// positional is how many words stand before the options of a directive that has
// some.
func (f form) positional() (n int, options bool) {
	switch f {
	case alias, named:
		return 2, true
	case script, daemon:
		return 1, true
	case container:
		return 0, true
	}
	return 0, false
}

func (i *Item) checkArguments(known string, k kind) *SyntaxError {
	least, most := 1, 1
	switch k.form {
	case more, script, daemon:
		most = 1 << 30
	case alias, named:
		least, most = 2, 1<<30
	case container:
		least, most = 0, 1<<30
	}
	if n := len(i.Words); n < least || n > most {
		if comment := slices.IndexFunc(i.Words, func(w string) bool { return strings.HasPrefix(w, "#") }); comment > 0 {
			return i.Problem("put the comment on a line of its own", "a comment cannot stand behind a directive")
		}
		return i.Problem("", "%s takes %s, and there are %d", known, map[bool]string{true: fmt.Sprintf("%d arguments", least), false: fmt.Sprintf("at least %d", least)}[least == most], n)
	}
	if n, options := k.form.positional(); options {
		i.Words = optionWords(i.Args, n)
	}
	switch k.form {
	case onOff:
		if !flag(i.Words[0]) {
			return i.Problem("write On or Off", "%q is neither On nor Off", i.Words[0])
		}
	case script:
		return i.checkOptions(k.options, 1)
	case alias, named:
		return i.checkOptions(k.options, 2)
	case container:
		return i.checkOptions(k.options, 0)
	case daemon:
		return i.checkOptions(daemonOptionNames, 1)
	}
	return nil
}

// checkOptions validates the words from the n-th on: name=value.
func (i *Item) checkOptions(known []string, n int) *SyntaxError {
	for _, word := range i.Words[n:] {
		name, value, ok := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, "#"):
			return i.Problem("put the comment on a line of its own", "a comment cannot stand behind a directive")
		case !ok:
			return i.Problem("write name=value without blanks around =; a value with blanks stands in quotes", "%q is no option", word)
		case !slices.Contains(known, name):
			hint := "there are " + strings.Join(known, ", ")
			if word := similar(name, known); word != "" {
				hint = "did you mean " + word + "?"
			}
			return i.Problem(hint, "there is no option %q", name)
		}
		if problem := i.checkOption(name, value); problem != nil {
			return problem
		}
	}
	return nil
}

// Option is the value of a name=value word from the n-th on, the last of several.
func (i *Item) Option(name string, n int) (value string, given bool) {
	for _, word := range i.Words[min(n, len(i.Words)):] {
		if before, after, ok := strings.Cut(word, "="); ok && before == name {
			value, given = after, true
		}
	}
	return value, given
}
