package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// unitDirectory is where units of the administrator are, and that of wsgid service.
const unitDirectory = "/etc/systemd/system/"

// unitState is what systemd knows of a service.
type unitState struct {
	load, active, sub string
	pid, status       string // of one that runs
	file              string // of the unit
}

// lookUpUnit asks systemd. The library tells neither a service that reloads from one that
// there is not, nor whose unit it is.
func lookUpUnit(ctx context.Context, name string) (*unitState, error) {
	u := &unitState{}
	properties := map[string]*string{
		"LoadState": &u.load, "ActiveState": &u.active, "SubState": &u.sub,
		"MainPID": &u.pid, "StatusText": &u.status, "FragmentPath": &u.file,
	}
	out, err := exec.CommandContext(ctx, "systemctl", "show", name+".service").Output()
	if err != nil {
		return nil, failf("asking systemd for service %q: %w", name, err)
	}
	for line := range strings.Lines(string(out)) {
		property, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if to := properties[property]; to != nil {
			*to = value
		}
	}
	return u, nil
}

func (u *unitState) installed() bool { return u.load != "not-found" }

// ended says whether nothing of the service runs, or is about to.
func (u *unitState) ended() bool { return u.active == "inactive" || u.active == "failed" }

// runs says whether it has started, and how it is.
func (u *unitState) runs() (line string, ok bool) {
	if u.active != "active" && u.active != "reloading" && u.active != "refreshing" {
		return "", false
	}
	return fmt.Sprintf("running, pid %s: %s", u.pid, u.status), true
}

// removable says why the unit must not be taken away; nil: wsgid service has written it.
func (u *unitState) removable(name string) error {
	switch {
	case !u.installed():
		return failf("there is no service %q", name)
	case !u.ended():
		return failf("service %q runs; end it first: wsgid service stop --name %s", name, name)
	case u.file != unitDirectory+name+".service":
		return failf("the unit of service %q, %s, is none of wsgid service install: what has brought it takes it away", name, u.file)
	}
	text, err := os.ReadFile(u.file)
	if err != nil {
		return failf("service %q: %w", name, err)
	}
	if !strings.Contains(string(text), " run --config ") {
		return failf("%s runs something else than wsgid: take it away by hand", u.file)
	}
	return nil
}
