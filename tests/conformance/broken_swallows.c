/* SPDX-License-Identifier: MIT */
/*
 * Repairs every fault of the process, the program's bugs too: maps a page
 * wherever one is missing.  Caught by: foreign-faults, default-faults.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static struct sigaction before;

static void map_anything(int sig, siginfo_t *info, void *context)
{
	const uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)4095;

	(void)context;
	if (page < 65536 ||
	    mmap((void *)page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		sigaction(sig, &before, NULL);
}

static void install(void)
{
	const struct sigaction action = {
		.sa_sigaction = map_anything, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGSEGV, &action, &before);
}

#define NAME		"broken_swallows"
#define AT_OPEN()	install()
#define AT_CLOSE()	sigaction(SIGSEGV, &before, NULL)
#include "tests/conformance/base.h"
