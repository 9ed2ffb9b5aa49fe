package harness

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Response is a whole HTTP response.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// Truncated is set when the body ended before its announced end.
	Truncated error
}

// Text of the body.
func (r *Response) Text() string { return string(r.Body) }

// JSON decodes the body into value.
func (r *Response) JSON(t testing.TB, value any) {
	t.Helper()
	if err := json.Unmarshal(r.Body, value); err != nil {
		t.Fatalf("response %d is no JSON: %v\n%.2000s", r.Status, err, r.Body)
	}
}

// Client speaks HTTP to one server.
type Client struct {
	t testing.TB
	// Base is scheme://host:port.
	Base string
	// HTTP is the client underneath; it follows no redirect and keeps connections.
	HTTP *http.Client
}

// NewClient makes a client for base; its connections end with the test.
func NewClient(t testing.TB, base string) *Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true,
		// A self-made certificate, on loopback.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		DialContext:     (&net.Dialer{}).DialContext,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{t: t, Base: base, HTTP: &http.Client{
		Transport:     transport,
		Timeout:       Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Get sends a GET; headers are "Name: value".
func (c *Client) Get(path string, headers ...string) *Response {
	c.t.Helper()
	return c.Do("GET", path, nil, headers...)
}

// Do sends a request and reads the whole response; a transport error fails the test.
func (c *Client) Do(method, path string, body io.Reader, headers ...string) *Response {
	c.t.Helper()
	response, err := c.Try(context.Background(), method, path, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	return response
}

// Try is Do with the error returned, for tests in which a server is killed
// and for other goroutines. The path is sent as it is written.
func (c *Client) Try(ctx context.Context, method, path string, body io.Reader, headers ...string) (*Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.Base, body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	rest, query, _ := strings.Cut(path, "?")
	decoded, err := url.PathUnescape(rest)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", path, err)
	}
	request.URL.Path, request.URL.RawPath, request.URL.RawQuery = decoded, rest, query
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		value = strings.TrimSpace(value)
		if strings.EqualFold(name, "Host") {
			request.Host = value
			continue
		}
		request.Header.Add(name, value)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return &Response{Status: response.StatusCode, Header: response.Header, Body: content, Truncated: err}, nil
}
