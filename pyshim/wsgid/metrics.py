"""The dictionaries of process_metrics() and request_metrics() (mod_wsgi
behaviour 9.2), made of the raw numbers of the C side. Loaded at first use."""

import os

# In the order of enum phase_number in metrics.c.
PHASES = ("server", "queue", "daemon", "application", "request", "input_read", "output_write", "gil_wait")
# What does not exist where the web server's process runs the application itself.
DAEMON_ONLY = ("queue", "daemon")


def _resident():
    """Bytes of memory that are resident, 0 where nobody tells."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def process(raw):
    """raw: what native _process_metrics() gave."""
    requests = raw["requests"]
    return {
        "pid": os.getpid(),
        "restart_time": raw["start"],
        "current_time": raw["now"],
        "running_time": int(max(0.0, raw["now"] - raw["start"])),
        "request_count": sum(requests),
        "request_busy_time": raw["busy"],
        "request_threads": len(requests),
        "active_requests": raw["active"],
        "cpu_user_time": raw["user"],
        "cpu_system_time": raw["system"],
        "cpu_time": raw["user"] + raw["system"],
        "memory_rss": _resident(),
        "memory_max_rss": raw["most_memory"],
        "threads": [{"thread_id": i, "request_count": n} for i, n in enumerate(requests, 1)],
    }


def _phases(result, raw):
    for name, (count, total, least, most, buckets) in zip(PHASES, raw["phases"]):
        if raw["embedded"] and name in DAEMON_ONLY:
            mean = least = most = buckets = None
        else:
            mean = total / count / 1e6 if count else 0.0
        result[name + "_time"] = mean
        result[name + "_time_min_us"] = least
        result[name + "_time_max_us"] = most
        result[name + "_time_buckets"] = buckets


def interval(raw):
    """raw: what native _interval_metrics() gave; None stays None."""
    if raw is None:
        return None
    period = max(raw["stop"] - raw["start"], 1e-6)
    threads = raw["threads"]
    completed = [thread[1] for thread in threads]
    busy, processor, elapsed, longest = ([thread[i] / 1e6 for thread in threads] for i in (2, 3, 4, 5))
    user, system = raw["user"] / period, raw["system"] / period
    result = {
        "pid": os.getpid(),
        "start_time": raw["start"],
        "stop_time": raw["stop"],
        "sample_period": period,
        "request_count": raw["requests"],
        "request_throughput": raw["requests"] / period,
        "request_threads_maximum": raw["maximum"],
        "request_threads_started": sum(1 for thread in threads if thread[0]),
        "request_threads_active": sum(1 for thread in threads if thread[1] or thread[4]),
        "capacity_utilization": min(1.0, sum(busy) / (period * raw["maximum"])),
        "request_threads_completed": completed,
        "request_threads_buckets": completed,
        "request_threads_busy_time": busy,
        "request_threads_cpu_time": processor,
        "request_threads_current_elapsed": elapsed,
        "request_threads_max_duration": longest,
        "gil_wait_count": raw["gil_waits"],
        "input_bytes": raw["input"][0],
        "input_reads": raw["input"][1],
        "output_bytes": raw["output"][0],
        "output_writes": raw["output"][1],
        "cpu_user_utilization": user,
        "cpu_system_utilization": system,
        "cpu_utilization": user + system,
        "cpu_user_time": user,
        "cpu_system_time": system,
        "cpu_time": user + system,
        "memory_rss": _resident(),
        "memory_max_rss": raw["most_memory"],
    }
    for i, count in enumerate(raw["status"], 1):
        result["status_%dxx" % i] = count
    _phases(result, raw)
    return result
