/* SPDX-License-Identifier: MIT */
/*
 * The histogram against sorting: percentiles within the bound, everything else
 * exact; merging; the range's edge; what JSON keeps and refuses.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/hist.h"

#define NR_VALUES	20000

static uint64_t rng;

/* Steele, Lea & Flood 2014, "SplitMix": enough for test inputs. */
static uint64_t next(void)
{
	uint64_t z = rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* In (0, 1). */
static double uniform(void)
{
	return ((double)(next() >> 11) + 0.5) * 0x1p-53;
}

static uint64_t draw_small(void) { return next() % 200; }
static uint64_t draw_wide(void) { return next() >> (24 + next() % 40); }
static uint64_t draw_exponential(void) { return (uint64_t)(-2000 * log(uniform())); }
static uint64_t draw_pareto(void) { return (uint64_t)(300 / pow(uniform(), 0.8)); }
/* In the upper and in the lower half of a bucket. */
static uint64_t draw_upper(void) { return 123457; }
static uint64_t draw_lower(void) { return 122881; }

static uint64_t draw_bimodal(void)
{
	return next() % 100 ? 2100 + next() % 50 : 1000000 + next() % 500000;
}

static uint64_t draw_edges(void)
{
	return ((uint64_t)1 << next() % 40) - 1 + next() % 2;
}

static const struct {
	const char *name;
	uint64_t (*draw)(void);
} distributions[] = {
	{ "small", draw_small },
	{ "wide", draw_wide },
	{ "exponential", draw_exponential },
	{ "pareto", draw_pareto },
	{ "upper", draw_upper },
	{ "lower", draw_lower },
	{ "bimodal", draw_bimodal },
	{ "edges", draw_edges },
};

#define NR_DISTRIBUTIONS (sizeof(distributions) / sizeof(distributions[0]))

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct fl_hist *new_hist(void)
{
	struct fl_hist *hist = malloc(sizeof(*hist));

	assert_non_null(hist);
	fl_hist_reset(hist);
	return hist;
}

static void assert_same(const struct fl_hist *a, const struct fl_hist *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

/* Buckets tile the range, each value is in its own, and none is too wide. */
static void test_buckets(void **state)
{
	uint64_t lo, hi, expected = 0;

	(void)state;
	for (uint32_t i = 0; i < FL_HIST_BUCKETS; i++) {
		fl_hist_bucket_bounds(i, &lo, &hi);
		assert_int_equal(lo, expected);
		assert_int_equal(fl_hist_bucket(lo), i);
		assert_int_equal(fl_hist_bucket(hi), i);
		if (lo)
			assert_true((double)((hi - lo + 1) / 2) / (double)lo <=
				    FL_HIST_ERROR);
		expected = hi + 1;
	}
	assert_int_equal(expected - 1, FL_HIST_MAX_NS);
	assert_true(FL_HIST_MAX_NS >= 60 * UINT64_C(1000000000));
}

static void check_percentiles(const struct fl_hist *hist,
			      const uint64_t *sorted, uint64_t nr)
{
	static const uint32_t ppms[] = {
		0, 1, 10000, 250000, 333333, 500000, 900000, 990000, 999000,
		999900, 999999, 1000000,
	};

	for (size_t i = 0; i < sizeof(ppms) / sizeof(ppms[0]); i++) {
		uint64_t rank = (nr * ppms[i] + 999999) / 1000000;
		uint64_t exact = sorted[rank ? rank - 1 : 0], got;

		assert_int_equal(fl_hist_percentile(hist, ppms[i], &got), 0);
		assert_true(fabs((double)got - (double)exact) <=
			    FL_HIST_ERROR * (double)exact);
		if (exact < 2 * FL_HIST_SUBS || ppms[i] == 0 ||
		    ppms[i] == 1000000 || sorted[0] == sorted[nr - 1])
			assert_int_equal(got, exact);
		assert_int_equal(fl_hist_nr_beyond(hist, ppms[i]), nr - rank);
	}
}

static void test_against_sorting(void **state)
{
	static const uint64_t nrs[] = { 1, 2, 3, 10, 1001, NR_VALUES };
	uint64_t *values = calloc(NR_VALUES, sizeof(*values));
	struct fl_hist *hist = new_hist();

	(void)state;
	assert_non_null(values);
	for (size_t d = 0; d < NR_DISTRIBUTIONS; d++) {
		for (size_t n = 0; n < sizeof(nrs) / sizeof(nrs[0]); n++) {
			uint64_t sum = 0;

			rng = 1 + d * 100 + n;
			fl_hist_reset(hist);
			for (uint64_t i = 0; i < nrs[n]; i++) {
				values[i] = distributions[d].draw();
				sum += values[i];
				fl_hist_add(hist, values[i]);
			}
			qsort(values, nrs[n], sizeof(*values), by_value);
			assert_int_equal(hist->nr_values, nrs[n]);
			assert_int_equal(hist->nr_over, 0);
			assert_int_equal(hist->min_ns, values[0]);
			assert_int_equal(hist->max_ns, values[nrs[n] - 1]);
			assert_int_equal(hist->sum_ns, sum);
			assert_true(fabs(fl_hist_mean_ns(hist) * (double)nrs[n] -
					 (double)sum) <= 1e-9 * (double)sum);
			check_percentiles(hist, values, nrs[n]);
		}
	}
	free(hist);
	free(values);
}

/* Merging the parts gives the histogram of the whole, bit for bit. */
static void test_merge(void **state)
{
	struct fl_hist *whole = new_hist(), *merged = new_hist();
	struct fl_hist *part = new_hist();

	(void)state;
	rng = 42;
	for (int p = 0; p < 7; p++) {
		fl_hist_reset(part);
		/* The fourth part stays empty, the fifth is out of range. */
		for (int i = 0; i < 1000 && p != 3; i++) {
			uint64_t ns = draw_wide();

			if (p == 4)
				ns = FL_HIST_MAX_NS + 1 + ns;
			fl_hist_add(part, ns);
			fl_hist_add(whole, ns);
		}
		fl_hist_merge(merged, part);
	}
	assert_same(whole, merged);
	assert_int_equal(merged->nr_values, 6000);
	assert_int_equal(merged->nr_over, 1000);
	free(whole);
	free(merged);
	free(part);
}

static void test_over_the_range(void **state)
{
	struct fl_hist *hist = new_hist();
	uint64_t ns;

	(void)state;
	for (int i = 0; i < 90; i++)
		fl_hist_add(hist, 5);
	fl_hist_add(hist, FL_HIST_MAX_NS);
	assert_int_equal(hist->nr_over, 0);
	for (int i = 0; i < 9; i++)
		fl_hist_add(hist, FL_HIST_MAX_NS + 1 + (uint64_t)i);
	assert_int_equal(hist->nr_over, 9);
	assert_int_equal(hist->nr_values, 100);

	assert_int_equal(fl_hist_percentile(hist, 900000, &ns), 0);
	assert_int_equal(ns, 5);
	assert_int_equal(fl_hist_percentile(hist, 910000, &ns), 0);
	assert_true((double)ns >= (double)FL_HIST_MAX_NS * (1 - FL_HIST_ERROR));
	ns = 77;
	assert_int_equal(fl_hist_percentile(hist, 920000, &ns), -EOVERFLOW);
	assert_int_equal(ns, 77);
	assert_int_equal(fl_hist_percentile(hist, 1000000, &ns), 0);
	assert_int_equal(ns, FL_HIST_MAX_NS + 9);
	free(hist);
}

static void test_refusals(void **state)
{
	struct fl_hist *hist = new_hist();
	json_t *json = NULL;
	uint64_t ns = 7;

	(void)state;
	assert_int_equal(fl_hist_percentile(hist, 500000, &ns), -ENODATA);
	fl_hist_add(hist, 1);
	assert_int_equal(fl_hist_percentile(hist, 1000001, &ns), -EINVAL);
	assert_int_equal(ns, 7);

	/* A sum that wraps is still exact, but JSON cannot carry it. */
	fl_hist_add(hist, UINT64_MAX);
	fl_hist_add(hist, UINT64_MAX);
	assert_int_equal(hist->nr_sum_wraps, 1);
	assert_int_equal(hist->sum_ns, UINT64_MAX);
	assert_true(fabs(fl_hist_mean_ns(hist) / (0x1p65 / 3) - 1) < 1e-9);
	assert_int_equal(fl_hist_to_json(hist, &json), -EOVERFLOW);
	assert_int_equal(fl_hist_summary(hist, &json), -EOVERFLOW);
	assert_null(json);
	free(hist);
}

static void check_round_trip(const struct fl_hist *hist)
{
	struct fl_hist *back = new_hist();
	struct fl_complaint why = { "" };
	json_t *json, *parsed;
	char *text;

	assert_int_equal(fl_hist_to_json(hist, &json), 0);
	text = json_dumps(json, JSON_COMPACT);
	assert_non_null(text);
	parsed = json_loads(text, 0, NULL);
	assert_non_null(parsed);
	assert_int_equal(fl_hist_from_json(parsed, back, &why), 0);
	assert_string_equal(why.text, "");
	assert_same(hist, back);
	json_decref(parsed);
	json_decref(json);
	free(text);
	free(back);
}

static void test_json_round_trip(void **state)
{
	struct fl_hist *hist = new_hist();

	(void)state;
	check_round_trip(hist);
	for (size_t d = 0; d < NR_DISTRIBUTIONS; d++) {
		rng = 1000 + d;
		fl_hist_reset(hist);
		for (int i = 0; i < 3000; i++)
			fl_hist_add(hist, distributions[d].draw());
		check_round_trip(hist);
	}
	fl_hist_add(hist, FL_HIST_MAX_NS + 12345);
	check_round_trip(hist);
	fl_hist_reset(hist);
	fl_hist_add(hist, FL_HIST_MAX_NS + 1);
	check_round_trip(hist);
	free(hist);
}

/* Each of these is one step away from a valid histogram of {7, 7, 900}. */
static void test_json_refused(void **state)
{
#define KIND "\"sub_order\":6,\"range_order\":40,"
#define NR(values, over) \
	KIND "\"nr_values\":" values ",\"nr_over\":" over ","
#define NS(min, max, sum) \
	"\"min_ns\":" min ",\"max_ns\":" max ",\"sum_ns\":" sum ","
#define COUNTS(list)	"\"counts\":[" list "]}"
#define GOOD		NS("7", "900", "914")
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{ "[]", -EINVAL },
		{ "{}", -EINVAL },
		{ "{\"sub_order\":5,\"range_order\":40}", -EPROTO },
		{ "{" NR("-3", "0") GOOD COUNTS("7,2,304,1"), -EINVAL },
		{ "{" NR("3.0", "0") GOOD COUNTS("7,2,304,1"), -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("7,2,304"), -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("304,1,7,2"), -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("7,2,7,1"), -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("7,2,2240,1"), -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("-1,2,304,1"), -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("7,3,304,0"), -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("7,2,304,\"1\""), -EINVAL },
		{ "{" NR("4", "0") GOOD COUNTS("7,2,304,1"), -EINVAL },
		{ "{" NR("3", "1") GOOD COUNTS("7,2,304,1"), -EINVAL },
		{ "{" NR("3", "0") NS("8", "900", "914") COUNTS("7,2,304,1"),
		  -EINVAL },
		{ "{" NR("3", "0") NS("7", "999", "914") COUNTS("7,2,304,1"),
		  -EINVAL },
		{ "{" NR("3", "0") NS("7", "900", "9999") COUNTS("7,2,304,1"),
		  -EINVAL },
		{ "{" NR("3", "0") NS("null", "900", "914")
		  COUNTS("7,2,304,1"), -EINVAL },
		{ "{" NR("0", "0") NS("null", "null", "5") COUNTS(""),
		  -EINVAL },
		{ "{" NR("3", "0") GOOD COUNTS("7,2,304,1"), 0 },
	};
#undef KIND
#undef NR
#undef NS
#undef COUNTS
#undef GOOD
	struct fl_hist *hist = new_hist(), *before = new_hist();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *json = json_loads(cases[i].text, 0, NULL);
		struct fl_complaint why = { "" };

		assert_non_null(json);
		*before = *hist;
		assert_int_equal(fl_hist_from_json(json, hist, &why),
				 cases[i].err);
		assert_int_equal(fl_hist_from_json(json, hist, NULL),
				 cases[i].err);
		if (cases[i].err) {
			assert_true(strlen(why.text) > 0);
			assert_same(hist, before);
		}
		json_decref(json);
	}
	assert_int_equal(hist->nr_values, 3);
	free(hist);
	free(before);
}

static void test_summary(void **state)
{
	struct fl_hist *hist = new_hist();
	json_t *json;

	(void)state;
	for (int i = 1; i <= 10000; i++)
		fl_hist_add(hist, 100);
	fl_hist_add(hist, 7000000);
	assert_int_equal(fl_hist_summary(hist, &json), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "p50_ns")), 100);
	assert_int_equal(json_integer_value(json_object_get(json, "p99_9_ns")), 100);
	/* One value beyond: too few to speak of a 99.99th percentile. */
	assert_true(json_is_null(json_object_get(json, "p99_99_ns")));
	assert_int_equal(json_integer_value(json_object_get(json, "max_ns")), 7000000);
	assert_int_equal(json_integer_value(json_object_get(json, "nr_values")), 10001);
	assert_true(json_is_real(json_object_get(json, "mean_ns")));
	json_decref(json);

	fl_hist_reset(hist);
	assert_int_equal(fl_hist_summary(hist, &json), 0);
	assert_true(json_is_null(json_object_get(json, "min_ns")));
	assert_true(json_is_null(json_object_get(json, "mean_ns")));
	json_decref(json);
	free(hist);
}

static void test_sink(void **state)
{
	struct fl_hist *hist = new_hist();
	struct fl_hist_sink sink;
	struct fl_latency_sink *base = &sink.base;

	(void)state;
	assert_int_equal(fl_hist_sink_init(&sink, hist, 0), -EINVAL);
	assert_int_equal(fl_hist_sink_init(&sink, hist, -1), -EINVAL);
	assert_int_equal(fl_hist_sink_init(&sink, hist, NAN), -EINVAL);
	assert_int_equal(fl_hist_sink_init(&sink, hist, INFINITY), -EINVAL);

	assert_int_equal(fl_hist_sink_init(&sink, hist, 0.4), 0);
	base->add(base, 0);
	base->add(base, 26);		/* 10.4 */
	base->add(base, 260);		/* 104.0 */
	base->add(base, 4);		/* 1.6 */
	assert_int_equal(hist->nr_values, 4);
	assert_int_equal(hist->counts[2], 1);
	assert_int_equal(hist->counts[10], 1);
	assert_int_equal(hist->counts[104], 1);

	base->add(base, (uint64_t)-26);
	assert_int_equal(sink.nr_backwards, 1);
	assert_int_equal(hist->nr_values, 4);

	assert_int_equal(fl_hist_sink_init(&sink, hist, 1e9), 0);
	base->add(base, UINT64_MAX / 2);
	assert_int_equal(hist->nr_over, 1);
	assert_int_equal(hist->max_ns, INT64_MAX);
	free(hist);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_against_sorting),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_over_the_range),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_json_round_trip),
		cmocka_unit_test(test_json_refused),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_sink),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
