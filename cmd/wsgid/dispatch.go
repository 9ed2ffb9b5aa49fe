package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/pyshim"
	"github.com/wsgid/wsgid/supervisor"
)

// newDispatch is wsgid dispatch, the family of verbs about routing.
func newDispatch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dispatch",
		Short: "Try how requests are routed",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	cmd.AddCommand(newDispatchTest())
	return cmd
}

// madeUp is the request of wsgid dispatch test as its flags say it.
type madeUp struct {
	method, uri, host, listener string
	headers, env                []string
}

// newDispatchTest is wsgid dispatch test.
func newDispatchTest() *cobra.Command {
	var file string
	var asJSON bool
	var request madeUp
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Show step by step where a made-up request would go",
		Long: `Reads the configuration and shows what would become of a request: virtual host,
mount and which were tried, settings and where each was written, what the dispatch
script returned and printed, the expansions, process group and its processes, the
script with SCRIPT_NAME and PATH_INFO, or the refusal with its code.

The router's own code decides, in a process of its own that listens nowhere, runs
as the router's user (with dispatch { isolation = "process" } as the dispatch helper's)
with the router's Python, and ends with the answer: a running wsgid is not asked and
not disturbed, and no application runs. The script is evaluated once: what it does,
it does. Ends with 1 if the request would be refused.

--header is sent by the client; --env is a parameter that the web server adds:
what SetEnv sets, REMOTE_USER, SSL_… and, from a listener with trust_front_server,
WSGID_….`,
		Example: `  wsgid dispatch test --uri '/admin/?page=2' --host www.example.com --env REMOTE_USER=alice
  wsgid dispatch test --uri /upload --method POST --header 'Content-Length: 5000000'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			question, err := request.question()
			if err != nil {
				return err
			}
			result, err := readResult(file, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if question.Listener, err = request.chosenListener(result.Config); err != nil {
				return err
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			explained, err := supervisor.Explain(ctx, result.Config, supervisor.Options{
				Modules: pyshim.Modules(), Version: currentVersion().Version,
			}, question)
			if err != nil {
				return failf("dispatch test: %w", err)
			}
			return showDecision(cmd.OutOrStdout(), newDecision(result, question, explained), asJSON)
		},
	}
	flags := cmd.Flags()
	addConfigFlag(cmd, &file)
	flags.StringVar(&request.uri, "uri", "", "path and query of the `URL`, as a client sends them")
	flags.StringVar(&request.host, "host", "localhost", "`NAME[:PORT]`, the Host header")
	flags.StringVar(&request.method, "method", "GET", "`METHOD` of the request")
	flags.StringArrayVar(&request.headers, "header", nil, "`'NAME: VALUE'`, a request header; may be given several times")
	flags.StringArrayVar(&request.env, "env", nil, "`NAME=VALUE`, a parameter of the web server; may be given several times")
	flags.StringVar(&request.listener, "listener", "", "`ADDRESS` or path of the listener that it comes in by (default the first; with a WSGID_ parameter the first with trust_front_server)")
	flags.BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// question puts the request into the form in which the router is asked.
func (m *madeUp) question() (*wire.Question, error) {
	if m.uri == "" {
		return nil, usagef("dispatch test needs a request: --uri /path")
	}
	if _, err := url.ParseRequestURI(m.uri); err != nil || !strings.HasPrefix(m.uri, "/") {
		return nil, usagef("--uri is what stands in a request after the host, such as '/admin/?page=2'; %q is no such thing", m.uri)
	}
	q := &wire.Question{Method: m.method, URI: m.uri, Host: m.host}
	if m.method == "" || strings.ContainsFunc(m.method, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, usagef("--method is a word such as POST; %q is none", m.method)
	}
	for _, header := range m.headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, usagef("--header is 'Name: value'; %q is not", header)
		}
		if strings.EqualFold(name, "Host") {
			q.Host = strings.TrimSpace(value)
			continue
		}
		q.Headers = append(q.Headers, wire.NameValue{Name: name, Value: strings.TrimSpace(value)})
	}
	for _, parameter := range m.env {
		name, value, ok := strings.Cut(parameter, "=")
		if !ok || name == "" {
			return nil, usagef("--env is NAME=value; %q is not", parameter)
		}
		q.Parameters = append(q.Parameters, wire.NameValue{Name: name, Value: value})
	}
	return q, nil
}

// chosenListener is the one that is named, else the first that serves requests,
// or the first such that trusts its web server.
func (m *madeUp) chosenListener(c *config.Config) (wire.Listener, error) {
	settings := slices.ContainsFunc(m.env, func(p string) bool { return strings.HasPrefix(p, "WSGID_") })
	serves := func(l config.Listener) bool { return !l.NoResponder }
	chosen := c.Listeners[max(0, slices.IndexFunc(c.Listeners, serves))] // validated: there is one
	var all []string
	for _, l := range slices.Backward(c.Listeners) {
		all = append(all, addressOf(&l))
		if m.listener == addressOf(&l) || m.listener == "" && settings && l.TrustFrontServer && serves(l) {
			chosen = l
		}
	}
	if m.listener != "" && m.listener != addressOf(&chosen) {
		return wire.Listener{}, usagef("there is no listener %q; there is %s", m.listener, strings.Join(all, ", "))
	}
	return wire.Listener{Kind: wire.ListenerKind(chosen.Kind), Address: addressOf(&chosen), TrustFrontServer: chosen.TrustFrontServer,
		NoResponder: chosen.NoResponder}, nil
}

// addressOf is the path or address of a listener.
func addressOf(l *config.Listener) string {
	if l.Kind == config.ListenUnix {
		return l.Path
	}
	return l.Address
}

// showDecision writes the decision. A refusal is an error.
func showDecision(w io.Writer, d *decision, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(d); err != nil {
			return failf("write the decision: %w", err)
		}
	} else {
		d.write(w)
	}
	switch {
	case d.Ended != "":
		return failf("there is no decision: %s", d.Ended)
	case d.Refusal != nil:
		return failf("the request is refused with %d, %s: %s", d.Refusal.Status, d.Refusal.Code, d.Refusal.Title)
	}
	return nil
}

// place is a place in a configuration file.
func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }
