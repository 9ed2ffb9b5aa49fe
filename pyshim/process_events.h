/* Events of a process, for the subscribers of all its interpreters (mod_wsgi
 * behaviour 8.1, 9.1). Called without the GIL. */
#ifndef WSGID_PROCESS_EVENTS_H
#define WSGID_PROCESS_EVENTS_H

/* process_signal for each signal of a set (SIGHUP and SIGUSR2; bit by number), on
 * a thread of its own; what comes while the same signal is still to be told is dropped. */
void wsgid_process_signals(unsigned long long signals);

/* process_stopping, once in each interpreter, on the calling thread, after the
 * thread of process_signal has ended. Returns when the last subscriber has: the
 * caller bounds it. reason: in docs/applications.md, "" in the router. */
void wsgid_process_stopping(const char *reason);

#endif
