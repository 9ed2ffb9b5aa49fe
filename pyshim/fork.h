/* Signals of a worker, and what a child that the application forks must not
 * keep of it. */
#ifndef WSGID_FORK_H
#define WSGID_FORK_H

#include "loop.h"
#include "worker.h"

/* True in a process that was forked from a worker or router: it serves nobody,
 * touches no socket of its parent's, and ends when the request that forked it
 * is over. Set by the fork handler, constant otherwise. */
extern bool wsgid_forked;

/* Makes fork set wsgid_forked where wsgid_fork_prepare is not called (the
 * router). 0 or -1. */
int wsgid_fork_watch(void);

/* Installs the handlers of SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1 and SIGUSR2 and the fork handler.
 * After Python has started, which installs handlers of its own. 0 or -1. A
 * service has no loop: its signals are Python's. */
int wsgid_fork_prepare(struct wsgid_server *server, struct wsgid_loop *loop, int listen_fd);

/* Installs the handlers but those of SIGUSR1 and SIGUSR2 again: what a preloaded script did
 * with signal.signal would have to run on the main thread, which does not run
 * Python. Those two are left to whoever wanted it (faulthandler.register). */
void wsgid_fork_handle_signals(void);

/* SIGTERM came; what wsgid_fork_signals says stays. */
bool wsgid_fork_terminated(void);

/* Readable when one of them but SIGINT has come. */
int wsgid_fork_signal_fd(void);
/* Which ones came since the last call: bit by signal number. */
unsigned long long wsgid_fork_signals(void);

#endif
