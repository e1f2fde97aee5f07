/* SPDX-License-Identifier: MIT */
/*
 * Neighbours: what is kept and what is thrown away.  Whether there is one here
 * cannot be known, so the shortest probe is made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/quiet.h"

#define IMPOSSIBLE_NS	1.0	/* no probe is that short */

static struct fl_clock clock_of_test;

static int setup(void **state)
{
	(void)state;
	return fl_clock_init(&clock_of_test);
}

/* He never rests: patience is spent on waiting, then everything is kept. */
static void test_waits(void **state)
{
	struct fl_quiet q;
	uint64_t start;

	(void)state;
	fl_quiet_init(&q, &clock_of_test, IMPOSSIBLE_NS, 2e6);
	start = fl_clock_ticks();
	fl_quiet_begin(&q);
	assert_true(fl_clock_ns(&clock_of_test, fl_clock_ticks() - start) >= 2e6);
	assert_false(q.before);
	assert_true(q.patience_ns <= 0);
	assert_true(fl_quiet_end(&q, 1));
	assert_int_equal(q.nr_dropped, 0);
	assert_int_equal(q.nr_disturbed, 1);

	/* There is none left for the next. */
	fl_quiet_begin(&q);
	assert_true(fl_quiet_end(&q, 1e9));
	assert_int_equal(q.nr_disturbed, 2);
}

/* He came during the work, which is thrown away as long as there is patience. */
static void test_drops(void **state)
{
	struct fl_quiet q;

	(void)state;
	fl_quiet_init(&q, &clock_of_test, IMPOSSIBLE_NS, 0);
	fl_quiet_begin(&q);
	q.patience_ns = 100;
	q.before = true;
	assert_false(fl_quiet_end(&q, 60));
	assert_int_equal(q.nr_dropped, 1);
	assert_true(fl_quiet_end(&q, 60));
	assert_int_equal(q.nr_dropped, 1);
	assert_int_equal(q.nr_disturbed, 1);
}

/* A probe that may take as long as it likes is always quiet. */
static void test_keeps(void **state)
{
	struct fl_quiet q;

	(void)state;
	fl_quiet_init(&q, &clock_of_test, 0, 1e12);
	assert_true(q.least_ns > 0);
	q.least_ns = 1e12;
	for (int i = 0; i < 10; i++) {
		const double least = q.least_ns;

		fl_quiet_begin(&q);
		assert_true(q.before);
		assert_true(q.least_ns <= least);
		q.least_ns = 1e12;
		fl_quiet_end(&q, 1);
		q.least_ns = 1e12;
	}
	assert_int_equal(q.nr_disturbed, 0);
}

/* Somebody else was given our CPU. */
static void test_preempted(void **state)
{
	struct fl_quiet q;

	(void)state;
	fl_quiet_init(&q, &clock_of_test, 0, 1e12);
	fl_quiet_begin(&q);
	q.least_ns = 1e12;
	q.nr_preempted--;
	assert_false(fl_quiet_end(&q, 1));
	assert_int_equal(q.nr_dropped, 1);
}

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"", "x", "0", "-3", "0.5", "nan", "inf", "2e9", "12us",
	};

	(void)state;
	assert_true(fl_parse_probe_ns("2812.5") == 2812.5);
	assert_true(fl_parse_probe_ns("941") == 941);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(fl_parse_probe_ns(bad[i]) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_keeps),
		cmocka_unit_test(test_preempted),
		cmocka_unit_test(test_parse),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("quiet", tests, setup, NULL);
}
