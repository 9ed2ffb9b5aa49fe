package wire

import "slices"

// Override is an option of a mount that the web server's own configuration may
// set for a request, by the parameter WSGID_ and its name in capitals.
type Override struct {
	Option string
	// Default: allow_override has it unless it says otherwise. These are what
	// mod_wsgi lets an .htaccess file set, whose author need not be the
	// administrator, and what can only take something away.
	Default bool
	// Asking: it counts when the web server asks who is let in, and only then.
	Asking bool
}

// Overrides are all of them; package dispatch says what each does.
var Overrides = []Override{
	{"accept_path_info", true, false},
	{"access_script", true, true},
	{"application_group", false, false},
	{"auth_group_script", true, true},
	{"auth_user_script", true, true},
	{"callable_object", true, false},
	{"chunked_request", true, false},
	{"dispatch_script", false, false},
	{"error_override", true, false},
	{"ignore_activity", true, false},
	{"map_head_to_get", true, false},
	{"pass_authorization", true, false},
	{"process_group", false, false},
	{"require", true, true},
	{"restrict_process", true, false},
	{"script_reloading", true, false},
	{"trusted_proxies", true, false},
	{"trusted_proxy_headers", true, false},
}

// AskingOverrides are those of the options named that count when the web
// server asks.
func AskingOverrides(named []string) []string {
	var names []string
	for _, o := range Overrides {
		if o.Asking && slices.Contains(named, o.Option) {
			names = append(names, o.Option)
		}
	}
	return names
}

// OverrideNames are the options of all overrides, or of those by default.
func OverrideNames(all bool) []string {
	var names []string
	for _, o := range Overrides {
		if all || o.Default {
			names = append(names, o.Option)
		}
	}
	return names
}
