/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences: who is told that one was interrupted, what is left armed,
 * and strategies under storms of signals and migrations, which abort sequences
 * where there is no fault.  segv_redirect, whose sites are not aborted, is the
 * control.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/rseq_site.h"
#include "harness/module_load.h"
#include "harness/oracle.h"
#include "vm/reserve.h"
#include "vm/rseq.h"
#include "vm/sanitized.h"

#define BLOCK_BYTES		(64u << 10)
#define LIFETIME_BYTES		(1u << 20)
#define NR_LIFETIMES		4u

/* How much of a storm there has to be, and how long to wait for it at most. */
#define SIGNALS_WANTED		2000u
#define MOVES_WANTED		500u
#define BATCHES_MIN		8u
#define BATCHES_MAX		20000u

static void need_rseq(void)
{
	char reason[256];

	if (fl_rseq_probe(reason, sizeof(reason))) {
		print_message("%s\n", reason);
		skip();
	}
}

static uint64_t armed_value(void)
{
	return *(volatile uint64_t *)(void *)fl_rseq_armed();
}

/*
 * Interrupted or not.
 */

/* What a handler would see at @pc. */
static bool seen_at(const void *pc, struct fl_site_address *site)
{
	ucontext_t context = { 0 };
	const struct fl_fault fault = { .signal = SIGSEGV, .context = &context };

	context.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)pc;
	return fl_rseq_interrupted(__start_fl_rseq_aborts,
				   __stop_fl_rseq_aborts, &fault, site);
}

/* One site for each register that the compiler is made to use. */
#define SITE_IN(register_)						\
	__extension__ ({						\
		register char *bump__ __asm__(register_) = top;		\
		char *p__;						\
									\
		FL_RSEQ_ASM("", 0, p__, bump__, armed, 64, 7);		\
		p__;							\
	})

static void a_site_says_where_its_bump_is(void **state)
{
	static const unsigned wanted[] = { 3, 6, 8, 12, 15 };
	const char *at = __start_fl_rseq_aborts;
	unsigned nr_seen[16] = { 0 };
	char *armed, *base, *top;

	(void)state;
	need_rseq();
	armed = fl_rseq_armed();
	assert_int_equal(fl_reserve(fl_page_bytes(), FL_OPEN, &base), 0);
	top = base + fl_page_bytes();
	assert_ptr_equal(SITE_IN("rbx"), top - 64);
	assert_ptr_equal(SITE_IN("rsi"), top - 64);
	assert_ptr_equal(SITE_IN("r8"), top - 64);
	assert_ptr_equal(SITE_IN("r12"), top - 64);
	assert_ptr_equal(SITE_IN("r15"), top - 64);
	assert_int_equal(*(uint64_t *)(void *)(top - 64), 7);
	fl_rseq_disarm();
	fl_release(base, fl_page_bytes());

	/* Every byte of the abort code, and some on either side. */
	for (at -= 16; at < __stop_fl_rseq_aborts + 16; at++) {
		struct fl_site_address site = { .bump_reg = 16 };
		struct fl_rseq_head head;

		if (!seen_at(at, &site))
			continue;
		memcpy(&head, at - sizeof(head), sizeof(head));
		assert_int_equal(head.signature, FL_RSEQ_SIGNATURE);
		assert_int_equal(site.restart, (uintptr_t)at);
		assert_true(site.bump_reg < 16);
		nr_seen[site.bump_reg]++;
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		/* The compiler may have copied a site. */
		assert_true(nr_seen[wanted[i]] >= 1);
}

/*
 * What is left armed.
 */

static void nothing_is_left_armed(void **state)
{
	struct fl_cursor cursor;
	char *base;
	int tries = 0;

	(void)state;
	need_rseq();
	assert_int_equal(armed_value(), 0);
	assert_int_equal(fl_reserve(fl_page_bytes(), FL_OPEN, &base), 0);
	/* The kernel disarms when it is asked for something else. */
	do {
		cursor = (struct fl_cursor){
			.bump = base + fl_page_bytes(), .limit = fl_rseq_armed(),
		};
		fl_rseq_new(&cursor, 64, 8, 1);
	} while (!armed_value() && ++tries < 1000);
	assert_int_not_equal(armed_value(), 0);
	fl_rseq_disarm();
	assert_int_equal(armed_value(), 0);
	fl_release(base, fl_page_bytes());
}

/*
 * A signal between any two instructions of an allocation that is going to fault:
 * the program is stepped, and each step is a signal.
 */
#define STEPS_MAX	400u
#define TRAP_FLAG	0x100

static struct {
	struct fl_fault_range range;	/* a closed page, and an open one above */
	volatile unsigned nr_faults, nr_steps, nr_aborts, steps_wanted;
} step;

static bool redirect(void *owner, const struct fl_fault *fault)
{
	struct fl_site_address site;

	(void)owner;
	if (!fl_rseq_interrupted(__start_fl_rseq_aborts, __stop_fl_rseq_aborts,
				 fault, &site))
		return false;
	step.nr_faults++;
	fl_fault_redirect(fault, &site, step.range.base + 2 * step.range.bytes);
	return true;
}

/* Is @pc where the kernel puts a thread whose sequence it has aborted? */
static bool is_abort(uintptr_t pc)
{
	struct fl_rseq_head head;

	memcpy(&head, (const void *)(pc - sizeof(head)), sizeof(head));
	return head.opcode[0] == 0x0f && head.opcode[1] == 0xb9 &&
	       head.signature == FL_RSEQ_SIGNATURE;
}

/* SIGUSR2 begins to step; SIGTRAP, after as many steps as wanted, ends it. */
static void on_step(int sig, siginfo_t *info, void *context)
{
	greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)info;
	if (sig == SIGUSR2) {
		gregs[REG_EFL] |= TRAP_FLAG;
		return;
	}
	step.nr_steps++;
	step.nr_aborts += is_abort((uintptr_t)gregs[REG_RIP]);
	if (step.nr_steps == step.steps_wanted)
		gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static void may_be_interrupted_anywhere(void **state)
{
	const size_t page = fl_page_bytes();
	struct sigaction action = {
		.sa_sigaction = on_step, .sa_flags = SA_SIGINFO,
	};
	char *base;

	(void)state;
	need_rseq();
	/* ThreadSanitizer delivers signals when it likes, and never between two of
	 * our instructions. */
	if (FL_HAVE_TSAN)
		skip();
	assert_int_equal(fl_reserve(2 * page, FL_OPEN, &base), 0);
	assert_int_equal(fl_protect(base, page, FL_CLOSED), 0);
	step.range = (struct fl_fault_range){
		.base = base, .bytes = page, .handle = redirect,
	};
	assert_int_equal(fl_fault_watch(&step.range), 0);
	assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
	for (unsigned k = 1; k <= STEPS_MAX; k++) {
		struct fl_cursor cursor = {
			.bump = base + page, .limit = fl_rseq_armed(),
		};
		char *p;

		step.nr_faults = step.nr_steps = 0;
		step.steps_wanted = k;
		raise(SIGUSR2);
		p = fl_rseq_new(&cursor, 64, 8, k);
		/* If the steps ended before the allocation did, or not yet. */
		while (step.nr_steps < k)
			;
		assert_ptr_equal(p, base + 2 * page - 64);
		assert_int_equal(*(uint64_t *)(void *)p, k);
		assert_int_equal(step.nr_faults, 1);
	}
	assert_true(step.nr_aborts > 0);
	signal(SIGTRAP, SIG_DFL);
	fl_rseq_disarm();
	fl_fault_unwatch(&step.range);
	fl_release(base, 2 * page);
}

/*
 * Storms.
 */

struct storm {
	struct fl_module module;
	uint64_t values[FL_TUNABLES_MAX];
	struct fl_heap *heap;
	struct fl_region *region;
	struct fl_logged *log;
};

static struct storm storm;		/* the program's heap */

/* The signal handler's own heap: it interrupts the other one anywhere. */
static struct {
	struct fl_heap *heap;
	struct fl_region *region;
	volatile unsigned nr_signals, nr_aborts, nr_wrong;
} inner;

static struct fl_heap *open_heap(void)
{
	const struct fl_open_args args = {
		.values = storm.values, .region_bytes_max = LIFETIME_BYTES,
		.object_bytes_max = 4096, .nr_regions_max = 2, .cpu = -1,
	};
	struct fl_heap *heap;
	int err = storm.module.strategy->open(&args, &heap);

	if (err == -ENOMEM) {
		print_message("a terabyte of addresses is not to be had here\n");
		skip();
	}
	assert_int_equal(err, 0);
	return heap;
}

static void open_storm(const char *name, const char *settings)
{
	struct fl_complaint why = { "" };
	char all[128], reason[256] = "";

	snprintf(all, sizeof(all), "block=%u%s", BLOCK_BYTES, settings);
	assert_int_equal(fl_module_named(FL_MODULE_STRATEGY, name,
					 &storm.module, &why), 0);
	fl_tunables_defaults(&storm.module.tunables, storm.values);
	assert_int_equal(fl_tunables_set(&storm.module.tunables, all,
					 storm.values, &why), 0);
	if (storm.module.strategy->probe &&
	    storm.module.strategy->probe(storm.values, reason, sizeof(reason))) {
		print_message("%s\n", reason);
		fl_module_unload(&storm.module);
		skip();
	}
	storm.heap = open_heap();
	assert_int_equal(storm.module.strategy->region_create(storm.heap,
							      &storm.region), 0);
	storm.log = calloc(LIFETIME_BYTES / 16, sizeof(*storm.log));
	assert_non_null(storm.log);
}

static void close_storm(void)
{
	storm.module.strategy->close(storm.heap);
	fl_module_unload(&storm.module);
	free(storm.log);
}

/* One batch of fill, whose results must be what they are on a quiet day. */
static void run_batch(enum fl_residence residence, enum fl_mode mode)
{
	const uint64_t nr = LIFETIME_BYTES / 16;
	const uint64_t implied = NR_LIFETIMES * (LIFETIME_BYTES / BLOCK_BYTES - 1);
	const uint64_t before = storm.heap->events.nr_hits;
	static uint64_t want;
	const struct fl_kernel *k = fl_kernel_find(storm.module.strategy, "fill",
						   16, residence, mode);
	struct fl_batch_result result;
	struct fl_batch batch = {
		.heap = storm.heap, .region = storm.region,
		.nr_lifetimes = NR_LIFETIMES, .nr_objects = nr,
		.log = storm.log, .nr_log = nr,
	};

	assert_non_null(k);
	if (!want) {
		const struct fl_open_args args = {
			.region_bytes_max = LIFETIME_BYTES,
			.object_bytes_max = 16, .nr_regions_max = 1, .cpu = -1,
		};
		const struct fl_kernel *oracle = fl_kernel_find(&fl_oracle,
			"fill", 16, FL_REGISTER, FL_TIMED);
		struct fl_batch simple = batch;

		assert_int_equal(fl_oracle.open(&args, &simple.heap), 0);
		assert_int_equal(fl_oracle.region_create(simple.heap,
							 &simple.region), 0);
		assert_int_equal(oracle->run(&simple, &result), 0);
		want = result.checksum;
		fl_oracle.region_destroy(simple.region);
		fl_oracle.close(simple.heap);
	}
	assert_int_equal(k->run(&batch, &result), 0);
	assert_int_equal(result.error, 0);
	assert_int_equal(result.checksum, want);
	assert_int_equal(result.nr_allocs, NR_LIFETIMES * nr);
	assert_int_equal(storm.heap->events.nr_hits - before, implied);
	assert_int_equal(storm.heap->events.nr_sinks, 0);
	assert_int_equal(storm.heap->events.nr_refills, 0);
}

/* Every combination of the kernel in turn. */
static void run_turn(unsigned turn)
{
	run_batch(turn & 1 ? FL_MEMORY : FL_REGISTER,
		  turn & 2 ? FL_VERIFY : FL_TIMED);
}

/* Between two instructions of the program, allocate elsewhere, and fault too. */
static void interrupt(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	const struct fl_strategy *s = storm.module.strategy;
	uint64_t *objects[40];

	(void)sig;
	(void)info;
	inner.nr_signals++;
	inner.nr_aborts += is_abort((uintptr_t)uc->uc_mcontext.gregs[REG_RIP]);
	for (unsigned i = 0; i < 40; i++)
		objects[i] = s->object_new(inner.region, 2000, 8, i + 1);
	for (unsigned i = 0; i < 40; i++)
		inner.nr_wrong += *objects[i] != i + 1;
	inner.nr_wrong += inner.region->error != 0;
	s->region_reset(inner.region);
}

static timer_t start_timer(void)
{
	struct sigaction action = {
		.sa_sigaction = interrupt, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	const struct itimerspec often = {
		.it_value = { .tv_nsec = 50000 },
		.it_interval = { .tv_nsec = 50000 },
	};
	struct sigevent to_me = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1,
	};
	timer_t timer;

	to_me._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &to_me, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
	return timer;
}

static void signals(const char *name, const char *settings, bool aborts)
{
	unsigned turn = 0;
	timer_t timer;

	if (FL_HAVE_TSAN)
		skip();
	open_storm(name, settings);
	memset(&inner, 0, sizeof(inner));
	inner.heap = open_heap();
	assert_int_equal(storm.module.strategy->region_create(inner.heap,
							      &inner.region), 0);
	timer = start_timer();
	while ((inner.nr_signals < SIGNALS_WANTED || turn < BATCHES_MIN) &&
	       turn < BATCHES_MAX)
		run_turn(turn++);
	timer_delete(timer);
	signal(SIGUSR1, SIG_IGN);
	print_message("%s: %u signals, %u sequences aborted, %u batches\n",
		      name, inner.nr_signals, inner.nr_aborts, turn);
	assert_true(inner.nr_signals >= SIGNALS_WANTED);
	assert_int_equal(inner.nr_wrong, 0);
	assert_true(inner.heap->events.nr_hits > 0);
	assert_true(aborts ? inner.nr_aborts > 0 : inner.nr_aborts == 0);
	storm.module.strategy->close(inner.heap);
	close_storm();
}

static void rseq_under_signals(void **state)
{
	(void)state;
	signals("rseq_redirect", "", true);
}

static void rseq_under_signals_user_return(void **state)
{
	(void)state;
	signals("rseq_redirect", ",return=user", true);
}

static void segv_under_signals(void **state)
{
	(void)state;
	signals("segv_redirect", "", false);
}

/* Moves the program from one CPU to another and back, without end. */
struct mover {
	pthread_t thread;
	pid_t tid;
	cpu_set_t allowed;
	atomic_uint nr_moves;
	atomic_bool stop;
};

static void *move(void *arg)
{
	struct mover *m = arg;
	int cpu = -1;

	while (!m->stop) {
		cpu_set_t one;

		do {
			cpu = (cpu + 1) % CPU_SETSIZE;
		} while (!CPU_ISSET(cpu, &m->allowed));
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (!sched_setaffinity(m->tid, sizeof(one), &one))
			m->nr_moves++;
	}
	return NULL;
}

static void migrations(const char *name)
{
	struct mover m = { .tid = (pid_t)syscall(SYS_gettid) };
	unsigned turn = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(m.allowed), &m.allowed), 0);
	if (CPU_COUNT(&m.allowed) < 2) {
		print_message("there is one CPU: nowhere to move to\n");
		skip();
	}
	open_storm(name, "");
	assert_int_equal(pthread_create(&m.thread, NULL, move, &m), 0);
	while ((m.nr_moves < MOVES_WANTED || turn < BATCHES_MIN) &&
	       turn < BATCHES_MAX)
		run_turn(turn++);
	m.stop = true;
	pthread_join(m.thread, NULL);
	sched_setaffinity(0, sizeof(m.allowed), &m.allowed);
	print_message("%s: %u moves, %u batches\n", name,
		      (unsigned)m.nr_moves, turn);
	assert_true(m.nr_moves >= MOVES_WANTED);
	close_storm();
}

static void rseq_under_migrations(void **state)
{
	(void)state;
	migrations("rseq_redirect");
}

static void segv_under_migrations(void **state)
{
	(void)state;
	migrations("segv_redirect");
}

/*
 * Unloading: a descriptor that is still armed is read by the kernel at the next
 * preemption, and is not there any more.
 */
static void outlives_its_module(void **state)
{
	int status;
	pid_t child;

	(void)state;
	need_rseq();
	/* After the threads of the tests before, nothing of it works in a child. */
	if (FL_HAVE_TSAN)
		skip();
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		for (int i = 0; i < 20; i++) {
			open_storm("rseq_redirect", "");
			storm.module.strategy->object_new(storm.region, 64, 8, 1);
			close_storm();
			for (int k = 0; k < 100; k++)
				sched_yield();
			raise(SIGCHLD);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_site_says_where_its_bump_is),
		cmocka_unit_test(nothing_is_left_armed),
		cmocka_unit_test(may_be_interrupted_anywhere),
		cmocka_unit_test(rseq_under_signals),
		cmocka_unit_test(rseq_under_signals_user_return),
		cmocka_unit_test(segv_under_signals),
		cmocka_unit_test(rseq_under_migrations),
		cmocka_unit_test(segv_under_migrations),
		cmocka_unit_test(outlives_its_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
