/* Signals stay unblocked in every thread and are handled, not ignored: a mask
 * and an ignored signal would be inherited by what the application executes,
 * a handler is not. A forked child gets back what plain Python has. */
#define _GNU_SOURCE
#include "fork.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "activity.h"
#include "connection.h"
#include "deadline.h"
#include "patience.h"
#include "status.h"
#include "watch.h"

enum { HANDLED = 5 };

/* Signals that the main thread is told of. */
static const int handled[HANDLED] = {SIGTERM, SIGHUP, SIGXCPU, SIGUSR1, SIGUSR2};

static struct {
	struct wsgid_server *server;
	struct wsgid_loop *loop;
	int listen_fd;
	int signal_fd;
	pid_t pid; /* of the worker itself */
	atomic_ullong arrived; /* signals that nobody has asked for yet */
	/* As Python left them: those of handled, and of SIGINT. */
	struct sigaction before[HANDLED], interrupt;
} state = {.signal_fd = -1};

bool wsgid_forked;

/* Those of handled. */
static void on_signal(int number)
{
	uint64_t one = 1;
	int saved = errno;
	if (getpid() != state.pid) {
		/* A forked child that in_child has not reached yet: the event
		 * descriptor is still the worker's. Do what plain Python would. */
		for (int i = 0; i < HANDLED; i++)
			if (handled[i] == number)
				sigaction(number, &state.before[i], NULL);
		raise(number);
		errno = saved;
		return;
	}
	atomic_fetch_or(&state.arrived, 1ULL << number);
	if (write(state.signal_fd, &one, sizeof one) < 0)
		errno = 0; /* it is readable already */
	errno = saved;
}

/* cpu_time_limit in a service, which has no thread for it. */
static void on_service_limit(int number)
{
	if (getpid() == state.pid) {
		wsgid_status_leave(state.server, "cpu_time_limit", 16, NULL); /* exitreason.CPUTimeLimit */
		return;
	}
	signal(number, SIG_DFL); /* a child of the application: as without us */
	raise(number);
}

/* The supervisor has died. What the application has started would live on: the
 * parent-death signal of the kernel is this process's alone. */
static void on_orphaned(int number)
{
	if (getpid() == state.pid)
		kill(0, SIGKILL); /* the process group, and this process */
	signal(number, SIG_DFL);
	raise(number);
}

static void on_ignored(int number)
{
	(void)number;
}

/* In the child of a fork by the application. Async-signal-safe: the parent has
 * other threads. */
static void in_child(void)
{
	struct wsgid_server *server = state.server;
	wsgid_forked = true;
	wsgid_patience_forked();
	if (!server)
		return;
	signal(SIGRTMAX, SIG_DFL);
	/* What is the worker's: its sockets would keep connections open, its
	 * scoreboard and status channel would lie. */
	wsgid_watch_forked();
	if (state.loop) {
		for (int i = 0; i < HANDLED; i++)
			sigaction(handled[i], &state.before[i], NULL);
		sigaction(SIGINT, &state.interrupt, NULL);
		close(state.listen_fd);
		close(state.signal_fd);
		wsgid_loop_forked(state.loop);
		wsgid_deadlines_forked(server);
		wsgid_activity_forked(server);
	}
	if (server->status_fd >= 0)
		close(server->status_fd);
	server->status_fd = -1;
	server->scoreboard = NULL;
	for (int i = 0; i < server->threads; i++) {
		struct wsgid_connection *c = atomic_load(&server->connections[i]);
		if (!c || c->fd < 0)
			continue;
		close(c->fd);
		c->fd = -1;
		c->broken = true;
	}
	state.server = NULL;
}

int wsgid_fork_watch(void)
{
	return pthread_atfork(NULL, NULL, in_child) ? -1 : 0;
}

static int handle_one(int number, void (*handler)(int), struct sigaction *before)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_flags = SA_RESTART;
	sigemptyset(&action.sa_mask);
	action.sa_handler = handler;
	return sigaction(number, &action, before);
}

void wsgid_fork_handle_signals(void)
{
	handle_one(SIGTERM, on_signal, NULL);
	handle_one(SIGHUP, on_signal, NULL);
	handle_one(SIGXCPU, on_signal, NULL);
	handle_one(SIGINT, on_ignored, NULL);
}

/* From SIGKILL, which covers the time before, to on_orphaned. */
static int watch_parent(void)
{
	pid_t parent = getppid();
	if (handle_one(SIGRTMAX, on_orphaned, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGRTMAX, 0, 0, 0) < 0)
		return -1;
	if (getppid() != parent) /* it was too late for the one, and too early for the other */
		raise(SIGRTMAX);
	return 0;
}

int wsgid_fork_prepare(struct wsgid_server *server, struct wsgid_loop *loop, int listen_fd)
{
	state.loop = loop;
	state.listen_fd = listen_fd;
	state.server = server;
	state.pid = getpid();
	if (watch_parent() < 0)
		return -1;
	if (!loop) {
		handle_one(SIGXCPU, on_service_limit, NULL);
		return pthread_atfork(NULL, NULL, in_child) ? -1 : 0;
	}
	state.signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (state.signal_fd < 0)
		return -1;
	for (int i = 0; i < HANDLED; i++)
		if (handle_one(handled[i], on_signal, &state.before[i]) < 0)
			return -1;
	if (handle_one(SIGINT, on_ignored, &state.interrupt) < 0)
		return -1;
	return pthread_atfork(NULL, NULL, in_child) ? -1 : 0;
}

bool wsgid_fork_terminated(void)
{
	return (atomic_load(&state.arrived) & 1ULL << SIGTERM) != 0;
}

int wsgid_fork_signal_fd(void)
{
	return state.signal_fd;
}

unsigned long long wsgid_fork_signals(void)
{
	uint64_t count;
	if (read(state.signal_fd, &count, sizeof count) < 0)
		return 0; /* none since the last time */
	return atomic_exchange(&state.arrived, 0);
}
