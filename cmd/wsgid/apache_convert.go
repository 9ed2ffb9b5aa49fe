package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/apacheconf/convert"
	"github.com/wsgid/wsgid/apacheconf/inspect"
	"github.com/wsgid/wsgid/config"
)

// convertFlags are the flags of wsgid apache convert.
type convertFlags struct {
	in, out, socket, auth, embedded, serverRoot, root, envvars, version string
	env, defines, modules                                               []string
	dryRun, report, force, access                                       bool
}

// newApacheConvert is wsgid apache convert.
func newApacheConvert() *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert --in httpd.conf --out-dir DIR",
		Short: "Turn a configuration of Apache with mod_wsgi into one with wsgid",
		Long: `Reads the configuration of an Apache that uses mod_wsgi, with all that it includes, and
writes DIR/httpd.conf, copies of the included files that change, and DIR/wsgid.hcl.
Apache with DIR/httpd.conf and "wsgid run --config DIR/wsgid.hcl" serve the site as it was
served. What is not mod_wsgi's stays byte for byte. Nothing of the original is touched.

The exit status is 0 if the site is served as before, 1 if the configuration is refused or
something is served in another way; the report says what.`,
		Example: `  wsgid apache convert --in /etc/apache2/apache2.conf --out-dir /etc/apache2-wsgid --report
  wsgid apache convert --in httpd.conf --out-dir /tmp/new --dry-run`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runConvert(&f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.in, "in", "", "the configuration file of Apache, or a part of one")
	flags.StringVar(&f.out, "out-dir", "", "directory for the result; made if it is missing")
	flags.StringVar(&f.socket, "socket", "", "path of the socket between Apache and wsgid (default /run/wsgid/wsgid.sock)")
	flags.StringVar(&f.auth, "auth-address", "", "loopback address on which Apache asks wsgid about users, if it does (default 127.0.0.1:9321)")
	flags.StringVar(&f.embedded, "embedded-to-group", "", "a process group of this name serves what ran inside of Apache")
	flags.StringVar(&f.serverRoot, "server-root", "", "what relative names belong to, unless ServerRoot says so (default the directory of --in)")
	flags.StringVar(&f.root, "document-root", "", "DocumentRoot where the configuration says none (default /var/www/html)")
	flags.StringVar(&f.envvars, "envvars", "", "file with the environment of Apache (default envvars beside --in, as on Debian)")
	flags.StringVar(&f.version, "apache-version", "2.4.62", "the version that IfVersion compares with")
	flags.StringArrayVar(&f.env, "env", nil, "NAME=value in the environment of Apache; may be repeated")
	flags.StringArrayVarP(&f.defines, "define", "D", nil, "NAME that Apache is started with (-D); may be repeated")
	flags.StringArrayVar(&f.modules, "module", nil, "NAME_module that is compiled in or loaded elsewhere; may be repeated")
	flags.BoolVar(&f.dryRun, "dry-run", false, "write nothing, and show what would change")
	flags.BoolVar(&f.report, "report", false, "show what has become of every directive of mod_wsgi")
	flags.BoolVar(&f.access, "install-htaccess", false, "write converted .htaccess files beside the original ones, as .htaccess-wsgid, instead of into the directory")
	flags.BoolVar(&f.force, "force", false, "replace files that are in the directory already")
	return cmd
}

func runConvert(f *convertFlags, out, log io.Writer) error {
	result, err := convertConfiguration(f)
	if err != nil {
		return err
	}
	for _, w := range result.Warnings {
		fmt.Fprintf(log, "warning: %v\n", w)
	}
	wsgid, problems := checkConverted(filepath.Join(f.out, "wsgid.hcl"), result.HCL)
	if wsgid != nil {
		warnExposed(log, f, result, wsgid)
	}
	if f.dryRun {
		err = convert.WriteDiff(out, result, filepath.Join(f.out, "wsgid.hcl"))
	} else {
		err = writeConverted(f, result)
	}
	if err != nil {
		return failf("%w", err)
	}
	if f.report || result.Differs() {
		if err := writeReport(out, result, f.report); err != nil {
			return failf("write the report: %w", err)
		}
	}
	if len(result.Access) > 0 && !f.access {
		result.Notes = append(result.Notes, fmt.Sprintf("%d .htaccess files change: copy what is in %s to the root directory, or use --install-htaccess. Apache reads .htaccess-wsgid instead of .htaccess where there is one.", len(result.Access), filepath.Join(f.out, "htaccess")))
	}
	for _, note := range result.Notes {
		fmt.Fprintf(log, "note: %s\n", note)
	}
	switch {
	case problems != nil:
		return failf("wsgid does not take the result as it is:\n%w", problems)
	case result.Differs():
		return failf("the site would not be served as before: see what DIFFERS")
	case !f.dryRun:
		fmt.Fprintf(log, "written: %s and %s\n", filepath.Join(f.out, "httpd.conf"), filepath.Join(f.out, "wsgid.hcl"))
	}
	return nil
}

// convertConfiguration reads and converts.
func convertConfiguration(f *convertFlags) (*convert.Result, error) {
	if f.in == "" || f.out == "" {
		return nil, usagef("wsgid apache convert needs --in and --out-dir")
	}
	for _, name := range []*string{&f.in, &f.out} {
		absolute, err := filepath.Abs(*name)
		if err != nil {
			return nil, failf("find %s: %w", *name, err)
		}
		*name = absolute
	}
	options, err := f.options()
	if err != nil {
		return nil, err
	}
	cfg, err := apacheconf.Load(f.in, options)
	if err != nil {
		return nil, failf("%w", err)
	}
	result, err := convert.Convert(cfg, convert.Options{OutDir: f.out, Socket: f.socket, AuthAddress: f.auth, DocumentRoot: f.root, EmbeddedGroup: f.embedded})
	if err != nil {
		if errors.Is(err, convert.ErrNothing) {
			return nil, failf("%s: %w: there is nothing to convert", f.in, err)
		}
		return nil, failf("nothing is converted:\n%w", err)
	}
	return result, nil
}

// options are how Apache would read its configuration.
func (f *convertFlags) options() (apacheconf.Options, error) {
	o := apacheconf.Options{ServerRoot: f.serverRoot, Defines: map[string]string{}, Modules: f.modules}
	if o.ServerRoot == "" {
		o.ServerRoot = filepath.Dir(f.in)
	}
	for _, name := range f.defines {
		o.Defines[name] = ""
	}
	if n, err := fmt.Sscanf(f.version, "%d.%d.%d", &o.Version[0], &o.Version[1], &o.Version[2]); n < 2 {
		return o, usagef("--apache-version %q: write such as 2.4.62: %v", f.version, err)
	}
	variables := map[string]string{}
	files := []string{filepath.Join(filepath.Dir(f.in), "envvars"), filepath.Join(o.ServerRoot, "envvars")}
	if f.envvars != "" {
		files = []string{f.envvars}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			variables = apacheconf.ReadEnvvars(string(text))
			break
		}
		if f.envvars != "" || !errors.Is(err, os.ErrNotExist) {
			return o, failf("read the environment of Apache: %w", err)
		}
	}
	for _, pair := range f.env {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return o, usagef("--env %q: write NAME=value", pair)
		}
		variables[name] = value
	}
	o.Environment = func(name string) (string, bool) { value, ok := variables[name]; return value, ok }
	return o, nil
}

// checkConverted reads the configuration of wsgid as wsgid check would.
func checkConverted(name string, hcl []byte) (*config.Config, error) {
	result := config.ReadBytes(name, hcl, config.CurrentIdentity())
	if result.Config == nil {
		return nil, errors.New(strings.TrimSpace(result.Diagnostics.Error()))
	}
	return result.Config, nil
}

// converted is the machine's file system with the result in its place.
type converted struct {
	apacheconf.FS
	files map[string][]byte
}

// ReadFile prefers what is to be written.
func (c converted) ReadFile(name string) ([]byte, error) {
	if content, ok := c.files[name]; ok {
		return content, nil
	}
	content, err := c.FS.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the result: %w", err)
	}
	return content, nil
}

// warnExposed warns of scripts that the new configuration lets everybody read.
func warnExposed(log io.Writer, f *convertFlags, result *convert.Result, wsgid *config.Config) {
	options, err := f.options()
	if err != nil {
		return // it could be read a moment ago
	}
	fsys := converted{apacheconf.Machine(), map[string][]byte{}}
	for _, file := range result.Files {
		fsys.files[file.Path] = file.After
	}
	options.FS = fsys
	after, err := apacheconf.Load(filepath.Join(f.out, "httpd.conf"), options)
	if err != nil {
		return // of what is included and not yet written
	}
	for _, e := range inspect.Exposed(after, inspect.Scripts(wsgid)) {
		fmt.Fprintf(log, "warning: %s: %s can be read by everybody, as %s; to close it:\n    %s\n", e.Position, e.Path, e.URL, strings.Join(e.Write, "\n    "))
	}
}

// writeConverted writes the result; what is there already is not overwritten.
func writeConverted(f *convertFlags, result *convert.Result) error {
	files := map[string][]byte{filepath.Join(f.out, "wsgid.hcl"): result.HCL}
	for _, file := range result.Files {
		files[file.Path] = file.After
	}
	for _, file := range result.Access {
		place := filepath.Join(f.out, "htaccess", file.Path)
		if f.access {
			place = file.Path
		}
		files[place] = file.After
	}
	if !f.force {
		for name := range files {
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("%s is there already: take another --out-dir, or --force", name)
			}
		}
	}
	return writeAll(files)
}

// writeAll writes all files or none: they belong together.
func writeAll(files map[string][]byte) error {
	const unfinished = ".unfinished"
	defer func() {
		for name := range files {
			_ = os.Remove(name + unfinished) // mostly it has its name by now
		}
	}()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make a directory for the result: %w", err)
		}
		if err := os.WriteFile(name+unfinished, content, 0o644); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	for name := range files {
		if err := os.Rename(name+unfinished, name); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	return nil
}

// writeReport writes a table of every directive, or of those that differ.
func writeReport(out io.Writer, result *convert.Result, all bool) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "WHERE\tDIRECTIVE\tOUTCOME\tNOW")
	for _, e := range result.Report {
		if all || e.Outcome == convert.Differs {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", e.Position, shortened(e.Text, 60), e.Outcome, e.Where)
		}
	}
	return table.Flush()
}

func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
