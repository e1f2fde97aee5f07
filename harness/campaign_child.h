/* SPDX-License-Identifier: MIT */
/*
 * harness/campaign_child.h: one sample as a process of its own, which may print
 * too much, crash, hang or be interrupted without harm to the campaign.
 *
 * The child leads a process group; when the sample is over, however it ended,
 * what is left of the group is killed.  The kernel kills the child if the
 * campaign dies.
 *
 * Context: one thread; no other children.
 */
#ifndef FL_CAMPAIGN_CHILD_H
#define FL_CAMPAIGN_CHILD_H

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "harness/complain.h"

/* What a sample may print; a latency histogram and a page log take far less. */
#define FL_CHILD_STDOUT_BYTES_MAX	((size_t)4 << 20)

/*
 * Signals are taken from a descriptor instead of handlers, so that no system
 * call is interrupted and nothing happens between two of them.
 */
struct fl_child_signals {
	int fd;
	sigset_t before;	/* the mask to restore, and of the children */
	struct sigaction pipe_before, xfsz_before;
	bool stopped;		/* a signal to stop has arrived */
};

/*
 * fl_child_signals_open: Block SIGCHLD and, unless they are ignored (nohup),
 * SIGINT, SIGTERM and SIGHUP, and read them from a descriptor.  Ignore SIGPIPE
 * and SIGXFSZ: a write that fails says so by itself.  Returns 0 or -errno.
 * fl_child_signals_close: Undo it; but once a signal to stop has arrived, further
 * ones are ignored from then on, because the process is on its way out.
 */
int fl_child_signals_open(struct fl_child_signals *signals);
void fl_child_signals_close(struct fl_child_signals *signals);

/* fl_child_signals_stop: A signal to stop that has arrived, or 0. */
int fl_child_signals_stop(struct fl_child_signals *signals);

enum fl_child_end {
	FL_CHILD_EXITED,
	FL_CHILD_SIGNALLED,
	FL_CHILD_TIMED_OUT,
	FL_CHILD_TOO_LONG,	/* printed more than FL_CHILD_STDOUT_BYTES_MAX */
	FL_CHILD_INTERRUPTED,	/* the campaign was told to stop */
};

struct fl_child {
	const char *file;	/* to execute */
	char *const *argv, *const *envp;
	const cpu_set_t *cpus;	/* it may use */
	double timeout_s;
};

struct fl_child_result {
	enum fl_child_end end;
	int status;		/* exit status or number of the signal */
	double wall_s;
	char *out;		/* what it printed, NUL-terminated; may be NULL */
	size_t out_bytes;
	char last_error[256];	/* last line on its standard error; "" if none.
				   Printable ASCII or valid for JSON */
};

/*
 * fl_child_run: Run @child to its end.
 * Returns 0 and the result, whose out the caller frees; or, with a complaint,
 * -errno when no process could be made or the file not be executed.
 */
int fl_child_run(const struct fl_child *child, struct fl_child_signals *signals,
		 struct fl_child_result *result, struct fl_complaint *why);

#endif
