/* The loop of a worker, see loop.h. Everything below loop->lock; it is not
 * held while a request runs or a thread waits. */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "log.h"
#include "metrics.h"
#include "patience.h"

enum {
	EVENTS = 32,
	/* A turn that takes longer, on average, is worth another thread at once:
	 * waking one costs some 5 us. Samples are cut so that one slow request
	 * does not decide for the next hundred. Microseconds. */
	LONG_TURN = 100,
	TURN_MAX = 400,
	/* After this long without an end of the running requests somebody else
	 * looks after the events; most of a time slice, so that a thread that only
	 * waits for the processor is left to it. Nanoseconds. */
	PATIENCE = 2000000,
	STARVED = 100000000, /* accept fails: next try */
	LISTENER = -1, /* slot numbers of events that are no connection */
	NOTICE = -2,
};

enum slot_state { FREE, IDLE, QUEUED, BUSY };

struct slot {
	struct wsgid_connection connection;
	enum slot_state state;
	uint32_t generation; /* tells an event of an earlier connection */
	bool again;          /* an event came while BUSY */
	bool ended;          /* the router sends nothing more: there is no further event */
	bool cut;            /* stopping: nothing more will be received */
};

struct wsgid_loop {
	struct wsgid_server *server;
	int listen_fd, epoll_fd, timer_fd;
	int notice_fd; /* eventfd: wakes the leader */
	uid_t router_uid;
	pthread_mutex_t lock;
	struct slot *slots; /* one a thread */
	int open;           /* connections */
	bool listening;     /* the listener is in the epoll set */
	bool starved;       /* accept failed: not again before the timer fires */
	int *queue;         /* ring of slot numbers */
	int first, queued;
	sem_t *wake;        /* one a thread */
	int *asleep;        /* stack of thread numbers */
	int sleepers;
	bool leading;       /* a thread waits for events */
	bool waking;        /* a sleeper is on its way */
	bool armed;         /* the timer runs */
	int running;        /* threads that serve */
	uint64_t turns, turns_when_armed;
	unsigned average;   /* of a turn, microseconds × 16 */
};

static uint64_t monotonic(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static uint64_t processor_time(const struct rusage *usage)
{
	return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

/* One turn of a connection. Returns its length in microseconds: by the clock
 * if the thread slept in it, by processor time if somebody else was merely
 * given its processor, which another thread would not have mended. */
static unsigned turn(struct wsgid_connection *c, bool *over)
{
	struct rusage before, after;
	getrusage(RUSAGE_THREAD, &before);
	uint64_t start = monotonic();
	*over = wsgid_connection_turn(c) < 0;
	uint64_t took = monotonic() - start;
	wsgid_meter_busy(c, took);
	if (took > LONG_TURN && getrusage(RUSAGE_THREAD, &after) == 0 && after.ru_nvcsw == before.ru_nvcsw)
		took = processor_time(&after) - processor_time(&before);
	return took < TURN_MAX ? (unsigned)took : TURN_MAX;
}

static int watch(struct wsgid_loop *l, int operation, int fd, uint32_t events, int slot, uint32_t generation)
{
	struct epoll_event event = {
	    .events = events,
	    .data.u64 = (uint64_t)generation << 32 | (uint32_t)slot,
	};
	return epoll_ctl(l->epoll_fd, operation, fd, &event);
}

static int watch_connection(struct wsgid_loop *l, int operation, int number)
{
	const struct slot *s = &l->slots[number];
	return watch(l, operation, s->connection.fd, EPOLLIN | EPOLLRDHUP | EPOLLET, number, s->generation);
}

/* Listens as long as there is a thread for one more connection. */
static void listen_or_not(struct wsgid_loop *l)
{
	bool want = l->open < l->server->threads && !l->starved && !atomic_load(&l->server->retiring) &&
	            !atomic_load(&l->server->stopping);
	if (want == l->listening)
		return;
	/* Exclusive: one process of the group is woken by a new connection. */
	if (watch(l, want ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->listen_fd, EPOLLIN | EPOLLEXCLUSIVE, LISTENER, 0) == 0)
		l->listening = want;
}

static void set_timer(struct wsgid_loop *l, long nanoseconds)
{
	struct itimerspec once = {.it_value.tv_nsec = nanoseconds};
	l->armed = timerfd_settime(l->timer_fd, 0, &once, NULL) == 0;
}

static void enqueue(struct wsgid_loop *l, int number)
{
	l->slots[number].state = QUEUED;
	l->queue[(l->first + l->queued++) % l->server->threads] = number;
}

/* Only the router may speak to us. */
static bool is_router(const struct wsgid_loop *l, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == l->router_uid)
		return true;
	wsgid_logf("warn", NULL, "connection refused: peer is not the router");
	return false;
}

static void close_slot(struct wsgid_loop *l, int number)
{
	struct slot *s = &l->slots[number];
	atomic_store(&l->server->connections[number], NULL);
	/* close alone would leave it in the set while a child that the application
	 * is about to execute still has it. */
	if (s->connection.fd >= 0)
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->connection.fd, NULL);
	wsgid_connection_close(&s->connection);
	s->state = FREE;
	s->generation++;
	l->open--;
	listen_or_not(l);
}

/* Takes connections while there is room. */
static void accept_some(struct wsgid_loop *l)
{
	while (l->open < l->server->threads && !atomic_load(&l->server->retiring)) {
		int fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			/* No descriptors, or the application closed ours: the event would
			 * come again at once. */
			if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED) {
				l->starved = true;
				set_timer(l, STARVED);
			}
			break;
		}
		if (!is_router(l, fd)) {
			close(fd);
			continue;
		}
		int number = 0;
		while (l->slots[number].state != FREE)
			number++;
		struct slot *s = &l->slots[number];
		if (wsgid_connection_open(&s->connection, l->server, fd, l->epoll_fd) < 0) {
			wsgid_logf("error", NULL, "no memory for a connection");
			close(fd);
			break;
		}
		s->again = s->ended = s->cut = false;
		s->state = IDLE;
		l->open++;
		atomic_store(&l->server->connections[number], &s->connection);
		if (watch_connection(l, EPOLL_CTL_ADD, number) < 0) {
			wsgid_logf("error", NULL, "cannot watch a connection");
			close_slot(l, number);
			break;
		}
	}
	listen_or_not(l);
}

static void take_event(struct wsgid_loop *l, const struct epoll_event *event)
{
	int number = (int)(uint32_t)event->data.u64;
	uint64_t count;
	if (number == NOTICE) {
		if (read(l->notice_fd, &count, sizeof count) < 0)
			return; /* another took it */
	} else if (number == LISTENER) {
		accept_some(l);
	} else if (number >= 0) {
		struct slot *s = &l->slots[number];
		if (s->generation != (uint32_t)(event->data.u64 >> 32))
			return;
		if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			s->ended = true;
		if (s->state == IDLE)
			enqueue(l, number);
		else if (s->state == BUSY)
			s->again = true;
	}
}

/* Waits for events as the leader. */
static void lead(struct wsgid_loop *l)
{
	struct epoll_event events[EVENTS];
	l->leading = true;
	pthread_mutex_unlock(&l->lock);
	int count = epoll_wait(l->epoll_fd, events, EVENTS, -1);
	wsgid_patience_woken();
	pthread_mutex_lock(&l->lock);
	l->leading = false;
	for (int i = 0; i < count; i++)
		take_event(l, &events[i]);
}

static void sleep_until_woken(struct wsgid_loop *l, int thread)
{
	l->asleep[l->sleepers++] = thread;
	pthread_mutex_unlock(&l->lock);
	while (sem_wait(&l->wake[thread]) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&l->lock);
	l->waking = false;
}

static void wake_one(struct wsgid_loop *l)
{
	if (l->waking || !l->sleepers)
		return;
	l->waking = true;
	sem_post(&l->wake[l->asleep[--l->sleepers]]);
}

/* Has somebody look after the events should this turn be a long one. */
static void arm(struct wsgid_loop *l)
{
	if (l->armed || l->leading || !l->sleepers)
		return;
	l->turns_when_armed = l->turns;
	set_timer(l, PATIENCE);
}

/* After a turn: over, more to do, or waiting for the router. */
static void settle(struct wsgid_loop *l, int number, bool over)
{
	struct slot *s = &l->slots[number];
	if (!over && s->connection.muted) {
		s->connection.muted = false;
		over = watch_connection(l, EPOLL_CTL_MOD, number) < 0;
	}
	if (over) {
		close_slot(l, number);
		return;
	}
	if (atomic_load(&l->server->stopping) && !s->cut) {
		/* What has arrived is still read, and refused. */
		s->cut = true;
		s->again = true;
		shutdown(s->connection.fd, SHUT_RD);
	}
	if (s->again || s->ended) {
		s->again = false;
		enqueue(l, number);
	} else {
		s->state = IDLE;
	}
}

/* Serves the first of the queue. */
static void serve_one(struct wsgid_loop *l, int thread)
{
	int number = l->queue[l->first];
	struct slot *s = &l->slots[number];
	l->first = (l->first + 1) % l->server->threads;
	l->queued--;
	s->state = BUSY;
	s->again = false;
	s->connection.thread = thread;
	l->running++;
	if (l->average > LONG_TURN * 16) {
		if (l->queued || !l->leading)
			wake_one(l);
	} else {
		arm(l);
	}
	pthread_mutex_unlock(&l->lock);
	bool over;
	unsigned took = turn(&s->connection, &over);
	pthread_mutex_lock(&l->lock);
	l->running--;
	l->turns++;
	l->average += took - l->average / 16;
	settle(l, number, over);
}

static bool finished(const struct wsgid_loop *l)
{
	return atomic_load(&l->server->stopping) && !l->open;
}

/* Lets every thread see that the loop has changed. */
static void wake_all(struct wsgid_loop *l)
{
	uint64_t one = 1;
	while (l->sleepers)
		sem_post(&l->wake[l->asleep[--l->sleepers]]);
	if (write(l->notice_fd, &one, sizeof one) < 0)
		wsgid_logf("warn", NULL, "cannot wake the leading thread");
}

void wsgid_loop_run(struct wsgid_loop *l, int thread)
{
	wsgid_outside_python = true;
	pthread_mutex_lock(&l->lock);
	while (!finished(l)) {
		if (atomic_load_explicit(&l->server->retiring, memory_order_relaxed))
			listen_or_not(l);
		if (l->queued)
			serve_one(l, thread);
		else if (!l->leading)
			lead(l);
		else
			sleep_until_woken(l, thread);
	}
	wake_all(l);
	pthread_mutex_unlock(&l->lock);
}

void wsgid_loop_stop(struct wsgid_loop *l)
{
	pthread_mutex_lock(&l->lock);
	listen_or_not(l);
	for (int i = 0; i < l->server->threads; i++)
		if (l->slots[i].state == IDLE)
			settle(l, i, false);
	wake_all(l);
	pthread_mutex_unlock(&l->lock);
}

int wsgid_loop_timer_fd(const struct wsgid_loop *l)
{
	return l->timer_fd;
}

void wsgid_loop_timer(struct wsgid_loop *l)
{
	uint64_t expired;
	if (read(l->timer_fd, &expired, sizeof expired) < 0)
		return;
	pthread_mutex_lock(&l->lock);
	l->armed = l->starved = false;
	listen_or_not(l);
	if (l->running && !l->leading) {
		if (l->turns == l->turns_when_armed)
			wake_one(l);
		else
			arm(l);
	}
	pthread_mutex_unlock(&l->lock);
}

void wsgid_loop_forked(struct wsgid_loop *l)
{
	close(l->epoll_fd);
	close(l->timer_fd);
	close(l->notice_fd);
}

struct wsgid_loop *wsgid_loop_new(struct wsgid_server *server, int listen_fd, uid_t router_uid)
{
	struct wsgid_loop *l = calloc(1, sizeof *l);
	size_t threads = (size_t)server->threads;
	if (!l)
		return NULL;
	l->server = server;
	l->listen_fd = listen_fd;
	l->router_uid = router_uid;
	pthread_mutex_init(&l->lock, NULL);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->slots = calloc(threads, sizeof *l->slots);
	l->queue = calloc(threads, sizeof *l->queue);
	l->asleep = calloc(threads, sizeof *l->asleep);
	l->wake = calloc(threads, sizeof *l->wake);
	server->connections = calloc(threads, sizeof *server->connections);
	if (l->epoll_fd < 0 || l->timer_fd < 0 || l->notice_fd < 0 || !l->slots || !l->queue || !l->asleep ||
	    !l->wake || !server->connections)
		return NULL;
	for (size_t i = 0; i < threads; i++)
		sem_init(&l->wake[i], 0, 0);
	if (watch(l, EPOLL_CTL_ADD, l->notice_fd, EPOLLIN | EPOLLET, NOTICE, 0) < 0)
		return NULL;
	listen_or_not(l);
	return l;
}
