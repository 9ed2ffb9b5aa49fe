#define _GNU_SOURCE
#include "load_errors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"
#include "status.h"

enum { MOST = 16 }; /* as many as the supervisor keeps of a group */

struct load_error {
	char *application, *script, *traceback; /* script NULL: unused */
	uint64_t at;
};

static struct load_error errors[MOST];
static atomic_int known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards errors */

/* The entry of a script; with or_unused, if there is none, a free one. NULL without. Lock held. */
static struct load_error *find(const char *application, const char *script, bool or_unused)
{
	struct load_error *unused = NULL;

	for (size_t i = 0; i < MOST; i++) {
		if (errors[i].script == NULL)
			unused = &errors[i];
		else if (strcmp(errors[i].script, script) == 0 && strcmp(errors[i].application, application) == 0)
			return &errors[i];
	}
	return or_unused ? unused : NULL;
}

/* Lock held. */
static void clear(struct load_error *e)
{
	if (e->script != NULL)
		known--;
	free(e->application);
	free(e->script);
	free(e->traceback);
	*e = (struct load_error){ 0 };
}

void wsgid_load_errors_add(const char *application, const char *script, const char *traceback)
{
	pthread_mutex_lock(&lock);
	struct load_error *e = find(application, script, true);
	if (e != NULL) {
		struct load_error now = { strdup(application), strdup(script), strdup(wsgid_traceback_tail(traceback)), wsgid_now() };

		clear(e);
		*e = now;
		known += now.script != NULL;
		if (now.application == NULL || now.script == NULL || now.traceback == NULL)
			clear(e); /* no memory */
	}
	pthread_mutex_unlock(&lock);
}

void wsgid_load_errors_drop(const char *application, const char *script)
{
	if (atomic_load_explicit(&known, memory_order_relaxed) == 0)
		return;
	pthread_mutex_lock(&lock);
	struct load_error *e = find(application, script, false);
	if (e != NULL)
		clear(e);
	pthread_mutex_unlock(&lock);
}

char *wsgid_load_errors_text(size_t *size)
{
	struct wsgid_buffer all = { 0 };
	bool good = true;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; good && i < MOST; i++) {
		const struct load_error *e = &errors[i];
		char at[24];

		if (e->script == NULL)
			continue;
		snprintf(at, sizeof(at), "%llu", (unsigned long long)e->at);
		const char *const texts[] = { e->application, e->script, at, e->traceback };
		for (size_t j = 0; good && j < sizeof(texts) / sizeof(texts[0]); j++)
			good = wsgid_buffer_add(&all, texts[j], strlen(texts[j]) + 1) == 0;
	}
	pthread_mutex_unlock(&lock);
	if (!good)
		free(all.data);
	*size = good ? all.length : 0;
	return good ? all.data : NULL;
}
