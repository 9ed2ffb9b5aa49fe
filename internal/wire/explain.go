package wire

// Question asks what would become of a made-up request (TypeExplain).
type Question struct {
	Method string `json:"method"`
	// URI is the request target as a client sends it: path and query.
	URI  string `json:"uri"`
	Host string `json:"host"` // the Host header; empty: none
	// Headers are request headers, Parameters what the configuration of the
	// front server adds to those that it makes of a request.
	Headers    []NameValue `json:"headers,omitempty"`
	Parameters []NameValue `json:"parameters,omitempty"`
	// Listener is the one that the request seems to come in by.
	Listener Listener `json:"listener"`
}

// NameValue is a header or a parameter.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Explanation is how the router decides about a request, step by step. Bytes
// that are no text are escaped.
type Explanation struct {
	RequestID string `json:"request_id"`
	Path      string `json:"path"` // of the URL, decoded and without dot segments
	// Host is the index of the virtual host, -1: none.
	Host int `json:"host"`
	// Tried are the mounts that were compared with the URL, in this order; the
	// last one matched if Mount names it.
	Tried []MountIndex `json:"tried"`
	Mount *MountIndex  `json:"mount,omitempty"`
	// ByFront: not the URL, the front server's SCRIPT_FILENAME chose the mount.
	ByFront    bool   `json:"by_front,omitempty"`
	Script     string `json:"script,omitempty"` // the file that is to run
	ScriptName string `json:"script_name"`
	PathInfo   string `json:"path_info"`
	// Overridden are the options that parameters of the front server set.
	Overridden []string `json:"overridden,omitempty"`
	// Static is the decision of the configuration, expanded.
	Static   *Choice         `json:"static,omitempty"`
	Dispatch *DispatchReport `json:"dispatch,omitempty"`
	// Decision is where the request would go, if nothing refuses it.
	Decision *Choice  `json:"decision,omitempty"`
	Refusal  *Refusal `json:"refusal,omitempty"`
	// Environ is what application and dispatch script see of the request.
	Environ []NameValue `json:"environ,omitempty"`
}

// MountIndex names a mount: of the virtual host with that index, or, with -1,
// a global one. Those that a host inherits with its own options come behind
// those that it has.
type MountIndex struct {
	Host  int `json:"host"`
	Index int `json:"index"`
}

// Choice is a process group ("" is embedded mode), an application group ("" is
// the main interpreter) and a callable object.
type Choice struct {
	ProcessGroup     string `json:"process_group"`
	ApplicationGroup string `json:"application_group"`
	CallableObject   string `json:"callable_object"`
}

// DispatchReport is what a dispatch script said.
type DispatchReport struct {
	Script           string `json:"script"`
	ApplicationGroup string `json:"application_group"` // that it ran in
	// Returned is nil when it did not come that far: the refusal says why.
	Returned  *Returned `json:"returned,omitempty"`
	LoadError string    `json:"load_error,omitempty"` // why the file cannot be loaded
}

// Returned are the answers of the functions of a dispatch script; nil: None, or
// there is no such function.
type Returned struct {
	ProcessGroup     *string `json:"process_group"`
	ApplicationGroup *string `json:"application_group"`
	CallableObject   *string `json:"callable_object"`
}

// Refusal is an answer of the router itself.
type Refusal struct {
	Code   string `json:"code"`
	Status int    `json:"status"`
	Title  string `json:"title"`
	// Details are the fields of the log line.
	Details []NameValue `json:"details,omitempty"`
}
