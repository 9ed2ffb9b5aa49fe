package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/apacheconf/inspect"
	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/httpd"
)

// apacheCheck are the flags of wsgid apache check.
type apacheCheck struct {
	config, program, apacheConfig, envvars string
	env, defines                           []string
	json                                   bool
}

// newApacheCheck is wsgid apache check.
func newApacheCheck() *cobra.Command {
	var f apacheCheck
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look at a running Apache: what is wrong with how it uses wsgid, and what is slow",
		Long: `Finds Apache on this machine, with its configuration, modules, MPM and version, compares
that with the configuration of wsgid, and connects to wsgid's socket as Apache's user
does (for which it has to be root). For whatever is wrong or slow it says where, and
which line to write. Scripts that Apache hands out to browsers are named with their URL.

The exit status is 1 if something is wrong; warnings, and what is slow, leave it 0.`,
		Example: `  wsgid apache check
  wsgid apache check --config site.hcl --apache-config /etc/httpd/conf/httpd.conf`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addConfigFlag(cmd, &f.config)
	flags := cmd.Flags()
	flags.StringVar(&f.program, "httpd", "", "the program of Apache (default: apache2 or httpd, where it is found)")
	flags.StringVar(&f.apacheConfig, "apache-config", "", "its configuration file (default: that of the running Apache)")
	flags.StringVar(&f.envvars, "envvars", "", "file with the environment of Apache (default envvars beside the configuration, as on Debian)")
	flags.StringArrayVar(&f.env, "env", nil, "NAME=value in the environment of Apache; may be repeated")
	flags.StringArrayVarP(&f.defines, "define", "D", nil, "NAME that Apache is started with (-D); may be repeated")
	flags.BoolVar(&f.json, "json", false, "for programs")
	return cmd
}

func (f *apacheCheck) run(ctx context.Context, out, log io.Writer) error {
	wsgid, err := readConfiguration(f.config, log)
	if err != nil {
		return err
	}
	server, err := httpd.Find(ctx, f.program)
	if err != nil && f.apacheConfig == "" {
		return failf("%w", err)
	}
	if server == nil {
		server = &httpd.Server{}
	}
	if f.apacheConfig != "" {
		if server.Config, err = filepath.Abs(f.apacheConfig); err != nil {
			return failf("find %s: %w", f.apacheConfig, err)
		}
	}
	read := convertFlags{in: server.Config, envvars: f.envvars, env: f.env, defines: slices.Concat(f.defines, server.Defines), serverRoot: server.Root, version: "2.4.62"}
	if server.Version != [3]int{} {
		read.version = fmt.Sprintf("%d.%d.%d", server.Version[0], server.Version[1], server.Version[2])
	}
	options, err := read.options()
	if err != nil {
		return err
	}
	apache, err := apacheconf.Load(server.Config, options)
	if err != nil {
		return failf("%w", err)
	}
	for _, name := range []string{"event", "worker", "prefork"} {
		if apache.Modules["mpm_"+name+"_module"] {
			server.MPM = name
		}
	}
	findings := inspect.Inspect(apache, wsgid, inspect.Facts{Version: server.Version, MPM: server.MPM})
	user, group := accountsOf(apache)
	for i := range wsgid.Listeners {
		if l := &wsgid.Listeners[i]; l.Kind == config.ListenUnix {
			findings = append(findings, probeAs(user, group, l.Path)...)
			findings = append(findings, selinuxFinding(l.Path, selinuxLabel(l.Path))...)
		}
	}
	if f.json {
		if findings == nil {
			findings = []inspect.Finding{}
		}
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(map[string]any{"httpd": server.Program, "configuration": server.Config, "version": server.Version, "mpm": server.MPM, "pid": server.PID, "user": user, "findings": findings}); err != nil {
			return failf("write the findings: %w", err)
		}
	} else if err := f.show(out, server, user, findings); err != nil {
		return failf("write the findings: %w", err)
	}
	if slices.ContainsFunc(findings, func(one inspect.Finding) bool { return one.Severity == inspect.Wrong }) {
		return failf("the connection of Apache and wsgid is not right")
	}
	return nil
}

// show writes the findings for people.
func (f *apacheCheck) show(out io.Writer, server *httpd.Server, user string, findings []inspect.Finding) error {
	var text strings.Builder
	what := "Apache"
	if server.Version != [3]int{} {
		what = fmt.Sprintf("Apache %d.%d.%d (%s, %s)", server.Version[0], server.Version[1], server.Version[2], server.Program, server.MPM)
	}
	fmt.Fprintf(&text, "%s, configuration %s", what, server.Config)
	if server.PID != 0 {
		fmt.Fprintf(&text, ", process %d", server.PID)
	}
	text.WriteString("\n")
	if os.Getuid() != 0 && user != "" {
		fmt.Fprintf(&text, "The sockets are tried as you, and not as %s: run it as root for that.\n", user)
	}
	for _, one := range findings {
		text.WriteString("\n" + one.String() + "\n")
		for _, line := range one.Write {
			text.WriteString("    " + line + "\n")
		}
	}
	if len(findings) == 0 {
		text.WriteString("Nothing is wrong, and nothing is slower than it must be.\n")
	}
	_, err := io.WriteString(out, text.String())
	return err //nolint:wrapcheck // said by the caller
}

// accountsOf are the user and group that Apache's configuration names.
func accountsOf(c *apacheconf.Config) (user, group string) {
	for _, i := range c.Items {
		switch {
		case len(i.Words) != 1:
		case i.Is("User"):
			user = i.Words[0]
		case i.Is("Group"):
			group = i.Words[0]
		}
	}
	return user, group
}
