/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "harness/hist.h"

#define PPM	1000000u

void fl_hist_reset(struct fl_hist *hist)
{
	memset(hist, 0, sizeof(*hist));
	hist->min_ns = UINT64_MAX;
}

void fl_hist_bucket_bounds(uint32_t bucket, uint64_t *lo_ns, uint64_t *hi_ns)
{
	uint32_t group = bucket / FL_HIST_SUBS;
	uint32_t shift = group ? group - 1 : 0;

	*lo_ns = (uint64_t)(bucket - shift * FL_HIST_SUBS) << shift;
	*hi_ns = *lo_ns + ((uint64_t)1 << shift) - 1;
}

void fl_hist_merge(struct fl_hist *into, const struct fl_hist *from)
{
	into->nr_values += from->nr_values;
	into->nr_over += from->nr_over;
	into->nr_sum_wraps += from->nr_sum_wraps;
	into->nr_sum_wraps += __builtin_add_overflow(into->sum_ns, from->sum_ns,
						     &into->sum_ns);
	if (from->min_ns < into->min_ns)
		into->min_ns = from->min_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	for (size_t i = 0; i < FL_HIST_BUCKETS; i++)
		into->counts[i] += from->counts[i];
}

double fl_hist_mean_ns(const struct fl_hist *hist)
{
	double sum_ns = ldexp((double)hist->nr_sum_wraps, 64) +
			(double)hist->sum_ns;

	return hist->nr_values ? sum_ns / (double)hist->nr_values : 0;
}

/* ceil(nr * ppm / 10^6) without overflow: nr = q 10^6 + r. */
static uint64_t rank_of(uint64_t nr, uint32_t ppm)
{
	return nr / PPM * ppm + (nr % PPM * ppm + PPM - 1) / PPM;
}

int fl_hist_percentile(const struct fl_hist *hist, uint32_t ppm,
		       uint64_t *out_ns)
{
	uint64_t rank, seen = 0;

	if (ppm > PPM)
		return -EINVAL;
	if (!hist->nr_values)
		return -ENODATA;
	rank = rank_of(hist->nr_values, ppm);
	/* The ends are known exactly, whatever their buckets say. */
	if (rank <= 1) {
		*out_ns = hist->min_ns;
		return 0;
	}
	if (rank == hist->nr_values) {
		*out_ns = hist->max_ns;
		return 0;
	}
	for (uint32_t i = 0; i < FL_HIST_BUCKETS; i++) {
		uint64_t lo_ns, hi_ns, ns;

		seen += hist->counts[i];
		if (seen < rank)
			continue;
		fl_hist_bucket_bounds(i, &lo_ns, &hi_ns);
		ns = lo_ns + (hi_ns - lo_ns) / 2;
		if (ns < hist->min_ns)
			ns = hist->min_ns;
		if (ns > hist->max_ns)
			ns = hist->max_ns;
		*out_ns = ns;
		return 0;
	}
	return -EOVERFLOW;
}

uint64_t fl_hist_nr_beyond(const struct fl_hist *hist, uint32_t ppm)
{
	return hist->nr_values - rank_of(hist->nr_values, ppm);
}

/* Jansson's integers are signed. */
static bool fits_json(const struct fl_hist *hist)
{
	return !hist->nr_sum_wraps && hist->sum_ns <= INT64_MAX &&
	       hist->max_ns <= INT64_MAX && hist->nr_values <= INT64_MAX;
}

static json_t *ns_or_null(const struct fl_hist *hist, uint64_t ns)
{
	return hist->nr_values ? json_integer((json_int_t)ns) : json_null();
}

int fl_hist_to_json(const struct fl_hist *hist, json_t **out)
{
	json_t *json, *counts;
	int failed = 0;

	if (!fits_json(hist))
		return -EOVERFLOW;
	counts = json_array();
	for (uint32_t i = 0; i < FL_HIST_BUCKETS; i++) {
		if (!hist->counts[i])
			continue;
		failed |= json_array_append_new(counts, json_integer(i));
		failed |= json_array_append_new(counts,
				json_integer((json_int_t)hist->counts[i]));
	}
	json = json_pack("{s:i, s:i, s:I, s:I, s:o, s:o, s:I, s:o}",
			 "sub_order", FL_HIST_SUB_ORDER,
			 "range_order", FL_HIST_RANGE_ORDER,
			 "nr_values", (json_int_t)hist->nr_values,
			 "nr_over", (json_int_t)hist->nr_over,
			 "min_ns", ns_or_null(hist, hist->min_ns),
			 "max_ns", ns_or_null(hist, hist->max_ns),
			 "sum_ns", (json_int_t)hist->sum_ns,
			 "counts", counts);
	if (failed || !json) {
		json_decref(json);
		return -ENOMEM;
	}
	*out = json;
	return 0;
}

/* The whole number >= 0 that @object calls @key. */
static int get_count(const json_t *object, const char *key, uint64_t *out,
		     struct fl_complaint *why)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return fl_complain(why, -EINVAL,
				   "histogram: %s must be a whole number from 0",
				   key);
	*out = (uint64_t)json_integer_value(value);
	return 0;
}

static int get_counts(const json_t *counts, struct fl_hist *hist,
		      struct fl_complaint *why)
{
	json_int_t last = -1;

	if (!json_is_array(counts) || json_array_size(counts) % 2)
		return fl_complain(why, -EINVAL,
				   "histogram: counts must be a list of pairs");
	for (size_t i = 0; i < json_array_size(counts); i += 2) {
		const json_t *bucket = json_array_get(counts, i);
		const json_t *count = json_array_get(counts, i + 1);
		json_int_t b = json_integer_value(bucket);

		if (!json_is_integer(bucket) || b <= last ||
		    b >= (json_int_t)FL_HIST_BUCKETS)
			return fl_complain(why, -EINVAL,
					   "histogram: counts[%zu]: buckets must ascend, from 0 to %u",
					   i, FL_HIST_BUCKETS - 1);
		if (!json_is_integer(count) || json_integer_value(count) <= 0)
			return fl_complain(why, -EINVAL,
					   "histogram: counts[%zu]: a count must be above 0",
					   i + 1);
		hist->counts[b] = (uint64_t)json_integer_value(count);
		last = b;
	}
	return 0;
}

/*
 * What must hold between the numbers of any histogram: the counts add up,
 * minimum and maximum lie in the outermost buckets that are not empty, and the
 * sum is one that such values can have.  Doubles are wide enough here: the
 * slack they need is a thousand times smaller than a bucket.
 */
static bool is_consistent(const struct fl_hist *hist)
{
	uint64_t first_lo = 0, first_hi = 0, last_lo = 0, last_hi = 0;
	uint64_t nr = hist->nr_over;
	double least = 0, most = 0, sum = (double)hist->sum_ns;

	for (uint32_t i = 0; i < FL_HIST_BUCKETS; i++) {
		if (!hist->counts[i])
			continue;
		if (__builtin_add_overflow(nr, hist->counts[i], &nr))
			return false;
		fl_hist_bucket_bounds(i, &last_lo, &last_hi);
		if (nr - hist->counts[i] == hist->nr_over) {
			first_lo = last_lo;
			first_hi = last_hi;
		}
		least += (double)hist->counts[i] * (double)last_lo;
		most += (double)hist->counts[i] * (double)last_hi;
	}
	if (nr != hist->nr_values)
		return false;
	if (!nr)
		return !hist->sum_ns;
	if (hist->nr_over == nr) {
		first_lo = FL_HIST_MAX_NS + 1;
		first_hi = hist->max_ns;
	}
	if (hist->nr_over) {
		last_lo = FL_HIST_MAX_NS + 1;
		last_hi = INT64_MAX;
		least += (double)hist->nr_over * (double)last_lo;
		most += (double)hist->nr_over * (double)hist->max_ns;
	}
	return hist->min_ns >= first_lo && hist->min_ns <= first_hi &&
	       hist->max_ns >= last_lo && hist->max_ns <= last_hi &&
	       hist->min_ns <= hist->max_ns &&
	       sum >= least * (1 - 1e-9) && sum <= most * (1 + 1e-9);
}

int fl_hist_from_json(const json_t *json, struct fl_hist *out,
		      struct fl_complaint *why)
{
	uint64_t sub_order, range_order;
	struct fl_hist hist;
	int err;

	if (!json_is_object(json))
		return fl_complain(why, -EINVAL, "histogram: not an object");
	if ((err = get_count(json, "sub_order", &sub_order, why)) ||
	    (err = get_count(json, "range_order", &range_order, why)))
		return err;
	if (sub_order != FL_HIST_SUB_ORDER ||
	    range_order != FL_HIST_RANGE_ORDER)
		return fl_complain(why, -EPROTO,
				   "histogram: buckets of another kind (sub_order %ju, range_order %ju; this is %d, %d)",
				   (uintmax_t)sub_order, (uintmax_t)range_order,
				   FL_HIST_SUB_ORDER, FL_HIST_RANGE_ORDER);
	fl_hist_reset(&hist);
	if ((err = get_count(json, "nr_values", &hist.nr_values, why)) ||
	    (err = get_count(json, "nr_over", &hist.nr_over, why)) ||
	    (err = get_count(json, "sum_ns", &hist.sum_ns, why)))
		return err;
	if (hist.nr_values &&
	    ((err = get_count(json, "min_ns", &hist.min_ns, why)) ||
	     (err = get_count(json, "max_ns", &hist.max_ns, why))))
		return err;
	err = get_counts(json_object_get(json, "counts"), &hist, why);
	if (err)
		return err;
	if (!is_consistent(&hist))
		return fl_complain(why, -EINVAL,
				   "histogram: nr_values, nr_over, min_ns, max_ns, sum_ns and counts contradict each other");
	*out = hist;
	return 0;
}

static json_t *percentile_or_null(const struct fl_hist *hist, uint32_t ppm)
{
	uint64_t ns;

	if (fl_hist_nr_beyond(hist, ppm) < FL_HIST_BEYOND_MIN ||
	    fl_hist_percentile(hist, ppm, &ns))
		return json_null();
	return json_integer((json_int_t)ns);
}

int fl_hist_summary(const struct fl_hist *hist, json_t **out)
{
	json_t *json;
	int failed = 0;

	if (!fits_json(hist))
		return -EOVERFLOW;
	json = json_pack("{s:I, s:I, s:o, s:o}",
			 "nr_values", (json_int_t)hist->nr_values,
			 "nr_over", (json_int_t)hist->nr_over,
			 "min_ns", ns_or_null(hist, hist->min_ns),
			 "mean_ns", hist->nr_values ?
				json_real(fl_hist_mean_ns(hist)) : json_null());
	if (!json)
		return -ENOMEM;
#define SET(name, ppm)							\
	failed |= json_object_set_new(json, #name,			\
				      percentile_or_null(hist, ppm));
	FL_HIST_PERCENTILES(SET)
#undef SET
	failed |= json_object_set_new(json, "max_ns",
				      ns_or_null(hist, hist->max_ns));
	if (failed) {
		json_decref(json);
		return -ENOMEM;
	}
	*out = json;
	return 0;
}

static void sink_add(struct fl_latency_sink *base, uint64_t ticks)
{
	struct fl_hist_sink *sink = (struct fl_hist_sink *)base;
	double ns;

	if (ticks >> 63) {
		sink->nr_backwards++;
		return;
	}
	ns = (double)ticks * sink->ns_per_tick + 0.5;
	/* 2^63 and more would not fit; nothing that long can be meant. */
	fl_hist_add(sink->hist, ns < 0x1p63 ? (uint64_t)ns : INT64_MAX);
}

int fl_hist_sink_init(struct fl_hist_sink *sink, struct fl_hist *hist,
		      double ns_per_tick)
{
	if (!isfinite(ns_per_tick) || ns_per_tick <= 0)
		return -EINVAL;
	*sink = (struct fl_hist_sink){
		.base = { .add = sink_add },
		.hist = hist,
		.ns_per_tick = ns_per_tick,
	};
	return 0;
}
