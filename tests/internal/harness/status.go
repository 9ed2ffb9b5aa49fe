package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/wsgid/wsgid/internal/status"
)

// Status is what `wsgid status --json` says, with what tests ask for often.
type Status struct {
	status.Snapshot
	// Text is the JSON itself.
	Text string
	// RouterPID is Router.PID.
	RouterPID int
}

// Group of a name; an empty one when there is none.
func (s Status) Group(name string) status.Group {
	for _, group := range s.Groups {
		if group.Name == name {
			return group
		}
	}
	return status.Group{}
}

// PIDs of the processes of a group that are ready.
func (s Status) PIDs(name string) []int {
	var pids []int
	for _, process := range s.Group(name).Processes {
		if process.State == "ready" {
			pids = append(pids, process.PID)
		}
	}
	return pids
}

// Status runs `wsgid status --json`, again while a router that is ready has not
// said its part: it has a second for that, for which a machine may stand still.
func (d *Wsgid) Status() Status {
	d.world.T.Helper()
	for attempt := 0; ; attempt++ {
		s := d.ask()
		if s.Router.Answered || s.Router.State != "ready" || attempt == 3 {
			return s
		}
	}
}

// ask runs `wsgid status --json`. Unknown fields are an error: the command and
// the type must say the same.
func (d *Wsgid) ask() Status {
	d.world.T.Helper()
	code, out, errs := d.world.CLI("status", "--json", "--control", d.world.Control)
	if code != 0 {
		d.world.T.Fatalf("wsgid status ended with %d: %s%s", code, out, errs)
	}
	s := Status{Text: out}
	decoder := json.NewDecoder(bytes.NewReader([]byte(out)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s.Snapshot); err != nil {
		d.world.T.Fatalf("status is not the snapshot: %v\n%s", err, out)
	}
	s.RouterPID = s.Router.PID
	return s
}

// AwaitControl waits until wsgid, which was only launched, can be asked.
func (d *Wsgid) AwaitControl() {
	d.world.T.Helper()
	Eventually(d.world.T, "the control socket", func() error {
		select {
		case <-d.exited:
			d.world.T.Fatalf("wsgid ended: %v", d.command.ProcessState)
		default:
		}
		if code, _, errs := d.world.CLI("status", "--control", d.world.Control); code != 0 {
			return errors.New(errs)
		}
		return nil
	})
}

// AwaitStatus asks for the status until check is content with it.
func (d *Wsgid) AwaitStatus(what string, check func(Status) error) Status {
	d.world.T.Helper()
	var last Status
	Eventually(d.world.T, what, func() error {
		last = d.Status()
		return check(last)
	})
	return last
}

// AwaitReady waits until every process of the groups is ready, and the router.
func (d *Wsgid) AwaitReady(groups ...string) Status {
	d.world.T.Helper()
	return d.AwaitStatus("groups "+strings.Join(groups, ", ")+" are ready", func(s Status) error {
		if s.Router.State != "ready" {
			return fmt.Errorf("the router is %s", s.Router.State)
		}
		for _, name := range groups {
			if group := s.Group(name); group.State != "ready" || len(s.PIDs(name)) != group.Wanted {
				return fmt.Errorf("group %s is %s with %d processes of %d", name, group.State, len(s.PIDs(name)), group.Wanted)
			}
		}
		return nil
	})
}

// AwaitIdle waits until no request runs or waits any more: a client has its
// answer a moment before those who passed it on have counted it.
func (d *Wsgid) AwaitIdle() Status {
	d.world.T.Helper()
	return d.AwaitStatus("nothing is running", func(s Status) error {
		busy, queued := 0, 0
		for _, group := range s.Groups {
			busy += group.ThreadsBusy
			queued += group.Queued
		}
		if !s.Router.Answered || busy+queued+s.Router.InFlight != 0 {
			return fmt.Errorf("%d busy, %d queued, %d in flight; the router answered: %v", busy, queued, s.Router.InFlight, s.Router.Answered)
		}
		return nil
	})
}

// AwaitCrashes waits until the group has lost so many processes, or more.
func (d *Wsgid) AwaitCrashes(group string, count int) Status {
	d.world.T.Helper()
	return d.AwaitStatus(fmt.Sprintf("%d crashes in group %s", count, group), func(s Status) error {
		if got := s.Group(group).Restarts["crash"]; got < uint64(count) {
			return fmt.Errorf("%d are counted", got)
		}
		return nil
	})
}
