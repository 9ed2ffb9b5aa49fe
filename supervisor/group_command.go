package supervisor

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/wsgid/wsgid/internal/status"
)

// groupCommand does what POST /v1/groups/ACTION?group=NAME… asks for.
func (s *Supervisor) groupCommand(action string, query url.Values) (any, error) {
	names := query["group"]
	switch action {
	case "restart":
		return s.Restart(names), nil
	case "start":
		return status.Done{}, s.StartGroups(names)
	case "scale":
		n, err := strconv.Atoi(query.Get("processes"))
		if err != nil || len(names) != 1 {
			return nil, errors.New("name one process group and the number of its processes")
		}
		return status.Done{}, s.Scale(names[0], n)
	case "stop", "drain":
		if len(names) == 0 {
			return nil, errors.New("name the process groups")
		}
		return status.Done{}, s.StopGroups(names, action == "drain")
	case "maintenance":
		if len(names) != 1 {
			return nil, errors.New("name one process group")
		}
		retryAfter, err := time.ParseDuration(query.Get("retry_after"))
		if err != nil {
			return nil, fmt.Errorf("retry_after: %w", err)
		}
		return status.Done{}, s.Maintenance(names[0], query.Get("on") == "1", retryAfter)
	}
	return nil, fmt.Errorf("there is no command %q for process groups", action)
}
