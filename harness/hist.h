/* SPDX-License-Identifier: MIT */
/*
 * harness/hist.h: latency histograms with a known error.
 *
 * Vocabulary: a "bucket" counts the values of one interval; a "group" is the
 * 64 consecutive buckets that share a width; a value is "over" when it is above
 * the range, and then it is counted, and in minimum, maximum, sum and number of
 * values, but in no bucket.
 *
 * Values are whole nanoseconds.  Number of values, minimum, maximum and sum are
 * exact; percentiles are within FL_HIST_ERROR of the exact ones; merging loses
 * nothing, because it adds counts of equal buckets.  A histogram never
 * saturates in silence: values above the range are counted as such, and a
 * percentile that lies among them is refused rather than understated.
 *
 * Context: no function here allocates, except those that return JSON.  One
 * histogram belongs to one thread at a time.
 */
#ifndef FL_HIST_H
#define FL_HIST_H

#include <jansson.h>
#include <stdint.h>

#include "faultline/kernel.h"
#include "harness/complain.h"

/*
 * The buckets, and how wrong a value read from one can be.
 *
 * Let S = 2^6 be the buckets of a group.  Values below 2S have a bucket each
 * (groups 0 and 1, width 1).  Above that, group g >= 2 covers the octave
 * [S 2^(g-1), S 2^g) with S buckets, so each is w = S 2^(g-1) / S = 2^(g-1)
 * wide and starts at a multiple of w that is at least S w.
 *
 * A bucket [a, a + w) with w >= 2 is read as its lower middle, m = a + w/2 - 1.
 * For a value v in it,
 *	v = a          gives  m - v = w/2 - 1 < w/2  while  v >= S w,
 *	v = a + w - 1  gives  v - m = w/2            while  v >= S w + w - 1,
 * and in between both the distance and 1/v are smaller than in one of these
 * two.  So |m - v| / v < (w/2) / (S w) = 1 / 2S: under 1/128, or 0.79 %, and
 * zero below 128 ns.
 *
 * A percentile is the value of a given rank.  Counts are exact, so the bucket
 * found holds that very value, and the bound carries over.  Clamping the answer
 * to [minimum, maximum] can only bring it nearer, as the value lies there too.
 *
 * 2^40 ns are 18.3 minutes, far above any timeout of a sample.
 */
#define FL_HIST_SUB_ORDER	6
#define FL_HIST_RANGE_ORDER	40
#define FL_HIST_SUBS		(1u << FL_HIST_SUB_ORDER)
#define FL_HIST_GROUPS		(FL_HIST_RANGE_ORDER - FL_HIST_SUB_ORDER + 1)
#define FL_HIST_BUCKETS		(FL_HIST_GROUPS * FL_HIST_SUBS)
#define FL_HIST_MAX_NS		(((uint64_t)1 << FL_HIST_RANGE_ORDER) - 1)
#define FL_HIST_ERROR		(0.5 / FL_HIST_SUBS)

/*
 * The percentiles that are reported: name, parts per million, unit suffix in
 * JSON.  Parts per million, because 99.9 is no binary fraction and a rank must
 * not depend on how it rounds.
 */
#define FL_HIST_PERCENTILES(X)	\
	X(p50_ns, 500000)	\
	X(p90_ns, 900000)	\
	X(p99_ns, 990000)	\
	X(p99_9_ns, 999000)	\
	X(p99_99_ns, 999900)

/* A percentile is only printed when this many values lie beyond it. */
#define FL_HIST_BEYOND_MIN	10

struct fl_hist {
	uint64_t nr_values;	/* all of them, those above the range too */
	uint64_t nr_over;	/* values above FL_HIST_MAX_NS */
	uint64_t min_ns;	/* UINT64_MAX when empty */
	uint64_t max_ns;	/* 0 when empty */
	uint64_t sum_ns;	/* modulo 2^64 */
	uint64_t nr_sum_wraps;	/* times sum_ns wrapped: 584 years each */
	uint64_t counts[FL_HIST_BUCKETS];
};

/*
 * fl_hist_reset: Empty @hist.
 * Writes every byte of it, so that adding a value later touches no page for the
 * first time: it would be a page fault among those being measured.
 */
void fl_hist_reset(struct fl_hist *hist);

/* fl_hist_bucket: Bucket of @ns, at most FL_HIST_MAX_NS.  Pure, no branch. */
static inline uint32_t fl_hist_bucket(uint64_t ns)
{
	/* Or-ing 2^6 in leaves the octave alone, but gives values below the
	 * first octave a shift of 0, which makes them their own index. */
	uint32_t shift = 63 - FL_HIST_SUB_ORDER -
			 (uint32_t)__builtin_clzll(ns | FL_HIST_SUBS);

	return shift * FL_HIST_SUBS + (uint32_t)(ns >> shift);
}

/*
 * fl_hist_add: Count one value.
 * @ns: any value.  Cost: a few nanoseconds, no call.  Async-signal-safe in the
 * thread that owns the histogram.
 */
static inline void fl_hist_add(struct fl_hist *hist, uint64_t ns)
{
	hist->nr_values++;
	hist->nr_sum_wraps += __builtin_add_overflow(hist->sum_ns, ns,
						     &hist->sum_ns);
	if (ns < hist->min_ns)
		hist->min_ns = ns;
	if (ns > hist->max_ns)
		hist->max_ns = ns;
	if (__builtin_expect(ns > FL_HIST_MAX_NS, 0))
		hist->nr_over++;
	else
		hist->counts[fl_hist_bucket(ns)]++;
}

/*
 * fl_hist_bucket_bounds: The values that bucket @bucket counts, both ends
 * included.  @bucket: below FL_HIST_BUCKETS.
 */
void fl_hist_bucket_bounds(uint32_t bucket, uint64_t *lo_ns, uint64_t *hi_ns);

/*
 * fl_hist_merge: Add all that @from counted to @into.  The result is the
 * histogram of both sets of values, exactly.
 */
void fl_hist_merge(struct fl_hist *into, const struct fl_hist *from);

/*
 * fl_hist_mean_ns: Mean of all values, exact but for rounding; 0 when empty
 * (look at nr_values first).
 */
double fl_hist_mean_ns(const struct fl_hist *hist);

/*
 * fl_hist_percentile: The value of rank ceil(nr_values * @ppm / 10^6), counted
 * from 1 in ascending order: the smallest value that at least @ppm of all
 * values do not exceed.  0 gives the minimum, 1000000 the maximum, both exact;
 * anything between is within FL_HIST_ERROR.
 *
 * Returns 0 and *@out_ns, or:
 *   -EINVAL: @ppm above 1000000.   -ENODATA: the histogram is empty.
 *   -EOVERFLOW: the rank lies among the values above the range, of which only
 *               the maximum is known.
 * Cost: one walk over the buckets (18 KiB).
 */
int fl_hist_percentile(const struct fl_hist *hist, uint32_t ppm,
		       uint64_t *out_ns);

/*
 * fl_hist_nr_beyond: How many values rank above percentile @ppm (at most
 * 1000000).  A p99.9 with three values beyond it says little.
 */
uint64_t fl_hist_nr_beyond(const struct fl_hist *hist, uint32_t ppm);

/*
 * fl_hist_to_json: All of @hist, compact: empty buckets are left out.
 *
 *	{"sub_order": 6, "range_order": 40, "nr_values": 3, "nr_over": 0,
 *	 "min_ns": 7, "max_ns": 900, "sum_ns": 914, "counts": [7, 2, 304, 1]}
 *
 * counts is a flat list of bucket, count, bucket, count, ... in ascending order.
 * min_ns and max_ns are null when the histogram is empty.
 *
 * Returns 0 and a new reference in *@out, or:
 *   -EOVERFLOW: a number is above 2^63 - 1, which JSON here cannot carry; that
 *               takes a sum of 292 years.   -ENOMEM.
 */
int fl_hist_to_json(const struct fl_hist *hist, json_t **out);

/*
 * fl_hist_from_json: What fl_hist_to_json wrote, back into *@out, which is
 * written only on success.
 * @why: says what is wrong with it; may be NULL.
 *
 * Returns 0, or:
 *   -EINVAL: not such an object, or its numbers contradict each other (counts
 *            that do not add up, a minimum outside the first bucket, ...).
 *   -EPROTO: a histogram with other buckets.
 */
int fl_hist_from_json(const json_t *json, struct fl_hist *out,
		      struct fl_complaint *why);

/*
 * fl_hist_summary: What people read: nr_values, nr_over, min_ns, mean_ns, each
 * of FL_HIST_PERCENTILES, max_ns.  A percentile with fewer than
 * FL_HIST_BEYOND_MIN values beyond it, or among those above the range, is null.
 * Returns 0 and a new reference in *@out, or -EOVERFLOW, -ENOMEM as above.
 */
int fl_hist_summary(const struct fl_hist *hist, json_t **out);

/*
 * A latency sink that adds to a histogram.  Ticks become nanoseconds, rounded
 * to the nearest.  A difference of ticks with its top bit set means that the
 * second reading was before the first (the thread moved to a CPU whose counter
 * lags): it is no duration, so it is counted apart and not added.
 */
struct fl_hist_sink {
	struct fl_latency_sink base;	/* first: add() casts back from it */
	struct fl_hist *hist;
	double ns_per_tick;
	uint64_t nr_backwards;
};

/*
 * fl_hist_sink_init: Make @sink feed @hist, which the caller owns and keeps for
 * as long.  @ns_per_tick: from struct fl_clock; finite and above 0.
 * Returns 0, or -EINVAL.
 */
int fl_hist_sink_init(struct fl_hist_sink *sink, struct fl_hist *hist,
		      double ns_per_tick);

#endif
