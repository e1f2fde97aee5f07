/* SPDX-License-Identifier: MIT */
/*
 * The break-even model against campaigns made up from known costs: crossings are
 * where arithmetic puts them, intervals cover them, and a cost that only the
 * sweep has is told apart.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analysis/breakeven.h"

#define OBJECT_BYTES	16.0
#define BLOCKS		12

static char dir[] = "/tmp/faultline-breakeven.XXXXXX";

static struct fl_results results;
static struct fl_summary summary;
static struct fl_breakeven *all;
static size_t nr;
static FILE *lines;

/* What an arm costs, in ns. */
struct costs {
	const char *arm, *answer, *compiler;
	double fast, slow;	/* a fast path, a slow one timed by itself */
	double in_place;	/* what a slow path takes more in the sweep */
};

struct world {
	const struct costs *costs;
	size_t nr_costs;
	double noise;		/* share */
	bool no_hot, no_slow;
	double cold;		/* ns more per object and doubling of the working
				   set, in all arms */
	double huge;		/* ns more for a fault in huge blocks */
};

static void assert_verdict(const char *want)
{
	char text[FL_VERDICT_TEXT_BYTES];

	assert_string_equal(fl_breakeven_verdict(text, all), want);
}

/* Blocks whose faults cost w->huge more: nearer to HUGE than to SMALL. */
#define SMALL	16
#define HUGE	23

static bool is_huge(int order)
{
	return HUGE - order < order - SMALL;
}

static FILE *file(const char *name)
{
	char path[256];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	to = fopen(path, "we");
	assert_non_null(to);
	return to;
}

static double noisy(double ns, double noise, int block, size_t salt)
{
	const unsigned h = ((unsigned)block * 2654435761u) ^
			   ((unsigned)salt * 40503u + 77u) * 2246822519u;

	/* Drift by block, which pairs cancel, and noise, which they do not. */
	return ns * (1 + 0.05 * block) *
	       (1 + noise * ((h >> 8) % 2001 / 1000.0 - 1));
}

static void sample(const struct costs *c, const char *cell, int block,
		   double block_bytes, double lifetime_bytes, double ns,
		   double events, double slow_ns)
{
	fprintf(lines, "{\"schema\":1,\"status\":\"ok\",\"cell\":\"%s\",\"arm\":\"%s\","
		"\"role\":\"arm\",\"answer\":\"%s\",\"compiler\":\"%s\",\"block\":%d,"
		"\"repeat\":0,\"strategy\":\"%s\",\"kernel\":\"fill\",\"object_bytes\":16,"
		"\"residence\":\"register\",\"block_bytes\":%.0f,\"lifetime_bytes\":%.0f,"
		"\"metrics\":{\"alloc_ns\":%.17g,\"nr_allocs\":1000000,\"events\":%.17g",
		cell, c->arm, c->answer, c->compiler, block, c->arm, block_bytes,
		lifetime_bytes, ns, events * 1e6);
	if (slow_ns > 0)
		fprintf(lines, ",\"slow_mean_ns\":%.17g", slow_ns);
	fputs("}}\n", lines);
}

static void make(const struct world *w)
{
	struct fl_complaint why = { "" };
	FILE *to = file("campaign.json");

	fputs("{}", to);
	fclose(to);
	lines = file("results.jsonl");
	for (int b = 0; b < BLOCKS; b++)
		for (size_t a = 0; a < w->nr_costs; a++) {
			const struct costs *c = &w->costs[a];
			const double huge = strcmp(c->answer, "branch") ? w->huge : 0;
			char cell[64];

			for (int k = 14; k <= 26; k += 2) {
				const double block = ldexp(1, k);
				const double e = OBJECT_BYTES / block;
				const double fast = c->fast + w->cold * (k - 14);
				const double slow = c->slow + c->in_place +
						    is_huge(k) * huge;

				snprintf(cell, sizeof(cell), "sweep/%d", k);
				sample(c, cell, b, block, 4 * block,
				       noisy(fast + slow * e, w->noise, b,
					     100 * a + (size_t)k), e, 0);
				if (w->no_hot)
					continue;
				snprintf(cell, sizeof(cell), "hot/%d", k);
				sample(c, cell, b, 4 * block, 4 * block,
				       noisy(fast, w->noise, b,
					     100 * a + (size_t)k + 50), 0, 0);
			}
			for (int k = SMALL; !w->no_slow && k <= HUGE;
			     k += HUGE - SMALL) {
				const double block = ldexp(1, k);

				if (k == HUGE && w->huge <= 0)
					break;
				snprintf(cell, sizeof(cell), "%s/%d",
					 k == HUGE ? "huge" : "slow", k);
				sample(c, cell, b, block, 8 * block, c->fast,
				       OBJECT_BYTES / block,
				       noisy(c->slow + is_huge(k) * huge,
					     10 * w->noise, b,
					     7 + a + 10 * (size_t)is_huge(k)));
			}
		}
	assert_int_equal(fclose(lines), 0);
	if (fl_results_load(dir, &results, &why) ||
	    fl_summary_make(&results, &summary, &why) ||
	    fl_breakevens_make(&summary, &all, &nr))
		fail_msg("%s", why.text);
}

static int end(void **state)
{
	(void)state;
	fl_breakevens_free(all, nr);
	all = NULL;
	nr = 0;
	fl_summary_free(&summary);
	fl_results_free(&results);
	return 0;
}

static void assert_covers(const struct fl_estimate *e, double truth)
{
	if (!(e->lo <= truth && truth <= e->hi))
		fail_msg("%g lies outside [%g, %g]", truth, e->lo, e->hi);
}

/* 2,460 ns more a fault, 0.04 ns less an object: 16 * 2460 / 0.04 bytes. */
static const struct costs crossing_costs[] = {
	{ "branch", "branch", "gcc 12", 0.34, 40, 0 },
	{ "fault", "redirect", "gcc 12", 0.30, 2500, 0 },
};

static void test_crossing(void **state)
{
	const struct world w = { crossing_costs, 2, 0.002, false, false, 0, 0 };
	const double truth = 16 * 2460 / 0.04;

	(void)state;
	make(&w);
	assert_int_equal(nr, 1);
	if (all->missing)
		fail_msg("%s", all->missing);
	assert_string_equal(all->branch, "branch");
	assert_string_equal(all->fault, "fault");
	assert_int_equal(all->nr_levels, 7);
	assert_covers(&all->observed, truth);
	assert_covers(&all->predicted, truth);
	assert_true(all->observed.hi < 2 * truth && all->observed.lo > truth / 2);
	assert_true(all->predicted.hi < 2 * truth && all->predicted.lo > truth / 2);
	assert_true(all->agree && !all->neither);
	assert_verdict("agree");
	assert_int_equal(fl_breakevens_count(all, nr).nr_hold, 7);
	assert_int_equal(fl_breakevens_count(all, nr).nr, 7);
	/* Drift is part of a median: half of BLOCKS times 5 %. */
	assert_covers(&all->fault_ns, 2500 * 1.275);
	assert_covers(&all->compare_ns, 0.04 * 1.275);
}

/* Same working set in hot and swept cells, so that memory cancels. */
static void test_cold_memory(void **state)
{
	const struct world w = { crossing_costs, 2, 0.0005, false, false, 0.1, 0 };

	(void)state;
	make(&w);
	assert_int_equal(nr, 1);
	assert_covers(&all->predicted, 16 * 2460 / 0.04);
	assert_true(all->agree);
	for (size_t i = 0; i < all->nr_levels; i++)
		assert_true(fabs(all->levels[i].predicted.value /
				 all->levels[i].observed.value - 1) < 0.02);
}

/* A level takes the slow paths of blocks of about its own size. */
static void test_nearest_slow(void **state)
{
	static const struct costs costs[] = {
		{ "branch", "branch", "gcc 12", 0.34, 40, 0 },
		{ "fault", "redirect", "gcc 12", 0.30, 2500, 0 },
	};
	const struct world w = {
		.costs = costs, .nr_costs = 2, .noise = 0.0005, .huge = 20000,
	};

	(void)state;
	make(&w);
	assert_int_equal(nr, 1);
	for (size_t i = 0; i < all->nr_levels; i++)
		assert_true(fabs(all->levels[i].predicted.value /
				 all->levels[i].observed.value - 1) < 0.02);
	assert_true(all->agree);
}

/* A compare that costs nothing: no crossing predicted, and none seen. */
static void test_never(void **state)
{
	static const struct costs costs[] = {
		{ "branch", "branch", "gcc 12", 0.30, 40, 0 },
		{ "fault", "redirect", "gcc 12", 0.31, 2500, 0 },
	};
	const struct world w = { costs, 2, 0.002, false, false, 0, 0 };

	(void)state;
	make(&w);
	assert_int_equal(nr, 1);
	assert_true(isinf(all->observed.value) && isinf(all->predicted.value));
	assert_true(isinf(all->predicted.lo));
	assert_true(all->agree && all->neither);
	assert_verdict("agree: neither crosses up to 64 MiB");
}

/* Beyond the largest block a prediction is a number, and nothing contradicts it. */
static void test_beyond(void **state)
{
	static const struct costs costs[] = {
		{ "branch", "branch", "gcc 12", 0.3005, 40, 0 },
		{ "fault", "redirect", "gcc 12", 0.3000, 3540, 0 },
	};
	const struct world w = { costs, 2, 0, false, false, 0, 0 };
	const double truth = 16 * 3500 / 0.0005;

	(void)state;
	make(&w);
	assert_true(truth > ldexp(1, 26));
	assert_true(isinf(all->observed.value));
	assert_true(fabs(all->predicted.value / truth - 1) < 0.01);
	assert_true(all->agree && all->neither);
	assert_verdict("agree: neither crosses up to 64 MiB");
}

/* What a fault costs in the sweep and not by itself moves the crossing. */
static void assert_levels_differ(void)
{
	const struct fl_breakeven_count count = fl_breakevens_count(all, nr);

	/* Four times the fault in place: seen wherever blocks are small. */
	assert_int_equal(count.nr, 7);
	assert_true(count.nr_hold < 7);
	assert_int_equal(fl_breakeven_holds(all, 0), 0);
}

static void test_disagree(void **state)
{
	static const struct costs costs[] = {
		{ "branch", "branch", "gcc 12", 0.34, 40, 0 },
		{ "fault", "redirect", "gcc 12", 0.30, 2500, 7500 },
	};
	const struct world w = { costs, 2, 0.001, false, false, 0, 0 };

	(void)state;
	make(&w);
	assert_covers(&all->observed, 16 * 9960 / 0.04);
	assert_covers(&all->predicted, 16 * 2460 / 0.04);
	assert_false(all->agree || all->neither);
	assert_verdict("DIFFER");
	assert_levels_differ();
	assert_covers(&all->in_place_ns, 9960 * 1.275);
}

static struct fl_breakeven made_up(struct fl_breakeven_level *levels, size_t n,
				   const char *missing)
{
	return (struct fl_breakeven){
		.title = "fill", .residence = "memory", .fault = "f",
		.missing = missing, .levels = levels, .nr_levels = n,
	};
}

/* Intervals that touch overlap; those that are not known are not counted. */
static void test_levels(void **state)
{
	struct fl_breakeven_level levels[] = {
		{ 16384, { 2, 1.9, 2.1 }, { 2.1, 2.05, 2.2 } },
		{ 32768, { 2, 1.9, 2.1 }, { 2.2, 2.1, 2.3 } },
		{ 65536, { 2, 1.9, 2.1 }, { 2.3, 2.2, 2.4 } },
		{ 131072, { 2, 1.9, 2.1 }, { 1.5, 1.4, 1.6 } },
		{ 262144, { 2, 1.9, 2.1 }, { 2, NAN, NAN } },
	};
	const struct fl_breakeven both[] = {
		made_up(levels, 5, NULL), made_up(levels, 5, "no slow paths"),
	};
	static const int holds[] = { 1, 1, 0, 0, -1 };
	char *text;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(fl_breakeven_holds(&both[0], i), holds[i]);
		assert_int_equal(fl_breakeven_holds(&both[1], i), -1);
	}
	assert_int_equal(fl_breakevens_count(both, 2).nr_hold, 2);
	assert_int_equal(fl_breakevens_count(both, 2).nr, 4);
	text = fl_breakeven_exception(&both[0], 2);
	assert_string_equal(text, "fill, cursor in memory, f, 64 KiB: predicted 2.300 [2.200, 2.400], observed 2.000 [1.900, 2.100]");
	free(text);
}

static void test_missing(void **state)
{
	struct world w = { crossing_costs, 2, 0.002, true, false, 0, 0 };

	make(&w);
	assert_int_equal(nr, 1);
	assert_non_null(strstr(all->missing, "no block ends"));
	assert_covers(&all->observed, 16 * 2460 / 0.04);
	assert_true(isnan(all->predicted.value));
	assert_false(all->agree);
	end(state);
	w.no_hot = false;
	w.no_slow = true;
	make(&w);
	assert_non_null(strstr(all->missing, "one by one"));
	assert_false(all->agree);
}

/* A fault meets the best branch of its own compiler. */
static void test_compilers(void **state)
{
	static const struct costs costs[] = {
		{ "branch", "branch", "gcc 12", 0.34, 40, 0 },
		{ "worse", "branch", "gcc 12", 0.90, 40, 0 },
		{ "branch_clang", "branch", "clang 19", 0.50, 40, 0 },
		{ "fault", "redirect", "gcc 12", 0.30, 2500, 0 },
		{ "fault_clang", "redirect", "clang 19", 0.30, 2500, 0 },
	};
	const struct world w = { costs, 5, 0.002, false, false, 0, 0 };

	(void)state;
	make(&w);
	assert_int_equal(nr, 2);
	for (size_t i = 0; i < nr; i++) {
		const bool clang = !strcmp(all[i].compiler, "clang 19");

		assert_string_equal(all[i].branch,
				    clang ? "branch_clang" : "branch");
		assert_string_equal(all[i].fault,
				    clang ? "fault_clang" : "fault");
		assert_covers(&all[i].observed,
			      16 * 2460 / (clang ? 0.20 : 0.04));
		assert_true(all[i].agree);
	}
}

static void test_json(void **state)
{
	const struct world w = { crossing_costs, 2, 0.002, false, false, 0, 0 };
	const json_t *one;
	json_t *json;

	(void)state;
	make(&w);
	json = fl_breakevens_json(all, nr);
	assert_int_equal(json_array_size(json), 1);
	one = json_array_get(json, 0);
	assert_true(json_is_true(json_object_get(one, "agree")));
	assert_true(json_is_false(json_object_get(one, "neither_crosses")));
	assert_string_equal(json_string_value(json_object_get(one, "verdict")),
			    "agree");
	assert_int_equal(json_array_size(json_object_get(one, "levels")), 7);
	assert_true(json_is_real(json_object_get(
		json_object_get(one, "predicted_bytes"), "value")));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_crossing, end),
		cmocka_unit_test_teardown(test_cold_memory, end),
		cmocka_unit_test_teardown(test_nearest_slow, end),
		cmocka_unit_test_teardown(test_never, end),
		cmocka_unit_test_teardown(test_beyond, end),
		cmocka_unit_test_teardown(test_disagree, end),
		cmocka_unit_test(test_levels),
		cmocka_unit_test_teardown(test_missing, end),
		cmocka_unit_test_teardown(test_compilers, end),
		cmocka_unit_test_teardown(test_json, end),
	};
	char path[256];
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "%s/campaign.json", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/results.jsonl", dir);
	unlink(path);
	rmdir(dir);
	return failed;
}
