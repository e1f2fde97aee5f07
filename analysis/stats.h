/* SPDX-License-Identifier: MIT */
/*
 * analysis/stats.h: how big a difference is, and how sure we are.
 *
 * Vocabulary: a "sample" is what one process measured (time per operation); a
 * "block" is one sample of every arm, taken one after the other in random
 * order; "paired" compares arms within blocks, "unpaired" pools each arm.  An
 * "interval" is a confidence interval; its "confidence" is the probability that
 * the procedure covers the true value.
 *
 * What is estimated.  Paired: with d_i = log(a_i / b_i) for block i, the ratio
 * is exp(median d).  Unpaired: exp(median log a - median log b).  Medians,
 * because samples of a noisy machine have outliers on one side; logarithms, so
 * that a/b and b/a are the same statement; within blocks, because what drifts
 * slower than a block cancels.  Effect size with an interval instead of a
 * p-value: Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time", ISMM
 * 2013, who also ask to repeat where the variance arises and to plan the
 * number of repetitions from a pilot.
 *
 * What is assumed: blocks are independent and alike, which random order, fresh
 * processes and the flagging of disturbed samples are for; for unpaired
 * comparisons, that samples are.  No shape of distribution is assumed, except
 * in fl_stats_blocks_needed and fl_stats_spread.  What all blocks share no interval
 * over blocks can see: the layout of the binary, unless several builds take turns
 * (docs/decisions/0040).
 *
 * Which interval.  Two methods for the median:
 *
 *  order: from the k-th smallest to the k-th largest value, k as large as
 *	possible.  The number of values below the true median is binomial(n,
 *	1/2), so the confidence is known exactly for any continuous
 *	distribution, and is at least that for one with ties.  (Thompson 1936;
 *	David & Nagaraja, "Order Statistics", 3rd ed., 7.1.)
 *  bootstrap: percentile interval of the medians of resamples drawn with
 *	replacement.  (Efron 1979; Efron & Tibshirani, "An Introduction to the
 *	Bootstrap", 1993, ch. 13.)
 *
 * Measured coverage of nominal 95 % intervals, 10,000 resamples, 4000 trials each
 * (standard error 0.003 to 0.005), lowest and highest over five distributions:
 * normal, exponential, lognormal, Student's t with 2 degrees of freedom, and
 * normal with a tenth of far outliers:
 *
 *	   n	paired, order	paired, bootstrap	unpaired, bootstrap
 *	   5	0.936 - 0.942	0.936 - 0.942		0.967 - 0.971
 *	   7	0.984 - 0.988	0.873 - 0.878		0.956 - 0.961
 *	  10	0.975 - 0.983	0.934 - 0.945		0.962 - 0.966
 *	  15	0.964 - 0.971	0.964 - 0.971		0.967 - 0.974
 *	  20	0.955 - 0.962	0.929 - 0.941		0.959 - 0.966
 *	  30	0.955 - 0.961	0.937 - 0.945		0.961 - 0.967
 *
 * So paired comparisons use order, and the bootstrap is a second opinion: at
 * n = 7 it errs two and a half times as often as it says.  (At n = 15 both end
 * at the same values.)  Unpaired comparisons use the bootstrap.  The BCa
 * refinement is not offered: its acceleration comes from the jackknife, which
 * is inconsistent for medians (Efron 1982, ch. 3).
 *
 * Below 6 blocks no such interval reaches 95 %: the widest is returned, and its
 * confidence says so (n = 5: 0.9375).  Whoever judges an interval must look at
 * it; fl_stats_differs and fl_stats_equivalent do.
 *
 * Context: cold, thread-safe, deterministic: the same values in any order, with
 * the same seed, give the same answer.
 */
#ifndef FL_STATS_H
#define FL_STATS_H

#include <stdbool.h>
#include <stddef.h>

#define FL_STATS_CONFIDENCE	0.95
#define FL_STATS_NR_RESAMPLES	10000
#define FL_STATS_SEED		20130620ul

/* Fewest blocks whose order interval reaches 95 %. */
#define FL_STATS_BLOCKS_MIN	6

/* Fewest samples of an arm that an unpaired comparison accepts. */
#define FL_STATS_UNPAIRED_MIN	5

/* MAD of a normal distribution times this is its standard deviation. */
#define FL_STATS_MAD_TO_SD	1.4826

enum fl_stats_method { FL_STATS_ORDER, FL_STATS_BOOTSTRAP };

struct fl_stats_options {
	enum fl_stats_method method;
	double confidence;		/* wanted; in (0, 1) */
	size_t nr_resamples;		/* bootstrap only; >= 100 */
	unsigned long seed;		/* of gsl_rng_mt19937 */
};

/* The default wherever options may be NULL; the method is the function's. */
#define FL_STATS_OPTIONS(m)	((struct fl_stats_options){		\
	.method = (m), .confidence = FL_STATS_CONFIDENCE,		\
	.nr_resamples = FL_STATS_NR_RESAMPLES, .seed = FL_STATS_SEED })

struct fl_interval {
	double median;
	double lo, hi;
	double confidence;	/* order: exact, may miss what was wanted;
				   bootstrap: nominal */
	size_t n;
};

/* a over b: above 1, a is the larger (slower) one. */
struct fl_ratio {
	double ratio;
	double lo, hi;
	double confidence;	/* as above */
	size_t n;		/* blocks; unpaired: of the smaller arm */
};

/* Groups of values that fl_stats_spread tells apart. */
#define FL_STATS_GROUPS_MAX	8u

/* How values scatter between groups and within them; on logarithms. */
struct fl_spread {
	double between, within;	/* standard deviations; 0.01 is about 1 % */
	size_t n;		/* values; 0: nothing is known */
	size_t nr_groups;	/* that have any */
	double median[FL_STATS_GROUPS_MAX];	/* of each group, or NaN; no
						   logarithm */
	size_t nr[FL_STATS_GROUPS_MAX];
	double p;		/* how often groups that do not differ look as
				   different: the F test, if the rest is normal */
};

/*
 * All functions below return 0 and write *@out, or leave it alone and return:
 *   -ENODATA: too few values (less than 2 unless said otherwise).
 *   -EINVAL: a value is NaN or infinite, or is not above 0 where a ratio or a
 *            coefficient of variation is asked for; or an argument is out of
 *            its range.
 *   -ENOMEM.
 * A block with a missing sample is the caller's to leave out.
 */

/* fl_stats_median: Median of @n >= 1 values; of two in the middle, the mean. */
int fl_stats_median(const double *values, size_t n, double *out);

/*
 * fl_stats_mad: Median absolute deviation from the median, @n >= 1, unscaled:
 * see FL_STATS_MAD_TO_SD.
 */
int fl_stats_mad(const double *values, size_t n, double *out);

/*
 * fl_stats_cv: Coefficient of variation, standard deviation (n - 1) over mean;
 * values above 0.
 */
int fl_stats_cv(const double *values, size_t n, double *out);

/*
 * fl_stats_interval_median: Interval of the median.
 * @options: NULL for FL_STATS_OPTIONS(FL_STATS_ORDER).
 * Cost: a sort; bootstrap @n * nr_resamples draws (1.5 ms for 15 values).
 */
int fl_stats_interval_median(const double *values, size_t n,
			     const struct fl_stats_options *options,
			     struct fl_interval *out);

/*
 * fl_stats_paired_ratio: Ratio of arm @a to arm @b over blocks; a[i] and b[i]
 * are the samples of block i, above 0.  Order interval, 95 % or what
 * @nr_blocks allows.
 */
int fl_stats_paired_ratio(const double *a, const double *b, size_t nr_blocks,
			  struct fl_ratio *out);

/*
 * fl_stats_unpaired_ratio: Ratio of two arms whose samples share no blocks;
 * each arm has FL_STATS_UNPAIRED_MIN samples or more, above 0, or -ENODATA.
 * Percentile bootstrap: each arm is resampled by itself.
 * @options: NULL for FL_STATS_OPTIONS(FL_STATS_BOOTSTRAP), the only method.
 */
int fl_stats_unpaired_ratio(const double *a, size_t nr_a, const double *b,
			    size_t nr_b, const struct fl_stats_options *options,
			    struct fl_ratio *out);

/*
 * fl_stats_spread: One-way random effects: log x = mean + effect of its group + rest.
 * The variance of the rest is the mean square within groups; that of the effects
 * is the mean square between them less that, over the (adjusted) number of values
 * of a group, or 0 where that is negative: the estimator of analysis of variance
 * (Searle, Casella & McCulloch, "Variance Components", 1992, ch. 3).  With 3 groups
 * an effect's standard deviation has 2 degrees of freedom: the true one is between
 * half and 6 times of what is estimated, 19 times in 20, even if nothing scatters
 * within.
 * @values: above 0.  @groups: of each, below FL_STATS_GROUPS_MAX.
 * -ENODATA: fewer than 2 groups, or none of 2 values.
 */
int fl_stats_spread(const double *values, const unsigned int *groups, size_t n,
		    struct fl_spread *out);

/*
 * fl_stats_differs: Whether the interval excludes 1 and has 95 % confidence.
 */
bool fl_stats_differs(const struct fl_ratio *ratio);

/*
 * fl_stats_equivalent: Whether the interval lies inside [1 / (1 + delta),
 * 1 + delta] and has 95 % confidence: "no difference worth the name", which
 * the absence of a difference is not.  That is two one-sided tests at 2.5 %
 * each (Schuirmann 1987).
 * @delta: in (0, 1), such as 0.01; anything else is false.
 * A ratio may be both different and equivalent: small, and surely not 0.
 */
bool fl_stats_equivalent(const struct fl_ratio *ratio, double delta);

/*
 * fl_stats_blocks_needed: How many blocks a campaign needs so that a true
 * ratio of 1 + @delta is found (interval above 1) with probability @power.
 * @a, @b: the @nr_pilot blocks of a pilot, above 0.
 * @delta: in (0, 1).  @power: in (0, 1), such as 0.9.
 *
 * The order interval of n blocks lies above 1 exactly if at least n - k + 1 of
 * the log ratios are positive; their number is binomial(n, p), so the power is
 * known once p is.  With log ratios taken as normal, p = Phi(log(1 + delta) /
 * s).  For s the pilot's standard deviation is raised to its upper 80 %
 * confidence limit, because a pilot as it comes is too optimistic half the time
 * (Browne 1995, Statistics in Medicine 14).  The standard deviation and not a
 * robust one: few blocks with outliers must not promise a short campaign.
 *
 * To plan for equivalence (interval inside 1 +- @delta when the true ratio is
 * 1), ask with @power raised to (1 + power) / 2: both ends must hold.
 *
 * -ERANGE: more than 10,000 blocks would be needed.
 */
int fl_stats_blocks_needed(const double *a, const double *b, size_t nr_pilot,
			   double delta, double power, size_t *out);

#endif
