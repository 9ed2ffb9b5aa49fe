package pyshim_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

type metrics struct{ Process, Request map[string]any }

var phases = strings.Fields("server queue daemon application request input_read output_write gil_wait")

// TestMetrics: process_metrics() counts always, request_metrics() from
// start_recording_metrics() on and from one call to the next.
func TestMetrics(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, threads: 3})
			c := w.dial()
			var first metrics
			ask(t, c, &first, "events.py", "metrics", "QUERY_STRING=start")
			if first.Request != nil {
				t.Errorf("recorded before it was asked for: %v", first.Request)
			}
			if got := asText(first.Process["threads"]); first.Process["request_count"] != 0. || first.Process["active_requests"] != 1. ||
				got != `[{"request_count":0,"thread_id":1},{"request_count":0,"thread_id":2},{"request_count":0,"thread_id":3}]` {
				t.Errorf("%v", first.Process)
			}
			busy, release := waiting(t, w)
			for range 3 {
				c.do(script(t, "events.py", "application", "WSGID_APPLICATION_GROUP=sub"), []byte("content"))
			}
			c.do(script(t, "responses.py", "raises"), nil)
			var got, after metrics
			ask(t, c, &got, "events.py", "metrics", "WSGID_APPLICATION_GROUP=other")
			release()
			if r, err := busy.response(); err != nil || string(r.body) != "waited" {
				t.Error(err, r)
			}
			ask(t, c, &after, "events.py", "metrics")
			checkMetrics(t, got)
			// The interval of the first call to that of the second one; the request
			// that starts the recording is over after it.
			request := got.Request
			for key, want := range map[string]any{"request_count": 5., "status_1xx": 0., "status_2xx": 4., "status_3xx": 0., "status_4xx": 0.,
				"status_5xx": 1., "request_threads_maximum": 3., "input_bytes": 21., "pid": float64(w.cmd.Process.Pid)} {
				if request[key] != want {
					t.Errorf("%s is %v, want %v", key, request[key], want)
				}
			}
			if next := after.Request; next["request_count"] != 2. || next["start_time"] != request["stop_time"] {
				t.Errorf("the next interval: %v", next)
			}
			if n := got.Process["request_count"]; n != 5. || got.Process["active_requests"] != 2. {
				t.Errorf("process: %v", got.Process)
			}
		})
	}
}

// checkMetrics looks at the keys of mod_wsgi behaviour 9.2 and at what must
// hold between them.
func checkMetrics(t *testing.T, m metrics) {
	t.Helper()
	process := strings.Fields("pid restart_time current_time running_time request_count request_busy_time request_threads" +
		" active_requests cpu_user_time cpu_system_time cpu_time memory_rss memory_max_rss threads")
	if keys := slices.Sorted(maps.Keys(m.Process)); !slices.Equal(keys, slices.Sorted(slices.Values(process))) {
		t.Errorf("process_metrics has %v", keys)
	}
	if rss, most := m.Process["memory_rss"].(float64), m.Process["memory_max_rss"].(float64); rss < 1<<20 || most < rss/2 {
		t.Errorf("memory %v, at most %v", rss, most)
	}
	if m.Process["request_busy_time"].(float64) <= 0 || m.Process["cpu_time"].(float64) <= 0 {
		t.Errorf("%v", m.Process)
	}
	request := strings.Fields("pid start_time stop_time sample_period request_count request_throughput" +
		" request_threads_maximum request_threads_started request_threads_active capacity_utilization" +
		" request_threads_completed request_threads_buckets request_threads_busy_time request_threads_cpu_time" +
		" request_threads_current_elapsed request_threads_max_duration gil_wait_count input_bytes input_reads" +
		" output_bytes output_writes status_1xx status_2xx status_3xx status_4xx status_5xx cpu_user_utilization" +
		" cpu_system_utilization cpu_utilization cpu_user_time cpu_system_time cpu_time memory_rss memory_max_rss")
	for _, phase := range phases {
		for _, suffix := range []string{"_time", "_time_min_us", "_time_max_us", "_time_buckets"} {
			request = append(request, phase+suffix)
		}
	}
	if keys := slices.Sorted(maps.Keys(m.Request)); !slices.Equal(keys, slices.Sorted(slices.Values(request))) {
		t.Errorf("request_metrics has %v", keys)
	}
	sum := func(list any) (total float64) {
		for _, n := range list.([]any) {
			total += n.(float64)
		}
		return total
	}
	number := func(key string) float64 { return m.Request[key].(float64) }
	for _, phase := range phases {
		buckets := m.Request[phase+"_time_buckets"]
		if len(buckets.([]any)) != 65 || sum(buckets) != number("request_count") {
			t.Errorf("%s: %v", phase, buckets)
		}
		if least, most, mean := number(phase+"_time_min_us"), number(phase+"_time_max_us"), number(phase+"_time")*1e6; least > mean+1 || mean > most+1 {
			t.Errorf("%s: mean %v of %v to %v", phase, mean, least, most)
		}
	}
	if number("server_time_min_us") != 250000 || number("server_time") != 0.25 || m.Request["server_time_buckets"].([]any)[7*4+3] != number("request_count") {
		t.Errorf("the phase server is %v: %v", number("server_time"), m.Request["server_time_buckets"])
	}
	if sum(m.Request["request_threads_completed"]) != number("request_count") || sum(m.Request["request_threads_busy_time"]) <= 0 ||
		sum(m.Request["request_threads_current_elapsed"]) <= 0 || number("capacity_utilization") <= 0 || number("capacity_utilization") > 1 ||
		number("request_threads_active") < 2 || number("sample_period") <= 0 || fmt.Sprint(m.Request["gil_wait_count"]) == "0" {
		t.Errorf("%v", m.Request)
	}
}
