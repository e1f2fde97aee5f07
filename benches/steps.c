/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stddef.h>

#include "benches/steps.h"

static volatile uint64_t nr_steps;

static void on_step(int signal)
{
	(void)signal;
	nr_steps++;
}

/* Over the red zone, in which the compiler may keep something. */
#define FLAG(change)							\
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"			\
			 "pushfq\n\t"					\
			 change ", (%%rsp)\n\t"				\
			 "popfq\n\t"					\
			 "lea 128(%%rsp), %%rsp" ::: "memory", "cc")

uint64_t steps_of(void (*run)(void *of), void *of)
{
	struct sigaction step = { .sa_handler = on_step }, before;

	if (sigaction(SIGTRAP, &step, &before))
		return 0;
	nr_steps = 0;
	FLAG("orl $0x100");
	run(of);
	FLAG("andl $~0x100");
	sigaction(SIGTRAP, &before, NULL);
	return nr_steps;
}
