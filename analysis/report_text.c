/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report.h"
#include "analysis/report_bench.h"
#include "analysis/report_breakeven.h"
#include "analysis/report_builds.h"

#define MICRO	"u"

/* ---- a cell ------------------------------------------------------------- */

static const struct fl_column columns[] = {
	{ "arm", false, 0 },
	{ "ns/alloc", true, 0 },
	{ "interval", false, 2 },
	{ "ratio", true, 0 },
	{ "interval", false, 1 },
	{ "floor", true, 6 },
	{ "slow p50", true, 4 },
	{ "per 1000", true, 5 },
	{ "n", false, 3 },
};

#define NR_COLUMNS	(sizeof(columns) / sizeof(*columns))

void fl_report_samples(struct fl_table *table, const struct fl_summary_arm *arm)
{
	char of[32] = "", flagged[32] = "", repeated[32] = "";

	if (arm->nr_ok < arm->nr_blocks)
		snprintf(of, sizeof(of), "/%zu", arm->nr_blocks);
	if (arm->nr_flagged)
		snprintf(flagged, sizeof(flagged), " f%zu", arm->nr_flagged);
	if (arm->nr_repeated)
		snprintf(repeated, sizeof(repeated), " r%zu",
			 arm->nr_repeated);
	fl_table_put(table, *of ? FL_BAD : FL_PLAIN, "%zu%s%s%s%s", arm->nr_ok,
		     of, flagged, repeated, arm->nr_uneven ? " e!" : "");
}

void fl_report_times(struct fl_table *table, const struct fl_summary_cell *cell,
		     const struct fl_summary_arm *arm)
{
	if (!arm->alloc_ns.n) {
		fl_table_put(table, FL_PLAIN, "-");
		fl_table_put(table, FL_BAD, "%s", arm->nr_reasons ?
			     fl_result_status_name(arm->reasons[0].status) :
			     "no time");
		fl_table_number(table, NAN);
		fl_table_interval(table, NAN, NAN);
		return;
	}
	fl_table_number(table, arm->alloc_ns.median);
	fl_table_interval(table, arm->alloc_ns.lo, arm->alloc_ns.hi);
	fl_table_number(table, arm == cell->baseline ? 1 :
			       arm->ratio.n ? arm->ratio.ratio : NAN);
	fl_table_interval(table, arm->ratio.n ? arm->ratio.lo : NAN,
			  arm->ratio.n ? arm->ratio.hi : NAN);
}

static void put_arm(struct fl_table *table, const struct fl_summary_cell *cell,
		    const struct fl_summary_arm *arm)
{
	double events = fl_summary_value(arm, "events");
	double allocs = fl_summary_value(arm, "nr_allocs");
	double slow_ns = fl_summary_percentile(&arm->slow, 0, NULL);
	char text[FL_TEXT_BYTES];

	fl_table_put(table, arm == cell->fastest ? FL_STRONG : FL_PLAIN, "%s",
		     arm->name);
	fl_report_times(table, cell, arm);
	fl_table_number(table, fl_summary_value(arm, "floor_ns"));
	fl_table_put(table, FL_PLAIN, "%s", isnan(slow_ns) ? "" :
		     fl_text_ns(text, slow_ns, MICRO));
	fl_table_number(table, allocs > 0 ? 1000 * events / allocs : NAN);
	fl_report_samples(table, arm);
}

static const char *const twin_words[] = {
	[FL_VERDICT_UNJUDGED] = "A/A not judged",
	[FL_VERDICT_UNDECIDED] = "A/A undecided",
	[FL_VERDICT_GOOD] = "A/A alike",
	[FL_VERDICT_BAD] = "A/A DIFFERS",
};

static const char *const planted_words[] = {
	[FL_VERDICT_UNJUDGED] = "planted slowdown not judged",
	[FL_VERDICT_GOOD] = "planted slowdown seen",
	[FL_VERDICT_BAD] = "planted slowdown MISSED",
};

/* What the table is about, in a sentence that may need more than a line. */
static void print_about(FILE *to, const struct fl_terminal *terminal,
			const struct fl_summary_cell *cell)
{
	char share[FL_TEXT_BYTES], twin[FL_TEXT_BYTES + 32] = "", about[1024];

	if (cell->twin)
		snprintf(twin, sizeof(twin), "; %s (%s)", twin_words[cell->twin],
			 fl_text_share(share, cell->resolution));
	snprintf(about, sizeof(about), "%s; %s%s%s%s%s", cell->title,
		 cell->baseline ? "ratio to " : "no baseline",
		 cell->baseline ? cell->baseline->name : "", twin,
		 cell->planted ? "; " : "",
		 cell->planted ? planted_words[cell->planted] : "");
	fputs("  ", to);
	fl_wrap(to, terminal, 2, about);
}

static int print_cell(FILE *to, const struct fl_terminal *terminal,
		      const struct fl_summary_cell *cell)
{
	struct fl_table *table;
	int err;

	if (!cell->nr_timed || cell->bench)
		return 0;
	table = fl_table_new(columns, NR_COLUMNS);
	if (!table)
		return -ENOMEM;
	fputc('\n', to);
	fl_style_print(to, terminal, cell->twin == FL_VERDICT_BAD ||
		       cell->planted == FL_VERDICT_BAD ? FL_BAD : FL_STRONG,
		       cell->name);
	fputc('\n', to);
	print_about(to, terminal, cell);
	for (size_t a = 0; a < cell->nr_arms; a++)
		if (cell->arms[a].nr_blocks)
			put_arm(table, cell, &cell->arms[a]);
	err = fl_table_print(table, to, terminal, 2);
	fl_table_free(table);
	return err;
}

/* ---- pages and slow paths ----------------------------------------------- */

/* A number of two decimals, or nothing where older results have none. */
static void put_ratio(struct fl_table *table, double value, const char *unit)
{
	if (isnan(value))
		fl_table_put(table, FL_PLAIN, "-");
	else
		fl_table_put(table, FL_PLAIN, "%.2f%s", value, unit);
}

static int print_pages(FILE *to, const struct fl_terminal *terminal,
		       const struct fl_summary_cell *cell)
{
	static const struct fl_column page_columns[] = {
		{ "arm", false, 0 }, { "leaked", true, 0 },
		{ "peak/live", true, 0 }, { "peak pages", true, 0 },
		{ "mean", true, 1 }, { "at the end", true, 2 },
	};
	struct fl_table *table = NULL;
	char text[FL_TEXT_BYTES], about[512];
	int err = 0;

	for (size_t a = 0; a < cell->nr_arms && !err; a++) {
		struct fl_pages pages;

		if (fl_summary_pages(&cell->arms[a], &pages))
			continue;
		if (!table)
			table = fl_table_new(page_columns, 6);
		if (!table)
			return -ENOMEM;
		fl_table_put(table, FL_PLAIN, "%s", cell->arms[a].name);
		put_ratio(table, 100 * pages.leaked_share, " %");
		put_ratio(table, pages.peak_over_live, "");
		fl_table_put(table, FL_PLAIN, "%s",
			     fl_text_count(text, pages.peak));
		fl_table_put(table, FL_PLAIN, "%s",
			     fl_text_count(text, pages.mean));
		fl_table_put(table, FL_PLAIN, "%s",
			     fl_text_count(text, pages.last));
	}
	if (!table)
		return 0;
	fputc('\n', to);
	fl_style_print(to, terminal, FL_STRONG, cell->name);
	fputs("\n  ", to);
	snprintf(about, sizeof(about), "%s; resident pages, and which share of them leaked",
		 cell->title);
	fl_wrap(to, terminal, 2, about);
	err = fl_table_print(table, to, terminal, 2);
	fl_table_free(table);
	return err;
}

/* One workload's slow paths. */
static int print_slow(FILE *to, const struct fl_terminal *terminal,
		      const struct fl_summary_slow_row *rows, size_t nr)
{
	static const struct fl_column slow_columns[] = {
		{ "arm", false, 0 }, { "p50", true, 0 }, { "p90", true, 3 },
		{ "p99", true, 0 }, { "p99.9", true, 1 },
		{ "p99.99", true, 2 }, { "max", true, 0 },
		{ "timed", true, 0 }, { "", false, 4 },
	};
	struct fl_table *table = fl_table_new(slow_columns, 9);
	char text[FL_TEXT_BYTES];
	int err;

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const struct fl_summary_slow *slow = &rows[i].slow;
		double p50_ns;
		const char *why;

		p50_ns = fl_summary_percentile(slow, 0, &why);
		fl_table_put(table, FL_PLAIN, "%s", rows[i].arm->name);
		fl_table_put(table, FL_PLAIN, "%s",
			     fl_text_ns(text, p50_ns, MICRO));
		for (size_t p = 1; p < FL_SUMMARY_NR_PERCENTILES; p++)
			fl_table_put(table, FL_PLAIN, "%s",
				     why ? "" : fl_text_ns(text,
				     fl_summary_percentile(slow, p, NULL),
				     MICRO));
		fl_table_put(table, FL_PLAIN, "%s", why ? "" :
			     fl_text_ns(text, (double)slow->hist->max_ns,
					MICRO));
		fl_table_put(table, FL_PLAIN, "%s", fl_text_count(text,
			slow->hist ? (double)slow->hist->nr_values : 0));
		fl_table_put(table, FL_DIM, "%s", why ? why : "");
	}
	fputc('\n', to);
	fl_style_print(to, terminal, FL_STRONG, "Slow paths, one by one");
	fputs("\n  ", to);
	fl_wrap(to, terminal, 2, rows->title);
	err = fl_table_print(table, to, terminal, 2);
	fl_table_free(table);
	return err;
}

/* ---- the rest ----------------------------------------------------------- */

static void print_sentences(FILE *to, const struct fl_terminal *terminal,
			    const char *const *sentences, size_t nr,
			    const char *bullet)
{
	for (size_t i = 0; i < nr; i++) {
		fputs(bullet, to);
		fl_wrap(to, terminal, (unsigned int)strlen(bullet),
			sentences[i]);
	}
}

static void print_head(FILE *to, const struct fl_terminal *terminal,
		       const struct fl_summary *s)
{
	const struct fl_results *r = s->results;
	const json_t *seed = json_object_get(r->campaign, "seed");
	char samples[FL_TEXT_BYTES], number[40] = "", again[80] = "", about[512];

	if (json_is_integer(seed))
		snprintf(number, sizeof(number), ", seed %jd",
			 (intmax_t)json_integer_value(seed));
	if (s->nr_repeated || s->nr_flagged)
		snprintf(again, sizeof(again),
			 " (%zu repeated, %zu flagged all the same)",
			 s->nr_repeated, s->nr_flagged);
	snprintf(about, sizeof(about), "%s, %s profile%s, %zu blocks, %s samples%s",
		 fl_results_string(r, "campaign", "campaign without a name"),
		 fl_results_string(r, "profile", "unknown"), number,
		 s->nr_blocks, fl_text_count(samples, (double)s->nr_samples),
		 again);
	fl_style_print(to, terminal, FL_STRONG,
		       fl_results_string(r, "title", "Results of a campaign"));
	fputc('\n', to);
	fl_wrap(to, terminal, 0, about);
	fputc('\n', to);
	if (s->valid) {
		fl_style_print(to, terminal, FL_GOOD, "VALID");
		fputc('\n', to);
	} else {
		fl_style_print(to, terminal, FL_BAD,
			       "INVALID: do not use these numbers.");
		fputc('\n', to);
	}
	print_sentences(to, terminal, s->verdicts, s->nr_verdicts, "  ");
	fputc('\n', to);
	print_sentences(to, terminal, s->answers, s->nr_answers, "- ");
}

static void print_missing(FILE *to, const struct fl_terminal *terminal,
			  const struct fl_summary *s)
{
	bool any = false;

	for (size_t i = 0; i < s->nr_missing; i++) {
		const struct fl_summary_missing *missing = &s->missing[i];

		if (!any) {
			fputc('\n', to);
			fl_style_print(to, terminal, FL_STRONG, "Missing");
			fputc('\n', to);
			any = true;
		}
		fprintf(to, "  %s %s, %zu sample%s in %zu cell%s:\n    ",
			missing->arm, fl_result_status_name(missing->status),
			missing->nr_samples, missing->nr_samples == 1 ? "" : "s",
			missing->nr_cells, missing->nr_cells == 1 ? "" : "s");
		fl_wrap(to, terminal, 4, missing->reason);
	}
}

int fl_report_print(FILE *to, const struct fl_terminal *terminal,
		    const struct fl_summary *s)
{
	int err = 0;

	print_head(to, terminal, s);
	for (size_t c = 0; c < s->nr_cells && !err; c++)
		err = print_cell(to, terminal, &s->cells[c]);
	if (!err)
		err = fl_report_print_benches(to, terminal, s);
	for (size_t c = 0; c < s->nr_cells && !err; c++)
		err = print_pages(to, terminal, &s->cells[c]);
	for (size_t i = 0, next; i < s->nr_slow_rows && !err; i = next) {
		for (next = i + 1; next < s->nr_slow_rows &&
		     !strcmp(s->slow_rows[next].title, s->slow_rows[i].title);
		     next++)
			;
		err = print_slow(to, terminal, &s->slow_rows[i], next - i);
	}
	if (!err)
		err = fl_report_print_breakevens(to, terminal, s);
	if (!err)
		err = fl_report_print_builds(to, terminal, s);
	if (err)
		return err;
	print_missing(to, terminal, s);
	fputc('\n', to);
	if (!isnan(s->confidence)) {
		const bool strategies = fl_report_has_strategies(s);
		char note[512];

		snprintf(note, sizeof(note),
			 "interval: %.1f %% confidence or more, over blocks; ratio: paired within blocks; %sn: blocks (of those tried), f flagged, r repeated%s.",
			 floor(1000 * s->confidence) / 10, strategies ?
			 "floor: the empty loop; per 1000: slow paths per 1000 allocations; " :
			 "", strategies ?
			 "; fastest: of those that notice the end of a block" :
			 "");
		fl_wrap(to, terminal, 0, note);
	}
	return 0;
}
