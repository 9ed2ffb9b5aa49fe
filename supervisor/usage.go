package supervisor

import (
	"math"

	gopsutil "github.com/shirou/gopsutil/v3/process"

	"github.com/wsgid/wsgid/internal/histogram"
)

// usage is what a process has used: CPU seconds (user and system) and
// resident memory in bytes.
type usage struct {
	cpuSeconds float64
	rssBytes   uint64
}

// usageOf reads the figures of a child that has not been reaped; zero when
// they cannot be had.
func usageOf(pid int) usage {
	var u usage
	if pid <= 0 || pid > math.MaxInt32 {
		return u
	}
	p := &gopsutil.Process{Pid: int32(pid)} // NewProcess would look it up again
	if times, err := p.Times(); err == nil {
		u.cpuSeconds = histogram.AddSeconds(times.User, times.System)
	}
	if memory, err := p.MemoryInfo(); err == nil {
		u.rssBytes = memory.RSS
	}
	return u
}
