/* SPDX-License-Identifier: MIT */
/*
 * A handler of its own around the entry of vm/fault.h, which leaves errno
 * changed.  Caught by: errno.
 */
#include <errno.h>
#include <signal.h>

static struct sigaction inner;

static void outer(int sig, siginfo_t *info, void *context)
{
	inner.sa_sigaction(sig, info, context);
	errno = EDOM;
}

static void install(void)
{
	const struct sigaction action = {
		.sa_sigaction = outer,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};

	sigaction(SIGSEGV, &action, &inner);
}

#define NAME		"broken_errno"
#define FAULTS
#define AT_OPEN()	install()
#define AT_CLOSE()	sigaction(SIGSEGV, &inner, NULL)
#include "tests/conformance/base.h"
