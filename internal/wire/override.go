package wire

// Override is an option of a mount that the web server's own configuration may
// set for a request, by the parameter WSGID_ and its name in capitals.
type Override struct {
	Option string
	// Default: allow_override has it unless it says otherwise. These are what
	// mod_wsgi lets an .htaccess file set, whose author need not be the
	// administrator, and what can only take something away.
	Default bool
}

// Overrides are all of them; package dispatch says what each does.
var Overrides = []Override{
	{"accept_path_info", true},
	{"application_group", false},
	{"callable_object", true},
	{"chunked_request", true},
	{"dispatch_script", false},
	{"error_override", true},
	{"ignore_activity", true},
	{"map_head_to_get", true},
	{"pass_authorization", true},
	{"process_group", false},
	{"restrict_process", true},
	{"script_reloading", true},
	{"trusted_proxies", true},
	{"trusted_proxy_headers", true},
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
