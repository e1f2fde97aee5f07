/* SPDX-License-Identifier: MIT */
/*
 * The statistics: known answers, refused inputs, and what the intervals promise,
 * by simulation.  Seeds are fixed, so every run of this file is the same run;
 * the bounds are three standard errors of the simulation from what theory says,
 * and would hold for all but one seed in a few hundred.
 */
#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/stats.h"

#define NR_MAX		64

static gsl_rng *rng;

static void assert_near(double got, double expected)
{
	assert_true(fabs(got - expected) <= 1e-12 * (1 + fabs(expected)));
}

static void test_median(void **state)
{
	static const double odd[] = { 3, 1, 2 }, even[] = { 4, 1, 3, 2 };
	double median;

	(void)state;
	assert_int_equal(fl_stats_median(odd, 3, &median), 0);
	assert_near(median, 2);
	assert_int_equal(fl_stats_median(even, 4, &median), 0);
	assert_near(median, 2.5);
	assert_int_equal(fl_stats_median(even, 1, &median), 0);
	assert_near(median, 4);
	assert_near(odd[0], 3);
}

static void test_mad_and_cv(void **state)
{
	static const double values[] = { 9, 1, 2, 1, 4, 2, 6 };
	static const double simple[] = { 1, 2, 3 };
	double out;

	(void)state;
	assert_int_equal(fl_stats_mad(values, 7, &out), 0);
	assert_near(out, 1);
	assert_int_equal(fl_stats_mad(simple, 1, &out), 0);
	assert_near(out, 0);
	assert_int_equal(fl_stats_cv(simple, 3, &out), 0);
	assert_near(out, 0.5);
}

/* Ranks and confidences as tables of the sign test have them. */
static void test_order_interval(void **state)
{
	static const struct {
		size_t n, lo, hi;
		double confidence;
	} cases[] = {
		{ 2, 1, 2, 0.5 },
		{ 5, 1, 5, 0.9375 },
		{ 6, 1, 6, 0.96875 },
		{ 7, 1, 7, 0.984375 },
		{ 8, 1, 8, 0.9921875 },
		{ 9, 2, 8, 0.9609375 },
		{ 15, 4, 12, 0.96484375 },
		{ 20, 6, 15, 0.9586105346679688 },
	};
	double values[NR_MAX];
	struct fl_interval interval;

	(void)state;
	/* Descending, so that sorting matters. */
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		size_t n = cases[c].n;

		for (size_t i = 0; i < n; i++)
			values[i] = (double)(n - i);
		assert_int_equal(fl_stats_interval_median(values, n, NULL,
							  &interval), 0);
		assert_near(interval.median, (double)(n + 1) / 2);
		assert_near(interval.lo, (double)cases[c].lo);
		assert_near(interval.hi, (double)cases[c].hi);
		assert_near(interval.confidence, cases[c].confidence);
		assert_int_equal(interval.n, n);
	}
}

/*
 * The bootstrap's distribution is known exactly for odd n: the median of a
 * resample is at most the j-th value if at least half the draws are among the
 * first j, which is binomial(n, j/n).  (Maritz & Jarrett 1978.)
 */
static void test_bootstrap_interval(void **state)
{
	struct fl_stats_options options = FL_STATS_OPTIONS(FL_STATS_BOOTSTRAP);
	static const double two[] = { 0, 1 };
	struct fl_interval interval, again;
	double values[NR_MAX];
	size_t j = 1;

	(void)state;
	for (size_t i = 0; i < 11; i++)
		values[i] = (double)(11 - i);
	while (gsl_cdf_binomial_Q(5, (double)j / 11, 11) < 0.025)
		j++;
	assert_int_equal(fl_stats_interval_median(values, 11, &options,
						  &interval), 0);
	assert_near(interval.median, 6);
	assert_near(interval.lo, (double)j);
	assert_near(interval.hi, (double)(12 - j));
	assert_near(interval.confidence, 0.95);

	/* The same values in another order: the same answer to the bit. */
	gsl_sort(values, 1, 11);
	assert_int_equal(fl_stats_interval_median(values, 11, &options,
						  &again), 0);
	assert_true(interval.lo == again.lo && interval.hi == again.hi);

	/* Of the resamples of two values a quarter has the median 0, half has
	 * 0.5, and a quarter has 1. */
	options.confidence = 0.4;
	assert_int_equal(fl_stats_interval_median(two, 2, &options, &interval),
			 0);
	assert_near(interval.lo, 0.5);
	assert_near(interval.hi, 0.5);

	/* The seed decides, and nothing else. */
	gsl_rng_set(rng, 7);
	for (size_t i = 0; i < NR_MAX; i++)
		values[i] = gsl_ran_gaussian(rng, 1);
	options.nr_resamples = 100;
	assert_int_equal(fl_stats_interval_median(values, NR_MAX, &options,
						  &interval), 0);
	assert_int_equal(fl_stats_interval_median(values, NR_MAX, &options,
						  &again), 0);
	assert_true(interval.lo == again.lo && interval.hi == again.hi);
	options.seed++;
	assert_int_equal(fl_stats_interval_median(values, NR_MAX, &options,
						  &again), 0);
	assert_true(interval.lo != again.lo || interval.hi != again.hi);
}

static void test_paired_ratio(void **state)
{
	double a[NR_MAX], b[NR_MAX];
	struct fl_ratio ratio, inverse;

	(void)state;
	/* Blocks that differ wildly among themselves and not at all within. */
	for (size_t i = 0; i < 15; i++) {
		b[i] = pow(1.7, (double)i) * 1e-9;
		a[i] = 1.02 * b[i];
	}
	assert_int_equal(fl_stats_paired_ratio(a, b, 15, &ratio), 0);
	assert_near(ratio.ratio, 1.02);
	assert_near(ratio.lo, 1.02);
	assert_near(ratio.hi, 1.02);
	assert_int_equal(ratio.n, 15);
	assert_true(fl_stats_differs(&ratio));

	/* Swapping the arms inverts the ratio and its interval. */
	for (size_t i = 0; i < 15; i++)
		a[i] *= 1 + 0.01 * (double)(i % 4);
	assert_int_equal(fl_stats_paired_ratio(a, b, 15, &ratio), 0);
	assert_int_equal(fl_stats_paired_ratio(b, a, 15, &inverse), 0);
	assert_near(ratio.ratio * inverse.ratio, 1);
	assert_near(ratio.lo * inverse.hi, 1);
	assert_near(ratio.hi * inverse.lo, 1);
}

static void test_unpaired_ratio(void **state)
{
	static const double a[] = { 2.2, 2.0, 1.8, 2.1, 1.9, 2.0 };
	static const double b[] = { 1.0, 1.1, 0.9, 1.05, 0.95 };
	struct fl_ratio ratio, again;

	(void)state;
	assert_int_equal(fl_stats_unpaired_ratio(a, 6, b, 5, NULL, &ratio), 0);
	assert_near(ratio.ratio, 2);
	assert_true(ratio.lo < 2 && ratio.lo > 1.8 / 1.1 - 1e-9);
	assert_true(ratio.hi > 2 && ratio.hi < 2.2 / 0.9 + 1e-9);
	assert_int_equal(ratio.n, 5);
	assert_true(fl_stats_differs(&ratio));
	assert_int_equal(fl_stats_unpaired_ratio(a, 6, b, 5, NULL, &again), 0);
	assert_memory_equal(&ratio, &again, sizeof(ratio));
}

static void test_verdicts(void **state)
{
	struct fl_ratio ratio = {
		.ratio = 1.003, .lo = 1.001, .hi = 1.005, .confidence = 0.96,
	};

	(void)state;
	assert_true(fl_stats_differs(&ratio));
	assert_true(fl_stats_equivalent(&ratio, 0.01));
	assert_false(fl_stats_equivalent(&ratio, 0.004));
	ratio.lo = 0.999;
	assert_false(fl_stats_differs(&ratio));
	ratio.lo = 0.9;
	assert_false(fl_stats_equivalent(&ratio, 0.01));
	/* 1 - 0.01 is further from 1 than 1 + 0.01 is, in ratios. */
	ratio.lo = 0.9900;
	assert_false(fl_stats_equivalent(&ratio, 0.01));
	ratio.lo = 0.9902;
	assert_true(fl_stats_equivalent(&ratio, 0.01));
	assert_false(fl_stats_equivalent(&ratio, 0));
	assert_false(fl_stats_equivalent(&ratio, -0.01));
	assert_false(fl_stats_equivalent(&ratio, 1));
	assert_false(fl_stats_equivalent(&ratio, NAN));

	/* Five blocks cannot say anything with 95 % confidence. */
	ratio = (struct fl_ratio){
		.ratio = 2, .lo = 1.9, .hi = 2.1, .confidence = 0.9375,
	};
	assert_false(fl_stats_differs(&ratio));
	ratio = (struct fl_ratio){
		.ratio = 1, .lo = 1, .hi = 1, .confidence = 0.9375,
	};
	assert_false(fl_stats_equivalent(&ratio, 0.5));
}

/* Every function refuses @bad among good values. */
static void refuse_value(double bad, bool only_ratios)
{
	double values[8] = { 1, 2, 3, 4, bad, 5, 6, 7 };
	double good[8] = { 1, 2, 3, 4, 4, 5, 6, 7 };
	struct fl_interval interval;
	struct fl_ratio ratio;
	double out = 42;
	size_t nr = 42;

	if (!only_ratios) {
		assert_int_equal(fl_stats_median(values, 8, &out), -EINVAL);
		assert_int_equal(fl_stats_mad(values, 8, &out), -EINVAL);
		assert_int_equal(fl_stats_interval_median(values, 8, NULL,
							  &interval), -EINVAL);
	}
	assert_int_equal(fl_stats_cv(values, 8, &out), -EINVAL);
	assert_int_equal(fl_stats_paired_ratio(values, good, 8, &ratio),
			 -EINVAL);
	assert_int_equal(fl_stats_paired_ratio(good, values, 8, &ratio),
			 -EINVAL);
	assert_int_equal(fl_stats_unpaired_ratio(values, 8, good, 8, NULL,
						 &ratio), -EINVAL);
	assert_int_equal(fl_stats_unpaired_ratio(good, 8, values, 8, NULL,
						 &ratio), -EINVAL);
	assert_int_equal(fl_stats_blocks_needed(values, good, 8, 0.01, 0.9,
						&nr), -EINVAL);
	assert_true(out == 42 && nr == 42);
}

static void test_bad_values(void **state)
{
	(void)state;
	refuse_value(NAN, false);
	refuse_value(INFINITY, false);
	refuse_value(-INFINITY, false);
	refuse_value(0, true);
	refuse_value(-1, true);
	refuse_value(-0.0, true);
}

static void test_too_few(void **state)
{
	static const double v[] = { 1, 2, 3, 4, 5 };
	struct fl_interval interval;
	struct fl_ratio ratio;
	double out;
	size_t nr;

	(void)state;
	assert_int_equal(fl_stats_median(v, 0, &out), -ENODATA);
	assert_int_equal(fl_stats_mad(v, 0, &out), -ENODATA);
	assert_int_equal(fl_stats_cv(v, 1, &out), -ENODATA);
	for (size_t n = 0; n < 2; n++) {
		assert_int_equal(fl_stats_interval_median(v, n, NULL,
							  &interval), -ENODATA);
		assert_int_equal(fl_stats_paired_ratio(v, v, n, &ratio),
				 -ENODATA);
		assert_int_equal(fl_stats_blocks_needed(v, v, n, 0.01, 0.9,
							&nr), -ENODATA);
	}
	assert_int_equal(fl_stats_unpaired_ratio(v, 4, v, 5, NULL, &ratio),
			 -ENODATA);
	assert_int_equal(fl_stats_unpaired_ratio(v, 5, v, 4, NULL, &ratio),
			 -ENODATA);
}

static void test_bad_options(void **state)
{
	static const double v[] = { 1, 2, 3, 4, 5, 6 };
	const struct fl_stats_options usual =
		FL_STATS_OPTIONS(FL_STATS_BOOTSTRAP);
	struct fl_stats_options bad[6];
	struct fl_interval interval;
	struct fl_ratio ratio;
	size_t nr;

	(void)state;
	for (size_t i = 0; i < 6; i++)
		bad[i] = usual;
	bad[0].confidence = 0;
	bad[1].confidence = 1;
	bad[2].confidence = NAN;
	bad[3].nr_resamples = 0;
	bad[4].nr_resamples = 99;
	bad[5].method = (enum fl_stats_method)7;
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(fl_stats_interval_median(v, 6, &bad[i],
							  &interval), -EINVAL);
		assert_int_equal(fl_stats_unpaired_ratio(v, 6, v, 6, &bad[i],
							 &ratio), -EINVAL);
	}
	bad[0] = FL_STATS_OPTIONS(FL_STATS_ORDER);
	assert_int_equal(fl_stats_unpaired_ratio(v, 6, v, 6, &bad[0], &ratio),
			 -EINVAL);
	assert_int_equal(fl_stats_blocks_needed(v, v, 6, 0, 0.9, &nr), -EINVAL);
	assert_int_equal(fl_stats_blocks_needed(v, v, 6, 1, 0.9, &nr), -EINVAL);
	assert_int_equal(fl_stats_blocks_needed(v, v, 6, 0.01, 0, &nr), -EINVAL);
	assert_int_equal(fl_stats_blocks_needed(v, v, 6, 0.01, 1, &nr), -EINVAL);
	assert_int_equal(fl_stats_blocks_needed(v, v, 6, NAN, 0.9, &nr),
			 -EINVAL);
}

/*
 * Simulations.
 */

/* A normal distribution, and one that noise from above has bent; median 0. */
static double draw(bool skewed)
{
	return skewed ? gsl_ran_exponential(rng, 1) - M_LN2 :
			gsl_ran_gaussian(rng, 1);
}

/* How often the interval of the median covers it. */
static double coverage(size_t n, bool skewed,
		       const struct fl_stats_options *options, int nr_trials)
{
	struct fl_interval interval;
	double values[NR_MAX];
	int nr_covered = 0;

	for (int t = 0; t < nr_trials; t++) {
		for (size_t i = 0; i < n; i++)
			values[i] = draw(skewed);
		assert_int_equal(fl_stats_interval_median(values, n, options,
							  &interval), 0);
		nr_covered += interval.lo <= 0 && interval.hi >= 0;
	}
	return (double)nr_covered / nr_trials;
}

/* Three standard errors of a share @p of @nr_trials. */
static double slack(double p, int nr_trials)
{
	return 3 * sqrt(p * (1 - p) / nr_trials);
}

/* The confidence that the order interval states is the one it has. */
static void test_order_coverage(void **state)
{
	static const size_t ns[] = { 5, 7, 15, 20 };
	static const double stated[] = { 0.9375, 0.984375, 0.96484375,
					 0.95861 };
	const int nr_trials = 4000;

	(void)state;
	gsl_rng_set(rng, 1);
	for (size_t i = 0; i < 4; i++)
		for (int skewed = 0; skewed < 2; skewed++) {
			double got = coverage(ns[i], skewed, NULL, nr_trials);

			assert_true(fabs(got - stated[i]) <=
				    slack(stated[i], nr_trials));
		}
}

/*
 * The bootstrap's is not: at n = 7 it covers some 88 %, which is why it is not
 * the default.  If this fails, reconsider the default.  At n = 15 the interval
 * ends at the 4th value or, with resamples as few as here, short of it.
 */
static void test_bootstrap_coverage(void **state)
{
	struct fl_stats_options options = FL_STATS_OPTIONS(FL_STATS_BOOTSTRAP);
	const int nr_trials = 400;

	(void)state;
	gsl_rng_set(rng, 2);
	options.nr_resamples = 1000;
	for (int skewed = 0; skewed < 2; skewed++) {
		double at_7 = coverage(7, skewed, &options, nr_trials);
		double at_15 = coverage(15, skewed, &options, nr_trials);

		assert_true(fabs(at_7 - 0.875) <= slack(0.875, nr_trials));
		assert_true(at_15 >= 0.915 - slack(0.915, nr_trials));
		assert_true(at_15 <= 0.965 + slack(0.965, nr_trials));
	}
}

static void test_unpaired_coverage(void **state)
{
	struct fl_stats_options options = FL_STATS_OPTIONS(FL_STATS_BOOTSTRAP);
	static const size_t ns[] = { 7, 15 };
	const int nr_trials = 400;

	(void)state;
	gsl_rng_set(rng, 3);
	options.nr_resamples = 1000;
	for (size_t k = 0; k < 2; k++) {
		int nr_covered = 0;

		for (int t = 0; t < nr_trials; t++) {
			double a[NR_MAX], b[NR_MAX];
			struct fl_ratio ratio;

			for (size_t i = 0; i < ns[k]; i++) {
				a[i] = 1.5 * exp(0.01 * draw(true));
				b[i] = exp(0.01 * draw(true));
			}
			assert_int_equal(fl_stats_unpaired_ratio(a, ns[k], b,
						ns[k], &options, &ratio), 0);
			nr_covered += ratio.lo <= 1.5 && ratio.hi >= 1.5;
		}
		assert_true((double)nr_covered / nr_trials >=
			    0.95 - slack(0.95, nr_trials));
	}
}

/*
 * A campaign of @n blocks as ours are: an arm's samples vary by 1 %, and the
 * machine drifts by 10 % from block to block, which both arms share.
 */
static void simulate(double effect, size_t n, double a[], double b[])
{
	for (size_t i = 0; i < n; i++) {
		double drift = 0.1 * gsl_ran_gaussian(rng, 1);

		a[i] = effect * exp(drift + 0.01 * gsl_ran_gaussian(rng, 1));
		b[i] = exp(drift + 0.01 * gsl_ran_gaussian(rng, 1));
	}
}

struct tally {
	double differs, equivalent, smaller;	/* shares of the trials */
};

static struct tally campaigns(double effect, size_t n, double delta)
{
	struct tally tally = { .differs = 0 };
	const int nr_trials = 1000;

	for (int t = 0; t < nr_trials; t++) {
		double a[NR_MAX], b[NR_MAX];
		struct fl_ratio ratio;

		simulate(effect, n, a, b);
		assert_int_equal(fl_stats_paired_ratio(a, b, n, &ratio), 0);
		tally.differs += fl_stats_differs(&ratio);
		tally.equivalent += fl_stats_equivalent(&ratio, delta);
		tally.smaller += fl_stats_differs(&ratio) && ratio.ratio < 1;
	}
	tally.differs /= nr_trials;
	tally.equivalent /= nr_trials;
	tally.smaller /= nr_trials;
	return tally;
}

/*
 * The ratio's interval covers the true ratio as often as it says, whatever the
 * ratio, and although blocks drift by ten times the noise.
 */
static void test_paired_coverage(void **state)
{
	static const double effects[] = { 1, 1.02, 0.5 };
	static const size_t ns[] = { 7, 12 };
	const int nr_trials = 2000;

	(void)state;
	gsl_rng_set(rng, 7);
	for (size_t k = 0; k < 2; k++)
		for (size_t e = 0; e < 3; e++) {
			struct fl_ratio ratio = { .n = 0 };
			int nr_covered = 0;

			for (int t = 0; t < nr_trials; t++) {
				double a[NR_MAX], b[NR_MAX];

				simulate(effects[e], ns[k], a, b);
				assert_int_equal(fl_stats_paired_ratio(a, b,
							ns[k], &ratio), 0);
				nr_covered += ratio.lo <= effects[e] &&
					      ratio.hi >= effects[e];
			}
			assert_true(fabs((double)nr_covered / nr_trials -
					 ratio.confidence) <=
				    slack(ratio.confidence, nr_trials));
		}
}

static void test_planted_slowdown(void **state)
{
	struct tally tally;

	(void)state;
	gsl_rng_set(rng, 4);
	tally = campaigns(1.02, 15, 0.01);
	assert_true(tally.differs >= 0.95);
	assert_true(tally.equivalent <= 0.01);
	assert_true(tally.smaller == 0);
}

/* 3.5 % is what the order interval of 15 blocks admits to. */
static void test_no_difference(void **state)
{
	struct tally tally;

	(void)state;
	gsl_rng_set(rng, 5);
	tally = campaigns(1, 15, 0.03);
	assert_true(tally.differs <= 0.0352 + slack(0.0352, 1000));
	assert_true(tally.equivalent >= 0.99);
}

static void test_blocks_needed(void **state)
{
	double a[NR_MAX], b[NR_MAX];
	size_t more, fewer;
	double found = 0;

	(void)state;
	/* No noise at all: the fewest blocks that can say anything. */
	for (size_t i = 0; i < 10; i++)
		a[i] = b[i] = 1 + (double)i;
	assert_int_equal(fl_stats_blocks_needed(a, b, 10, 0.01, 0.9, &fewer), 0);
	assert_int_equal(fewer, FL_STATS_BLOCKS_MIN);

	gsl_rng_set(rng, 6);
	simulate(1, 20, a, b);
	assert_int_equal(fl_stats_blocks_needed(a, b, 20, 0.02, 0.9, &fewer), 0);
	assert_int_equal(fl_stats_blocks_needed(a, b, 20, 0.01, 0.9, &more), 0);
	assert_true(fewer >= FL_STATS_BLOCKS_MIN && more > fewer);
	assert_int_equal(fl_stats_blocks_needed(a, b, 20, 0.01, 0.99, &fewer), 0);
	assert_true(fewer > more);
	assert_int_equal(fl_stats_blocks_needed(a, b, 20, 1e-5, 0.9, &more),
			 -ERANGE);

	/* The number asked for does find the effect, pilot by pilot. */
	for (int pilot = 0; pilot < 200; pilot++) {
		struct fl_ratio ratio;

		simulate(1, 10, a, b);
		assert_int_equal(fl_stats_blocks_needed(a, b, 10, 0.02, 0.9,
							&more), 0);
		assert_true(more <= NR_MAX);
		simulate(1.02, more, a, b);
		assert_int_equal(fl_stats_paired_ratio(a, b, more, &ratio), 0);
		found += ratio.lo > 1;
	}
	assert_true(found / 200 >= 0.9 - slack(0.9, 200));
}

/* ---- between groups and within them -------------------------------------- */

/* By hand; one group has a single value, and others none. */
static void test_spread(void **state)
{
	static const double logs[] = { -0.1, 0, 0.1, 0.9, 1, 1.1, 2 };
	static const unsigned int groups[] = { 0, 0, 0, 2, 2, 2, 5 };
	double values[7], per_group, between;
	struct fl_spread s;

	(void)state;
	for (size_t i = 0; i < 7; i++)
		values[i] = exp(logs[i]);
	assert_int_equal(fl_stats_spread(values, groups, 7, &s), 0);
	assert_int_equal(s.n, 7);
	assert_int_equal(s.nr_groups, 3);
	assert_int_equal(s.nr[0], 3);
	assert_int_equal(s.nr[1], 0);
	assert_int_equal(s.nr[5], 1);
	assert_true(isnan(s.median[1]));
	assert_true(fabs(s.median[2] - exp(1)) < 1e-12);
	/* Squares within: 0.02 twice, of 7 - 3. */
	assert_true(fabs(s.within - sqrt(0.04 / 4)) < 1e-12);
	/* The mean is 5 / 7; 3 - 19 / 14 values a group, adjusted. */
	between = (3 * 25. / 49 + 3 * 4. / 49 + 81. / 49) / 2;
	per_group = (7 - 19. / 7) / 2;
	assert_true(fabs(s.between - sqrt((between - 0.01) / per_group)) < 1e-12);
	/* With 2 and m degrees of freedom F has a tail without an integral. */
	assert_true(fabs(s.p - pow(1 + 2 * between / 0.01 / 4, -2)) < 1e-12);

	/* Groups of the same mean: the estimate would be negative, and is none. */
	assert_int_equal(fl_stats_spread((double[]){ 1, 2, 1, 2 },
		(unsigned int[]){ 0, 0, 1, 1 }, 4, &s), 0);
	assert_true(s.between == 0 && s.within > 0 && s.p == 1);
	assert_int_equal(fl_stats_spread((double[]){ 1, 1, 2, 2 },
		(unsigned int[]){ 0, 0, 1, 1 }, 4, &s), 0);
	assert_true(s.within == 0 && s.p == 0);
	assert_int_equal(fl_stats_spread(values, (unsigned int[]){ 0, 1 }, 2, &s),
			 -ENODATA);
	assert_int_equal(fl_stats_spread(values, (unsigned int[]){ 4, 4 }, 2, &s),
			 -ENODATA);
	assert_int_equal(fl_stats_spread(values, (unsigned int[]){ 0, 8 }, 2, &s),
			 -EINVAL);
	values[0] = 0;
	assert_int_equal(fl_stats_spread(values, groups, 7, &s), -EINVAL);
}

/* Its variances are right on average, with what is known put in. */
static void test_spread_on_average(void **state)
{
	const double between = 0.03, within = 0.02;
	const int nr_trials = 2000;
	double sum_between = 0, sum_within = 0;

	(void)state;
	gsl_rng_set(rng, 40);
	for (int t = 0; t < nr_trials; t++) {
		unsigned int groups[12];
		double values[12], effect[3];
		struct fl_spread s;

		for (int g = 0; g < 3; g++)
			effect[g] = between * gsl_ran_gaussian(rng, 1);
		for (unsigned int i = 0; i < 12; i++) {
			groups[i] = i % 3;
			values[i] = 0.3 * exp(effect[i % 3] +
					within * gsl_ran_gaussian(rng, 1));
		}
		assert_int_equal(fl_stats_spread(values, groups, 12, &s), 0);
		sum_between += s.between * s.between / nr_trials;
		sum_within += s.within * s.within / nr_trials;
	}
	/* Four standard errors: 1 / sqrt(2000), and sqrt(2 / 9) of that. */
	assert_true(fabs(sum_between / (between * between) - 1) < 0.12);
	assert_true(fabs(sum_within / (within * within) - 1) < 0.045);
}

/* What does not differ is said to in one of a hundred, what does far more often. */
static void test_spread_told(void **state)
{
	const int nr_trials = 2000;
	int nr_false = 0, nr_found = 0;

	(void)state;
	gsl_rng_set(rng, 41);
	for (int t = 0; t < nr_trials; t++) {
		unsigned int groups[12];
		double alike[12], unlike[12];
		struct fl_spread s;

		for (unsigned int i = 0; i < 12; i++) {
			groups[i] = i % 3;
			alike[i] = exp(0.02 * gsl_ran_gaussian(rng, 1));
			unlike[i] = exp(0.02 * gsl_ran_gaussian(rng, 1) +
					0.1 * (i % 3 == 1));
		}
		assert_int_equal(fl_stats_spread(alike, groups, 12, &s), 0);
		nr_false += s.p < 0.01;
		assert_int_equal(fl_stats_spread(unlike, groups, 12, &s), 0);
		nr_found += s.p < 0.01;
	}
	assert_true(nr_false > 0 && nr_false < 40);
	assert_true(nr_found > 0.95 * nr_trials);
}

static int set_up(void **state)
{
	(void)state;
	rng = gsl_rng_alloc(gsl_rng_mt19937);
	return rng ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	gsl_rng_free(rng);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_mad_and_cv),
		cmocka_unit_test(test_order_interval),
		cmocka_unit_test(test_bootstrap_interval),
		cmocka_unit_test(test_paired_ratio),
		cmocka_unit_test(test_unpaired_ratio),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_too_few),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_order_coverage),
		cmocka_unit_test(test_bootstrap_coverage),
		cmocka_unit_test(test_unpaired_coverage),
		cmocka_unit_test(test_paired_coverage),
		cmocka_unit_test(test_planted_slowdown),
		cmocka_unit_test(test_no_difference),
		cmocka_unit_test(test_blocks_needed),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_spread_on_average),
		cmocka_unit_test(test_spread_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("stats", tests, set_up, tear_down);
}
