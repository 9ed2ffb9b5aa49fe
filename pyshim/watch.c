#define _GNU_SOURCE
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "script_file.h"

enum {
	LOOK_MS = 2000,  /* between two looks without an event */
	QUIET_MS = 100,  /* a deployment writes many files: wait until it pauses, */
	LONGEST_MS = 1000, /* but not for one that never does */
	DEPTH = 64,
	FILES = 100000,  /* more are not looked at */
	STACK = 512 * 1024,
};

static const uint32_t EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
                               IN_ONLYDIR;

struct file {
	char *path;
	struct wsgid_stamp stamp;
};

/* The files that match, by path. */
struct files {
	struct file *list;
	size_t count, capacity;
	bool failed; /* without memory: as if nothing had changed */
};

struct wsgid_watch {
	const char *const *patterns;
	int fd; /* of inotify, or -1 */
	struct files files;
	wsgid_watch_hook hook;
	void *context;
};

/* One walk: where it is. */
struct walk {
	const struct wsgid_watch *watch;
	struct files *files;
	char path[PATH_MAX];
	size_t length;
	int depth;
};

static int inotify_fd = -1;

void wsgid_watch_forked(void)
{
	if (inotify_fd >= 0)
		close(inotify_fd);
	inotify_fd = -1;
}

static void files_free(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->list[i].path);
	free(files->list);
}

static void add_file(struct files *files, const char *path, const struct stat *status)
{
	if (files->count == FILES)
		return;
	if (files->count == files->capacity) {
		size_t capacity = files->capacity ? 2 * files->capacity : 256;
		struct file *larger = realloc(files->list, capacity * sizeof *larger);
		if (!larger) {
			files->failed = true;
			return;
		}
		files->list = larger;
		files->capacity = capacity;
	}
	char *copy = strdup(path);
	if (!copy)
		files->failed = true;
	else
		files->list[files->count++] = (struct file){copy, wsgid_stamp_of(status)};
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

/* Goes down to a name; false: the path is too long. */
static bool enter(struct walk *w, const char *name, size_t length)
{
	if (w->length + 1 + length >= sizeof w->path || w->depth == DEPTH)
		return false;
	w->path[w->length++] = '/';
	memcpy(w->path + w->length, name, length);
	w->length += length;
	w->path[w->length] = 0;
	w->depth++;
	return true;
}

static void leave(struct walk *w, size_t length)
{
	w->length = length;
	w->path[length] = 0;
	w->depth--;
}

static void walk(struct walk *w, const char *pattern);

/* Below the present path everything is done: is it a file that matches? */
static void take(struct walk *w)
{
	struct stat status;
	if (stat(w->path, &status) == 0 && S_ISREG(status.st_mode))
		add_file(w->files, w->path, &status);
}

/* The present directory is one that ** goes into. */
static bool wanted_directory(struct walk *w, const char *name)
{
	size_t length = w->length;
	struct stat status;
	if (name[0] == '.' || strcmp(name, "__pycache__") == 0 || strcmp(name, "node_modules") == 0)
		return false;
	if (lstat(w->path, &status) != 0 || !S_ISDIR(status.st_mode))
		return false;
	if (!enter(w, "pyvenv.cfg", strlen("pyvenv.cfg")))
		return false;
	bool environment = access(w->path, F_OK) == 0;
	leave(w, length);
	return !environment;
}

/* Every name in the present directory against the pattern's first segment. */
static void walk_names(struct walk *w, const char *pattern, size_t segment, const char *rest)
{
	char glob[NAME_MAX + 1];
	size_t length = w->length;
	bool any_depth = segment == 2 && memcmp(pattern, "**", 2) == 0;
	if (segment > NAME_MAX)
		return;
	memcpy(glob, pattern, segment);
	glob[segment] = 0;
	if (any_depth && rest)
		walk(w, rest); /* no directory at all */
	DIR *directory = opendir(length ? w->path : "/");
	if (!directory)
		return;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (!any_depth && fnmatch(glob, name, FNM_PERIOD) != 0)
			continue;
		if (!enter(w, name, strlen(name)))
			continue;
		if (!any_depth)
			walk(w, rest);
		else if (wanted_directory(w, name))
			walk(w, pattern);
		else if (!rest && name[0] != '.')
			take(w);
		leave(w, length);
	}
	closedir(directory);
}

/* Everything below the present path that matches; NULL: it itself. */
static void walk(struct walk *w, const char *pattern)
{
	size_t length = w->length;
	while (pattern && *pattern == '/')
		pattern++;
	if (!pattern || !*pattern) {
		take(w);
		return;
	}
	if (w->watch->fd >= 0)
		inotify_add_watch(w->watch->fd, length ? w->path : "/", EVENTS);
	size_t segment = strcspn(pattern, "/");
	const char *rest = pattern[segment] ? pattern + segment : NULL;
	if (strcspn(pattern, "*?[\\") < segment) {
		walk_names(w, pattern, segment, rest);
	} else if (enter(w, pattern, segment)) {
		walk(w, rest);
		leave(w, length);
	}
}

/* The files as they are now. */
static struct files look(const struct wsgid_watch *watch)
{
	struct files files = {0};
	struct walk w = {.watch = watch, .files = &files};
	for (size_t i = 0; watch->patterns[i]; i++)
		walk(&w, watch->patterns[i]);
	if (files.count)
		qsort(files.list, files.count, sizeof *files.list, by_path);
	return files;
}

/* One of the files in which two looks differ, or NULL. */
static const char *difference(const struct files *before, const struct files *now)
{
	size_t i = 0;
	for (; i < before->count && i < now->count; i++) {
		int order = strcmp(before->list[i].path, now->list[i].path);
		if (order != 0)
			return order < 0 ? before->list[i].path : now->list[i].path;
		if (!wsgid_stamp_equal(&before->list[i].stamp, &now->list[i].stamp))
			return now->list[i].path;
	}
	if (i < before->count)
		return before->list[i].path;
	return i < now->count ? now->list[i].path : NULL;
}

/* Waits for events, then for a pause in them; or for the time of the next look. */
static void await_events(const struct wsgid_watch *watch)
{
	char events[4096];
	struct pollfd wait = {.fd = watch->fd, .events = POLLIN};
	if (poll(&wait, 1, LOOK_MS) <= 0)
		return;
	for (int waited = 0; waited < LONGEST_MS; waited += QUIET_MS) {
		while (read(watch->fd, events, sizeof events) > 0)
			;
		struct timespec pause = {.tv_nsec = QUIET_MS * 1000000L};
		nanosleep(&pause, NULL);
		if (poll(&wait, 1, 0) <= 0)
			return;
	}
}

static void *run(void *argument)
{
	struct wsgid_watch *watch = argument;
	bool go = true;
	while (go) {
		struct files now = look(watch);
		const char *path = now.failed ? NULL : difference(&watch->files, &now);
		if (path)
			go = watch->hook(watch->context, path);
		if (now.failed) {
			files_free(&now);
		} else {
			files_free(&watch->files);
			watch->files = now;
		}
		if (go)
			await_events(watch);
	}
	return NULL;
}

struct wsgid_watch *wsgid_watch_new(const char *const *patterns)
{
	struct wsgid_watch *watch = calloc(1, sizeof *watch);
	if (!watch)
		return NULL;
	watch->patterns = patterns;
	watch->fd = inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watch->files = look(watch);
	return watch;
}

int wsgid_watch_start(struct wsgid_watch *watch, wsgid_watch_hook hook, void *context)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	watch->hook = hook;
	watch->context = context;
	int result = pthread_attr_init(&attributes);
	if (result)
		return result;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK);
	/* Signals are for the main thread, whose sleep they shall end. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&thread, &attributes, run, watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return result;
}
