package main

import (
	"fmt"
	"io"
	"net"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/wsgid/wsgid/config"
)

// groupName is the process group of wsgid serve.
const groupName = "serve"

// chooseUser finds the user for an application that root serves. Python never
// runs as root.
func (o *serveOptions) chooseUser(identity config.Identity, w io.Writer) error {
	if !identity.Root() {
		if o.user != "" || o.group != "" {
			return usagef("--user and --group need root: take them out, the application runs as you")
		}
		return nil
	}
	if o.user != "" {
		return nil
	}
	for _, name := range []string{"www-data", "nobody"} {
		if _, err := user.Lookup(name); err == nil {
			o.user = name
			fmt.Fprintf(w, "started as root: the application runs as %s; --user chooses another\n", name)
			return nil
		}
	}
	return usagef("started as root, and there is neither a user www-data nor nobody: choose one with --user")
}

// choosePort replaces port 0 by a free one, so that the URL can be told.
func (o *serveOptions) choosePort() error {
	if o.port != 0 {
		return nil
	}
	l, err := net.Listen("tcp", o.address())
	if err != nil {
		return failf("finding a free port: %w", err)
	}
	defer l.Close()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return failf("finding a free port: no TCP address")
	}
	o.port = address.Port
	return nil
}

// address is what the HTTP front listens on.
func (o *serveOptions) address() string { return net.JoinHostPort(o.bind, strconv.Itoa(o.port)) }

// configuration writes the configuration that the options mean: everything
// goes the same way as a file's, with the same defaults and the same checks.
func (o *serveOptions) configuration(app *application, dir string) ([]byte, error) {
	file := hclwrite.NewEmptyFile()
	listen := file.Body().AppendNewBlock("listen", []string{"http"}).Body()
	listen.SetAttributeValue("address", cty.StringVal(o.address()))
	for _, static := range o.static {
		prefix, path, ok := strings.Cut(static, "=")
		absolute, err := filepath.Abs(path)
		if !ok || path == "" || err != nil {
			return nil, usagef("--static takes URL=DIR, such as --static /static/=./static; %q is not", static)
		}
		listen.AppendNewBlock("static", []string{prefix}).Body().SetAttributeValue("dir", cty.StringVal(absolute))
	}

	router := file.Body().AppendNewBlock("router", nil).Body()
	group := file.Body().AppendNewBlock("daemon_process", []string{groupName}).Body()
	set := func(name, value string) {
		if value != "" {
			group.SetAttributeValue(name, cty.StringVal(value))
		}
	}
	if err := o.setPython(set); err != nil {
		return nil, err
	}
	if o.user != "" {
		router.SetAttributeValue("user", cty.StringVal(o.user))
	}
	if o.group != "" {
		router.SetAttributeValue("group", cty.StringVal(o.group))
	}
	set("user", o.user)
	set("group", o.group)
	set("home", app.cwd)
	if o.processes != 1 {
		group.SetAttributeValue("processes", cty.NumberIntVal(int64(o.processes)))
	}
	group.SetAttributeValue("threads", cty.NumberIntVal(int64(o.threads)))
	group.SetAttributeValue("python_path", cty.ListVal([]cty.Value{cty.StringVal(app.path)}))

	mount := file.Body().AppendNewBlock("script_alias", []string{"/"}).Body()
	mount.SetAttributeValue("target", cty.StringVal(app.script))
	mount.SetAttributeValue("process_group", cty.StringVal(groupName))
	if n, err := strconv.ParseInt(o.maxBody, 10, 64); err == nil {
		mount.SetAttributeValue("max_body_bytes", cty.NumberIntVal(n))
	} else if o.maxBody != "" {
		mount.SetAttributeValue("max_body_bytes", cty.StringVal(o.maxBody))
	}

	file.Body().AppendNewBlock("control", nil).Body().SetAttributeValue("path", cty.StringVal(filepath.Join(dir, "control.sock")))
	file.Body().AppendNewBlock("log", nil).Body().SetAttributeValue("level", cty.StringVal(o.logLevel))
	return file.Bytes(), nil
}

// setPython makes the paths of --python and --python-home absolute.
func (o *serveOptions) setPython(set func(name, value string)) error {
	for name, path := range map[string]string{"python": o.python, "python_home": o.pythonHome} {
		if path == "" {
			continue
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return failf("finding %s: %w", path, err)
		}
		set(name, absolute)
	}
	return nil
}
