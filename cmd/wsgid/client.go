package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// target says which running wsgid a verb is about.
type target struct {
	control string
	config  string
}

// addTargetFlags adds --control and --config to a verb that talks to a running wsgid.
func addTargetFlags(cmd *cobra.Command, t *target) {
	cmd.Flags().StringVar(&t.control, "control", "", "control `SOCKET` of the running wsgid")
	cmd.Flags().StringVarP(&t.config, "config", "c", "", "configuration `FILE` that says where the control socket is (default "+config.DefaultFile+")")
}

// socket finds the control socket: --control, what the configuration says,
// or the default place.
func (t *target) socket(stderr io.Writer) (string, error) {
	if t.control != "" {
		return t.control, nil
	}
	identity := config.CurrentIdentity()
	file := t.config
	if file == "" {
		if _, err := os.Stat(config.DefaultFile); err != nil {
			return config.DefaultControlPath(identity), nil
		}
		file = config.DefaultFile
	}
	path, result := config.FindControl(file, identity)
	if result.Diagnostics.HasErrors() {
		if err := showDiagnostics(result, stderr); err != nil {
			return "", err
		}
		return "", failf("the control socket cannot be found in %s; name it with --control", file)
	}
	return path, nil
}

// client talks to the control socket of a running wsgid.
type client struct {
	path string
	http *http.Client
}

// connect makes a client; it connects with the first call.
func (t *target) connect(stderr io.Writer) (*client, error) {
	path, err := t.socket(stderr)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}
	// The supervisor answers without asking a worker; the time is for a
	// machine that swaps.
	return &client{path: path, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}, nil
}

// maxAnswer bounds what is read from the socket: a snapshot of a thousand
// processes with all their requests is some megabytes.
const maxAnswer = 64 << 20

// call makes one request and decodes the answer into answer, unless that is nil.
func (c *client) call(ctx context.Context, method, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://wsgid"+path, nil)
	if err != nil {
		return failf("asking wsgid: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.unreachable(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return failf("reading the answer of wsgid on %s: %w", c.path, err)
	}
	if response.StatusCode >= 300 {
		var refused status.Error
		if json.Unmarshal(body, &refused) != nil || refused.Error == "" {
			refused.Error = response.Status + ": " + firstLine(string(body))
		}
		return failf("wsgid on %s refused: %s", c.path, escape.Line(refused.Error))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return failf("the answer on %s is not that of a wsgid: %w", c.path, err)
	}
	return nil
}

// unreachable says why there was no answer and what to do.
func (c *client) unreachable(err error) error {
	var reason string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason = "there is no such socket: start wsgid, or name the socket with --control or --config"
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "nobody listens there: wsgid has ended; start it again"
	case errors.Is(err, fs.ErrPermission):
		reason = "permission denied: use the account that started wsgid, or root"
	default:
		var inner *net.OpError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		reason = err.Error()
	}
	return &exitError{exitUnreachable, fmt.Errorf("cannot reach wsgid on %s: %s", c.path, reason)}
}
