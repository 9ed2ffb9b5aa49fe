package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Traceparent says whether the trace of a request that has one goes on.
type Traceparent string

// Values of traceparent.
const (
	TraceparentAccept  Traceparent = "accept"  // it does
	TraceparentReplace Traceparent = "replace" // every request begins a new one
)

// Tracing is the tracing block: traces, and the spans that are sent.
type Tracing struct {
	// Traceparent, default accept.
	Traceparent Traceparent
	// Sample is the share of the traces begun here that are recorded, default 1.
	Sample float64
	// Endpoint is the URL of a collector that speaks OTLP over HTTP; empty: no
	// spans. Headers are sent along.
	Endpoint string
	Headers  map[string]string
	// ServiceName, default wsgid, and Resource: the attributes of the spans' sender.
	ServiceName string
	Resource    map[string]string
	// Timeout, default 10 s, of one request to the collector.
	Timeout time.Duration
	Range   hcl.Range `json:"-"`
}

var (
	headerName    = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)
)

// tracingOptions are those of tracing { … }.
func (d *decoder) tracingOptions(o *Tracing) options {
	return options{
		"traceparent":  d.str((*string)(&o.Traceparent)),
		"sample":       d.share(&o.Sample),
		"endpoint":     d.str(&o.Endpoint),
		"headers":      d.named(&o.Headers, headerName, "a header"),
		"service_name": d.str(&o.ServiceName),
		"resource":     d.named(&o.Resource, attributeName, "an attribute: letters, digits, dots, _ and -, beginning with a letter"),
		"timeout":      d.duration(&o.Timeout),
	}
}

func (d *decoder) decodeTracing(block *hclsyntax.Block) {
	if d.once(block, 0) {
		o := defaultTracing()
		o.Range = d.decodeBody("tracing", block, d.tracingOptions(&o))
		d.config.Tracing = &o
	}
}

// SpansURL is where spans are sent, as the OTLP specification makes it from an
// endpoint.
func (o *Tracing) SpansURL() string { return strings.TrimSuffix(o.Endpoint, "/") + "/v1/traces" }

// ownHeaders are those that the exporter itself sets.
var ownHeaders = []string{"content-type", "content-length", "transfer-encoding", "content-encoding", "connection", "host"}

// tracing validates the tracing block.
func (v *validator) tracing(o *Tracing) {
	if o.Traceparent != TraceparentAccept && o.Traceparent != TraceparentReplace {
		v.add(v.place(o.Range, "traceparent"), "Wrong value", "traceparent is \"accept\" or \"replace\"; %q is neither%s", o.Traceparent,
			didYouMean(string(o.Traceparent), []string{string(TraceparentAccept), string(TraceparentReplace)}))
	}
	if !v.given(o.Range, "endpoint") {
		for _, option := range []string{"headers", "service_name", "resource", "timeout"} {
			if v.given(o.Range, option) && !v.partial {
				v.add(v.place(o.Range, option), "No spans", "Option %q is for spans, which need an endpoint to be sent to, such as endpoint = \"http://127.0.0.1:4318\".", option)
			}
		}
		return
	}
	v.endpoint(o)
	for _, name := range sortedKeys(o.Headers) {
		if slices.Contains(ownHeaders, strings.ToLower(name)) {
			v.add(v.place(o.Range, "headers"), "Wrong value", "The header %s is wsgid's to set: take it out.", name)
		}
	}
	if o.ServiceName == "" {
		v.add(v.place(o.Range, "service_name"), "Wrong value", "service_name is not empty: write the name by which the spans are found.")
	}
	if _, twice := o.Resource["service.name"]; twice {
		v.add(v.place(o.Range, "resource"), "Wrong value", "service.name has an option of its own: write service_name.")
	}
	v.positive(o.Range, "timeout", o.Timeout, "no collector answers in no time")
}

// endpoint validates the URL of the collector.
func (v *validator) endpoint(o *Tracing) {
	u, err := url.Parse(o.Endpoint)
	at := v.place(o.Range, "endpoint")
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		v.add(at, "Wrong value", "endpoint is the URL of a collector that speaks OTLP over HTTP, such as \"http://127.0.0.1:4318\"; %q is not.", o.Endpoint)
	case u.User != nil:
		v.add(at, "Wrong value", "endpoint holds a user: write headers = { Authorization = \"Basic …\" }.")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		v.add(at, "Wrong value", "endpoint ends with its path: /v1/traces comes behind it.")
	}
}
