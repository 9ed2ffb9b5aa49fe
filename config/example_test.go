package config

import "testing"

func TestExamples(t *testing.T) {
	result := Read("../examples/wsgid.hcl", root)
	if len(result.Diagnostics) > 0 {
		t.Fatal(result.Diagnostics)
	}
	c := result.Config
	if len(c.DaemonProcesses) != 3 || c.DaemonProcesses[1].Name != "api" || c.DaemonProcesses[1].Processes != 4 || c.DaemonProcesses[0].Threads != 15 {
		t.Errorf("daemon processes: %+v", c.DaemonProcesses)
	}
	if c.DispatchScript == nil || c.DispatchScript.Path != "/etc/wsgid/dispatch.py" {
		t.Errorf("dispatch script: %+v", c.DispatchScript)
	}
	if s := c.ScriptAliases[0]; s.ProcessGroup != "web" || s.ApplicationGroup != "%{GLOBAL}" || !s.Preload {
		t.Errorf("script alias: %+v", s)
	}
	if l := c.Listeners[0]; l.Mode != 0o660 || l.Path != "/run/wsgid/wsgid.sock" {
		t.Errorf("listener: %+v", l)
	}
}
