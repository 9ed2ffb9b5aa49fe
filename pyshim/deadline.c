/* The clock of requests: what their threads note down, and the main thread
 * that looks at it. */
#define _GNU_SOURCE
#include "deadline.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "deadline_internal.h"
#include "fork.h"
#include "status.h"

enum { PASS = 1000000 }; /* microseconds between two exceptions in one request */

static uint64_t monotonic(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* The timer goes off at that time; 0: never. */
static void set_timer(const struct wsgid_deadlines *d, uint64_t at)
{
	struct itimerspec once = {
	    .it_value = {.tv_sec = (time_t)(at / 1000000u), .tv_nsec = (long)(at % 1000000u) * 1000},
	};
	timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &once, NULL);
}

/* NULL when embedded. */
static struct wsgid_deadline *own(const struct wsgid_request *r)
{
	const struct wsgid_connection *c = r->connection;
	const struct wsgid_deadlines *d = c->server->deadlines;
	return d ? &d->threads[c->thread] : NULL;
}

/* Changes the state of the own request when nobody looks at it. gil: is held,
 * and somebody who looks may be waiting for it. */
static void enter_state(struct wsgid_deadline *t, uint64_t state, bool gil)
{
	uint64_t now = atomic_load(&t->word);
	for (;;) {
		uint64_t free = now & ~(uint64_t)WSGID_DEADLINE_LOCKED;
		uint64_t next = (free & ~(uint64_t)WSGID_DEADLINE_STATE) | state;
		if ((now == free || wsgid_forked) && atomic_compare_exchange_weak(&t->word, &now, next))
			return;
		if (now == free)
			continue;
		if (gil)
			wsgid_gil_release();
		poll(NULL, 0, 1);
		if (gil)
			wsgid_gil_acquire();
		now = atomic_load(&t->word);
	}
}

void wsgid_deadline_begin(struct wsgid_request *r)
{
	struct wsgid_deadlines *d = r->connection->server->deadlines;
	bool armed = false;
	if (!d)
		return;
	struct wsgid_deadline *t = &d->threads[r->connection->thread];
	t->request = r;
	t->injected = false;
	atomic_store_explicit(&t->overdue, false, memory_order_relaxed);
	if (d->timeout)
		atomic_store_explicit(&t->started, monotonic(), memory_order_relaxed);
	/* Either the main thread sees the request, or we see that no timer runs. */
	atomic_store(&t->word, ((atomic_load(&t->word) | (WSGID_DEADLINE_SERIAL - 1)) + 1) | WSGID_DEADLINE_OUTSIDE);
	if (d->first && !atomic_load(&d->armed) && atomic_compare_exchange_strong(&d->armed, &armed, true))
		set_timer(d, monotonic() + d->first);
}

void wsgid_deadline_entered(struct wsgid_request *r)
{
	struct wsgid_deadline *t = own(r);
	if (!t)
		return;
	t->python = py.PyThreadState_Get();
	t->thread = py.PyThread_get_thread_ident();
	enter_state(t, WSGID_DEADLINE_INSIDE, true);
}

void wsgid_deadline_open(struct wsgid_request *r)
{
	struct wsgid_deadline *t = own(r);
	if (t)
		enter_state(t, WSGID_DEADLINE_OPEN, true);
}

void wsgid_deadline_close(struct wsgid_request *r)
{
	struct wsgid_deadline *t = own(r);
	if (!t)
		return;
	enter_state(t, WSGID_DEADLINE_INSIDE, true);
	if (t->injected) /* what has not come out must not hit what follows */
		py.PyThreadState_SetAsyncExc(t->thread, NULL);
}

void wsgid_deadline_end(struct wsgid_request *r)
{
	struct wsgid_deadlines *d = r->connection->server->deadlines;
	if (!d)
		return;
	enter_state(&d->threads[r->connection->thread], WSGID_DEADLINE_NONE, false);
	if (!d->timeout || !atomic_load_explicit(&d->server->retiring, memory_order_relaxed) || wsgid_forked)
		return;
	atomic_store(&d->poked, true);
	set_timer(d, 1);
}

bool wsgid_deadline_overdue(const struct wsgid_connection *c)
{
	const struct wsgid_deadlines *d = c->server->deadlines;
	return d && atomic_load_explicit(&d->threads[c->thread].overdue, memory_order_relaxed);
}

void wsgid_deadline_raise(const struct wsgid_request *r)
{
	PyObject *type = py.PyDict_GetItemString(r->interpreter->modules, "RequestTimeout"); /* borrowed */
	py.PyErr_SetNone(type ? type : py.PyExc_SystemExit);
}

bool wsgid_deadline_lock(struct wsgid_deadline *t, uint64_t serial)
{
	uint64_t word = atomic_load(&t->word);
	while (word / WSGID_DEADLINE_SERIAL == serial && word & WSGID_DEADLINE_STATE && !(word & WSGID_DEADLINE_LOCKED))
		if (atomic_compare_exchange_weak(&t->word, &word, word | WSGID_DEADLINE_LOCKED))
			return true;
	return false;
}

void wsgid_deadline_unlock(struct wsgid_deadline *t)
{
	atomic_fetch_and(&t->word, ~(uint64_t)WSGID_DEADLINE_LOCKED);
}

void wsgid_deadline_describe(const struct wsgid_deadline *t, struct wsgid_deadline_subject *to)
{
	const struct wsgid_request *r = t->request;
	memcpy(to->id, r->id, sizeof to->id);
	memcpy(to->application, r->application, sizeof to->application);
	memcpy(to->script, r->script, sizeof to->script);
	memcpy(to->error_log, r->error_log, sizeof to->error_log);
	memcpy(to->trace, r->trace, sizeof to->trace);
	to->context = (struct wsgid_log_context){
	    .application = to->application,
	    .script = to->script,
	    .request = to->id,
	    .trace = to->trace,
	    .error_log = to->error_log,
	};
}

/* The request will not end: the process wants to be replaced. */
static void write_off(struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial)
{
	struct wsgid_deadline_subject subject = {0};
	t->written_off = true;
	if (wsgid_deadline_lock(t, serial)) {
		wsgid_deadline_describe(t, &subject);
		wsgid_deadline_unlock(t);
	}
	wsgid_status_leave(d->server, "request_timeout", 11, NULL); /* exitreason.RequestTimeout */
	subject.context.code = wsgid_error(WSGID_E_REQUEST_TIMEOUT)->text;
	wsgid_logf("warn", &subject.context, d->interrupt ? "request has not ended within interrupt_timeout, it is written off"
	                                                  : "request has run for longer than request_timeout, it is written off");
	if (!d->interrupt)
		wsgid_deadline_interrupt(d, t, serial);
}

bool wsgid_deadlines_interrupt(struct wsgid_server *server, const char *id)
{
	struct wsgid_deadlines *d = server->deadlines;
	for (int i = 0; i < server->threads; i++) {
		struct wsgid_deadline *t = &d->threads[i];
		uint64_t serial = atomic_load(&t->word) / WSGID_DEADLINE_SERIAL;
		if (!wsgid_deadline_lock(t, serial))
			continue; /* it serves nothing, or is being interrupted */
		bool meant = strcmp(t->request->id, id) == 0;
		if (meant)
			atomic_store_explicit(&t->overdue, true, memory_order_relaxed);
		wsgid_deadline_unlock(t);
		if (meant) {
			wsgid_deadline_force(d, t, serial);
			return true;
		}
	}
	return false;
}

/* What the main thread sees. */
struct sight {
	uint64_t now;
	uint64_t next;        /* when to look again; 0: when a request begins */
	int running, stale;   /* requests; those that do not hold up draining */
	bool written_off;     /* one of them is */
};

static void look_again(struct sight *s, uint64_t at)
{
	if (!s->next || at < s->next)
		s->next = at;
}

static void overdue(struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial, struct sight *s)
{
	if (t->seen != serial) {
		t->seen = serial;
		t->since = s->now;
		t->written_off = false;
	}
	if (!t->written_off && d->interrupt && s->now - t->since < d->interrupt) {
		uint64_t last = t->since + d->interrupt;
		atomic_store_explicit(&t->overdue, true, memory_order_relaxed);
		wsgid_deadline_interrupt(d, t, serial);
		look_again(s, last < s->now + PASS ? last : s->now + PASS);
	} else if (!t->written_off) {
		write_off(d, t, serial);
	}
	s->written_off = s->written_off || t->written_off;
}

static void look_at(struct wsgid_deadlines *d, struct wsgid_deadline *t, struct sight *s)
{
	uint64_t word = atomic_load(&t->word), serial = word / WSGID_DEADLINE_SERIAL;
	if (!(word & WSGID_DEADLINE_STATE))
		return;
	s->running++;
	if (!d->timeout)
		return;
	uint64_t started = atomic_load(&t->started);
	if (atomic_load(&t->word) / WSGID_DEADLINE_SERIAL != serial)
		started = s->now; /* another one has begun */
	uint64_t age = s->now > started ? s->now - started : 0;
	if (age > d->timeout + d->interrupt)
		s->stale++;
	else if (atomic_load(&d->server->retiring))
		look_again(s, started + d->timeout + d->interrupt + 1);
	if (age < d->limit)
		look_again(s, started + d->limit);
	else
		overdue(d, t, serial, s);
}

/* No thread gets into Python any more: whatever runs will not end. */
static void deadlocked(struct wsgid_deadlines *d)
{
	if (wsgid_status_leave(d->server, "deadlock_timeout", 15, NULL)) /* exitreason.DeadlockTimeout */
		wsgid_logf("error", NULL, "nobody has got the GIL within deadlock_timeout, process wants to be replaced");
	if (!d->drained)
		wsgid_status_event(d->server, "event", "drained", NULL);
	d->drained = true;
}

static struct sight look(struct wsgid_deadlines *d)
{
	struct sight s = {.now = monotonic()};
	for (int i = 0; i < d->server->threads; i++)
		look_at(d, &d->threads[i], &s);
	if (!d->deadlock || !s.running || d->drained)
		return s;
	uint64_t next = wsgid_deadlock_look(d->deadlock, s.now);
	if (next)
		look_again(&s, next);
	else
		deadlocked(d);
	return s;
}

void wsgid_deadlines_look(struct wsgid_server *server)
{
	struct wsgid_deadlines *d = server->deadlines;
	uint64_t expired;
	struct sight s;
	if (read(d->timer_fd, &expired, sizeof expired) < 0)
		return;
	bool retiring;
	do {
		retiring = atomic_load(&server->retiring);
		atomic_store(&d->poked, false);
		s = look(d);
		if (!s.next) {
			bool armed = false;
			atomic_store(&d->armed, false);
			s = look(d);
			if (s.next && !atomic_compare_exchange_strong(&d->armed, &armed, true))
				s.next = 0; /* the thread of the request has set it */
		}
		if (s.next)
			set_timer(d, s.next);
	} while (atomic_load(&d->poked) || retiring != atomic_load(&server->retiring));
	if (s.written_off && s.running == s.stale && !d->drained) {
		d->drained = true;
		wsgid_status_event(server, "event", "drained", NULL);
	}
}

int wsgid_deadlines_fd(const struct wsgid_server *server)
{
	return server->deadlines ? server->deadlines->timer_fd : -1;
}

void wsgid_deadlines_forked(const struct wsgid_server *server)
{
	if (server->deadlines)
		close(server->deadlines->timer_fd);
}

int wsgid_deadlines_open(struct wsgid_server *server, const struct wsgid_boot *boot)
{
	long timeout = wsgid_boot_number(boot, "request_timeout", 0);
	long deadlock = wsgid_boot_number(boot, "deadlock_timeout", 0);
	size_t size = (size_t)server->threads * sizeof(struct wsgid_deadline);
	struct wsgid_deadlines *d = calloc(1, sizeof *d);
	if (!d)
		return -1;
	d->server = server;
	d->timeout = (uint64_t)timeout * 1000;
	d->limit = (uint64_t)wsgid_boot_number(boot, "request_limit", timeout) * 1000;
	d->interrupt = (uint64_t)wsgid_boot_number(boot, "interrupt_timeout", 0) * 1000;
	d->free_threading = wsgid_boot_number(boot, "free_threading", 0) != 0;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	d->threads = aligned_alloc(_Alignof(struct wsgid_deadline), size);
	if (deadlock > 0)
		d->deadlock = wsgid_deadlock_new((uint64_t)deadlock * 1000);
	if (d->timer_fd < 0 || !d->threads || (deadlock > 0 && !d->deadlock))
		return -1;
	d->first = d->limit;
	if (d->deadlock && (!d->first || wsgid_deadlock_period(d->deadlock) < d->first))
		d->first = wsgid_deadlock_period(d->deadlock);
	memset(d->threads, 0, size);
	server->deadlines = d;
	return 0;
}
