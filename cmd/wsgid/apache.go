package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/apacheconf"
)

// newApache is wsgid apache: what concerns the web server in front.
func newApache() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apache",
		Short: "Help with the web server in front: Apache and others",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newApacheSnippet(), newApacheConvert(), newApacheCheck(), newApacheProbe())
	return cmd
}

// newApacheSnippet is wsgid apache snippet.
func newApacheSnippet() *cobra.Command {
	var file, server, listener string
	cmd := &cobra.Command{
		Use:   "snippet",
		Short: "Print what the web server's configuration needs for this configuration",
		Long: `Reads the configuration and prints the lines that a web server needs to pass on to
wsgid what is mounted: virtual hosts, URLs, the socket, and the settings that make it
fast and correct (docs/front-servers.md). Put them into its configuration; wsgid
changes nothing there.`,
		Example: `  wsgid apache snippet > /etc/apache2/conf-available/wsgid.conf
  wsgid apache snippet --server nginx --config site.hcl`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfiguration(file, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			text, err := apacheconf.Snippet(c, strings.ToLower(server), listener)
			if err != nil {
				return failf("%w", err)
			}
			if _, err := cmd.OutOrStdout().Write([]byte(text)); err != nil {
				return failf("write the snippet: %w", err)
			}
			return nil
		},
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().StringVar(&server, "server", "apache", "the web server: "+strings.Join(apacheconf.SnippetServers, ", "))
	cmd.Flags().StringVar(&listener, "listen", "", "path or address of the listener that it shall use; without it the one that fits best")
	return cmd
}
