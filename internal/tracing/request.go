package tracing

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/wsgid/wsgid/internal/escape"
)

// Numbers of the fields in opentelemetry/proto/collector/trace/v1/trace_service.proto
// and trace/v1/trace.proto.
const (
	requestResourceSpans = 1
	resourceSpansOf      = 1 // the resource
	resourceSpansScope   = 2
	scopeOf              = 1 // the scope
	scopeSpans           = 2
	scopeName            = 1
	scopeVersion         = 2
	resourceAttributes   = 1

	responsePartial  = 1
	partialRejected  = 1
	partialMessage   = 2
	maxResponse      = 64 << 10
	maxShownResponse = 200
)

// newClient follows no redirect and uses no proxy: spans go where the configuration
// says, or nowhere.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:     (&net.Dialer{Timeout: timeout}).DialContext,
			IdleConnTimeout: time.Minute, MaxIdleConns: 1, MaxConnsPerHost: 1,
		},
	}
}

// body is ExportTraceServiceRequest with one resource and one scope.
func (e *Exporter) body(spans []byte) []byte {
	var resource, scope []byte
	for _, name := range slices.Sorted(maps.Keys(e.options.Resource)) {
		attribute := writeAttribute(nil, name, validText(e.options.Resource[name]))
		// It comes as a field of a span.
		_, _, n := protowire.ConsumeTag(attribute)
		resource = append(protowire.AppendTag(resource, resourceAttributes, protowire.BytesType), attribute[n:]...)
	}
	scope = appendText(appendText(scope, scopeName, "wsgid"), scopeVersion, e.options.Version)
	size := protowire.SizeTag(scopeOf) + protowire.SizeBytes(len(scope)) + len(spans)
	whole := protowire.SizeTag(resourceSpansOf) + protowire.SizeBytes(len(resource)) + protowire.SizeTag(resourceSpansScope) + protowire.SizeBytes(size)
	b := make([]byte, 0, whole+16)
	b = protowire.AppendVarint(protowire.AppendTag(b, requestResourceSpans, protowire.BytesType), uint64(whole))
	b = appendBytes(b, resourceSpansOf, resource)
	b = protowire.AppendVarint(protowire.AppendTag(b, resourceSpansScope, protowire.BytesType), uint64(size))
	return append(appendBytes(b, scopeOf, scope), spans...)
}

// refusedError is an answer other than 200.
type refusedError struct {
	status int
	text   string
	again  bool          // it may be tried again
	after  time.Duration // and when; 0: it does not say
}

func (e *refusedError) Error() string {
	text := fmt.Sprintf("the collector answers %d %s", e.status, http.StatusText(e.status))
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

// send makes one request. Errors other than *refusedError may pass.
func (e *Exporter) send(body []byte) (rejection, error) {
	req, err := http.NewRequestWithContext(e.ctx, http.MethodPost, e.options.URL, bytes.NewReader(body))
	if err != nil {
		return rejection{}, err //nolint:wrapcheck // it names the URL
	}
	for name, value := range e.options.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "wsgid/"+e.options.Version)
	}
	response, err := e.client.Do(req)
	if err != nil {
		return rejection{}, err //nolint:wrapcheck // likewise
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if response.StatusCode/100 == 2 {
		if err != nil { // it has the spans
			return rejection{}, nil
		}
		return parseResponse(answer), nil
	}
	refused := &refusedError{status: response.StatusCode, again: mayPass(response.StatusCode)}
	if kind := response.Header.Get("Content-Type"); len(kind) >= 5 && kind[:5] == "text/" {
		refused.text = escape.Line(string(answer[:min(len(answer), maxShownResponse)]))
	}
	if refused.again {
		refused.after = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	return rejection{}, refused
}

// mayPass: the answers upon which the OTLP specification has a client try again.
func mayPass(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// rejection is what a collector says of spans that it did not take, or of those
// that it did.
type rejection struct {
	spans   uint64
	message string
}

// parseResponse reads ExportTraceServiceResponse. What cannot be read says nothing.
func parseResponse(b []byte) (r rejection) {
	eachField(b, func(field protowire.Number, value []byte, _ uint64) {
		if field != responsePartial {
			return
		}
		eachField(value, func(field protowire.Number, text []byte, number uint64) {
			switch field {
			case partialRejected:
				r.spans = number
			case partialMessage:
				r.message = escape.Line(string(text[:min(len(text), maxShownResponse)]))
			}
		})
	})
	return r
}

// eachField goes over the texts and numbers of a message up to what cannot be read.
func eachField(b []byte, see func(field protowire.Number, value []byte, number uint64)) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return
		}
		b = b[n:]
		see(field, value, number)
	}
}
