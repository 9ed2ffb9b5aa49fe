package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/status"
)

// TestWrite: Prometheus' own parser reads what is written, and the figures are those of
// the snapshot.
func TestWrite(t *testing.T) {
	latency := histogram.Counts{Counts: [histogram.Buckets]uint64{3, 2, histogram.Buckets - 1: 1}, Seconds: 31.5}
	queue := status.Queue{Queued: 2, QueueLength: 100, LongestWait: 1.5, QueuedTotal: 9, QueueTimeouts: 3, Rejected: 4, Waits: latency}
	s := &status.Snapshot{
		Version: `1"2\3`, State: "ready", Started: time.Unix(1000, 0), LastReload: &status.Reload{Error: "x", At: time.Unix(2000, 0)},
		Router: status.Router{State: "ready", Answered: true, Connections: 5, Spans: &status.Spans{Exported: 11, Dropped: 12}, Restarts: map[string]uint64{"crash": 1, "unresponsive": 2},
			Scripts: []status.Script{{Kind: "dispatch script", Path: "/srv/d.py", Failed: 1, Latency: latency}}, Embedded: &status.Embedded{Threads: 4, Queue: queue}},
		DispatchHelper: &status.DispatchHelper{State: "ready", Restarts: map[string]uint64{"crash": 7}},
		Groups: []status.Group{
			{Name: "a\nb", Ready: 1, Threads: 5, ThreadsBusy: 3, Queue: queue, Latency: latency, Requests: 6, Restarts: map[string]uint64{"reload": 2}, Cgroup: &status.Cgroup{MemoryBytes: 77}, Processes: []status.Process{{Stopped: true}, {}}},
			{Name: "service", Service: true},
		},
	}
	var out strings.Builder
	if err := Write(&out, s); err != nil {
		t.Fatal(err)
	}
	families, err := new(expfmt.TextParser).TextToMetricFamilies(strings.NewReader(out.String()))
	if err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	value := func(name string, labels ...string) float64 {
		t.Helper()
		for _, m := range families[name].GetMetric() {
			fits := true
			for i := 0; i+1 < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				fits = fits && found
			}
			if fits {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		t.Errorf("no %s %v in\n%s", name, labels, out.String())
		return -1
	}
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"wsgid_info", []string{"version", `1"2\3`}, 1}, {"wsgid_ready", nil, 1}, {"wsgid_last_reload_success", nil, 0},
		{"wsgid_router_restarts_total", []string{"reason", "unresponsive"}, 2}, {"wsgid_dispatch_helper_restarts_total", []string{"reason", "crash"}, 7},
		{"wsgid_script_seconds", []string{"path", "/srv/d.py"}, 6}, {"wsgid_script_errors_total", nil, 1},
		{"wsgid_spans_exported_total", nil, 11}, {"wsgid_spans_dropped_total", nil, 12},
		{"wsgid_group_threads", []string{"group", "%{GLOBAL}"}, 4}, {"wsgid_group_threads", []string{"group", "a\nb"}, 5}, {"wsgid_group_threads_busy", []string{"group", "a\nb"}, 3},
		{"wsgid_group_queued", []string{"group", "a\nb"}, 2}, {"wsgid_group_queued_total", []string{"group", "a\nb"}, 9}, {"wsgid_group_rejected_total", []string{"group", "%{GLOBAL}"}, 4},
		{"wsgid_group_request_seconds", []string{"group", "a\nb"}, 6}, {"wsgid_group_wait_seconds", []string{"group", "a\nb"}, 6}, {"wsgid_group_up", []string{"group", "service"}, 0},
		{"wsgid_group_restarts_total", []string{"group", "a\nb", "reason", "reload"}, 2}, {"wsgid_group_cgroup_memory_bytes", nil, 77},
		{"wsgid_group_processes_stopped", []string{"group", "a\nb"}, 1}, {"wsgid_group_processes_stopped", []string{"group", "service"}, 0},
	} {
		if got := value(c.name, c.labels...); got != c.want {
			t.Errorf("%s %v is %v, not %v", c.name, c.labels, got, c.want)
		}
	}
	for _, m := range families["wsgid_group_request_seconds"].GetMetric() {
		buckets := m.GetHistogram().GetBucket()
		if len(buckets) != histogram.Buckets || buckets[0].GetUpperBound() != 0.001 || buckets[1].GetCumulativeCount() != 5 || m.GetHistogram().GetSampleSum() != 31.5 {
			t.Errorf("%v", m)
		}
	}
}
