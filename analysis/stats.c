/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/stats.h"

#define BLOCKS_MAX	10000
#define RESAMPLES_MIN	100

static bool all_finite(const double *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(values[i]))
			return false;
	return true;
}

static bool all_positive(const double *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(values[i]) || values[i] <= 0)
			return false;
	return true;
}

static bool in_unit(double x)
{
	return x > 0 && x < 1;
}

static double *new_doubles(size_t n)
{
	return calloc(n, sizeof(double));
}

/* A sorted copy, to be freed, or NULL without memory. */
static double *sorted_copy(const double *values, size_t n)
{
	double *sorted = new_doubles(n);

	if (!sorted)
		return NULL;
	memcpy(sorted, values, n * sizeof(*sorted));
	gsl_sort(sorted, 1, n);
	return sorted;
}

int fl_stats_median(const double *values, size_t n, double *out)
{
	double *sorted;

	if (!n)
		return -ENODATA;
	if (!all_finite(values, n))
		return -EINVAL;
	sorted = sorted_copy(values, n);
	if (!sorted)
		return -ENOMEM;
	*out = gsl_stats_median_from_sorted_data(sorted, 1, n);
	free(sorted);
	return 0;
}

int fl_stats_mad(const double *values, size_t n, double *out)
{
	double *work;

	if (!n)
		return -ENODATA;
	if (!all_finite(values, n))
		return -EINVAL;
	work = new_doubles(n);
	if (!work)
		return -ENOMEM;
	*out = gsl_stats_mad0(values, 1, n, work);
	free(work);
	return 0;
}

int fl_stats_cv(const double *values, size_t n, double *out)
{
	if (n < 2)
		return -ENODATA;
	if (!all_positive(values, n))
		return -EINVAL;
	*out = gsl_stats_sd(values, 1, n) / gsl_stats_mean(values, 1, n);
	return 0;
}

/*
 * The largest k for which the interval from the k-th smallest to the k-th
 * largest of @n values has @confidence, at least 1.  The interval misses the
 * median on one side if fewer than k values lie there: 2 P(X <= k - 1), X
 * binomial(n, 1/2).  @k: where to start; the answer never shrinks with n.
 */
static size_t order_rank(size_t n, double confidence, size_t k)
{
	while (2 * k < n &&
	       2 * gsl_cdf_binomial_P((unsigned int)k, 0.5, (unsigned int)n) <=
		       1 - confidence)
		k++;
	return k ? k : 1;
}

static void order_interval(const double *sorted, size_t n, double confidence,
			   struct fl_interval *out)
{
	size_t k = order_rank(n, confidence, 0);

	out->lo = sorted[k - 1];
	out->hi = sorted[n - k];
	out->confidence = 1 - 2 * gsl_cdf_binomial_P((unsigned int)(k - 1), 0.5,
						     (unsigned int)n);
}

/*
 * Median of one resample.  Drawing ranks and counting them replaces a sort per
 * resample: the median is found by walking up the counts.  @drawn: n zeros,
 * which are zeros again at the end.
 */
static double resampled_median(const double *sorted, size_t n, gsl_rng *rng,
			       unsigned int *drawn)
{
	size_t lower = (n - 1) / 2, upper = n / 2, seen = 0, i;
	double low;

	for (i = 0; i < n; i++)
		drawn[gsl_rng_uniform_int(rng, n)]++;
	for (i = 0; seen + drawn[i] <= lower; i++)
		seen += drawn[i];
	low = sorted[i];
	for (; seen + drawn[i] <= upper; i++)
		seen += drawn[i];
	memset(drawn, 0, n * sizeof(*drawn));
	return lower == upper ? low : (low + sorted[i]) / 2;
}

/*
 * Percentile interval of the median of @a, or, with @b, of the difference of
 * the two medians.  Both are sorted, so the order of the input has no part in
 * what the seed draws.
 */
static int bootstrap_interval(const double *a, size_t nr_a, const double *b,
			      size_t nr_b,
			      const struct fl_stats_options *options,
			      double *lo, double *hi)
{
	size_t nr = options->nr_resamples;
	double tail = (1 - options->confidence) / 2;
	double *medians = new_doubles(nr);
	unsigned int *drawn = calloc(nr_a > nr_b ? nr_a : nr_b, sizeof(*drawn));
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	int err = 0;

	if (!medians || !drawn || !rng) {
		err = -ENOMEM;
		goto out_free;
	}
	gsl_rng_set(rng, options->seed);
	for (size_t i = 0; i < nr; i++) {
		medians[i] = resampled_median(a, nr_a, rng, drawn);
		if (b)
			medians[i] -= resampled_median(b, nr_b, rng, drawn);
	}
	gsl_sort(medians, 1, nr);
	*lo = gsl_stats_quantile_from_sorted_data(medians, 1, nr, tail);
	*hi = gsl_stats_quantile_from_sorted_data(medians, 1, nr, 1 - tail);
out_free:
	gsl_rng_free(rng);
	free(drawn);
	free(medians);
	return err;
}

static bool are_valid(const struct fl_stats_options *options)
{
	return in_unit(options->confidence) &&
	       (options->method == FL_STATS_ORDER ||
		(options->method == FL_STATS_BOOTSTRAP &&
		 options->nr_resamples >= RESAMPLES_MIN));
}

int fl_stats_interval_median(const double *values, size_t n,
			     const struct fl_stats_options *options,
			     struct fl_interval *out)
{
	const struct fl_stats_options usual = FL_STATS_OPTIONS(FL_STATS_ORDER);
	struct fl_interval interval = { .n = n };
	double *sorted;
	int err = 0;

	if (!options)
		options = &usual;
	if (n < 2)
		return -ENODATA;
	if (n > INT32_MAX || !are_valid(options) || !all_finite(values, n))
		return -EINVAL;
	sorted = sorted_copy(values, n);
	if (!sorted)
		return -ENOMEM;
	interval.median = gsl_stats_median_from_sorted_data(sorted, 1, n);
	if (options->method == FL_STATS_ORDER) {
		order_interval(sorted, n, options->confidence, &interval);
	} else {
		interval.confidence = options->confidence;
		err = bootstrap_interval(sorted, n, NULL, 0, options,
					 &interval.lo, &interval.hi);
	}
	free(sorted);
	if (!err)
		*out = interval;
	return err;
}

/* log(a[i] / b[i]), to be freed. */
static int log_ratios(const double *a, const double *b, size_t n, double **out)
{
	double *logs;

	if (n < 2)
		return -ENODATA;
	if (!all_positive(a, n) || !all_positive(b, n))
		return -EINVAL;
	logs = new_doubles(n);
	if (!logs)
		return -ENOMEM;
	/* Not log(a / b): the quotient may overflow where this cannot. */
	for (size_t i = 0; i < n; i++)
		logs[i] = log(a[i]) - log(b[i]);
	*out = logs;
	return 0;
}

int fl_stats_paired_ratio(const double *a, const double *b, size_t nr_blocks,
			  struct fl_ratio *out)
{
	struct fl_interval interval;
	double *logs = NULL;
	int err;

	err = log_ratios(a, b, nr_blocks, &logs);
	if (err)
		return err;
	err = fl_stats_interval_median(logs, nr_blocks, NULL, &interval);
	free(logs);
	if (err)
		return err;
	*out = (struct fl_ratio){
		.ratio = exp(interval.median),
		.lo = exp(interval.lo),
		.hi = exp(interval.hi),
		.confidence = interval.confidence,
		.n = nr_blocks,
	};
	return 0;
}

static double *sorted_logs(const double *values, size_t n)
{
	double *logs = new_doubles(n);

	if (!logs)
		return NULL;
	for (size_t i = 0; i < n; i++)
		logs[i] = log(values[i]);
	gsl_sort(logs, 1, n);
	return logs;
}

int fl_stats_unpaired_ratio(const double *a, size_t nr_a, const double *b,
			    size_t nr_b, const struct fl_stats_options *options,
			    struct fl_ratio *out)
{
	const struct fl_stats_options usual =
		FL_STATS_OPTIONS(FL_STATS_BOOTSTRAP);
	double *logs_a, *logs_b, lo, hi;
	int err = -ENOMEM;

	if (!options)
		options = &usual;
	if (nr_a < FL_STATS_UNPAIRED_MIN || nr_b < FL_STATS_UNPAIRED_MIN)
		return -ENODATA;
	if (nr_a > INT32_MAX || nr_b > INT32_MAX || !are_valid(options) ||
	    options->method != FL_STATS_BOOTSTRAP || !all_positive(a, nr_a) ||
	    !all_positive(b, nr_b))
		return -EINVAL;
	logs_a = sorted_logs(a, nr_a);
	if (!logs_a)
		return -ENOMEM;
	logs_b = sorted_logs(b, nr_b);
	if (!logs_b)
		goto out_free_a;
	err = bootstrap_interval(logs_a, nr_a, logs_b, nr_b, options, &lo, &hi);
	if (err)
		goto out_free_b;
	*out = (struct fl_ratio){
		.ratio = exp(gsl_stats_median_from_sorted_data(logs_a, 1, nr_a) -
			     gsl_stats_median_from_sorted_data(logs_b, 1, nr_b)),
		.lo = exp(lo),
		.hi = exp(hi),
		.confidence = options->confidence,
		.n = nr_a < nr_b ? nr_a : nr_b,
	};
out_free_b:
	free(logs_b);
out_free_a:
	free(logs_a);
	return err;
}

bool fl_stats_differs(const struct fl_ratio *ratio)
{
	return ratio->confidence >= FL_STATS_CONFIDENCE &&
	       (ratio->lo > 1 || ratio->hi < 1);
}

bool fl_stats_equivalent(const struct fl_ratio *ratio, double delta)
{
	return in_unit(delta) && ratio->confidence >= FL_STATS_CONFIDENCE &&
	       ratio->lo >= 1 / (1 + delta) && ratio->hi <= 1 + delta;
}

/* Upper 80 % confidence limit of a standard deviation, from the chi-squared
 * distribution of its square. */
static double pessimistic_sd(const double *values, size_t n)
{
	double freedom = (double)(n - 1);

	return gsl_stats_sd(values, 1, n) *
	       sqrt(freedom / gsl_cdf_chisq_Pinv(0.2, freedom));
}

int fl_stats_blocks_needed(const double *a, const double *b, size_t nr_pilot,
			   double delta, double power, size_t *out)
{
	double *logs = NULL, sd, p;
	size_t k = 0;
	int err;

	if (!in_unit(delta) || !in_unit(power))
		return -EINVAL;
	err = log_ratios(a, b, nr_pilot, &logs);
	if (err)
		return err;
	sd = pessimistic_sd(logs, nr_pilot);
	free(logs);
	p = sd > 0 ? gsl_cdf_ugaussian_P(log1p(delta) / sd) : 1;
	for (unsigned int n = FL_STATS_BLOCKS_MIN; n <= BLOCKS_MAX; n++) {
		k = order_rank(n, FL_STATS_CONFIDENCE, k);
		/* P(X >= n - k + 1) = P(X > n - k) */
		if (p == 1 ||
		    gsl_cdf_binomial_Q(n - (unsigned int)k, p, n) >= power) {
			*out = n;
			return 0;
		}
	}
	return -ERANGE;
}

/* The median of each group's values, and how many it has. */
static int group_medians(const double *values, const unsigned int *groups,
			 size_t n, struct fl_spread *spread)
{
	double *of_group = new_doubles(n);

	if (!of_group)
		return -ENOMEM;
	for (unsigned int g = 0; g < FL_STATS_GROUPS_MAX; g++) {
		size_t nr = 0;

		for (size_t i = 0; i < n; i++)
			if (groups[i] == g)
				of_group[nr++] = values[i];
		spread->nr[g] = nr;
		spread->nr_groups += nr > 0;
		spread->median[g] = NAN;
		if (nr && fl_stats_median(of_group, nr, &spread->median[g]))
			break;
	}
	free(of_group);
	return 0;
}

int fl_stats_spread(const double *values, const unsigned int *groups, size_t n,
		    struct fl_spread *out)
{
	struct fl_spread spread = { .n = n };
	double mean[FL_STATS_GROUPS_MAX] = { 0 }, all = 0, squares = 0;
	double between = 0, within = 0, per_group;
	int err;

	for (size_t i = 0; i < n; i++)
		if (groups[i] >= FL_STATS_GROUPS_MAX)
			return -EINVAL;
	if (!all_positive(values, n))
		return -EINVAL;
	err = group_medians(values, groups, n, &spread);
	if (err)
		return err;
	if (spread.nr_groups < 2 || n <= spread.nr_groups)
		return -ENODATA;
	for (size_t i = 0; i < n; i++) {
		mean[groups[i]] += log(values[i]) / (double)spread.nr[groups[i]];
		all += log(values[i]) / (double)n;
	}
	for (size_t i = 0; i < n; i++)
		within += pow(log(values[i]) - mean[groups[i]], 2);
	for (unsigned int g = 0; g < FL_STATS_GROUPS_MAX; g++) {
		const double nr = (double)spread.nr[g];

		squares += nr * nr;
		between += nr * pow(mean[g] - all, 2);
	}
	within /= (double)(n - spread.nr_groups);
	between /= (double)(spread.nr_groups - 1);
	per_group = ((double)n - squares / (double)n) /
		    (double)(spread.nr_groups - 1);
	spread.p = within > 0 ?
		gsl_cdf_fdist_Q(between / within, (double)(spread.nr_groups - 1),
				(double)(n - spread.nr_groups)) : !(between > 0);
	spread.within = sqrt(within);
	spread.between = sqrt(fmax(0, (between - within) / per_group));
	*out = spread;
	return 0;
}
