/* A worker process from its boot block to its exit: start Python, preload,
 * serve with N threads, stop on SIGTERM or when the supervisor is gone. */
#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "activity.h"
#include "check.h"
#include "connection.h"
#include "deadline.h"
#include "errors_stream.h"
#include "extension_error.h"
#include "fork.h"
#include "import.h"
#include "interpreter.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "process_events.h"
#include "scoreboard.h"
#include "script_owner.h"
#include "service.h"
#include "stacks.h"
#include "status.h"
#include "watch.h"

enum { ERROR_TEXT = 1024 };

/* What the threads of a worker have in common beyond the server. */
struct worker {
	struct wsgid_server server;
	const struct wsgid_boot *boot;
	int listen_fd;
	struct wsgid_loop *loop;
	bool on_trial;            /* the supervisor has not said yet that it may serve */
	char reason[64];          /* why it is stopped, as the supervisor said */
	struct wsgid_watch *watch; /* NULL without the option */
	pthread_mutex_t lock;     /* guards alive */
	pthread_cond_t ended;
	int alive;                /* request threads */
};

struct thread_start {
	struct worker *worker;
	int number;
};

static void *request_thread(void *argument)
{
	struct thread_start start = *(struct thread_start *)argument;
	struct worker *w = start.worker;
	free(argument);
	wsgid_stacks_thread(start.number);
	wsgid_loop_run(w->loop, start.number);
	pthread_mutex_lock(&w->lock);
	w->alive--;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Starts the request threads. 0, or an errno. */
static int start_threads(struct worker *w)
{
	pthread_attr_t attributes;
	long stack = wsgid_boot_number(w->boot, "stack_size", 8 * 1024 * 1024);
	int result = pthread_attr_init(&attributes);
	if (result)
		return result;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (stack > 0)
		result = pthread_attr_setstacksize(&attributes, (size_t)stack);
	for (int i = 0; !result && i < w->server.threads; i++) {
		pthread_t thread;
		struct thread_start *start = malloc(sizeof *start);
		if (!start) {
			result = ENOMEM;
			break;
		}
		*start = (struct thread_start){w, i};
		w->alive++;
		wsgid_scoreboard_state(&w->server, i, WSGID_SLOT_IDLE);
		result = pthread_create(&thread, &attributes, request_thread, start);
		if (result) {
			w->alive--;
			free(start);
		}
	}
	pthread_attr_destroy(&attributes);
	return result;
}

/* A watched file has changed: this process wants to be replaced. With keep it
 * serves on until its successor has imported everything. */
static bool file_changed(void *context, const char *path)
{
	struct worker *w = context;
	if (w->server.keep) {
		wsgid_status_event(&w->server, "event", "renew", "reason", "watched", "script", path, NULL);
		return true;
	}
	wsgid_status_retire(&w->server, NULL, "watched file", path);
	return false;
}

/* The files are remembered before anything of them is imported. */
static void prepare_watch(struct worker *w)
{
	size_t count;
	const char **patterns = wsgid_boot_list(w->boot, "watch", &count);
	if (count && !wsgid_boot_get(w->boot, "check", NULL))
		w->watch = wsgid_watch_new(patterns);
	else
		free(patterns);
}

/* The process is ready, and with it the watching begins. */
static void tell_ready(struct worker *w)
{
	wsgid_status_event(&w->server, "event", "ready", NULL);
	if (w->watch && wsgid_watch_start(w->watch, file_changed, w) != 0)
		wsgid_logf("error", NULL, "files cannot be watched: no thread");
}

/* The script table: rule.file and rule.dir. */
static int read_rules(struct worker *w)
{
	size_t files, directories;
	const char **file = wsgid_boot_list(w->boot, "rule.file", &files);
	const char **directory = wsgid_boot_list(w->boot, "rule.dir", &directories);
	struct wsgid_script_rule *rules = calloc(files + directories + 1, sizeof *rules);
	if (file && directory && rules) {
		for (size_t i = 0; i < files; i++)
			rules[i] = (struct wsgid_script_rule){file[i], strlen(file[i]), false};
		for (size_t i = 0; i < directories; i++)
			rules[files + i] = (struct wsgid_script_rule){directory[i], strlen(directory[i]), true};
		w->server.rules = rules;
		w->server.rule_count = files + directories;
	}
	free(file);
	free(directory);
	return w->server.rules ? 0 : -1;
}

/* Whose scripts: script_uid or script_gid. */
static const struct wsgid_script_owner *read_owner(const struct wsgid_boot *boot)
{
	static struct wsgid_script_owner owner;
	owner.uid = wsgid_boot_number(boot, "script_uid", -1);
	owner.gid = wsgid_boot_number(boot, "script_gid", -1);
	return owner.uid < 0 && owner.gid < 0 ? NULL : &owner;
}

/* Reads the boot block. 0, or -1 with what is wrong. */
static int configure(struct worker *w, const char **error)
{
	const struct wsgid_boot *boot = w->boot;
	struct wsgid_server *s = &w->server;
	s->group = wsgid_boot_get(boot, "name", "");
	s->threads = (int)wsgid_boot_number(boot, "threads", 1);
	s->root = wsgid_boot_get(boot, "chroot", "");
	s->root_length = strlen(s->root);
	s->owner = read_owner(boot);
	s->multiprocess = wsgid_boot_number(boot, "multiprocess", 0) != 0;
	s->keep = strcmp(wsgid_boot_get(boot, "reload_on_error", ""), "keep") == 0;
	s->maximum_requests = wsgid_boot_number(boot, "maximum_requests", 0);
	s->socket_timeout = wsgid_boot_number(boot, "socket_timeout", 0);
	w->listen_fd = (int)wsgid_boot_number(boot, "fd.listen", -1);
	if (s->threads < 0 || s->threads > 65535) {
		*error = "the number of threads is not between 0 and 65535";
		return -1;
	}
	int scoreboard = (int)wsgid_boot_number(boot, "fd.scoreboard", -1);
	if (scoreboard >= 0 && wsgid_scoreboard_open(s, scoreboard) < 0) {
		*error = "cannot map the scoreboard";
		return -1;
	}
	if (!s->threads)
		return 0;
	if (w->listen_fd < 0 || fcntl(w->listen_fd, F_SETFL, fcntl(w->listen_fd, F_GETFL) | O_NONBLOCK) < 0) {
		*error = "no listening socket";
		return -1;
	}
	w->loop = wsgid_loop_new(s, w->listen_fd, (uid_t)wsgid_boot_number(boot, "router_uid", -1));
	if (!w->loop || read_rules(w) < 0 || wsgid_metrics_open(s, s->threads) < 0 ||
	    wsgid_metrics_grow(s, s->threads) < 0 || wsgid_deadlines_open(s, boot) < 0 || wsgid_activity_open(s, boot) < 0) {
		*error = "no memory or descriptors to start";
		return -1;
	}
	return 0;
}

static int start_python(struct worker *w, char *error, size_t size)
{
	const struct wsgid_boot *boot = w->boot;
	/* The lists live as long as the process, as the block does. */
	struct wsgid_python_options options = {
	    .python = wsgid_boot_get(boot, "python", NULL),
	    .python_home = wsgid_boot_get(boot, "python_home", NULL),
	    .python_path = wsgid_boot_list(boot, "python_path", NULL),
	    .home = wsgid_boot_get(boot, "home", NULL),
	    .arguments = wsgid_boot_list(boot, "python_argument", NULL),
	    .variables = wsgid_boot_list(boot, "python_variable", NULL),
	    .interpreters = wsgid_boot_list(boot, "interpreter", NULL),
	    .locale = wsgid_boot_get(boot, "locale", NULL),
	    .max_interpreters = (size_t)wsgid_boot_number(boot, "max_interpreters", 0),
	    .free_threading = wsgid_boot_number(boot, "free_threading", 0) != 0,
	    .modules_fd = (int)wsgid_boot_number(boot, "fd.modules", -1),
	};
	if (!options.python_path || !options.arguments || !options.variables || !options.interpreters) {
		snprintf(error, size, "no memory to start Python");
		return -1;
	}
	return wsgid_python_start(&options, error, size);
}

static int failed(struct worker *w, const char *error)
{
	wsgid_logf("error", NULL, "worker cannot start: %s", error);
	wsgid_status_event(&w->server, "event", "failed", "error", error, NULL);
	wsgid_scoreboard_exit(&w->server, 2); /* exitreason.StartFailed */
	return 1;
}

/* One packet, and the descriptor that comes with it, else -1. */
static ssize_t receive(int channel, char *packet, size_t size, int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = packet, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t got = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(head), sizeof *fd);
	return got;
}

/* Reads what the supervisor says (docs/internals.md section 2). Ends the process
 * when it is gone. */
static void listen_to_supervisor(struct worker *w)
{
	static const char stop[] = "event\0stop\0reason", serve[] = "event\0serve", stacks[] = "event\0stacks",
	                  interrupt[] = "event\0interrupt\0request";
	char packet[512];
	int fd = -1;
	if (w->server.status_fd < 0)
		return;
	ssize_t got = receive(w->server.status_fd, packet, sizeof packet - 1, &fd);
	if (fd >= 0 && got >= (ssize_t)sizeof stacks && memcmp(packet, stacks, sizeof stacks) == 0)
		wsgid_stacks_write(fd);
	else if (fd >= 0)
		close(fd);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		_exit(0);
	if (got >= (ssize_t)sizeof serve && memcmp(packet, serve, sizeof serve) == 0)
		w->on_trial = false;
	if (got > (ssize_t)sizeof interrupt && memcmp(packet, interrupt, sizeof interrupt) == 0) {
		packet[got] = 0;
		if (!wsgid_deadlines_interrupt(&w->server, packet + sizeof interrupt))
			wsgid_status_event(&w->server, "event", "interrupted", NULL);
	}
	if (got < (ssize_t)sizeof stop || memcmp(packet, stop, sizeof stop) != 0)
		return;
	packet[got] = 0;
	snprintf(w->reason, sizeof w->reason, "%.63s", packet + sizeof stop);
}

/* A process on trial has imported everything and waits for the word that it
 * may serve. False: it may not, SIGTERM has come. */
static bool admitted(struct worker *w)
{
	wsgid_status_event(&w->server, "event", "loaded", NULL);
	while (w->on_trial) {
		struct pollfd wait[2] = {
		    {.fd = wsgid_fork_signal_fd(), .events = POLLIN},
		    {.fd = w->server.status_fd, .events = POLLIN},
		};
		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			_exit(1);
		if (wait[1].revents)
			listen_to_supervisor(w);
		if (!wait[0].revents)
			continue;
		unsigned long long signals = wsgid_fork_signals();
		if (signals & 1ULL << SIGTERM)
			return false;
		wsgid_process_signals(signals & (1ULL << SIGHUP | 1ULL << SIGUSR2));
	}
	return true;
}

/* What signals other than SIGTERM ask for. */
static void heed(struct worker *w, unsigned long long signals)
{
	const unsigned long long evict = 1ULL << SIGUSR1, limit = 1ULL << SIGXCPU;
	if (signals & limit && wsgid_status_leave(&w->server, "cpu_time_limit", 16, NULL)) /* exitreason.CPUTimeLimit */
		wsgid_logf("warn", NULL, "cpu_time_limit is used up, process wants to be replaced");
	if (signals & evict)
		wsgid_status_relieve(&w->server, "eviction_signal");
	wsgid_process_signals(signals & ~(evict | limit));
}

/* Waits for SIGTERM and keeps the time of loop and requests. Ends the process when the
 * supervisor is gone. */
static void wait_for_stop(struct worker *w)
{
	for (;;) {
		struct pollfd wait[5] = {
		    {.fd = wsgid_fork_signal_fd(), .events = POLLIN},
		    {.fd = w->server.status_fd, .events = POLLIN},
		    {.fd = wsgid_loop_timer_fd(w->loop), .events = POLLIN},
		    {.fd = wsgid_deadlines_fd(&w->server), .events = POLLIN},
		    {.fd = wsgid_activity_fd(&w->server), .events = POLLIN},
		};
		if (poll(wait, 5, -1) < 0 && errno != EINTR)
			_exit(1);
		if (wait[3].revents)
			wsgid_deadlines_look(&w->server);
		if (wait[4].revents)
			wsgid_activity_look(&w->server);
		if (wait[2].revents)
			wsgid_loop_timer(w->loop);
		if (wait[1].revents)
			listen_to_supervisor(w);
		if (!wait[0].revents)
			continue;
		unsigned long long signals = wsgid_fork_signals();
		if (signals & 1ULL << SIGTERM)
			break;
		heed(w, signals);
	}
}

/* Ends the process when shutdown_timeout is over. */
static void *last_resort(void *argument)
{
	struct worker *w = argument;
	long timeout = wsgid_boot_number(w->boot, "shutdown_timeout", 5000);
	struct timespec left = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
	int running = 0;
	for (int i = 0; i < atomic_load(&w->server.metered); i++)
		running += atomic_load(&w->server.meters[i]->request) != NULL;
	pthread_mutex_lock(&w->lock);
	if (w->alive && !running) /* it is still being imported */
		running = 1;
	pthread_mutex_unlock(&w->lock);
	if (running) /* Python cannot be ended under a thread that runs in it */
		wsgid_logf("warn", NULL, "shutdown_timeout is over, requests are cut off: %d", running);
	else
		wsgid_logf("warn", NULL, "shutdown_timeout is over, exit functions are cut off");
	_exit(0);
}

/* Tells the subscribers, finishes what runs, bounded by shutdown_timeout, then
 * ends Python. */
static void stop(struct worker *w)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, last_resort, w) != 0) {
		wsgid_logf("error", NULL, "no thread to stop in order");
		_exit(1);
	}
	pthread_detach(thread);
	atomic_store(&w->server.retiring, true);
	atomic_store(&w->server.stopping, true);
	wsgid_loop_stop(w->loop);
	wsgid_process_stopping(w->reason);
	pthread_mutex_lock(&w->lock);
	while (w->alive)
		pthread_cond_wait(&w->ended, &w->lock);
	pthread_mutex_unlock(&w->lock);
	wsgid_deadlines_stop(&w->server);
	wsgid_stacks_stop();
	if (wsgid_boot_number(w->boot, "destroy_interpreter", 1))
		wsgid_python_finish();
	wsgid_streams_flush_thread();
}

/* Imports, serves, and stops. */
static int serve(struct worker *w)
{
	wsgid_import_all(&w->server, w->boot, "preload", false);
	wsgid_import_all(&w->server, w->boot, "retry", true);
	wsgid_fork_handle_signals();
	w->on_trial = wsgid_boot_number(w->boot, "trial", 0) != 0;
	bool serves = !w->on_trial || admitted(w);
	if (serves && !wsgid_fork_terminated()) {
		int error = start_threads(w);
		if (error)
			return failed(w, strerror(error));
		tell_ready(w);
		wait_for_stop(w);
	}
	listen_to_supervisor(w); /* what it said before the signal */
	stop(w);
	return 0;
}

/* A service is ready when its Python runs. How long its end may take is the
 * supervisor's affair. */
static int run_service(struct worker *w)
{
	if (wsgid_service_prepare() < 0)
		return failed(w, "cannot handle SIGTERM");
	tell_ready(w);
	int status = wsgid_service_run(&w->server, w->boot);
	listen_to_supervisor(w);
	wsgid_process_stopping(w->reason);
	wsgid_python_finish();
	wsgid_streams_flush_thread();
	return status;
}

int wsgid_worker_main(const struct wsgid_boot *boot)
{
	/* Threads that are still there at the end look at it: it is never freed. */
	static struct worker worker;
	struct worker *w = &worker;
	char text[ERROR_TEXT] = "";
	const char *error = NULL;
	w->boot = boot;
	strcpy(w->reason, "shutdown_signal"); /* until the supervisor says another */
	w->server.status_fd = (int)wsgid_boot_number(boot, "fd.status", -1);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->ended, NULL);
	wsgid_log_open((int)wsgid_boot_number(boot, "fd.log", -1));
	if (configure(w, &error) < 0)
		return failed(w, error);
	prepare_watch(w);
	wsgid_interpreter_on_new(wsgid_side_prepare);
	if (start_python(w, text, sizeof text) < 0)
		return failed(w, text);
	if (wsgid_fork_prepare(&w->server, w->loop, w->listen_fd) < 0)
		return failed(w, "cannot install signal handlers");
	if (wsgid_stacks_open(&w->server, (int)wsgid_boot_number(boot, "fd.stacks", -1)) < 0)
		return failed(w, "no memory to start");
	wsgid_scoreboard_python(&w->server, wsgid_python_version());
	wsgid_status_event(&w->server, "event", "started", "python", wsgid_python_version(), "prefix",
	                   wsgid_python_prefix(), "library", wsgid_python_library(), NULL);
	if (wsgid_boot_get(boot, "check", NULL))
		return wsgid_check_run(&w->server, boot);
	return w->server.threads ? serve(w) : run_service(w);
}
