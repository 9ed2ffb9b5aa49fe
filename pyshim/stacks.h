/* Where the threads of this process are, for wsgid stacks and the log.
 *
 * A thread of its own asks Python, in one interpreter after another. When that
 * takes longer than a second, because an extension holds a GIL, every thread is
 * interrupted by a real-time signal that faulthandler has been registered for,
 * which writes its stack without any lock. Nobody waits for Python but the one thread.
 *
 * What is written (docs/internals.md section 2): for each thread a line that
 * begins with \1 and has names and values separated by NUL, then its stack. */
#ifndef WSGID_STACKS_H
#define WSGID_STACKS_H

#include "worker.h"

/* The signal: the highest but one, which orphans get (fork.c). */
#define WSGID_STACKS_SIGNAL (SIGRTMAX - 1)

/* After Python has started, on the thread that has started it, without the GIL. Without
 * faulthandler there are no stacks while a GIL is held.
 *
 * fd, unless -1, is memory that every thread writes its stack into when the supervisor
 * sends it the signal; once that is so, the memory begins with \1end. It is that of a
 * service, in which a thread that could be asked would make a fork one of a process with
 * several, and of the router and the dispatch helper, whose server is NULL: there the
 * threads of Go get the signal, too, on the signal stacks that they have. 0, or -1 without
 * memory. */
int wsgid_stacks_open(const struct wsgid_server *server, int fd);

/* The calling thread serves requests under this number. */
void wsgid_stacks_thread(int number);

/* Returns when nobody will enter an interpreter or interrupt a thread any more: before
 * Python ends. No GIL. */
void wsgid_stacks_stop(void);

/* Writes the stacks to fd, a file in memory that the supervisor has made and can
 * only be so large, closes it, and says so on the status channel. Returns at once. */
void wsgid_stacks_write(int fd);

#endif
