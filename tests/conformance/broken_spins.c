/* SPDX-License-Identifier: MIT */
/*
 * Says that every fault is repaired and repairs none, so that the faulting
 * instruction runs again for ever.  Caught by: foreign-faults, default-faults.
 */
#include <signal.h>

static struct sigaction before;

static void nothing(int sig)
{
	(void)sig;
}

static void install(void)
{
	const struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGSEGV, &action, &before);
}

#define NAME		"broken_spins"
#define AT_OPEN()	install()
#define AT_CLOSE()	sigaction(SIGSEGV, &before, NULL)
#include "tests/conformance/base.h"
