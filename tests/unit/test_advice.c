/* SPDX-License-Identifier: MIT */
/*
 * What is advised, of candidates that were made up: what is beaten never is, the
 * ends of the weight are the fastest and the smallest, ties are called so.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/advice.h"

#define NR_BLOCKS	8
#define NR_MAX		6

static double samples[NR_MAX][NR_BLOCKS];
static struct fl_advice_candidate candidates[NR_MAX];
static struct fl_advice_input input;

/* Around @ns, up to @spread of it away, another order for each candidate. */
static void add(double ns, double spread, double pages)
{
	static const double away[NR_BLOCKS] = {
		-1, 0.6, -0.3, 0.1, 1, -0.7, 0.4, -0.1
	};
	const size_t i = input.nr++;

	for (size_t b = 0; b < NR_BLOCKS; b++)
		samples[i][b] = ns * (1 + spread * away[(b * (2 * i + 1)) %
							 NR_BLOCKS]);
	candidates[i] = (struct fl_advice_candidate){
		.usable = true, .ns = ns, .pages = pages, .blocks = samples[i],
	};
}

static int setup(void **state)
{
	(void)state;
	input = (struct fl_advice_input){ .candidates = candidates,
					  .nr_blocks = NR_BLOCKS };
	return 0;
}

static void test_ends_of_the_weight(void **state)
{
	struct fl_advice advice;

	(void)state;
	add(1.0, 0.01, 400);
	add(2.0, 0.01, 100);
	add(1.5, 0.01, 200);
	fl_advice_make(&input, 1, &advice);
	assert_int_equal(advice.advised, 0);
	assert_int_equal(advice.next, 2);
	assert_true(advice.margin.shown);
	assert_true(fabs(advice.margin.cost - log(1.5)) < 0.02);
	fl_advice_make(&input, 0, &advice);
	assert_int_equal(advice.advised, 1);
	assert_int_equal(advice.next, 2);
	assert_true(advice.margin.shown);
	assert_false(advice.margin.has_interval);
}

static void test_beaten_is_never_advised(void **state)
{
	struct fl_advice_stretch stretches[FL_ADVICE_STRETCHES_MAX];
	size_t nr;

	(void)state;
	/* Noisy enough to be tied with the others all the same. */
	add(1.5, 0.9, 210);
	add(1.4, 0.01, 200);
	add(1.4, 0.01, 300);
	add(1.0, 0.01, 400);
	assert_int_equal(fl_advice_beaten_by(candidates, input.nr, 0), 1);
	candidates[1].blocks = NULL;
	assert_int_equal(fl_advice_beaten_by(candidates, input.nr, 0),
			 FL_ADVICE_NONE);
	candidates[1].blocks = samples[1];
	assert_int_equal(fl_advice_beaten_by(candidates, input.nr, 2), 1);
	assert_true(fl_advice_beaten_by(candidates, input.nr, 3) ==
		    FL_ADVICE_NONE);
	nr = fl_advice_stretches(&input, stretches);
	assert_int_equal(nr, 2);
	assert_int_equal(stretches[0].advised, 1);
	assert_int_equal(stretches[1].advised, 3);
	assert_true(stretches[0].from < 1e-9);
	assert_true(fabs(stretches[1].to - 1) < 1e-9);
	/* 1.4 over 1 in time is 2 in memory: w = ln 2 / (ln 2 + ln 1.4). */
	assert_true(fabs(stretches[1].from - 0.67) < 0.03);
}

static void test_ties_are_called_so(void **state)
{
	struct fl_advice advice;

	(void)state;
	add(1.00, 0.3, 200);
	add(1.01, 0.3, 100);
	fl_advice_make(&input, 1, &advice);
	/* Time cannot tell: memory does. */
	assert_int_equal(advice.advised, 1);
	assert_int_equal(advice.next, 0);
	assert_true(advice.margin.has_interval);
	assert_false(advice.margin.shown);
	assert_true(advice.margin.tied);
	assert_true(advice.margin.lo < 0 && advice.margin.hi > 0);
	/* Of too few blocks that is not known. */
	input.nr_blocks = FL_STATS_BLOCKS_MIN - 1;
	fl_advice_make(&input, 1, &advice);
	assert_int_equal(advice.advised, 0);
	assert_true(advice.margin.tied);
	assert_false(advice.margin.shown);
}

static void test_noise_widens(void **state)
{
	struct fl_advice advice;

	(void)state;
	add(1.00, 0.001, 200);
	add(1.05, 0.001, 100);
	fl_advice_make(&input, 1, &advice);
	assert_int_equal(advice.advised, 0);
	assert_true(advice.margin.shown);
	/* The same code twice differed by more than these two do. */
	input.noise = 0.1;
	fl_advice_make(&input, 1, &advice);
	assert_int_equal(advice.advised, 1);
	assert_false(advice.margin.shown);
	/* Memory alone is exact. */
	fl_advice_make(&input, 0, &advice);
	assert_int_equal(advice.advised, 1);
	assert_true(advice.margin.shown);
}

static void test_few_blocks_show_nothing(void **state)
{
	struct fl_advice advice;

	(void)state;
	/* What seems best is advised all the same. */
	add(1.0, 0.01, 400);
	add(3.0, 0.01, 200);
	input.nr_blocks = FL_STATS_BLOCKS_MIN - 1;
	fl_advice_make(&input, 1, &advice);
	assert_int_equal(advice.advised, 0);
	assert_false(advice.margin.tied);
	assert_false(advice.margin.shown);
	input.nr_blocks = 1;
	fl_advice_make(&input, 1, &advice);
	assert_int_equal(advice.advised, 0);
	assert_false(advice.margin.has_interval);
	assert_false(advice.margin.shown);
}

static void test_missing_samples(void **state)
{
	struct fl_advice advice;

	(void)state;
	add(1.0, 0.01, 200);
	add(2.0, 0.01, 200);
	samples[0][0] = NAN;
	samples[1][3] = NAN;
	fl_advice_make(&input, 1, &advice);
	assert_int_equal(advice.advised, 0);
	assert_true(advice.margin.shown);
	samples[0][1] = NAN;
	fl_advice_make(&input, 1, &advice);
	assert_false(advice.margin.shown);
}

static void test_who_may_be_advised(void **state)
{
	struct fl_advice advice;

	(void)state;
	add(1.0, 0.01, 100);
	add(1.1, 0.01, 110);
	add(1.2, 0.01, 120);
	candidates[0].usable = false;
	candidates[1].blocks = NULL;
	fl_advice_make(&input, 0.5, &advice);
	assert_int_equal(advice.advised, 2);
	assert_true(advice.next == FL_ADVICE_NONE);
	candidates[2].usable = false;
	fl_advice_make(&input, 0.5, &advice);
	assert_true(advice.advised == FL_ADVICE_NONE);
}

static void test_rank(void **state)
{
	size_t order[NR_MAX];

	(void)state;
	add(4.0, 0, 100);
	add(1.0, 0, 400);
	add(1.8, 0, 180);
	add(9.0, 0, 900);
	candidates[3].usable = false;
	assert_int_equal(fl_advice_rank(candidates, input.nr, 0.5, order), 3);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 1);
	assert_int_equal(order[2], 0);
	assert_int_equal(fl_advice_rank(candidates, 0, 0.5, order), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ends_of_the_weight, setup),
		cmocka_unit_test_setup(test_beaten_is_never_advised, setup),
		cmocka_unit_test_setup(test_ties_are_called_so, setup),
		cmocka_unit_test_setup(test_noise_widens, setup),
		cmocka_unit_test_setup(test_few_blocks_show_nothing, setup),
		cmocka_unit_test_setup(test_missing_samples, setup),
		cmocka_unit_test_setup(test_who_may_be_advised, setup),
		cmocka_unit_test_setup(test_rank, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
