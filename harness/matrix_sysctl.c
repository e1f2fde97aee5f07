/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/matrix_sysctl.h"

int fl_sysctl_read(const char *path, char out[FL_SYSCTL_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, out, FL_SYSCTL_BYTES - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

static int put(int fd, const char *value)
{
	const size_t bytes = strlen(value);
	ssize_t n = pwrite(fd, value, bytes, 0);

	return n == (ssize_t)bytes ? 0 : n < 0 ? -errno : -EIO;
}

/* Bare system calls: it is the child of a process that may have threads. */
static void __attribute__((noreturn))
keep(int fd, const char *was, int ready, int alive)
{
	sigset_t all;
	char byte = 0;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	if (write(ready, &byte, 1) != 1)
		_exit(1);
	/* Nothing is ever written: it ends when nobody could. */
	while (read(alive, &byte, 1) > 0)
		;
	_exit(put(fd, was) ? 1 : 0);
}

int fl_sysctl_begin(struct fl_sysctl *s, const char *path)
{
	int alive[2], ready[2], fd, err;
	char byte;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*s = (struct fl_sysctl){ .path = path, .fd = fd };
	/* Before the value is read: a holder's would be one of the moment. */
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		goto close_file;
	}
	err = fl_sysctl_read(path, s->was);
	if (err)
		goto close_file;
	if (pipe2(alive, O_CLOEXEC)) {
		err = -errno;
		goto close_file;
	}
	if (pipe2(ready, O_CLOEXEC)) {
		err = -errno;
		goto close_alive;
	}
	s->keeper = fork();
	if (!s->keeper) {
		close(alive[1]);
		keep(fd, s->was, ready[1], alive[0]);
	}
	close(ready[1]);
	if (s->keeper < 0)
		err = -errno;
	else if (read(ready[0], &byte, 1) != 1)
		err = -EIO;
	close(ready[0]);
	if (err)
		goto close_alive;
	s->alive = alive[1];
	close(alive[0]);
	return 0;

close_alive:
	close(alive[0]);
	close(alive[1]);
	/* It writes what is there already, and ends. */
	if (s->keeper > 0)
		waitpid(s->keeper, NULL, 0);
close_file:
	close(fd);
	return err;
}

void fl_sysctl_leave(const struct fl_sysctl *s)
{
	close(s->alive);
	close(s->fd);
}

int fl_sysctl_set(struct fl_sysctl *s, const char *value)
{
	return put(s->fd, value);
}

int fl_sysctl_end(struct fl_sysctl *s)
{
	char now[FL_SYSCTL_BYTES];
	int err;

	close(s->alive);
	while (waitpid(s->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	err = fl_sysctl_read(s->path, now);
	if (!err && strcmp(now, s->was)) {
		/* Somebody killed the keeper. */
		err = fl_sysctl_set(s, s->was);
		if (!err)
			err = fl_sysctl_read(s->path, now);
	}
	close(s->fd);
	return !err && strcmp(now, s->was) ? -EIO : err;
}
