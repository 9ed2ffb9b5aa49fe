/* The scheduling policy of a thread that waits for requests. */
#ifndef WSGID_PATIENCE_H
#define WSGID_PATIENCE_H

/* To be called by the leading thread each time it has waited for events. Keeps it
 * in SCHED_BATCH as long as that does not make it wait for a processor. Needs
 * no privilege, no lock, no GIL. */
void wsgid_patience_woken(void);

/* Gives the calling thread the ordinary policy, in a child that the application
 * forked. Async-signal-safe. */
void wsgid_patience_forked(void);

#endif
