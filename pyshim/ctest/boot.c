/* Test program: a worker that only says what the constructor made of it; as a
 * router (and without a role) main does the same. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

static void say_score(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "r");
	int score;

	if (file != NULL && fscanf(file, "%d", &score) == 1)
		printf("score %d\n", score);
	if (file != NULL)
		fclose(file);
}

static void say_status_file(void)
{
	static const char *const wanted[] = { "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:",
		                              "CapAmb:", "NoNewPrivs:", "SigBlk:", "SigIgn:", "Name:" };
	FILE *file = fopen("/proc/self/status", "r");
	char line[4096];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
				printf("%s", line);
	if (file != NULL)
		fclose(file);
}

/* What opening a file for reading, and a new one in a directory, gives. */
static void say_probes(const struct wsgid_boot *boot)
{
	size_t position = 0;
	const char *path;

	while ((path = wsgid_boot_next(boot, "probe", &position)) != NULL) {
		char name[4096];
		int fd = open(path, O_RDONLY | O_CLOEXEC), reading = fd == -1 ? errno : 0, made;

		if (fd >= 0)
			close(fd);
		snprintf(name, sizeof(name), "%s/probe", path);
		made = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		printf("probe %s: %s, %s\n", path, reading == 0 ? "read" : strerror(reading),
		       made >= 0 ? "written" : strerror(errno));
		if (made >= 0) {
			close(made);
			unlink(name);
		}
	}
}

static int say(const struct wsgid_boot *boot)
{
	uid_t real, effective, saved;
	gid_t rgid, egid, sgid;
	char directory[4096];
	int death = 0;
	extern char **environ;
	mode_t mask = umask(0);

	prctl(PR_GET_PDEATHSIG, &death);
	getresuid(&real, &effective, &saved);
	getresgid(&rgid, &egid, &sgid);
	printf("role %s\n", boot == NULL ? "" : wsgid_boot_get(boot, "role", ""));
	printf("uid %d %d %d\ngid %d %d %d\n", (int)real, (int)effective, (int)saved, (int)rgid, (int)egid,
	       (int)sgid);
	printf("umask %o\ncwd %s\nsession %d\ndeath %d\ndumpable %d\n", mask,
	       getcwd(directory, sizeof(directory)), getsid(0) == getpid(), death,
	       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	if (boot != NULL) {
		size_t position = 0;
		const char *item;

		while ((item = wsgid_boot_next(boot, "python_path", &position)) != NULL)
			printf("path %s\n", item);
		say_probes(boot);
		printf("listen %ld\n", wsgid_boot_number(boot, "fd.listen", -1));
	}
	for (int fd = 0; fd < 256; fd++) {
		struct stat status;

		if (fstat(fd, &status) == 0)
			printf("fd %d %s %s\n", fd, fcntl(fd, F_GETFD) & FD_CLOEXEC ? "cloexec" : "open",
			       S_ISSOCK(status.st_mode) ? "socket" : S_ISCHR(status.st_mode) ? "device" : "other");
	}
	for (char **entry = environ; *entry != NULL; entry++)
		printf("env [%s]\n", *entry);
	say_score();
	say_status_file();
	fflush(stdout);
	return 0;
}

int wsgid_worker_main(const struct wsgid_boot *boot)
{
	return say(boot);
}

static void handler(int number)
{
	(void)number;
}

int main(void)
{
	const struct wsgid_boot *boot = wsgid_boot_block();
	struct sigaction action;
	sigset_t set;
	pid_t child;

	say(boot);
	if (boot == NULL)
		return 0;
	signal(SIGUSR1, handler);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	child = fork();
	if (child == 0) {
		sigaction(SIGUSR1, NULL, &action);
		sigprocmask(SIG_SETMASK, NULL, &set);
		printf("child %s %s\n", action.sa_handler == SIG_DFL ? "default" : "handler",
		       sigismember(&set, SIGUSR1) ? "blocked" : "open");
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return 0;
}
