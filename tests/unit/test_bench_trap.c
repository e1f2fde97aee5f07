/* SPDX-License-Identifier: MIT */
/*
 * The bench `trap` notices when somebody else meddles with its faults: a handler on
 * top of its own, installed when the stretch begins.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "faultline/bench.h"
#include "vm/fault_resume.h"
#include "vm/place.h"
#include "vm/reserve.h"

extern const struct fl_bench faultline_bench;

static char reason[256];
static uint64_t nr_metered;

/* Which the bench had installed. */
static struct sigaction below;
static void (*meddle)(int sig, siginfo_t *info, void *context);

static void start(struct fl_bench_meter *meter)
{
	struct sigaction action;

	(void)meter;
	if (!meddle)
		return;
	sigaction(SIGSEGV, NULL, &below);
	action = below;
	action.sa_sigaction = meddle;
	sigaction(SIGSEGV, &action, NULL);
}

static void stop(struct fl_bench_meter *meter)
{
	(void)meter;
	if (meddle)
		sigaction(SIGSEGV, &below, NULL);
}

/* Pieces, which are all quiet here. */
static void begin(struct fl_bench_meter *meter)
{
	(void)meter;
}

static void end(struct fl_bench_meter *meter, uint64_t ticks, uint64_t nr_ops)
{
	(void)meter;
	nr_metered += nr_ops;
	assert_true(ticks > 0);
}

static uint64_t again(struct fl_bench_meter *meter)
{
	(void)meter;
	return 0;
}

static int run(const char *loop, bool user_return, uint64_t *nr_ops)
{
	struct fl_bench_meter meter = { start, stop, begin, end, again };
	const struct fl_bench *b = &faultline_bench;
	struct fl_bench_result result = { 0 };
	uint64_t values[8] = { 0 };
	const struct fl_bench_args args = {
		.values = values, .nr_ops = 250, .cpu = fl_place_cpu(),
		.meter = &meter,
	};
	int err;

	for (size_t i = 0; i < b->nr_tunables; i++) {
		const struct fl_tunable *t = &b->tunables[i];

		values[i] = t->def;
		for (uint64_t k = 0; t->choices && t->choices[k]; k++)
			if (!strcmp(t->choices[k], loop) ||
			    (user_return && !strcmp(t->choices[k], "user")))
				values[i] = k;
	}
	*reason = '\0';
	nr_metered = 0;
	err = b->run(&args, &result, reason, sizeof(reason));
	*nr_ops = result.nr_ops;
	if (!err)
		assert_int_equal(nr_metered, args.nr_ops);
	return err;
}

static void test_honest(void **state)
{
	static const char *const loops[] = { "trap", "prot1", "protN" };
	uint64_t nr_ops;

	(void)state;
	meddle = NULL;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(run(loops[i], false, &nr_ops), 0);
		assert_int_equal(nr_ops, 250);
	}
}

static void answer_twice(int sig, siginfo_t *info, void *context)
{
	ucontext_t copy = *(ucontext_t *)context;

	below.sa_sigaction(sig, info, &copy);
	below.sa_sigaction(sig, info, context);
}

static void test_answered_twice(void **state)
{
	uint64_t nr_ops;

	(void)state;
	meddle = answer_twice;
	assert_int_equal(run("trap", false, &nr_ops), -EIO);
	assert_non_null(strstr(reason, "250 traps: 500 were handled"));
}

static void chain(int sig, siginfo_t *info, void *context)
{
	below.sa_sigaction(sig, info, context);
}

static void test_returned_by_the_kernel(void **state)
{
	uint64_t nr_ops;

	(void)state;
	if (fl_fault_resume_probe(reason, sizeof(reason))) {
		print_message("%s\n", reason);
		skip();
	}
	meddle = chain;
	assert_int_equal(run("trap", true, &nr_ops), -EIO);
	assert_non_null(strstr(reason, "0 of them returned in user space instead of 250"));
}

/* Opens the page itself, and asks nobody. */
static void open_behind_its_back(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fl_protect(info->si_addr, fl_page_bytes(), FL_OPEN);
}

static void test_opened_behind_its_back(void **state)
{
	uint64_t nr_ops;

	(void)state;
	meddle = open_behind_its_back;
	assert_int_equal(run("protN", false, &nr_ops), -EIO);
	assert_non_null(strstr(reason, "250 traps: 0 were handled"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_answered_twice),
		cmocka_unit_test(test_returned_by_the_kernel),
		cmocka_unit_test(test_opened_behind_its_back),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("bench_trap", tests, NULL, NULL);
}
