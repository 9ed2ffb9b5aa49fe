package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// newInterrupt is wsgid interrupt.
func newInterrupt() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "interrupt REQUEST_ID",
		Short: "Raise RequestTimeout in a request that runs",
		Long: `Raises the exception RequestTimeout (of the modules mod_wsgi and wsgid) in the
thread of the request, whatever request_timeout and interrupt_timeout say. It
comes out at the next bytecode: a call that waits in C ends first. The client gets
504, unless the application catches the exception; where the request is stands in
the log. wsgid requests lists the ids.

Applications in the router ("%{GLOBAL}") cannot be interrupted.`,
		RunE: func(cmd *cobra.Command, arguments []string) error {
			if len(arguments) != 1 {
				return usagef("interrupt takes the id of a request; wsgid requests lists them")
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var answer status.Interrupt
			if err := c.call(cmd.Context(), http.MethodPost, "/v1/interrupt?request="+url.QueryEscape(arguments[0]), &answer); err != nil {
				return err
			}
			what := "RequestTimeout is raised in"
			if answer.Outcome == status.InterruptPending {
				what = "somebody holds the GIL; when it is free RequestTimeout is raised in"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s of %s, process %d\n", what, escape.Line(answer.Request.Method), escape.Line(answer.Request.URI),
				escape.Line(answer.Group), answer.PID)
			return nil
		},
	}
	addTargetFlags(cmd, &t)
	return cmd
}
