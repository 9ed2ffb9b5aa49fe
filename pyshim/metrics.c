/* Keeping and reading the meters. */
#define _GNU_SOURCE
#include "metrics.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Histograms (mod_wsgi behaviour 9.2): 16 octaves from 1 ms on of 4 buckets
 * each, and one for all that is longer. What is shorter is in the first. */
enum { OCTAVES = 16, PARTS = 4, BUCKETS = OCTAVES * PARTS + 1, MILLISECOND = 1000 };

/* In the order of PHASES in wsgid/metrics.py. */
enum phase_number { SERVER, QUEUE, DAEMON, APPLICATION, REQUEST, INPUT, OUTPUT, GIL, PHASES };

struct phase {
	uint64_t count, sum, least, most; /* microseconds */
	uint32_t buckets[BUCKETS];
};

/* What one thread did since somebody looked last. */
struct wsgid_interval {
	uint64_t since; /* microseconds since the epoch */
	uint64_t requests, busy, processor, longest;
	uint64_t input_bytes, input_reads, output_bytes, output_writes, gil_waits;
	uint64_t status[5]; /* 1xx to 5xx */
	struct phase phases[PHASES];
};

typedef unsigned long long u64; /* what Py_BuildValue takes */

static _Atomic(struct wsgid_server *) measured;
static uint64_t opened;          /* when */
static atomic_bool recording;
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER; /* guards the next two, and who is recorded */
static uint64_t looked;          /* when somebody looked last */
static struct rusage looked_usage;

int wsgid_metrics_open(struct wsgid_server *server, int room)
{
	server->meters = calloc((size_t)room, sizeof *server->meters);
	if (!server->meters)
		return -1;
	opened = wsgid_now();
	atomic_store(&recording, false);
	atomic_store(&measured, server);
	return 0;
}

/* A meter, recording or not. NULL without memory. */
static struct wsgid_meter *new_meter(bool recorded)
{
	struct wsgid_meter *meter = aligned_alloc(_Alignof(struct wsgid_meter), sizeof *meter);
	struct wsgid_interval *interval = recorded ? calloc(1, sizeof *interval) : NULL;
	if (!meter || (recorded && !interval)) {
		free(meter);
		free(interval);
		return NULL;
	}
	memset(meter, 0, sizeof *meter);
	pthread_mutex_init(&meter->lock, NULL);
	meter->interval = interval;
	if (interval)
		interval->since = wsgid_now();
	return meter;
}

int wsgid_metrics_grow(struct wsgid_server *server, int number)
{
	int result = 0;
	pthread_mutex_lock(&reading);
	for (int i = atomic_load(&server->metered); i < number && result == 0; i++) {
		server->meters[i] = new_meter(atomic_load(&recording) && server == atomic_load(&measured));
		if (server->meters[i])
			atomic_store_explicit(&server->metered, i + 1, memory_order_release);
		else
			result = -1;
	}
	pthread_mutex_unlock(&reading);
	return result;
}

struct wsgid_server *wsgid_metrics_server(void)
{
	return atomic_load_explicit(&measured, memory_order_acquire);
}

static size_t bucket(uint64_t microseconds)
{
	uint64_t low = MILLISECOND;
	for (size_t octave = 0; octave < OCTAVES; octave++, low *= 2)
		if (microseconds < 2 * low)
			return octave * PARTS + (microseconds < low ? 0 : (size_t)((microseconds - low) * PARTS / low));
	return BUCKETS - 1;
}

static void took(struct phase *phase, uint64_t microseconds)
{
	if (!phase->count || microseconds < phase->least)
		phase->least = microseconds;
	if (microseconds > phase->most)
		phase->most = microseconds;
	phase->count++;
	phase->sum += microseconds;
	phase->buckets[bucket(microseconds)]++;
}

static uint64_t between(uint64_t from, uint64_t to)
{
	return from && to > from ? to - from : 0;
}

/* The part of [start, finish] that lies in the interval. */
static uint64_t within(const struct wsgid_interval *i, uint64_t start, uint64_t finish)
{
	return between(start > i->since ? start : i->since, finish);
}

static void record(struct wsgid_interval *i, const struct wsgid_request *r, uint64_t finish)
{
	bool embedded = r->connection->server->embedded;
	uint64_t called = r->application_start ? r->application_start : finish;
	uint64_t phases[PHASES] = {
	    [SERVER] = between(r->request_start, embedded ? called : r->queue_start),
	    [QUEUE] = embedded ? 0 : between(r->queue_start, r->daemon_start),
	    [DAEMON] = embedded ? 0 : between(r->daemon_start, called),
	    [APPLICATION] = between(called, finish),
	    [INPUT] = r->effort.input,
	    [OUTPUT] = r->effort.output,
	    [GIL] = r->effort.gil_wait,
	};
	phases[REQUEST] = phases[SERVER] + phases[QUEUE] + phases[DAEMON] + phases[APPLICATION];
	for (size_t n = 0; n < PHASES; n++)
		took(&i->phases[n], phases[n]);
	uint64_t duration = between(r->daemon_start, finish);
	i->requests++;
	i->busy += within(i, r->daemon_start, finish);
	i->processor += r->effort.user + r->effort.system;
	if (duration > i->longest)
		i->longest = duration;
	i->input_bytes += (uint64_t)r->body_read;
	i->input_reads += r->input_reads;
	i->output_bytes += r->produced;
	i->output_writes += r->output_writes;
	i->gil_waits += r->effort.gil_waits;
	int status = r->status >= 100 && r->status <= 599 ? r->status : 500;
	i->status[status / 100 - 1]++;
}

void wsgid_meter_finish(struct wsgid_request *r)
{
	struct wsgid_meter *meter = wsgid_meter_of(r);
	atomic_store_explicit(&meter->requests, atomic_load_explicit(&meter->requests, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
	if (!atomic_load_explicit(&recording, memory_order_acquire) || !meter->interval)
		return;
	if (!r->application_finish) {
		r->application_finish = wsgid_now();
		wsgid_effort_end(&r->effort);
	}
	pthread_mutex_lock(&meter->lock);
	record(meter->interval, r, r->application_finish);
	pthread_mutex_unlock(&meter->lock);
}

int wsgid_metrics_record(void)
{
	struct wsgid_server *server = wsgid_metrics_server();
	bool complete = true;
	wsgid_gil_release(); /* the lock is never waited for with it */
	pthread_mutex_lock(&reading);
	if (server && !atomic_load(&recording)) {
		int count = atomic_load(&server->metered);
		struct wsgid_interval *all = calloc((size_t)count, sizeof *all);
		looked = wsgid_now();
		getrusage(RUSAGE_SELF, &looked_usage);
		for (int i = 0; all && i < count; i++) {
			all[i].since = looked;
			server->meters[i]->interval = &all[i];
		}
		complete = all != NULL;
		atomic_store(&wsgid_observed, true);
		atomic_store_explicit(&recording, complete, memory_order_release);
	}
	pthread_mutex_unlock(&reading);
	wsgid_gil_acquire();
	if (!complete)
		py.PyErr_NoMemory();
	return complete ? 0 : -1;
}

static double seconds_of(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* Appends a new reference, which is taken. 0, -1 with an exception. */
static int append(PyObject *list, PyObject *value)
{
	int result = value ? py.PyList_Append(list, value) : -1;
	Py_XDECREF(value);
	return result;
}

PyObject *wsgid_metrics_process(void)
{
	struct wsgid_server *server = wsgid_metrics_server();
	uint64_t now = wsgid_now(), busy = 0;
	int active = 0;
	struct rusage usage;
	PyObject *counts = py.PyList_New(0);
	for (int i = 0; counts && server && i < atomic_load(&server->metered); i++) {
		const struct wsgid_meter *meter = server->meters[i];
		uint64_t started = atomic_load_explicit(&meter->started, memory_order_relaxed);
		uint64_t requests = atomic_load_explicit(&meter->requests, memory_order_relaxed);
		active += started != 0;
		busy += atomic_load_explicit(&meter->busy, memory_order_relaxed) + between(started, now);
		if (append(counts, py.PyLong_FromUnsignedLongLong(requests)) < 0)
			wsgid_py_clear(&counts);
	}
	if (!counts)
		return NULL;
	getrusage(RUSAGE_SELF, &usage);
	return py.Py_BuildValue("{sd sd sd si sd sd sK sN}", "start", wsgid_seconds(opened), "now", wsgid_seconds(now),
	                        "busy", wsgid_seconds(busy), "active", active, "user", seconds_of(&usage.ru_utime),
	                        "system", seconds_of(&usage.ru_stime), "most_memory", (u64)usage.ru_maxrss * 1024,
	                        "requests", counts);
}

/* What a thread has recorded since somebody looked last, and how long its
 * present request has been running. */
struct sample {
	struct wsgid_interval interval;
	uint64_t elapsed;
	bool ever; /* it has served something in its life */
};

/* One look at all threads. */
struct look {
	uint64_t start, stop;
	struct rusage before, after;
	int count;
	struct sample samples[]; /* one a thread */
};

/* Takes what a thread has recorded and begins anew. */
static void drain(struct wsgid_meter *meter, uint64_t now, struct sample *to)
{
	pthread_mutex_lock(&meter->lock);
	uint64_t started = atomic_load_explicit(&meter->started, memory_order_relaxed);
	to->interval = *meter->interval;
	memset(meter->interval, 0, sizeof *meter->interval);
	meter->interval->since = now;
	pthread_mutex_unlock(&meter->lock);
	to->elapsed = between(started, now);
	to->interval.busy += started ? within(&to->interval, started, now) : 0;
	to->ever = started || atomic_load_explicit(&meter->requests, memory_order_relaxed);
}

/* malloc'ed; NULL without memory. No GIL needed. */
static struct look *look(struct wsgid_server *server)
{
	pthread_mutex_lock(&reading);
	int count = atomic_load(&server->metered);
	struct look *l = malloc(sizeof *l + (size_t)count * sizeof l->samples[0]);
	if (!l)
		goto done;
	l->count = count;
	l->start = looked;
	l->before = looked_usage;
	looked = l->stop = wsgid_now();
	getrusage(RUSAGE_SELF, &looked_usage);
	l->after = looked_usage;
	for (int i = 0; i < count; i++)
		drain(server->meters[i], l->stop, &l->samples[i]);
done:
	pthread_mutex_unlock(&reading);
	return l;
}

static void merge_phase(struct phase *into, const struct phase *one)
{
	if (!one->count)
		return;
	if (!into->count || one->least < into->least)
		into->least = one->least;
	if (one->most > into->most)
		into->most = one->most;
	into->count += one->count;
	into->sum += one->sum;
	for (size_t n = 0; n < BUCKETS; n++)
		into->buckets[n] += one->buckets[n];
}

static void merge(struct wsgid_interval *into, const struct wsgid_interval *one)
{
	into->requests += one->requests;
	into->input_bytes += one->input_bytes;
	into->input_reads += one->input_reads;
	into->output_bytes += one->output_bytes;
	into->output_writes += one->output_writes;
	into->gil_waits += one->gil_waits;
	for (size_t i = 0; i < 5; i++)
		into->status[i] += one->status[i];
	for (size_t i = 0; i < PHASES; i++)
		merge_phase(&into->phases[i], &one->phases[i]);
}

/* (count, sum, least, most, buckets), microseconds. */
static PyObject *phase_value(const struct phase *phase)
{
	PyObject *buckets = py.PyList_New(0);
	for (size_t n = 0; buckets && n < BUCKETS; n++)
		if (append(buckets, py.PyLong_FromUnsignedLongLong(phase->buckets[n])) < 0)
			wsgid_py_clear(&buckets);
	return buckets ? py.Py_BuildValue("(KKKKN)", (u64)phase->count, (u64)phase->sum, (u64)phase->least,
	                                  (u64)phase->most, buckets)
	               : NULL;
}

/* (has ever served, requests, busy, processor, elapsed, longest), microseconds. */
static PyObject *thread_value(const struct sample *s)
{
	const struct wsgid_interval *i = &s->interval;
	return py.Py_BuildValue("(iKKKKK)", (int)s->ever, (u64)i->requests, (u64)i->busy, (u64)i->processor,
	                        (u64)s->elapsed, (u64)i->longest);
}

static PyObject *look_value(const struct look *l, const struct wsgid_server *server,
                            const struct wsgid_interval *all)
{
	PyObject *threads = py.PyList_New(0), *phases = py.PyList_New(0);
	for (int i = 0; threads && i < l->count; i++)
		if (append(threads, thread_value(&l->samples[i])) < 0)
			wsgid_py_clear(&threads);
	for (size_t i = 0; phases && i < PHASES; i++)
		if (append(phases, phase_value(&all->phases[i])) < 0)
			wsgid_py_clear(&phases);
	if (!threads || !phases) {
		Py_XDECREF(threads);
		Py_XDECREF(phases);
		return NULL;
	}
	return py.Py_BuildValue(
	    "{sd sd si si sN sN sK s(KK) s(KK) sK s(KKKKK) sd sd sK}", "start", wsgid_seconds(l->start), "stop",
	    wsgid_seconds(l->stop), "embedded", (int)server->embedded, "maximum", server->threads, "threads", threads, "phases", phases, "requests",
	    (u64)all->requests, "input", (u64)all->input_bytes, (u64)all->input_reads, "output", (u64)all->output_bytes,
	    (u64)all->output_writes, "gil_waits", (u64)all->gil_waits, "status", (u64)all->status[0], (u64)all->status[1],
	    (u64)all->status[2], (u64)all->status[3], (u64)all->status[4], "user",
	    seconds_of(&l->after.ru_utime) - seconds_of(&l->before.ru_utime), "system",
	    seconds_of(&l->after.ru_stime) - seconds_of(&l->before.ru_stime), "most_memory",
	    (u64)l->after.ru_maxrss * 1024);
}

PyObject *wsgid_metrics_interval(void)
{
	struct wsgid_server *server = wsgid_metrics_server();
	struct wsgid_interval *all;
	struct look *l;
	PyObject *result;
	if (!server || !atomic_load(&recording)) {
		Py_INCREF(py.None);
		return py.None;
	}
	wsgid_gil_release();
	l = look(server);
	all = calloc(1, sizeof *all);
	wsgid_gil_acquire();
	if (l && all) {
		for (int i = 0; i < l->count; i++)
			merge(all, &l->samples[i].interval);
		result = look_value(l, server, all);
	} else {
		result = py.PyErr_NoMemory();
	}
	free(all);
	free(l);
	return result;
}
