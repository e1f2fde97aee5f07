/* SPDX-License-Identifier: MIT */
/*
 * Signals of the program, at any instruction: of its own, of a site, of our
 * handler.  The signal handler allocates from a heap of its own, and faults.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ordeal.h"
#include "vm/reserve.h"

#define NR_SIGNALS	600u
/* One in flight at a time, so that the program gets on however slow this is. */
#define DELAY_NS_MAX	40000u

static struct objects handlers;
static volatile unsigned nr_signals;

static void on_signal(int sig)
{
	(void)sig;
	nr_signals++;
	if (handlers.bytes > ORDEAL_BYTES / 2) {
		objects_intact(&handlers);
		objects_reset(&handlers);
	}
	for (int i = 0; i < 8; i++)
		objects_add(&handlers);
}

/* Room for handlers of ours and of the program inside each other. */
static void alternate_stack(struct fl_trial *t)
{
	stack_t stack = {
		.ss_size = 4 * (size_t)sysconf(_SC_MINSIGSTKSZ) + 64 * KIB *
			   fl_trial_slowness(),
	};

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		fl_trial_fail(t, "sigaltstack: %s", strerror(errno));
}

static void interrupt_all(struct fl_trial *t, int flags)
{
	const struct fl_need need = ORDEAL_NEED;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_heap *handlers_heap = fl_trial_open(t, &need);
	uint64_t random = t->conform->seed;
	struct objects o;
	timer_t timer;

	if (fl_trial_build() == FL_BUILD_TSAN)
		fl_trial_skip(t, "ThreadSanitizer delivers a signal at a call of the C library, and never in between");
	objects_open(t, &o, fl_trial_region(t, heap), 1, 8192);
	objects_open(t, &handlers, fl_trial_region(t, handlers_heap), 2, 8192);
	nr_signals = 0;
	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		fl_trial_fail(t, "timer_create: %s", strerror(errno));
	fl_trial_doing(t, "allocating while signals arrive");
	while (nr_signals < NR_SIGNALS) {
		struct itimerspec soon = { .it_interval.tv_nsec = 0 };

		soon.it_value.tv_nsec = 1 + (long)(fl_random(&random) %
						   DELAY_NS_MAX);
		timer_settime(timer, 0, &soon, NULL);
		objects_fill(&o, o.bytes + 40 * KIB);
		if (o.bytes < ORDEAL_BYTES)
			continue;
		objects_verify(&o, "what was allocated while signals arrived");
		objects_reset(&o);
	}
	timer_delete(timer);
	if (o.region->error || handlers.region->error)
		fl_trial_fail(t, "a region has error %d",
			      o.region->error | handlers.region->error);
	objects_verify(&o, "what was allocated while signals arrived");
	objects_verify(&handlers, "what the signal handler allocated");
	need_hits(t, heap->events.nr_hits);
	if (!handlers_heap->events.nr_hits)
		fl_trial_fail(t, "there was no fault to interrupt");
	t->s->close(handlers_heap);
	t->s->close(heap);
}

void try_interrupted(struct fl_trial *t)
{
	interrupt_all(t, 0);
}

void try_interrupted_onstack(struct fl_trial *t)
{
	alternate_stack(t);
	interrupt_all(t, SA_ONSTACK);
	/* Our handler is on that stack, and so is who interrupts it there. */
	interrupt_all(t, 0);
}
