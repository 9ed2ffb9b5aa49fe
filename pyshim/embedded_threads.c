/* Plain C threads, not goroutines: an application stays on its OS thread and
 * has a stack of a known size. */
#define _GNU_SOURCE
#include "embedded_threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "import.h"
#include "metrics.h"
#include "stacks.h"
#include "worker.h"

/* Threads at once, those included whose client has gone while the application
 * goes on: these are replaced at once and end when it returns. */
enum { ROOM = 4096 };

struct embedded {
	struct wsgid_server server; /* first: what callers see */
	bool taken[ROOM];           /* numbers of threads that run */
};

struct embedded_thread {
	struct embedded *embedded;
	int number;
	int fd;
};

static pthread_mutex_t numbers = PTHREAD_MUTEX_INITIALIZER; /* guards taken */

struct wsgid_server *wsgid_embedded_new(int threads, bool multiprocess, size_t rules)
{
	struct embedded *embedded = calloc(1, sizeof(*embedded));
	struct wsgid_server *server = &embedded->server;

	if (embedded == NULL)
		return NULL;
	server->group = "";
	server->threads = threads;
	server->multiprocess = multiprocess;
	server->embedded = true;
	server->status_fd = -1;
	server->rules = calloc(rules + 1, sizeof(*server->rules));
	server->rule_count = rules;
	if (server->rules == NULL || wsgid_metrics_open(server, ROOM) != 0) {
		free((void *)server->rules);
		free(embedded);
		return NULL;
	}
	return server;
}

int wsgid_embedded_rule(struct wsgid_server *server, size_t index, const char *path, size_t length,
                        bool directory)
{
	struct wsgid_script_rule *rule = (struct wsgid_script_rule *)&server->rules[index];
	char *copy = malloc(length + 1);

	if (copy == NULL)
		return -1;
	memcpy(copy, path, length);
	copy[length] = 0;
	rule->path = copy;
	rule->length = length;
	rule->directory = directory;
	return 0;
}

/* The lowest number that no thread has, with its meter; -1: none is left, or no memory. */
static int take_number(struct embedded *embedded)
{
	int number = 0;

	pthread_mutex_lock(&numbers);
	while (number < ROOM && embedded->taken[number])
		number++;
	if (number == ROOM || wsgid_metrics_grow(&embedded->server, number + 1) != 0)
		number = -1;
	else
		embedded->taken[number] = true;
	pthread_mutex_unlock(&numbers);
	return number;
}

static void give_number_back(struct embedded *embedded, int number)
{
	pthread_mutex_lock(&numbers);
	embedded->taken[number] = false;
	pthread_mutex_unlock(&numbers);
}

void wsgid_embedded_import(const char *application, const char *path)
{
	static const struct wsgid_server server = { .group = "", .embedded = true, .status_fd = -1 };
	struct wsgid_import import = { .path = path };

	if (strlen(application) >= sizeof(import.application))
		return;
	strcpy(import.application, application);
	wsgid_import_run(&server, &import, NULL);
}

static void *serve(void *argument)
{
	struct embedded_thread start = *(struct embedded_thread *)argument;

	free(argument);
	wsgid_serve_connection(&start.embedded->server, start.number, start.fd);
	give_number_back(start.embedded, start.number);
	return NULL;
}

int wsgid_embedded_start(struct wsgid_server *server, int fd, size_t stack)
{
	struct embedded_thread *start = malloc(sizeof(*start));
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	int number, result;

	if (start == NULL)
		return ENOMEM;
	*start = (struct embedded_thread){ (struct embedded *)server, -1, fd };
	number = take_number(start->embedded);
	start->number = number;
	if (number < 0) {
		free(start);
		return EAGAIN;
	}
	result = pthread_attr_init(&attributes);
	if (result != 0) {
		give_number_back(start->embedded, number);
		free(start);
		return result;
	}
	pthread_attr_setstacksize(&attributes, stack);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* Signals are Go's, but for the one that asks where a thread is; those that a fault
	 * raises come through in any case. */
	sigfillset(&all);
	sigdelset(&all, WSGID_STACKS_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&id, &attributes, serve, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (result != 0) {
		give_number_back((struct embedded *)server, number);
		free(start);
	}
	return result;
}
