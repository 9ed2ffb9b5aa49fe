package supervisor

import (
	"errors"

	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/internal/status"
)

// ReopenLogs opens all log files anew, access logs too, as their rotation wants. When it returns
// nothing is written to the old ones any more; those that cannot be opened go on with
// them.
func (s *Supervisor) ReopenLogs() *status.Reopened {
	err := errors.Join(s.errorLogs.set.Reopen(), s.access.set.Reopen())
	if err != nil {
		s.log.Error("logs cannot be opened anew, the old files are written on", "error", err)
		return &status.Reopened{Error: err.Error()}
	}
	s.log.Info("logs opened anew")
	return &status.Reopened{}
}

// shownLogs are destinations as status shows them.
func shownLogs(set *logwriter.Set) []status.Log {
	all := []status.Log{}
	for _, d := range set.All() {
		if len(all) == 0 || all[len(all)-1].Destination != d.Name() { // several may write to one file
			all = append(all, status.Log{Destination: d.Name()})
		}
		shown, stats := &all[len(all)-1], d.Stats()
		shown.Lines += stats.Lines
		shown.Lost += stats.Lost
		if stats.Err != nil {
			shown.Error = stats.Err.Error()
		}
	}
	return all
}
