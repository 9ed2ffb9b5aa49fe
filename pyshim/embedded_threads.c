/* Plain C threads, not goroutines: an application stays on its OS thread and
 * has a stack of a known size. */
#define _GNU_SOURCE
#include "embedded_threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "worker.h"

#define STACK_SIZE (8UL * 1024 * 1024)

struct embedded_thread {
	struct wsgid_server *server;
	int thread;
	int fd;
};

struct wsgid_server *wsgid_embedded_new(int threads, bool multiprocess, size_t rules)
{
	struct wsgid_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->group = "";
	server->threads = threads;
	server->multiprocess = multiprocess;
	server->embedded = true;
	server->status_fd = -1;
	server->rules = calloc(rules + 1, sizeof(*server->rules));
	server->rule_count = rules;
	if (server->rules == NULL || wsgid_metrics_open(server) != 0) {
		free((void *)server->rules);
		free(server);
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

static void *serve(void *argument)
{
	struct embedded_thread start = *(struct embedded_thread *)argument;

	free(argument);
	wsgid_serve_connection(start.server, start.thread, start.fd);
	return NULL;
}

int wsgid_embedded_start(struct wsgid_server *server, int thread, int fd)
{
	struct embedded_thread *start = malloc(sizeof(*start));
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	int result;

	if (start == NULL)
		return ENOMEM;
	*start = (struct embedded_thread){ server, thread, fd };
	result = pthread_attr_init(&attributes);
	if (result != 0) {
		free(start);
		return result;
	}
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* Signals are Go's; those that a fault raises come through in any case. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&id, &attributes, serve, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (result != 0)
		free(start);
	return result;
}
