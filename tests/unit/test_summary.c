/* SPDX-License-Identifier: MIT */
/*
 * From samples to statements: ratios that were planted, repeats, what is missing,
 * what makes a campaign invalid, where lines cross.
 */
#include <errno.h>
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

#include "analysis/summary.h"

static char dir[] = "/tmp/faultline-summary.XXXXXX";

static struct fl_results results;
static struct fl_summary summary;
static FILE *lines;

static FILE *file(const char *name)
{
	char path[256];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	to = fopen(path, "we");
	assert_non_null(to);
	return to;
}

static int begin(void **state)
{
	FILE *to;

	(void)state;
	to = file("campaign.json");
	fputs("{\"baseline\":\"base\"}", to);
	fclose(to);
	lines = file("results.jsonl");
	return 0;
}

/* A sample: @more is appended to the line's members. */
static void sample(const char *cell, const char *arm, const char *role,
		   const char *answer, int block, double ns, const char *more)
{
	fprintf(lines, "{\"schema\":1,\"status\":\"ok\",\"cell\":\"%s\",\"arm\":\"%s\","
		"\"role\":\"%s\",\"answer\":\"%s\",\"block\":%d,\"repeat\":0,"
		"\"strategy\":\"%s\",\"kernel\":\"fill\",\"object_bytes\":16,"
		"\"metrics\":{\"alloc_ns\":%.17g}%s}\n",
		cell, arm, role, answer, block, arm, ns, more);
}

/* What a sample of block @block takes beside its arm: drift and a little noise
 * that differs between arms. */
static double noisy(double ns, int block, int arm)
{
	return ns * (1 + 0.2 * block) *
	       (1 + 0.002 * ((block * 7 + arm * 5) % 11 - 5));
}

/* The same of a bench. */
static void bench_sample(const char *cell, const char *arm, const char *role,
			 int block, double ns, const char *more)
{
	fprintf(lines, "{\"schema\":1,\"status\":\"ok\",\"cell\":\"%s\",\"group\":\"vm\","
		"\"arm\":\"%s\",\"role\":\"%s\",\"block\":%d,\"repeat\":0,"
		"\"bench\":\"trap\",\"op\":\"fault\","
		"\"metrics\":{\"op_ns\":%.17g,\"faults\":7}%s}\n",
		cell, arm, role, block, ns, more);
}

/* @nr blocks of baseline, twin and planted arm. */
static void controls(const char *cell, int nr, double twin, double planted)
{
	for (int b = 0; b < nr; b++) {
		sample(cell, "base", "baseline", "branch", b,
		       noisy(1, b, 0), "");
		if (twin > 0)
			sample(cell, "again", "twin", "branch", b,
			       noisy(twin, b, 1), ",\"strategy\":\"base\"");
		if (planted > 0)
			sample(cell, "slow", "planted", "branch", b,
			       noisy(planted, b, 2), ",\"strategy\":\"base\"");
	}
}

static void make(void)
{
	struct fl_complaint why = { "" };

	assert_int_equal(fclose(lines), 0);
	lines = NULL;
	if (fl_results_load(dir, &results, &why) ||
	    fl_summary_make(&results, &summary, &why))
		fail_msg("%s", why.text);
}

static int end(void **state)
{
	(void)state;
	if (lines)
		fclose(lines);
	lines = NULL;
	fl_summary_free(&summary);
	fl_results_free(&results);
	return 0;
}

static const struct fl_summary_cell *cell_named(const char *name)
{
	for (size_t c = 0; c < summary.nr_cells; c++)
		if (!strcmp(summary.cells[c].name, name))
			return &summary.cells[c];
	fail_msg("no cell %s", name);
	return NULL;
}

static const struct fl_summary_arm *arm_named(const char *cell, const char *name)
{
	const struct fl_summary_cell *c = cell_named(cell);

	for (size_t a = 0; a < c->nr_arms; a++)
		if (!strcmp(c->arms[a].name, name))
			return &c->arms[a];
	fail_msg("no arm %s in %s", name, cell);
	return NULL;
}

static bool says(const char *const *sentences, size_t nr, const char *what)
{
	for (size_t i = 0; i < nr; i++)
		if (strstr(sentences[i], what))
			return true;
	for (size_t i = 0; i < nr; i++)
		print_message("# %s\n", sentences[i]);
	return false;
}

#define VERDICTS	summary.verdicts, summary.nr_verdicts
#define ANSWERS		summary.answers, summary.nr_answers

/* ---- benches --- */

static void test_bench(void **state)
{
	static const char *const cells[] = {
		"vm/pages=1", "vm/pages=16",
	};
	const struct fl_summary_cell *cell;
	const struct fl_summary_arm *arm;
	json_t *json, *first;

	(void)state;
	for (int c = 0; c < 2; c++)
		for (int b = 0; b < 9; b++) {
			const double ns = 1000 * (c + 1);

			bench_sample(cells[c], "base", "baseline", b,
				     noisy(ns, b, 0), "");
			bench_sample(cells[c], "again", "twin", b,
				     noisy(ns, b, 1), ",\"of\":\"base\"");
			bench_sample(cells[c], "slow", "planted", b,
				     noisy(1.3 * ns, b, 2), ",\"of\":\"base\"");
			bench_sample(cells[c], "guard", "arm", b,
				     noisy(0.5 * ns, b, 3), "");
		}
	make();
	assert_true(summary.valid);
	cell = cell_named("vm/pages=16");
	assert_string_equal(cell->bench, "trap");
	assert_string_equal(cell->op, "fault");
	assert_string_equal(cell->title, "trap (vm)");
	assert_int_equal(cell->twin, FL_VERDICT_GOOD);
	assert_int_equal(cell->planted, FL_VERDICT_GOOD);
	arm = arm_named("vm/pages=16", "guard");
	assert_string_equal(arm->strategy, "trap");
	assert_int_equal(arm->alloc_ns.n, 9);
	assert_true(fabs(arm->ratio.ratio - 0.5) < 0.5 * 0.02);
	assert_true(fl_summary_value(arm, "faults") == 7);
	assert_ptr_equal(cell->fastest, arm);
	/* They have nothing to do with strategies and blocks. */
	assert_int_equal(summary.nr_strategies, 0);
	assert_int_equal(summary.nr_slow_rows, 0);
	assert_int_equal(summary.nr_sweeps, 0);
	assert_true(says(ANSWERS, "trap (vm): of 2 cells, the fastest is guard in 2."));
	json = fl_summary_json(&summary);
	first = json_array_get(json_object_get(json, "cells"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "op")),
			    "fault");
	first = json_array_get(json_object_get(first, "arms"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "bench")),
			    "trap");
	assert_true(json_is_object(json_object_get(first, "op_ns")));
	assert_null(json_object_get(first, "alloc_ns"));
	json_decref(json);
}

/* A difference that is not there, or is not seen, is told of benches, too. */
static void test_bench_invalid(void **state)
{
	(void)state;
	for (int b = 0; b < 9; b++) {
		bench_sample("vm", "base", "baseline", b, noisy(1000, b, 0), "");
		bench_sample("vm", "again", "twin", b, noisy(1200, b, 1),
			     ",\"of\":\"base\"");
		bench_sample("vm", "slow", "planted", b, noisy(1000, b, 2),
			     ",\"of\":\"base\"");
	}
	make();
	assert_false(summary.valid);
	assert_true(says(VERDICTS, "equal arms differ in vm"));
	assert_true(says(VERDICTS, "missed in vm"));
	assert_true(says(ANSWERS, "trap (vm): base takes"));
	assert_true(says(ANSWERS, "ns per fault."));
}

/* What was timed one by one belongs to its level, not to the workload. */
static void test_bench_singles(void **state)
{
	static const char latency[] = ",\"latency\":{\"sub_order\":6,"
		"\"range_order\":40,\"nr_values\":%d,\"nr_over\":0,\"min_ns\":%d,"
		"\"max_ns\":%d,\"sum_ns\":%d,\"counts\":[%d,%d]}";
	char more[400];

	(void)state;
	for (int b = 0; b < 3; b++) {
		snprintf(more, sizeof(more), latency, 1000, 100, 100, 100000,
			 100, 1000);
		bench_sample("vm/pages=1", "base", "baseline", b, 100, more);
		snprintf(more, sizeof(more), latency, 20, 120, 120, 2400, 120,
			 20);
		bench_sample("vm/pages=2", "base", "baseline", b, 120, more);
	}
	make();
	assert_true(fl_summary_percentile(&arm_named("vm/pages=1", "base")->slow,
					  0, NULL) == 100);
	assert_true(fl_summary_percentile(&arm_named("vm/pages=1", "base")->slow,
					  2, NULL) == 100);
	assert_true(fl_summary_percentile(&arm_named("vm/pages=2", "base")->slow,
					  0, NULL) == 120);
	/* 60 values have no 99th percentile. */
	assert_true(isnan(fl_summary_percentile(
		&arm_named("vm/pages=2", "base")->slow, 2, NULL)));
	assert_int_equal(summary.nr_slow_rows, 0);
}

/* ---- ratios ------------------------------------------------------------- */

static void test_ratio(void **state)
{
	const struct fl_summary_arm *arm;
	struct fl_interval second;

	(void)state;
	controls("c", 9, 1, 1.3);
	for (int b = 0; b < 9; b++)
		sample("c", "other", "arm", "redirect", b, noisy(2.5, b, 3), "");
	make();
	arm = arm_named("c", "other");
	assert_int_equal(arm->ratio.n, 9);
	/* The drift, a factor of 2.6 over the blocks, is gone; the noise is not. */
	assert_true(fabs(arm->ratio.ratio - 2.5) < 2.5 * 0.02);
	assert_true(arm->ratio.lo < 2.5 && arm->ratio.hi > 2.5);
	assert_true(arm->ratio.hi / arm->ratio.lo < 1.03);
	assert_int_equal(fl_summary_second_opinion(&summary, cell_named("c"), arm,
						   &second), 0);
	assert_true(second.lo < 2.5 && second.hi > 2.5);
	assert_true(second.hi / second.lo < 1.03);
	assert_int_equal(fl_summary_second_opinion(&summary, cell_named("c"),
						   cell_named("c")->baseline,
						   &second), -ENODATA);
	assert_true(arm->alloc_ns.hi / arm->alloc_ns.lo > 1.5);
	assert_int_equal(arm->alloc_ns.n, 9);
	assert_int_equal(summary.nr_blocks, 9);
	assert_ptr_equal(cell_named("c")->baseline, arm_named("c", "base"));
	assert_int_equal(cell_named("c")->baseline->ratio.n, 0);
	assert_true(summary.confidence >= 0.95);
}

/*
 * A twin whose builds differ by 10 % and take turns: its median scatters with them,
 * which is no difference between equal arms, and is seen as what it is.
 */
static void test_builds(void **state)
{
	static const double build_ns[] = { 1, 1.1, 1.05 };
	static const int turns[2][12] = {
		{ 0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 2, 1 },
		{ 2, 1, 0, 0, 1, 2, 0, 2, 1, 1, 0, 2 },
	};
	const struct fl_summary_arm *arm;
	char more[80];

	(void)state;
	for (int b = 0; b < 12; b++) {
		snprintf(more, sizeof(more), ",\"build\":%d", turns[0][b]);
		sample("c", "base", "baseline", "branch", b,
		       build_ns[turns[0][b]], more);
		snprintf(more, sizeof(more), ",\"build\":%d,\"of\":\"base\"",
			 turns[1][b]);
		sample("c", "again", "twin", "branch", b,
		       build_ns[turns[1][b]], more);
		sample("c", "slow", "planted", "branch", b, 3 + 0.01 * b,
		       ",\"of\":\"base\"");
	}
	make();
	assert_true(summary.valid);
	assert_int_equal(summary.nr_spreads, 2);
	arm = arm_named("c", "again");
	assert_int_equal(arm->verdict, FL_VERDICT_UNDECIDED);
	assert_true(arm->control.lo < 1 && arm->control.hi > 1);
	assert_int_equal(arm->spread.nr_groups, 3);
	for (int g = 0; g < 3; g++) {
		assert_int_equal(arm->spread.nr[g], 4);
		assert_true(fabs(arm->spread.median[g] - build_ns[g]) < 1e-12);
	}
	assert_true(arm->spread.within < 1e-9);
	assert_true(arm->spread.between > 0.04 && arm->spread.between < 0.06);
	assert_true(arm->ratio_spread.within > 0.04);
	assert_int_equal(arm_named("c", "slow")->spread.n, 0);
}

static void test_pairs_only_whole_blocks(void **state)
{
	(void)state;
	for (int b = 0; b < 8; b++) {
		if (b != 2)
			sample("c", "base", "baseline", "branch", b, 1, "");
		if (b != 5)
			sample("c", "other", "arm", "branch", b, 2, "");
	}
	make();
	assert_int_equal(arm_named("c", "other")->ratio.n, 6);
	assert_int_equal(arm_named("c", "other")->alloc_ns.n, 7);
}

static void test_few(void **state)
{
	(void)state;
	sample("c", "base", "baseline", "branch", 0, 1, "");
	sample("c", "other", "arm", "branch", 0, 2, "");
	make();
	assert_int_equal(arm_named("c", "other")->alloc_ns.n, 1);
	assert_true(arm_named("c", "other")->alloc_ns.median == 2);
	assert_true(isnan(arm_named("c", "other")->alloc_ns.lo));
	assert_int_equal(arm_named("c", "other")->ratio.n, 0);
	assert_true(isnan(summary.confidence));
	assert_false(summary.valid);
}

static void test_no_baseline(void **state)
{
	(void)state;
	for (int b = 0; b < 8; b++)
		sample("c", "other", "arm", "branch", b, 2, "");
	make();
	assert_null(cell_named("c")->baseline);
	assert_int_equal(arm_named("c", "other")->ratio.n, 0);
	assert_ptr_equal(cell_named("c")->fastest, arm_named("c", "other"));
}

/* ---- repeats and what is missing ---------------------------------------- */

static void test_repeats(void **state)
{
	const struct fl_summary_arm *arm;

	(void)state;
	for (int b = 0; b < 6; b++)
		sample("c", "a", "arm", "branch", b, 1,
		       b < 3 ? ",\"flags\":[\"steal\"]" : "");
	/* Repeats count, whatever they say; order in the file is no matter. */
	sample("c", "a", "arm", "branch", 0, 5, ",\"repeat\":1");
	sample("c", "a", "arm", "branch", 1, 7,
	       ",\"repeat\":1,\"flags\":[\"migrated\"]");
	sample("c", "a", "arm", "branch", 2, 9, ",\"repeat\":1,"
	       "\"status\":\"failed\",\"reason\":\"bad\"");
	make();
	arm = arm_named("c", "a");
	assert_int_equal(arm->nr_blocks, 6);
	assert_int_equal(arm->nr_ok, 5);
	assert_int_equal(arm->nr_repeated, 3);
	assert_int_equal(arm->nr_flagged, 1);
	assert_true(arm->block_ns[0] == 5);
	assert_true(arm->block_ns[1] == 7);
	assert_true(isnan(arm->block_ns[2]));
	assert_int_equal(summary.nr_samples, 9);
	assert_int_equal(summary.nr_repeated, 3);
	assert_int_equal(summary.nr_flagged, 1);
	assert_int_equal(summary.nr_status[FL_RESULT_OK], 5);
	assert_int_equal(summary.nr_status[FL_RESULT_FAILED], 1);
}

static void test_missing(void **state)
{
	const struct fl_summary_arm *arm;

	(void)state;
	for (int b = 0; b < 4; b++) {
		sample("c", "base", "baseline", "branch", b, 1, "");
		sample("c", "a", "arm", "branch", b, 1, b == 1 ?
		       ",\"status\":\"crashed\",\"reason\":\"signal 11\"" : "");
		sample("d", "base", "baseline", "branch", b, 1, "");
		sample("d", "a", "arm", "branch", b, 1, b == 2 ?
		       ",\"status\":\"crashed\",\"reason\":\"signal 11\"" : "");
	}
	sample("c", "u", "arm", "extend", 0, 1,
	       ",\"status\":\"unsupported\",\"reason\":\"not here\"");
	make();
	arm = arm_named("c", "u");
	assert_int_equal(arm->alloc_ns.n, 0);
	assert_int_equal(arm->nr_reasons, 1);
	assert_string_equal(arm->reasons[0].text, "not here");
	assert_int_equal(summary.nr_missing, 2);
	assert_string_equal(summary.missing[0].arm, "a");
	assert_string_equal(summary.missing[0].reason, "signal 11");
	assert_int_equal(summary.missing[0].status, FL_RESULT_CRASHED);
	assert_int_equal(summary.missing[0].nr_samples, 2);
	assert_int_equal(summary.missing[0].nr_cells, 2);
	assert_int_equal(summary.missing[1].status, FL_RESULT_UNSUPPORTED);
}

static void test_order(void **state)
{
	const struct fl_summary_cell *cell;

	(void)state;
	controls("c", 6, 1, 1.3);
	sample("c", "r", "arm", "redirect", 0, 1, "");
	sample("c", "n", "arm", "never", 0, 0.1, "");
	sample("c", "e", "arm", "extend", 0, 0.9, "");
	sample("c", "b", "arm", "branch", 0, 1, "");
	make();
	cell = cell_named("c");
	assert_string_equal(cell->arms[0].name, "n");
	assert_string_equal(cell->arms[1].name, "b");
	assert_string_equal(cell->arms[2].name, "base");
	assert_string_equal(cell->arms[3].name, "e");
	assert_string_equal(cell->arms[4].name, "r");
	assert_string_equal(cell->arms[5].name, "again");
	assert_string_equal(cell->arms[6].name, "slow");
	/* What never looks is no choice. */
	assert_string_equal(cell->fastest->name, "e");
	assert_int_equal(summary.nr_strategies, 5);
}

/* What a crashed sample's line does not know, the others do. */
static void test_crash_first(void **state)
{
	const struct fl_summary_arm *arm;
	FILE *to = file("campaign.json");

	(void)state;
	fputs("{\"cells\":[{\"cell\":\"z\"},{\"cell\":\"c\"}]}", to);
	fclose(to);
	fputs("{\"schema\":1,\"status\":\"crashed\",\"reason\":\"SIGSEGV\","
	      "\"cell\":\"c\",\"arm\":\"a\",\"role\":\"arm\",\"block\":0}\n",
	      lines);
	sample("c", "a", "arm", "redirect", 1, 1, ",\"trigger\":\"fault\"");
	sample("z", "a", "arm", "redirect", 1, 1, "");
	make();
	arm = arm_named("c", "a");
	assert_string_equal(arm->answer, "redirect");
	assert_string_equal(arm->trigger, "fault");
	assert_int_equal(arm->nr_blocks, 2);
	/* The plan's order, not the alphabet's. */
	assert_string_equal(summary.cells[0].name, "z");
}

/* ---- validity ----------------------------------------------------------- */

static void test_valid(void **state)
{
	(void)state;
	controls("c", 9, 1, 1.3);
	make();
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_GOOD);
	assert_int_equal(cell_named("c")->planted, FL_VERDICT_GOOD);
	assert_true(cell_named("c")->resolution < 0.03);
	assert_true(summary.valid);
}

static void test_twin_differs(void **state)
{
	(void)state;
	controls("good", 9, 1, 1.3);
	controls("bad", 9, 1.06, 1.3);
	make();
	assert_int_equal(cell_named("good")->twin, FL_VERDICT_GOOD);
	assert_int_equal(cell_named("bad")->twin, FL_VERDICT_BAD);
	assert_false(summary.valid);
	assert_true(says(VERDICTS, "equal arms differ in bad: again takes 1.0"));
	assert_true(says(VERDICTS, "times as long as base."));
}

static void test_twin_faster(void **state)
{
	(void)state;
	controls("c", 9, 0.9, 1.3);
	make();
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_BAD);
	assert_false(summary.valid);
}

static void test_twin_small_difference(void **state)
{
	(void)state;
	/* Surely not 1, but within what is tolerated. */
	controls("c", 9, 1.015, 1.3);
	make();
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_GOOD);
	assert_true(summary.valid);
}

static void noisy_controls(const char *cell)
{
	for (int b = 0; b < 9; b++) {
		sample(cell, "base", "baseline", "branch", b, 1, "");
		sample(cell, "again", "twin", "branch", b, b % 2 ? 0.8 : 1.25,
		       ",\"strategy\":\"base\"");
		sample(cell, "slow", "planted", "branch", b, 3,
		       ",\"strategy\":\"base\"");
	}
}

static void test_twin_too_noisy(void **state)
{
	(void)state;
	noisy_controls("c");
	make();
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_UNDECIDED);
	assert_true(summary.valid);
	assert_true(says(VERDICTS, "too noisy for small differences"));
}

static void test_one_noisy_cell(void **state)
{
	(void)state;
	controls("a", 9, 1, 1.3);
	controls("b", 9, 1, 1.3);
	noisy_controls("c");
	make();
	assert_true(summary.valid);
	assert_true(says(VERDICTS, "in 2 of 3 cells, too noisy to say in 1; at the widest, equal arms may differ by 25 %."));
}

static void test_planted_missed(void **state)
{
	(void)state;
	controls("c", 9, 1, 1.0);
	make();
	assert_int_equal(cell_named("c")->planted, FL_VERDICT_BAD);
	assert_false(summary.valid);
	assert_true(says(VERDICTS, "missed in c: slow takes"));
}

static void test_planted_faster(void **state)
{
	(void)state;
	controls("c", 9, 1, 0.7);
	make();
	assert_int_equal(cell_named("c")->planted, FL_VERDICT_BAD);
}

static void test_no_controls(void **state)
{
	(void)state;
	controls("c", 9, 0, 0);
	make();
	assert_false(summary.valid);
	assert_true(says(VERDICTS, "no cell has a twin"));
	assert_true(says(VERDICTS, "no cell has one"));
}

static void test_too_few_blocks(void **state)
{
	(void)state;
	controls("c", 5, 1, 1.3);
	make();
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_UNJUDGED);
	assert_int_equal(cell_named("c")->planted, FL_VERDICT_UNJUDGED);
	assert_false(summary.valid);
	assert_true(says(VERDICTS, "fewer than 6 blocks"));
}

static void test_delta(void **state)
{
	FILE *to = file("campaign.json");

	(void)state;
	fputs("{\"delta\":0.1}", to);
	fclose(to);
	controls("c", 9, 1.06, 1.3);
	make();
	assert_true(summary.delta == 0.1);
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_GOOD);
}

/* The twin doubles another arm than the baseline. */
static void test_twin_of_another(void **state)
{
	(void)state;
	for (int b = 0; b < 9; b++) {
		sample("c", "base", "baseline", "branch", b, noisy(1, b, 0), "");
		sample("c", "x", "arm", "redirect", b, noisy(3, b, 1), "");
		sample("c", "again", "twin", "redirect", b, noisy(3, b, 2),
		       ",\"strategy\":\"x\"");
		sample("c", "slow", "planted", "redirect", b, noisy(4, b, 3),
		       ",\"strategy\":\"x\"");
	}
	make();
	assert_string_equal(arm_named("c", "again")->of, "x");
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_GOOD);
	assert_true(fabs(arm_named("c", "slow")->control.ratio - 4. / 3) < 0.05);
	assert_true(summary.valid);
}

/* Two arms have its strategy and settings; the results say which it doubles. */
static void test_twin_as_planned(void **state)
{
	(void)state;
	for (int b = 0; b < 9; b++) {
		sample("c", "x", "baseline", "branch", b, 1,
		       ",\"strategy\":\"s\"");
		sample("c", "y", "arm", "branch", b, 2, ",\"strategy\":\"s\"");
		sample("c", "again", "twin", "branch", b, 2,
		       ",\"strategy\":\"s\",\"of\":\"y\"");
	}
	make();
	assert_string_equal(arm_named("c", "again")->of, "y");
	assert_int_equal(cell_named("c")->twin, FL_VERDICT_GOOD);
}

/* ---- slow paths --------------------------------------------------------- */

/* A histogram with 20,000 values around @ns. */
static char *latency(uint64_t ns, double step_ns)
{
	struct fl_hist *hist = malloc(sizeof(*hist));
	char *json, *text;
	json_t *object;

	assert_non_null(hist);
	fl_hist_reset(hist);
	for (uint64_t i = 0; i < 20000; i++)
		fl_hist_add(hist, ns + i % 3);
	assert_int_equal(fl_hist_to_json(hist, &object), 0);
	free(hist);
	json = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	assert_true(asprintf(&text, ",\"latency\":%s,\"metrics\":{\"alloc_ns\":1,"
			     "\"clock_step_ns\":%g}", json, step_ns) > 0);
	free(json);
	return text;
}

static void test_slow_paths(void **state)
{
	char *slow = latency(2200, 10), *quick = latency(80, 10);
	const char *why;
	double ns;

	(void)state;
	for (int b = 0; b < 3; b++) {
		sample("c", "r", "arm", "redirect", b, 1, slow);
		sample("c", "b", "arm", "branch", b, 1, quick);
		sample("c", "n", "arm", "never", b, 1,
		       ",\"unavailable\":{\"slow_n\":\"it did not run\"}");
		sample("d", "r", "arm", "redirect", b, 1, "");
	}
	free(slow);
	free(quick);
	make();
	assert_int_equal(arm_named("c", "r")->slow.hist->nr_values, 60000);
	ns = fl_summary_percentile(&arm_named("c", "r")->slow, 0, &why);
	assert_null(why);
	assert_true(fabs(ns - 2201) < 2201 * FL_HIST_ERROR + 1);
	/* 60,000 values: six beyond p99.99. */
	fl_summary_percentile(&arm_named("c", "r")->slow, 3, &why);
	assert_null(why);
	ns = fl_summary_percentile(&arm_named("c", "r")->slow, 4, &why);
	assert_true(isnan(ns));
	assert_non_null(strstr(why, "fewer than ten"));
	fl_summary_percentile(&arm_named("c", "b")->slow, 0, &why);
	assert_non_null(strstr(why, "too short for the clock"));
	fl_summary_percentile(&arm_named("c", "n")->slow, 0, &why);
	assert_string_equal(why, "it did not run");
	/* Same workload, so "d" is among it. */
	assert_int_equal(summary.nr_slow_rows, 3);
	assert_string_equal(summary.slow_rows[2].arm->name, "r");
	assert_true(says(ANSWERS, "r takes 2.20 \u00b5s at the median"));
}

static void test_bad_histogram(void **state)
{
	(void)state;
	sample("c", "r", "arm", "redirect", 0, 1,
	       ",\"latency\":{\"sub_order\":6,\"range_order\":40,\"nr_values\":5,"
	       "\"nr_over\":0,\"min_ns\":1,\"max_ns\":2,\"sum_ns\":3,"
	       "\"counts\":[1,1]}");
	make();
	assert_null(arm_named("c", "r")->slow.hist);
	assert_non_null(strstr(arm_named("c", "r")->slow.missing, "not valid"));
}

/* ---- sweeps ------------------------------------------------------------- */

/*
 * Three arms over block sizes: what never looks, a branch that costs 0.05 ns and
 * a fault of @fault_ns, whose lines cross at blocks of 16 * fault_ns / 0.05.
 */
static void sweep(double fault_ns, double noise)
{
	for (int order = 12; order <= 22; order += 2)
		for (int b = 0; b < 9; b++) {
			double bytes = (double)(1u << order), r;
			char cell[64], more[160];

			snprintf(cell, sizeof(cell), "warm/16/%.0f/register",
				 bytes);
			snprintf(more, sizeof(more),
				 ",\"block_bytes\":%.0f,\"residence\":\"register\"",
				 bytes);
			sample(cell, "n", "arm", "never", b, 0.27, more);
			sample(cell, "base", "baseline", "branch", b,
			       noisy(0.32, b, 1), more);
			sample(cell, "worse", "arm", "branch", b,
			       noisy(0.5, b, 2), more);
			r = 0.27 + fault_ns * 16 / bytes;
			snprintf(more, sizeof(more),
				 ",\"block_bytes\":%.0f,\"residence\":\"register\","
				 "\"metrics\":{\"alloc_ns\":%.17g,\"events\":%.0f,"
				 "\"nr_allocs\":1e9}", bytes,
				 noisy(r * (b % 2 ? 1 - noise : 1 + noise), b, 1),
				 16e9 / bytes);
			sample(cell, "r", "arm", "redirect", b, 0, more);
		}
}

static void test_crossing(void **state)
{
	const struct fl_sweep *s;

	(void)state;
	sweep(2000, 0);
	make();
	assert_int_equal(summary.nr_sweeps, 1);
	s = &summary.sweeps[0];
	assert_int_equal(s->nr_cells, 6);
	for (size_t i = 1; i < s->nr_cells; i++)
		assert_true(s->cells[i]->block_bytes >
			    s->cells[i - 1]->block_bytes);
	assert_string_equal(s->title, "fill, 16-byte objects (warm)");
	assert_string_equal(s->branch, "base");
	assert_string_equal(s->redirect, "r");
	assert_int_equal(s->state, FL_CROSSING_FOUND);
	/* 640,000 bytes; block sizes are a factor of 4 apart. */
	assert_true(fabs(s->block_bytes / 640000 - 1) < 0.01);
	assert_true(fabs(s->ns / noisy(0.32, 4, 1) - 1) < 0.02);
	assert_true(s->slower_bytes == 1 << 18);
	assert_true(s->faster_bytes == 1 << 20);
	assert_true(says(ANSWERS, "cursor in registers: r overtakes base at blocks of about 62"));
	assert_true(says(ANSWERS, "surely slower at 256 KiB, surely faster at 1 MiB"));
}

/* An arm of the sweep below, whose modules are of two compilers. */
static void built(const char *arm, const char *role, const char *answer,
		  const char *compiler, int order, double ns)
{
	char cell[64], more[160];

	snprintf(cell, sizeof(cell), "warm/16/%d/register", 1 << order);
	snprintf(more, sizeof(more),
		 ",\"block_bytes\":%d,\"residence\":\"register\",\"compiler\":\"%s\"",
		 1 << order, compiler);
	for (int b = 0; b < 9; b++)
		sample(cell, arm, role, answer, b, noisy(ns, b, 1), more);
}

/*
 * One compiler makes the fastest fault and the fastest floor, the other the fastest
 * branch: who meets whom is of one, that of the branch.
 */
static void test_crossing_by_one_compiler(void **state)
{
	const struct fl_sweep *s;

	(void)state;
	for (int order = 12; order <= 22; order += 2) {
		const double slow = 16.0 / (1 << order);

		built("n", "arm", "never", "gcc 12", order, 0.20);
		built("n_clang", "arm", "never", "clang 19", order, 0.27);
		built("base", "baseline", "branch", "gcc 12", order, 0.50);
		built("base_clang", "arm", "branch", "clang 19", order, 0.32);
		built("r", "arm", "redirect", "gcc 12", order, 0.20 + 1000 * slow);
		built("r_clang", "arm", "redirect", "clang 19", order,
		      0.27 + 2000 * slow);
	}
	make();
	assert_int_equal(summary.nr_sweeps, 1);
	s = &summary.sweeps[0];
	assert_string_equal(s->compiler, "clang 19");
	assert_string_equal(s->branch, "base_clang");
	assert_string_equal(s->redirect, "r_clang");
	assert_true(fabs(s->block_bytes / 640000 - 1) < 0.01);
	assert_true(says(ANSWERS, "r_clang overtakes base_clang at blocks"));
	assert_true(says(ANSWERS, "times as long as n_clang."));
}

/* Where the compiler of the fastest branch has no fault, the other's two meet. */
static void test_crossing_by_the_other_compiler(void **state)
{
	(void)state;
	for (int order = 12; order <= 22; order += 2) {
		built("base", "baseline", "branch", "gcc 12", order, 0.50);
		built("base_clang", "arm", "branch", "clang 19", order, 0.32);
		built("r", "arm", "redirect", "gcc 12", order,
		      0.40 + 16e6 / (1 << order));
	}
	make();
	assert_string_equal(summary.sweeps[0].compiler, "gcc 12");
	assert_true(says(ANSWERS, "r stays behind base at every block size"));
}

/* And where no compiler has both, nobody meets anybody. */
static void test_no_crossing_between_compilers(void **state)
{
	(void)state;
	for (int order = 12; order <= 22; order += 2) {
		built("base_clang", "baseline", "branch", "clang 19", order, 0.32);
		built("r", "arm", "redirect", "gcc 12", order, 0.20);
	}
	make();
	assert_int_equal(summary.sweeps[0].state, FL_CROSSING_UNKNOWN);
	assert_false(says(ANSWERS, "r is ahead"));
}

static void test_crossing_slope(void **state)
{
	(void)state;
	sweep(2000, 0);
	make();
	/* noisy() makes all blocks slower; the fifth is the median. */
	assert_true(fabs(summary.sweeps[0].refill_ns[1] /
			 noisy(2000, 4, 1) - 1) < 0.02);
	assert_true(isnan(summary.sweeps[0].refill_ns[0]));
}

static void test_no_crossing(void **state)
{
	(void)state;
	sweep(1e6, 0);
	make();
	assert_int_equal(summary.sweeps[0].state, FL_CROSSING_BRANCH);
	assert_true(isnan(summary.sweeps[0].block_bytes));
	assert_true(says(ANSWERS, "stays behind base at every block size from 4 KiB to 4 MiB"));
}

static void test_always_faster(void **state)
{
	(void)state;
	sweep(1, 0);
	make();
	assert_int_equal(summary.sweeps[0].state, FL_CROSSING_REDIRECT);
}

static void test_crossing_in_noise(void **state)
{
	const struct fl_sweep *s;

	(void)state;
	sweep(2000, 0.3);
	make();
	s = &summary.sweeps[0];
	/* Wherever it is put, nothing is claimed that is not sure. */
	assert_true(isnan(s->faster_bytes) || s->faster_bytes > 640000);
	assert_true(isnan(s->slower_bytes) || s->slower_bytes < 640000);
}

static void test_crossing_without_redirect(void **state)
{
	(void)state;
	for (int order = 12; order <= 16; order += 2)
		for (int b = 0; b < 8; b++) {
			char cell[32], more[64];

			snprintf(cell, sizeof(cell), "c/%d/memory", 1 << order);
			snprintf(more, sizeof(more), ",\"block_bytes\":%d",
				 1 << order);
			sample(cell, "base", "baseline", "branch", b, 1, more);
		}
	make();
	assert_int_equal(summary.nr_sweeps, 1);
	assert_int_equal(summary.sweeps[0].state, FL_CROSSING_UNKNOWN);
	assert_null(summary.sweeps[0].redirect);
}

static void test_no_sweep(void **state)
{
	(void)state;
	controls("c", 9, 1, 1.3);
	make();
	assert_int_equal(summary.nr_sweeps, 0);
}

/* ---- pages -------------------------------------------------------------- */

static void test_pages(void **state)
{
	struct fl_pages pages;

	(void)state;
	sample("p", "a", "arm", "extend", 0, 0,
	       ",\"mode\":\"account\",\"metrics\":{\"alloc_ns\":null,"
	       "\"leaked_share\":0.25,\"peak_resident_over_live\":1.5},"
	       "\"pages\":[[0,10,1],[100,30,2],[200,20,3],[300,0,4]]");
	sample("p", "b", "arm", "extend", 0, 1, "");
	sample("p", "c", "arm", "extend", 0, 0, ",\"mode\":\"account\","
	       "\"status\":\"failed\",\"reason\":\"no census\"");
	make();
	assert_int_equal(fl_summary_pages(arm_named("p", "a"), &pages), 0);
	assert_true(pages.peak == 30);
	assert_true(pages.mean == 20);
	assert_true(pages.last == 0);
	assert_true(pages.leaked_share == 0.25);
	assert_true(pages.peak_over_live == 1.5);
	assert_true(isnan(pages.censored_share));
	/* Not timed: no time, and no block of that. */
	assert_int_equal(arm_named("p", "a")->nr_blocks, 0);
	assert_int_equal(arm_named("p", "a")->alloc_ns.n, 0);
	assert_int_equal(fl_summary_pages(arm_named("p", "b"), &pages),
			 -ENODATA);
	assert_int_equal(fl_summary_pages(arm_named("p", "c"), &pages),
			 -ENODATA);
	assert_true(arm_named("p", "c")->reasons[0].accounts);
	assert_int_equal(cell_named("p")->nr_timed, 1);
}

/* ---- JSON --------------------------------------------------------------- */

static void test_json(void **state)
{
	const json_t *cell;
	json_t *json;

	(void)state;
	controls("c", 9, 1, 1.3);
	make();
	json = fl_summary_json(&summary);
	assert_non_null(json);
	assert_true(json_is_true(json_object_get(json, "valid")));
	assert_int_equal(json_integer_value(json_object_get(json, "nr_samples")),
			 27);
	cell = json_array_get(json_object_get(json, "cells"), 0);
	assert_string_equal(json_string_value(json_object_get(cell, "twin")),
			    "alike");
	assert_string_equal(json_string_value(json_object_get(cell, "planted")),
			    "seen");
	json_decref(json);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_bench),
		TEST(test_bench_invalid),
		TEST(test_bench_singles),
		TEST(test_ratio),
		TEST(test_builds),
		TEST(test_pairs_only_whole_blocks),
		TEST(test_few),
		TEST(test_no_baseline),
		TEST(test_repeats),
		TEST(test_missing),
		TEST(test_order),
		TEST(test_crash_first),
		TEST(test_valid),
		TEST(test_twin_differs),
		TEST(test_twin_faster),
		TEST(test_twin_small_difference),
		TEST(test_twin_too_noisy),
		TEST(test_one_noisy_cell),
		TEST(test_planted_missed),
		TEST(test_planted_faster),
		TEST(test_no_controls),
		TEST(test_too_few_blocks),
		TEST(test_delta),
		TEST(test_twin_of_another),
		TEST(test_twin_as_planned),
		TEST(test_slow_paths),
		TEST(test_bad_histogram),
		TEST(test_crossing),
		TEST(test_crossing_by_one_compiler),
		TEST(test_crossing_by_the_other_compiler),
		TEST(test_no_crossing_between_compilers),
		TEST(test_crossing_slope),
		TEST(test_no_crossing),
		TEST(test_always_faster),
		TEST(test_crossing_in_noise),
		TEST(test_crossing_without_redirect),
		TEST(test_no_sweep),
		TEST(test_pages),
		TEST(test_json),
	};
#undef TEST
	char path[300];
	int failed;

	if (!mkdtemp(dir))
		return 99;
	failed = cmocka_run_group_tests_name("summary", tests, NULL, NULL);
	snprintf(path, sizeof(path), "%s/results.jsonl", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/campaign.json", dir);
	unlink(path);
	rmdir(dir);
	return failed;
}
