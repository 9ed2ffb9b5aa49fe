package wire

import "time"

// Tracing is what the router does about traces (W3C Trace Context) and spans.
type Tracing struct {
	// Replace: a traceparent that comes with a request does not count.
	Replace bool `json:"replace,omitempty"`
	// Sample is the share, 0 to 1, of the traces begun here that are recorded.
	Sample float64 `json:"sample"`
	// Endpoint is the URL that spans are sent to; empty: there are none.
	Endpoint string `json:"endpoint,omitempty"`
	// Headers of what is sent there, Resource the attributes of who sends it, and
	// Timeout how long one request there may take.
	Headers  map[string]string `json:"headers,omitempty"`
	Resource map[string]string `json:"resource,omitempty"`
	Timeout  time.Duration     `json:"timeout,omitempty"`
}

// SpanStatus is what has become of the spans since the router started.
type SpanStatus struct {
	Exported uint64 `json:"exported"`
	// Dropped: the collector took them too slowly, or not at all.
	Dropped uint64 `json:"dropped"`
}
