package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/supervisor"
)

// serveOptions are the options of wsgid serve.
type serveOptions struct {
	application string // SCRIPT or module:callable
	bind        string
	port        int
	python      string
	pythonHome  string
	user, group string
	processes   int
	threads     int
	static      []string // URL=DIR
	maxBody     string
	logLevel    string
}

// newServe is wsgid serve.
func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve SCRIPT|MODULE:CALLABLE",
		Short: "Serve one application over HTTP, without any configuration",
		Long: `Serves one WSGI application on http://127.0.0.1:8000 until Ctrl-C: no
configuration, no web server, no root. It is the real wsgid, with a router and
Python processes of their own.

SCRIPT is a file that defines "application"; it is loaded again when it changes.
MODULE:CALLABLE is imported with the current directory on sys.path, as in
mysite.wsgi:application; its process is replaced when any module below the
current directory changes (looked for at most once a second).

Started as root, the application runs as --user, or else as www-data or nobody.`,
		Example: `  wsgid serve site.wsgi
  wsgid serve mysite.wsgi:application --python-home ~/venv --static /static/=./static`,
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) != 1 {
				return usagef("serve takes one application: a SCRIPT or MODULE:CALLABLE, such as wsgid serve site.wsgi")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, arguments []string) error {
			o.application = arguments[0]
			return serve(cmd, &o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.bind, "bind", "127.0.0.1", "`ADDRESS` to listen on")
	flags.IntVarP(&o.port, "port", "p", 8000, "port to listen on; 0: any free one")
	flags.StringVar(&o.pythonHome, "python-home", "", "venv or prefix `DIR` of the Python to use")
	flags.StringVar(&o.python, "python", "", "Python `EXECUTABLE` to use")
	flags.StringVar(&o.user, "user", "", "user to run the application as, when started as root")
	flags.StringVar(&o.group, "group", "", "group to run the application as, when started as root")
	flags.IntVar(&o.processes, "processes", 1, "number of processes")
	flags.IntVar(&o.threads, "threads", 15, "number of request threads of each process")
	flags.StringArrayVar(&o.static, "static", nil, "serve the files of a directory, `URL=DIR`; may be repeated")
	flags.StringVar(&o.maxBody, "max-body-bytes", "", "largest request body, a `SIZE` such as 1048576 or 10MiB (default no limit)")
	flags.StringVar(&o.logLevel, "log-level", "info", "`LEVEL` of the log: trace, debug, info, warn, error")
	cmd.MarkFlagsMutuallyExclusive("python", "python-home")
	return cmd
}

// serve runs one application until a signal.
func serve(cmd *cobra.Command, o *serveOptions) error {
	identity := config.CurrentIdentity()
	app, err := findApplication(o.application)
	if err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	if err := o.chooseUser(identity, stderr); err != nil {
		return err
	}
	if o.threads == 0 { // in a configuration that would be a service
		return usagef("--threads is a whole number from 1 to 1000")
	}
	if err := o.choosePort(); err != nil {
		return err
	}
	dir, err := privateDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if app.module != "" {
		if err := app.writeLoader(filepath.Join(dir, "loader.wsgi")); err != nil {
			return err
		}
	}
	if o.user != "" {
		warnUnreachable(stderr, app.script, o.user)
	}
	source, err := o.configuration(app, dir)
	if err != nil {
		return err
	}
	result := config.ReadBytes("command line", source, identity)
	if result.Config == nil {
		if err := showDiagnostics(result, stderr); err != nil {
			return err
		}
		return usagef("the options make no configuration that wsgid could run with")
	}
	log, err := openLog(result.Config.Log)
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	ready := func() {
		fmt.Fprintf(stderr, "wsgid serves %s on http://%s/ (Ctrl-C ends it; wsgid status --control %s)\n",
			o.application, o.address(), result.Config.Control.Path)
	}
	if err := supervise(ctx, result.Config, log, ready, supervisor.Options{}); err != nil {
		return failf("%w", err)
	}
	return nil
}

// privateDir makes the directory for sockets and the loader script. Its mode
// lets the application's user reach what is named to it, but list nothing.
func privateDir() (string, error) {
	dir, err := os.MkdirTemp("", "wsgid-serve-")
	if err == nil && len(dir) > 60 {
		// A unix socket's path has at most 107 bytes.
		os.Remove(dir)
		dir, err = os.MkdirTemp("/tmp", "wsgid-serve-")
	}
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		return "", failf("making a private directory: %w", err)
	}
	return dir, nil
}
