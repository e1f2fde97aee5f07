/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/campaign_child.h"

/* How much of the end of standard error is kept to find the last line in. */
#define TAIL_BYTES	4096u

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };

int fl_child_signals_open(struct fl_child_signals *signals)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction action;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	for (size_t i = 0; i < sizeof(stop_signals) / sizeof(int); i++) {
		sigaction(stop_signals[i], NULL, &action);
		if (action.sa_handler != SIG_IGN)
			sigaddset(&mask, stop_signals[i]);
	}
	if (sigprocmask(SIG_BLOCK, &mask, &signals->before))
		return -errno;
	signals->fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0) {
		int err = -errno;

		sigprocmask(SIG_SETMASK, &signals->before, NULL);
		return err;
	}
	signals->stopped = false;
	sigaction(SIGPIPE, &ignore, &signals->pipe_before);
	sigaction(SIGXFSZ, &ignore, &signals->xfsz_before);
	return 0;
}

void fl_child_signals_close(struct fl_child_signals *signals)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	/* A second ^C must not take away what is said of the first. */
	if (signals->stopped || fl_child_signals_stop(signals))
		for (size_t i = 0; i < sizeof(stop_signals) / sizeof(int); i++)
			sigaction(stop_signals[i], &ignore, NULL);
	close(signals->fd);
	sigaction(SIGPIPE, &signals->pipe_before, NULL);
	sigaction(SIGXFSZ, &signals->xfsz_before, NULL);
	sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

int fl_child_signals_stop(struct fl_child_signals *signals)
{
	struct signalfd_siginfo info;
	int stop = 0;

	while (read(signals->fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			stop = (int)info.ssi_signo;
	signals->stopped |= stop != 0;
	return stop;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct pipes {
	int out[2], err[2], exec[2];
};

static void close_pipes(struct pipes *p)
{
	int *const fds[] = { p->out, p->err, p->exec };

	for (size_t i = 0; i < 3; i++)
		for (int end = 0; end < 2; end++)
			if (fds[i][end] >= 0)
				close(fds[i][end]);
}

static int open_pipes(struct pipes *p)
{
	*p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->out, O_CLOEXEC) || pipe2(p->err, O_CLOEXEC) ||
	    pipe2(p->exec, O_CLOEXEC) ||
	    fcntl(p->out[0], F_SETFL, O_NONBLOCK) ||
	    fcntl(p->err[0], F_SETFL, O_NONBLOCK)) {
		int err = -errno;

		close_pipes(p);
		return err;
	}
	return 0;
}

/*
 * The child's side of fork.  Only system calls: the exec pipe, which closes by
 * itself when the file runs, carries errno when it does not.
 */
static void become(const struct fl_child *child,
		   const struct fl_child_signals *signals,
		   const struct pipes *pipes, pid_t parent)
{
	/* A thousand crashes must not leave a thousand cores. */
	const struct rlimit no_core = { 0, 0 };
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int err;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	setrlimit(RLIMIT_CORE, &no_core);
	sched_setaffinity(0, sizeof(*child->cpus), child->cpus);
	sigaction(SIGPIPE, &signals->pipe_before, NULL);
	sigaction(SIGXFSZ, &signals->xfsz_before, NULL);
	sigprocmask(SIG_SETMASK, &signals->before, NULL);
	if (null >= 0 && dup2(null, 0) >= 0 && dup2(pipes->out[1], 1) >= 0 &&
	    dup2(pipes->err[1], 2) >= 0)
		execve(child->file, child->argv, child->envp);
	err = errno;
	while (write(pipes->exec[1], &err, sizeof(err)) < 0 && errno == EINTR)
		;
	_exit(127);
}

/* The end of what a child said on standard error. */
struct tail {
	char bytes[TAIL_BYTES];
	size_t nr;
};

static void tail_add(struct tail *tail, const char *from, size_t n)
{
	if (n > TAIL_BYTES) {
		from += n - TAIL_BYTES;
		n = TAIL_BYTES;
	}
	if (tail->nr + n > TAIL_BYTES) {
		size_t keep = TAIL_BYTES - n;

		memmove(tail->bytes, tail->bytes + tail->nr - keep, keep);
		tail->nr = keep;
	}
	memcpy(tail->bytes + tail->nr, from, n);
	tail->nr += n;
}

/* The last line that is not empty; what is no printable ASCII becomes '?'. */
static void tail_last_line(const struct tail *tail, char *to, size_t room)
{
	size_t end = tail->nr, begin, n;

	while (end && (tail->bytes[end - 1] == '\n' ||
		       tail->bytes[end - 1] == '\r' ||
		       tail->bytes[end - 1] == ' '))
		end--;
	for (begin = end; begin && tail->bytes[begin - 1] != '\n';)
		begin--;
	n = end - begin < room - 1 ? end - begin : room - 1;
	for (size_t i = 0; i < n; i++) {
		char c = tail->bytes[begin + i];

		to[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	to[n] = '\0';
}

struct reading {
	struct fl_child_result *result;
	struct tail tail;
	size_t room;
	int err;
};

/* Read all that is there.  Returns false at the end of the stream. */
static bool read_some(struct reading *r, int fd, bool is_out)
{
	struct fl_child_result *result = r->result;
	char buffer[65536];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		if (!is_out) {
			tail_add(&r->tail, buffer, (size_t)n);
			continue;
		}
		if (result->out_bytes + (size_t)n > FL_CHILD_STDOUT_BYTES_MAX) {
			result->end = FL_CHILD_TOO_LONG;
			return false;
		}
		if (result->out_bytes + (size_t)n + 1 > r->room) {
			size_t room = 2 * (result->out_bytes + (size_t)n + 1);
			char *more = realloc(result->out, room);

			if (!more) {
				r->err = -ENOMEM;
				return false;
			}
			result->out = more;
			r->room = room;
		}
		memcpy(result->out + result->out_bytes, buffer, (size_t)n);
		result->out_bytes += (size_t)n;
		result->out[result->out_bytes] = '\0';
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	/* It stays a zombie, so that its number stays its group's. */
	return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       info.si_pid == pid;
}

/* Follow the child until it has ended or must be ended. */
static void follow(struct reading *r, pid_t pid, const struct pipes *pipes,
		   struct fl_child_signals *signals, double deadline)
{
	struct pollfd fds[] = {
		{ .fd = signals->fd, .events = POLLIN },
		{ .fd = pipes->out[0], .events = POLLIN },
		{ .fd = pipes->err[0], .events = POLLIN },
	};

	r->result->end = FL_CHILD_EXITED;
	for (;;) {
		double left = deadline - now_s();

		/* A ms late rather than polling through the last one. */
		if (poll(fds, 3, left > 0 ? (int)(left * 1e3) + 1 : 0) < 0 &&
		    errno != EINTR) {
			r->err = -errno;
			return;
		}
		for (int i = 1; i < 3; i++)
			if (fds[i].revents &&
			    !read_some(r, fds[i].fd, i == 1)) {
				/* Negative ones are passed over. */
				fds[i].fd = -1;
				if (r->err ||
				    r->result->end == FL_CHILD_TOO_LONG)
					return;
			}
		if (fds[0].revents && fl_child_signals_stop(signals)) {
			r->result->end = FL_CHILD_INTERRUPTED;
			return;
		}
		if (has_ended(pid)) {
			/* What it wrote last; others may hold the pipes. */
			read_some(r, pipes->out[0], true);
			read_some(r, pipes->err[0], false);
			return;
		}
		if (now_s() >= deadline) {
			r->result->end = FL_CHILD_TIMED_OUT;
			return;
		}
	}
}

int fl_child_run(const struct fl_child *child, struct fl_child_signals *signals,
		 struct fl_child_result *out, struct fl_complaint *why)
{
	struct fl_child_result result = { .out = NULL };
	struct reading reading = { .result = &result };
	const pid_t parent = getpid();
	const double start = now_s();
	struct pipes pipes;
	int status, exec_errno = 0, err = open_pipes(&pipes);
	pid_t pid;

	if (err)
		return fl_complain(why, err, "pipe: %s", strerror(-err));
	pid = fork();
	if (pid < 0) {
		err = fl_complain(why, -errno,
				  "cannot make a process for a sample: %s",
				  strerror(errno));
		close_pipes(&pipes);
		return err;
	}
	if (!pid)
		become(child, signals, &pipes, parent);
	setpgid(pid, pid);
	close(pipes.out[1]);
	close(pipes.err[1]);
	close(pipes.exec[1]);
	pipes.out[1] = pipes.err[1] = pipes.exec[1] = -1;
	while (read(pipes.exec[0], &exec_errno, sizeof(exec_errno)) < 0 &&
	       errno == EINTR)
		;
	if (!exec_errno)
		follow(&reading, pid, &pipes, signals,
		       start + child->timeout_s);
	result.wall_s = now_s() - start;
	/* The child is not reaped, so its number is nobody else's. */
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close_pipes(&pipes);
	if (exec_errno || reading.err) {
		free(result.out);
		return exec_errno ?
			fl_complain(why, -exec_errno, "%s: cannot be run: %s",
				    child->file, strerror(exec_errno)) :
			fl_complain(why, reading.err, "reading a sample: %s",
				    strerror(-reading.err));
	}
	if (result.end == FL_CHILD_EXITED && WIFSIGNALED(status))
		result.end = FL_CHILD_SIGNALLED;
	result.status = WIFSIGNALED(status) ? WTERMSIG(status) :
					      WEXITSTATUS(status);
	tail_last_line(&reading.tail, result.last_error,
		       sizeof(result.last_error));
	*out = result;
	return 0;
}
