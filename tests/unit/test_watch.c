/* SPDX-License-Identifier: MIT */
/* Which allocations are timed: those that took the slow path a batch before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness/watch.h"

/*
 * A batch as a kernel runs it: every @every-th of @nr allocations is slow, from
 * @first on, and takes 100 ticks.  Returns how many were timed.
 */
static uint64_t batch(struct fl_watch *watch, uint64_t nr, uint64_t first,
		      uint64_t every)
{
	uint64_t nr_timed = 0;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t number = watch->base.nr_allocs++;
		bool timed = number == *watch->base.due;

		nr_timed += timed;
		if (i >= first && (i - first) % every == 0)
			watch->base.slow(&watch->base, number, timed, timed * 100);
	}
	return nr_timed;
}

static void learns_then_times(void **state)
{
	static struct fl_hist hist;
	struct fl_watch watch;

	(void)state;
	fl_hist_reset(&hist);
	assert_int_equal(fl_watch_init(&watch, &hist, 1.0), 0);
	assert_int_equal(batch(&watch, 1000, 99, 100), 0);
	assert_int_equal(hist.nr_values, 0);
	for (int i = 1; i <= 3; i++) {
		fl_watch_begin(&watch);
		assert_int_equal(batch(&watch, 1000, 99, 100), 10);
		assert_int_equal(hist.nr_values, 10 * i);
	}
	assert_int_equal(hist.min_ns, 100);
	assert_int_equal(hist.max_ns, 100);
	fl_watch_free(&watch);
}

/* Slow paths elsewhere: those that were due in vain are passed over. */
static void forgets_what_is_fast(void **state)
{
	static struct fl_hist hist;
	struct fl_watch watch;

	(void)state;
	fl_hist_reset(&hist);
	assert_int_equal(fl_watch_init(&watch, &hist, 1.0), 0);
	batch(&watch, 1000, 100, 100);		/* 100, 200, ... */
	fl_watch_begin(&watch);
	/* 100 is due in vain; 150 is slow, untimed, and makes 200 due. */
	assert_int_equal(batch(&watch, 1000, 150, 50), 9);
	assert_int_equal(hist.nr_values, 8);
	/* None was learned: none is timed. */
	fl_watch_learn(&watch);
	batch(&watch, 1000, 2000, 1);
	fl_watch_begin(&watch);
	assert_int_equal(batch(&watch, 1000, 0, 1), 0);
	assert_int_equal(hist.nr_values, 8);
	fl_watch_free(&watch);
}

static void keeps_the_first(void **state)
{
	static struct fl_hist hist;
	struct fl_watch watch;

	(void)state;
	fl_hist_reset(&hist);
	assert_int_equal(fl_watch_init(&watch, &hist, 0.0), -EINVAL);
	fl_watch_free(&watch);
	assert_int_equal(fl_watch_init(&watch, &hist, 1.0), 0);
	batch(&watch, FL_WATCH_MAX + 10, 0, 1);
	fl_watch_begin(&watch);
	assert_int_equal(batch(&watch, FL_WATCH_MAX + 10, 0, 1), FL_WATCH_MAX);
	assert_int_equal(hist.nr_values, FL_WATCH_MAX);
	fl_watch_free(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learns_then_times),
		cmocka_unit_test(forgets_what_is_fast),
		cmocka_unit_test(keeps_the_first),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
