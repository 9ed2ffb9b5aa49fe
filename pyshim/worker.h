/* The worker: N threads that serve the router's connections (loop.h). The
 * same serving code runs embedded applications on threads of the router, a
 * thread a connection. */
#ifndef WSGID_WORKER_H
#define WSGID_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot.h"

struct wsgid_activity;
struct wsgid_connection;
struct wsgid_deadlines;
struct wsgid_meter;
struct wsgid_script_owner;

/* Whom a script may belong to: one row of the script table. */
struct wsgid_script_rule {
	const char *path;
	size_t length;
	bool directory; /* path and everything below it */
};

/* What all threads of one process (or of the router's embedded mode) share.
 * Constant after start but for the atomics. */
struct wsgid_server {
	const char *group;          /* process group, "" when embedded */
	int threads;                /* 0: a service, see service.h */
	bool multiprocess;
	long maximum_requests;      /* after which the process wants to be replaced, 0: never */
	long socket_timeout;        /* of a wait for the router in a request, ms; 0: none */
	bool embedded;              /* in the router: changed scripts are imported in place */
	bool keep;                  /* reload_on_error = "keep": a changed script goes on serving
	                               until another process has imported the new one */
	const struct wsgid_script_rule *rules;
	size_t rule_count;
	const char *root;           /* chroot; "": the machine's root directory */
	size_t root_length;
	const struct wsgid_script_owner *owner; /* of scripts; NULL: anybody */
	int status_fd;              /* docs/internals.md section 2, -1 when embedded */
	uint8_t *scoreboard;        /* section 4, NULL when embedded */
	size_t scoreboard_size;
	struct wsgid_meter **meters; /* metrics.h, by number of the thread */
	atomic_int metered;         /* how many of them there are; more than threads when
	                               embedded threads had to be replaced */
	struct wsgid_activity *activity; /* activity.h; NULL: a process may idle */
	struct wsgid_deadlines *deadlines; /* deadline.h; NULL: requests may take as long as they like */
	atomic_bool retiring;       /* refuse every new request */
	atomic_bool relieved;       /* has asked to be relieved */
	atomic_bool stopping;       /* leave the loop when the connection is idle */
	/* The open connections, one place a thread, for forks of the application;
	 * NULL when embedded. */
	struct wsgid_connection *_Atomic *connections;
};

/* Runs a worker process to its end: boot block in, exit status out. Main
 * thread, single-threaded, privileges already dropped. */
int wsgid_worker_main(const struct wsgid_boot *boot);

/* Serves one connection of the router until it closes: FastCGI requests one
 * after the other (docs/internals.md section 5). thread is 0-based. Closes
 * fd. The calling thread holds no GIL. */
void wsgid_serve_connection(struct wsgid_server *server, int thread, int fd);

#endif
