package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// groupCommand has the running wsgid do something with process groups, and says
// that it is done.
func groupCommand(cmd *cobra.Command, c *client, action string, groups []string, more url.Values, done string) error {
	if err := askGroups(cmd, c, action, groups, more, nil); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", escape.Line(strings.Join(groups, ", ")), done)
	return nil
}

func askGroups(cmd *cobra.Command, c *client, action string, groups []string, more url.Values, answer any) error {
	c.http.Timeout = 0 // applications take their time
	query := url.Values{"group": groups}
	for name, values := range more {
		query[name] = values
	}
	return c.call(cmd.Context(), http.MethodPost, "/v1/groups/"+action+"?"+query.Encode(), answer)
}

// needGroups refuses a command without a group.
func needGroups(cmd *cobra.Command, groups []string) error {
	if len(groups) == 0 {
		return usagef("%s needs the name of a process group; wsgid status lists them", cmd.CommandPath())
	}
	return nil
}

// newRestart is wsgid restart.
func newRestart() *cobra.Command {
	var t target
	var all bool
	cmd := &cobra.Command{
		Use:   "restart GROUP…",
		Short: "Replace the processes of groups one after another, losing no request",
		Long: `Puts a new process into the place of each process of the groups: the new one
first, and when it has imported its applications the old one finishes what it
runs. At most max_surge new ones start at a time. The configuration is the one
that runs; wsgid reload reads it again.

It stops at the first process that does not come up, or cannot import what those
before can: the others serve on, and this command ends with 1 and says why.`,
		RunE: func(cmd *cobra.Command, groups []string) error {
			if all == (len(groups) > 0) {
				return usagef("give the names of process groups, or --all; wsgid status lists them")
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			outcome := &status.Restart{}
			if err := askGroups(cmd, c, "restart", groups, nil, outcome); err != nil {
				return err
			}
			if outcome.Error != "" {
				return failf("%s replaced, then: %s", count(outcome.Replaced, "process"), escape.Text(outcome.Error))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s replaced in %.1f s\n", count(outcome.Replaced, "process"), outcome.Seconds)
			return nil
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().BoolVar(&all, "all", false, "all process groups")
	return cmd
}

// newMaintenance is wsgid maintenance.
func newMaintenance() *cobra.Command {
	var t target
	var retryAfter time.Duration
	cmd := &cobra.Command{
		Use:   "maintenance GROUP on|off",
		Short: "Have the requests of a group answered 503, while its processes stay",
		Long: `Further requests for the group are answered 503 with Retry-After at once; those
that run or wait are served. Its processes stay as they are. The state survives
reloads and upgrades. "%{GLOBAL}" are the applications in the router.`,
		RunE: func(cmd *cobra.Command, arguments []string) error {
			if len(arguments) != 2 || arguments[1] != "on" && arguments[1] != "off" {
				return usagef("maintenance takes a process group, and on or off, as in wsgid maintenance web on")
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			more, done := url.Values{"retry_after": {retryAfter.String()}}, "is open"
			if arguments[1] == "on" {
				more.Set("on", "1")
				done = "is in maintenance"
			}
			return groupCommand(cmd, c, "maintenance", arguments[:1], more, done)
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().DurationVar(&retryAfter, "retry-after", time.Minute, "when clients are told to come back")
	return cmd
}

// newDrain is wsgid drain.
func newDrain() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "drain GROUP…",
		Short: "Let what runs in groups end, then their processes",
		Long: `Further requests for the groups are answered 503. Requests that run end, at most
within graceful_timeout, and then the processes; the command returns when none
is left. wsgid start GROUP undoes it; a reload does not.`,
		RunE: func(cmd *cobra.Command, groups []string) error {
			if err := needGroups(cmd, groups); err != nil {
				return err
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return groupCommand(cmd, c, "drain", groups, nil, "drained")
		},
	}
	addTargetFlags(cmd, &t)
	return cmd
}

// newStart is wsgid start.
func newStart() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "start GROUP…",
		Short: "Start groups that were stopped, drained or closed for maintenance",
		Long: `Undoes wsgid stop GROUP, drain and maintenance, and waits until the processes
are ready. wsgid itself is started with wsgid run.`,
		RunE: func(cmd *cobra.Command, groups []string) error {
			if err := needGroups(cmd, groups); err != nil {
				return err
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return groupCommand(cmd, c, "start", groups, nil, "started")
		},
	}
	addTargetFlags(cmd, &t)
	return cmd
}

// newScale is wsgid scale.
func newScale() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "scale GROUP N",
		Short: "Set the number of processes of a group",
		Long: `Sets how many processes the group has, or with scaling = "dynamic" or "on_demand"
how many at most, until the next reload. New ones are started at once and waited
for; those that are too many finish what they run.`,
		RunE: func(cmd *cobra.Command, arguments []string) error {
			if len(arguments) != 2 {
				return usagef("scale takes a process group and a number, as in wsgid scale web 4")
			}
			if _, err := strconv.Atoi(arguments[1]); err != nil {
				return usagef("%q is no number of processes, as in wsgid scale web 4", arguments[1])
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return groupCommand(cmd, c, "scale", arguments[:1], url.Values{"processes": arguments[1:]}, "scaled to "+arguments[1])
		},
	}
	addTargetFlags(cmd, &t)
	return cmd
}
