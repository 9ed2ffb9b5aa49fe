package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/systemd"
)

// newService is wsgid service.
func newService() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Install wsgid as a service of systemd, and control it",
		Long: `Writes a unit for systemd that runs this binary with a configuration file, enables
it, and starts and stops it. What the unit has and why stands in docs/service.md.
A unit that is there already is not touched: packages bring one of their own.`,
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) > 0 {
				return usagef("there is no %q; it is wsgid service install, uninstall, start, stop, restart or status", arguments[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var name string
	cmd.PersistentFlags().StringVar(&name, "name", "wsgid", "of the service; several may be installed")
	verb := func(use, short string, act func(cmd *cobra.Command, s service.Service) error) {
		cmd.AddCommand(&cobra.Command{Use: use, Short: short, Args: noArguments, RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := managed(name, "")
			if err != nil {
				return err
			}
			return act(cmd, s)
		}})
	}
	cmd.AddCommand(newServiceInstall(&name))
	verb("uninstall", "Take the unit away again; the service must be stopped", func(cmd *cobra.Command, s service.Service) error {
		u, err := lookUpUnit(cmd.Context(), name)
		if err != nil {
			return err
		}
		if err := u.removable(name); err != nil {
			return err
		}
		if err := controlled("uninstall", name, s.Uninstall()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", u.file)
		return nil
	})
	verb("start", "Start it", func(_ *cobra.Command, s service.Service) error { return controlled("start", name, s.Start()) })
	verb("stop", "Stop it, when what runs has ended", func(_ *cobra.Command, s service.Service) error { return controlled("stop", name, s.Stop()) })
	verb("restart", "Stop it and start it; wsgid reload loses no request", func(_ *cobra.Command, s service.Service) error {
		return controlled("restart", name, s.Restart())
	})
	verb("status", "Say whether it runs, and how; exit status 3: it does not", func(cmd *cobra.Command, _ service.Service) error {
		u, err := lookUpUnit(cmd.Context(), name)
		if err != nil {
			return err
		}
		if line, ok := u.runs(); ok {
			fmt.Fprintln(cmd.OutOrStdout(), line)
			return nil
		}
		switch {
		case !u.installed():
			return notRunningf("there is no service %q", name)
		case u.active == "inactive":
			return notRunningf("service %q is stopped", name)
		}
		return notRunningf("service %q does not run: %s (%s); see systemctl status %s", name, u.active, u.sub, name)
	})
	return cmd
}

func newServiceInstall(name *string) *cobra.Command {
	var file string
	var show bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Write the unit and enable it, to be started with the machine",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			unit, err := unitOf(cmd.Context(), file)
			if err != nil {
				return err
			}
			if show {
				fmt.Fprint(cmd.OutOrStdout(), unit)
				return nil
			}
			if _, err := os.Stat(file); err != nil {
				return failf("the configuration of the service: %w; write it first, and try it with wsgid check", err)
			}
			s, err := managed(*name, unit)
			if err != nil {
				return err
			}
			u, err := lookUpUnit(cmd.Context(), *name)
			if err != nil {
				return err
			}
			if u.installed() {
				return failf("there is a service %q already, %s: wsgid service uninstall, or --name OTHER", *name, u.file)
			}
			if err := controlled("install", *name, s.Install()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "installed; start it with: wsgid service start --name %s\n", *name)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", config.DefaultFile, "configuration file of the service")
	cmd.Flags().BoolVar(&show, "print", false, "print the unit and change nothing")
	return cmd
}

// unitOf is the unit for this binary and a configuration file.
func unitOf(ctx context.Context, file string) (string, error) {
	path, err := os.Executable()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", failf("finding this binary: %w", err)
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", failf("finding the configuration: %w", err)
	}
	version := 0
	if out, err := exec.CommandContext(ctx, "systemctl", "--version").Output(); err == nil {
		if found := systemdVersion.FindSubmatch(out); found != nil {
			version, _ = strconv.Atoi(string(found[1]))
		}
	}
	return systemd.Unit(path, file, version), nil
}

var serviceName = regexp.MustCompile(`^[A-Za-z0-9:_.-]+$`)

var systemdVersion = regexp.MustCompile(`^systemd ([0-9]+)`)

// managed is the service of that name; unit is what it is installed with.
func managed(name, unit string) (service.Service, error) {
	if !serviceName.MatchString(name) {
		return nil, usagef("--name %q: a service has a name of letters, digits and :_.-", name)
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, failf("systemd does not run here; wsgid service install --print shows the unit, and wsgid run is what a service manager runs")
	}
	if os.Geteuid() != 0 {
		return nil, failf("services of the machine are root's: call it as root")
	}
	s, err := service.New(nil, &service.Config{Name: name, Option: service.KeyValue{"SystemdScript": unit}})
	if err != nil {
		return nil, failf("service %q: %w", name, err)
	}
	return s, nil
}

// notRunningf is the answer of status.
func notRunningf(format string, arguments ...any) error {
	return &exitError{exitUnreachable, fmt.Errorf(format, arguments...)}
}

// controlled says what could not be done with a service.
func controlled(verb, name string, err error) error {
	if err != nil {
		return failf("%s service %q: %w; see systemctl status %s", verb, name, err, name)
	}
	return nil
}
