/* Signals of a worker, and what a child that the application forks must not
 * keep of it. */
#ifndef WSGID_FORK_H
#define WSGID_FORK_H

#include "worker.h"

/* Installs the handlers of SIGTERM, SIGINT and SIGHUP and the fork handler.
 * After Python has started, which installs handlers of its own. 0 or -1. */
int wsgid_fork_prepare(struct wsgid_server *server, int listen_fd);

/* Readable once SIGTERM came. */
int wsgid_fork_signal_fd(void);

#endif
