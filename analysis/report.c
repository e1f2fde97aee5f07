/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report.h"
#include "analysis/report_bench.h"
#include "analysis/report_breakeven.h"
#include "analysis/report_builds.h"
#include "analysis/report_page.h"

#define MICRO		"\u00b5"
#define TIMES		"\u00d7"

/* Different reasons for what is not there, below one table. */
#define NOTES_MAX	26

static void number_cell(const struct fl_page *p, const char *class, double value)
{
	fl_html_number(p->to, class, value);
}

static size_t colour_of(const struct fl_page *p, const char *strategy)
{
	return p->palette->nr ? fl_palette_index(p->palette, strategy) : 0;
}

/* A swatch and the name. */
static void name_cell(const struct fl_page *p, const char *name,
		      const char *strategy, const char *class)
{
	html(p, "<th scope=row%s%s><i class=dot style=--k:var(--c%zu)></i>",
	     *class ? " class=" : "", class, colour_of(p, strategy));
	put(p, name);
	html(p, "</th>");
}

/* ---- head --------------------------------------------------------------- */

static void put_head(const struct fl_page *p)
{
	const struct fl_results *r = p->s->results;
	const char *name = fl_results_string(r, "campaign", "a campaign");
	const char *title = fl_results_string(r, "title", name);
	const json_t *seed = json_object_get(r->campaign, "seed");
	const char *started = fl_results_string(r, "started", "");
	char count[FL_TEXT_BYTES];

	fl_page_begin(p, title);
	element(p, "h1", "", title);
	html(p, "\n<p class=sub>");
	put(p, name);
	html(p, " \u00b7 ");
	put(p, fl_results_string(r, "profile", "unknown"));
	html(p, " profile \u00b7 %zu blocks \u00b7 %s samples", p->s->nr_blocks,
	     fl_text_count(count, (double)p->s->nr_samples));
	if (json_is_integer(seed))
		html(p, " \u00b7 seed %" PRId64,
		     (int64_t)json_integer_value(seed));
	if (*started) {
		html(p, " \u00b7 begun ");
		put(p, started);
	}
	html(p, "</p>\n");
}

void fl_page_stamp(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;

	html(p, "<section class=\"stamp%s\"><b>%s</b>\n", s->valid ? "" : " bad",
	     s->valid ? "VALID" : "INVALID: do not use these numbers");
	for (size_t i = 0; i < s->nr_verdicts; i++) {
		element(p, "p", "", s->verdicts[i]);
		html(p, "\n");
	}
	html(p, "</section>\n");
}

void fl_page_problems(const struct fl_page *p)
{
	const struct fl_results *r = p->s->results;
	size_t told = r->nr_problems < FL_RESULTS_PROBLEMS_MAX ?
		      r->nr_problems : FL_RESULTS_PROBLEMS_MAX;

	if (!r->nr_problems)
		return;
	html(p, "<section class=warn><p>Not all files could be read:</p><ul>\n");
	for (size_t i = 0; i < told; i++) {
		element(p, "li", "", r->problems[i] ? r->problems[i] : "");
		html(p, "\n");
	}
	if (r->nr_problems > told)
		html(p, "<li>and %zu more like these</li>\n",
		     r->nr_problems - told);
	html(p, "</ul></section>\n");
}

/* ---- answers ------------------------------------------------------------ */

void fl_page_answers(const struct fl_page *p)
{
	part(p, "answers", "In short");
	html(p, "<ul>\n");
	for (size_t i = 0; i < p->s->nr_answers; i++) {
		const char *answer = p->s->answers[i];
		const char *colon = strchrnul(answer, ':');

		html(p, "<li><b>");
		while (answer < colon)
			fl_html_char(p->to, *answer++);
		html(p, "</b>");
		put(p, answer);
		html(p, "</li>\n");
	}
	html(p, "</ul>\n");
}

/* How many cells was it timed in? */
static size_t nr_cells_timed(const struct fl_summary *s, const char *name)
{
	size_t nr = 0;

	for (size_t c = 0; c < s->nr_cells; c++) {
		const struct fl_summary_arm *arm = fl_cell_arm(&s->cells[c], name);

		nr += arm && arm->alloc_ns.n;
	}
	return nr;
}

static void put_glance(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;
	size_t nr_cells = 0, least, nr_out = 0;

	for (size_t c = 0; c < s->nr_cells; c++)
		nr_cells += s->cells[c].nr_timed > 0 && !s->cells[c].bench;
	least = nr_cells > 1 ? 2 : 1;
	for (size_t i = 0; i < s->nr_strategies; i++)
		nr_out += nr_cells_timed(s, s->strategies[i].name) == 1;
	part(p, "glance", "All cells at a glance");
	html(p, "<p class=note>Nanoseconds per allocation, median over blocks; in bold the "
	     "fastest that notices the end of a block. " FL_HTML_NONE ": not measured.%s</p>\n"
	     "<div class=scroll><table><thead><tr><th>cell</th>",
	     least > 1 && nr_out ? " Arms that were timed in a single cell stand with "
				   "that cell, below." : "");
	for (size_t i = 0; i < s->nr_strategies; i++)
		if (nr_cells_timed(s, s->strategies[i].name) >= least) {
			html(p, "<th class=n>");
			put(p, s->strategies[i].name);
			html(p, "</th>");
		}
	html(p, "</tr></thead><tbody>\n");
	for (size_t c = 0; c < s->nr_cells; c++) {
		const struct fl_summary_cell *cell = &s->cells[c];

		if (!cell->nr_timed || cell->bench)
			continue;
		html(p, "<tr><th scope=row><a href=\"#%scell-%zu\">", p->id, c);
		put(p, cell->name);
		html(p, "</a></th>");
		for (size_t i = 0; i < s->nr_strategies; i++) {
			const char *name = s->strategies[i].name;
			const struct fl_summary_arm *arm = fl_cell_arm(cell, name);

			if (nr_cells_timed(s, name) >= least)
				number_cell(p, arm && arm == cell->fastest ?
					    "best" : "",
					    arm && arm->alloc_ns.n ?
					    arm->alloc_ns.median : NAN);
		}
		html(p, "</tr>\n");
	}
	html(p, "</tbody></table></div>\n");
}

/* ---- plots -------------------------------------------------------------- */

/* What to look at. */
static void put_caption(const struct fl_page *p, const struct fl_plot *plot)
{
	switch (plot->kind) {
	case FL_PLOT_CROSSING:
		html(p, "Look for where the line of a redirecting fault passes below the "
		     "best branch: in larger blocks the fault is the cheaper way to "
		     "notice the end. Lines fall because larger blocks end less often; "
		     "the dotted line never looks, so nothing can be below it but noise. "
		     "Bars are intervals");
		if (isfinite(p->s->confidence))
			html(p, " (%.1f %% or more)",
			     floor(1000 * p->s->confidence) / 10);
		html(p, "; both axes are logarithmic.");
		break;
	case FL_PLOT_BREAKEVEN:
		html(p, "Below 1 the fault is the cheaper way to notice the end of a block. "
		     "Points are observed, with their intervals; lines are predicted from "
		     "fast and slow paths that were measured alone. Points off their line "
		     "mean that a slow path costs something else in place than by itself, "
		     "or that the fast paths do. Both axes are logarithmic.");
		break;
	case FL_PLOT_RESIDENT:
		html(p, "Look at how lines go on: one that levels off uses its pages again, "
		     "one that keeps rising holds on to pages that nothing touches any "
		     "more. Counted by the kernel at even distances in events; the "
		     "strategy's bookkeeping included.");
		break;
	case FL_PLOT_STACK:
		html(p, "Red is what the notes call a leak: pages that hold nothing alive and "
		     "are not used again before they go back, or before the run ends (pale). "
		     "Pooled pages wait for their next object. One scale for all; of "
		     "neighbouring censuses that share a step, the one with most pages "
		     "(all of them: --png, --pdf).");
		break;
	case FL_PLOT_PARETO:
		html(p, "Left and below is better. The line joins the arms that none is "
		     "better than in both: who is above it pays time, or pages, for nothing. "
		     "Pages are of one pass, counted; time is of passes that count nothing, "
		     "with intervals. The share's axis is linear below 0.5 %% and "
		     "logarithmic above.");
		break;
	case FL_PLOT_PERCENTILES:
		html(p, "Look at how far a row reaches to the right: half of the ops take no "
		     "longer than the full dot, all but one in a hundred no longer than the "
		     "open one. Each was timed by itself, which adds two readings of the "
		     "clock. Bars are intervals over samples; a dot without one is of all "
		     "samples together. The axis is logarithmic.");
		break;
	case FL_PLOT_LEVELS:
		html(p, "Look for lines that fall: what they pay once is shared by more ops "
		     "to the right. Bars are intervals; both axes are logarithmic.");
		break;
	case FL_PLOT_ROWS:
	case FL_PLOT_LINES:
		put(p, plot->caption);
		html(p, "%sBars are intervals.", *plot->caption ? " " : "");
		break;
	}
}

/* A campaign of benches alone lacks nothing that is about allocating. */
static bool is_wanted(const struct fl_page *p, const struct fl_plot *plot)
{
	return plot->wide || plot->kind == FL_PLOT_ROWS ||
	       plot->kind == FL_PLOT_LINES || fl_report_has_strategies(p->s);
}

static bool has_plots(const struct fl_page *p)
{
	for (size_t i = 0; i < p->plots->nr; i++)
		if (is_wanted(p, &p->plots->plots[i]))
			return true;
	return false;
}

/* Height over width. */
static double slope_of(const char *svg)
{
	double width, height;

	return sscanf(svg, "<svg viewBox=\"%*f %*f %lf %lf", &width, &height) == 2 ?
	       height / width : 0;
}

/*
 * Two narrow ones stand beside each other in print, unless the wide one takes less
 * paper: one of many panels.
 */
static bool spans(const struct fl_plot *plot)
{
	return plot->narrow && slope_of(plot->wide) < slope_of(plot->narrow) / 3;
}

static void put_plot(const struct fl_page *p, const struct fl_plot *plot)
{
	html(p, "<div class=\"plot%s\">", spans(plot) ? " span" : "");
	within(p, plot->title);
	if (!plot->wide) {
		html(p, "<p class=missing>No plot: ");
		put(p, plot->missing ? plot->missing : "unknown");
		html(p, ".</p></div>\n");
		return;
	}
	html(p, "<figure>");
	if (plot->narrow)
		html(p, "<div class=wide>%s</div><div class=narrow>%s</div>",
		     plot->wide, plot->narrow);
	else
		html(p, "<div class=\"scroll aside\">%s</div>", plot->wide);
	html(p, "\n<figcaption>");
	put_caption(p, plot);
	if (plot->without) {
		html(p, " ");
		put(p, plot->without);
	}
	html(p, "</figcaption></figure></div>\n");
}

void fl_page_plots(const struct fl_page *p)
{
	size_t nr_aside = 0;

	if (has_plots(p))
		part(p, "plots", "Plots");
	html(p, "<div class=plots>\n");
	for (size_t i = 0; i < p->plots->nr; i++) {
		const bool aside = p->plots->plots[i].aside && p->plots->plots[i].wide;

		nr_aside += aside;
		if (!aside && is_wanted(p, &p->plots->plots[i]))
			put_plot(p, &p->plots->plots[i]);
	}
	html(p, "</div>\n");
	if (!nr_aside)
		return;
	html(p, "<details><summary>More plots: %zu, of %sthe machine meanwhile</summary>\n",
	     nr_aside, nr_aside > 1 ? "resident pages as lines, and of " : "");
	for (size_t i = 0; i < p->plots->nr; i++)
		if (p->plots->plots[i].aside && p->plots->plots[i].wide)
			put_plot(p, &p->plots->plots[i]);
	html(p, "</details>\n");
}

/* ---- cells -------------------------------------------------------------- */

/* The ratios of a cell on one axis, 1 among them. */
struct axis {
	double lo, hi;		/* logs */
};

static void find_axis(const struct fl_summary_cell *cell, struct axis *axis)
{
	axis->lo = -0.05;
	axis->hi = 0.05;
	for (size_t a = 0; a < cell->nr_arms; a++)
		if (cell->arms[a].ratio.n) {
			axis->lo = fmin(axis->lo, log(cell->arms[a].ratio.lo));
			axis->hi = fmax(axis->hi, log(cell->arms[a].ratio.hi));
		}
}

static double axis_x(const struct axis *axis, double ratio)
{
	return 5 + 140 * (log(ratio) - axis->lo) / (axis->hi - axis->lo);
}

static void bar_cell(const struct fl_page *p, const struct axis *axis,
		     const struct fl_summary_arm *arm)
{
	double one = axis_x(axis, 1);

	html(p, "<td class=\"extra forest\">");
	if (arm->ratio.n || arm->role == FL_RESULT_BASELINE) {
		html(p, "<svg class=bar viewBox=\"0 0 150 15\" aria-hidden=true style=--k:var(--c%zu)>"
		     "<path class=one d=\"M%.1f 0v15\"/>",
		     colour_of(p, arm->strategy), one);
		if (arm->ratio.n)
			html(p, "<path d=\"M%.1f 7.5H%.1f\"/>"
			     "<circle cx=\"%.1f\" cy=\"7.5\" r=\"3\"/>",
			     axis_x(axis, arm->ratio.lo),
			     axis_x(axis, arm->ratio.hi),
			     axis_x(axis, arm->ratio.ratio));
		html(p, "</svg>");
	}
	html(p, "</td>");
}

void fl_report_html_samples(FILE *to, const struct fl_summary_arm *arm)
{
	fprintf(to, "<td class=wrap>%zu", arm->nr_ok);
	if (arm->nr_ok < arm->nr_blocks)
		fprintf(to, " of %zu", arm->nr_blocks);
	if (arm->nr_flagged)
		fprintf(to, ", %zu flagged", arm->nr_flagged);
	if (arm->nr_repeated)
		fprintf(to, ", %zu repeated", arm->nr_repeated);
	if (arm->nr_uneven)
		fprintf(to, ", %zu with other events than implied",
			arm->nr_uneven);
	fputs("</td>", to);
}

static void duration_cell(const struct fl_page *p, const char *class, double ns)
{
	fl_html_duration(p->to, class, ns);
}

/* Were slow paths timed one by one, and long enough? */
static bool has_slow(const struct fl_summary_cell *cell)
{
	for (size_t a = 0; a < cell->nr_arms; a++)
		if (cell->arms[a].slow.resolved)
			return true;
	return false;
}

void fl_report_html_times(FILE *to, const struct fl_summary_cell *cell,
			  const struct fl_summary_arm *arm)
{
	if (!arm->alloc_ns.n) {
		fputs("<td class=why colspan=4>", to);
		for (size_t i = 0; i < arm->nr_reasons; i++) {
			fprintf(to, "%s%s: ", i ? "; " : "",
				fl_result_status_name(arm->reasons[i].status));
			fl_html_text(to, arm->reasons[i].text);
		}
		fputs("</td>", to);
		return;
	}
	fl_html_number(to, arm == cell->fastest && (!cell->bench || cell->second) ?
		       "best" : "", arm->alloc_ns.median);
	fl_html_interval(to, "", arm->alloc_ns.lo, arm->alloc_ns.hi);
	fl_html_number(to, "", arm == cell->baseline ? 1 :
		       arm->ratio.n ? arm->ratio.ratio : NAN);
	fl_html_interval(to, "", arm->ratio.n ? arm->ratio.lo : NAN,
			 arm->ratio.n ? arm->ratio.hi : NAN);
}

static void arm_row(const struct fl_page *p, const struct fl_summary_cell *cell,
		    const struct fl_summary_arm *arm, const struct axis *axis)
{
	double events = fl_summary_value(arm, "events");
	double allocs = fl_summary_value(arm, "nr_allocs");
	bool control = arm->role == FL_RESULT_TWIN ||
		       arm->role == FL_RESULT_PLANTED;

	html(p, "<tr%s>", control ? " class=control" : "");
	name_cell(p, arm->name, arm->strategy,
		  arm == cell->fastest ? "best" : "");
	fl_report_html_times(p->to, cell, arm);
	if (!arm->alloc_ns.n) {
		html(p, "<td class=extra colspan=%d></td>",
		     has_slow(cell) ? 4 : 2);
		fl_report_html_samples(p->to, arm);
		html(p, "</tr>\n");
		return;
	}
	bar_cell(p, axis, arm);
	for (size_t i = 0; i <= 2 && has_slow(cell); i += 2)
		duration_cell(p, "extra",
			      fl_summary_percentile(&arm->slow, i, NULL));
	number_cell(p, "extra", allocs > 0 ? 1000 * events / allocs : NAN);
	fl_report_html_samples(p->to, arm);
	html(p, "</tr>\n");
}

static void put_verdict(const struct fl_page *p, const struct fl_summary_cell *cell)
{
	static const char *const twins[] = {
		[FL_VERDICT_UNJUDGED] = "A/A: not judged",
		[FL_VERDICT_UNDECIDED] = "A/A: undecided",
		[FL_VERDICT_GOOD] = "A/A: alike",
		[FL_VERDICT_BAD] = "<strong>A/A: differs</strong>",
	};
	static const char *const planteds[] = {
		[FL_VERDICT_UNJUDGED] = "planted slowdown: not judged",
		[FL_VERDICT_GOOD] = "planted slowdown: seen",
		[FL_VERDICT_BAD] = "<strong>planted slowdown: missed</strong>",
	};

	char share[FL_TEXT_BYTES];

	if (cell->twin)
		html(p, " \u00b7 %s", twins[cell->twin]);
	if (cell->twin && isfinite(cell->resolution))
		html(p, " (%s)", fl_text_share(share, cell->resolution));
	if (cell->planted)
		html(p, " \u00b7 %s", planteds[cell->planted]);
}

static void put_cell(const struct fl_page *p, size_t c)
{
	const struct fl_summary_cell *cell = &p->s->cells[c];
	char a[FL_TEXT_BYTES], b[FL_TEXT_BYTES];
	double floor_ns = NAN;
	struct axis axis;

	if (!cell->nr_timed || cell->bench)
		return;
	find_axis(cell, &axis);
	for (size_t i = 0; i < cell->nr_arms && isnan(floor_ns); i++)
		floor_ns = fl_summary_value(cell->baseline ? cell->baseline :
					    &cell->arms[i], "floor_ns");
	html(p, "<h%d id=\"%scell-%zu\">", p->level + 1, p->id, c);
	put(p, cell->name);
	html(p, "</h%d>\n<p class=note>", p->level + 1);
	put(p, cell->title);
	if (cell->residence)
		html(p, ", cursor in %s", strcmp(cell->residence, "register") ?
		     "memory" : "registers");
	if (cell->block_bytes)
		html(p, ", blocks of %s",
		     fl_text_bytes(a, (double)cell->block_bytes));
	if (cell->lifetime_bytes)
		html(p, ", %s per lifetime",
		     fl_text_bytes(b, (double)cell->lifetime_bytes));
	if (isfinite(floor_ns))
		html(p, " \u00b7 empty loop %s ns",
		     fl_text_number(a, floor_ns, false));
	if (cell->baseline && strcmp(cell->baseline->name, fl_results_string(
				     p->s->results, "baseline", ""))) {
		html(p, " \u00b7 ratio to ");
		put(p, cell->baseline->name);
	}
	put_verdict(p, cell);
	html(p, "</p>\n<div class=scroll><table><thead><tr><th>arm</th>"
	     "<th class=n>ns/alloc</th><th class=i>interval</th><th class=n>ratio</th>"
	     "<th class=i>interval</th><th class=extra><span class=axis><span>%s</span>"
	     "<span>%s</span></span></th>%s<th class=\"n extra\">per 1000</th>"
	     "<th>blocks</th></tr></thead><tbody>\n",
	     fl_text_number(a, exp(axis.lo), false),
	     fl_text_number(b, exp(axis.hi), false), has_slow(cell) ?
	     "<th class=\"n extra\">slow p50</th><th class=\"n extra\">p99</th>" :
	     "");
	for (size_t i = 0; i < cell->nr_arms; i++)
		if (cell->arms[i].nr_blocks)
			arm_row(p, cell, &cell->arms[i], &axis);
	html(p, "</tbody></table></div>\n");
}

static void put_cells(const struct fl_page *p)
{
	const struct fl_results *r = p->s->results;

	part(p, "cells", "Cell by cell");
	html(p, "<p class=note>Ratio: time relative to ");
	put(p, fl_results_string(r, "baseline", "the baseline"));
	html(p, ", paired within blocks; above 1 is slower. Per 1000: slow paths per 1000 "
	     "allocations. Grey rows are controls: the same arm again, and one slowed "
	     "down on purpose. The bars show ratio and interval on a logarithmic axis; "
	     "the thin line is 1.</p>\n");
	for (size_t c = 0; c < p->s->nr_cells; c++)
		put_cell(p, c);
}

/* ---- slow paths --------------------------------------------------------- */

/* Letter of @why among @notes, which it joins if it is new; 0: no room. */
static char note_letter(const char **notes, size_t *nr, const char *why)
{
	size_t i = 0;

	while (i < *nr && strcmp(notes[i], why))
		i++;
	if (i == NOTES_MAX)
		return 0;
	if (i == *nr)
		notes[(*nr)++] = why;
	return (char)('a' + i);
}

static void slow_row(const struct fl_page *p, const struct fl_summary_slow_row *row,
		     const char **notes, size_t *nr_notes)
{
	const struct fl_summary_strategy *s = row->arm;
	char text[FL_TEXT_BYTES];
	const char *why;

	html(p, "<tr>");
	name_cell(p, s->name, s->strategy, "");
	html(p, "<td class=extra>");
	put(p, s->answer ? s->answer : FL_HTML_NONE);
	if (s->trigger && (!s->answer || strcmp(s->trigger, s->answer))) {
		html(p, ", ");
		put(p, s->trigger);
	}
	html(p, "</td><td class=n>%s</td>", fl_text_count(text,
		row->slow.hist ? (double)row->slow.hist->nr_values : 0));
	fl_summary_percentile(&row->slow, 0, &why);
	if (why) {
		html(p, "<td class=why colspan=%d>",
		     FL_SUMMARY_NR_PERCENTILES + 1);
		put(p, why);
		html(p, "</td></tr>\n");
		return;
	}
	for (size_t i = 0; i < FL_SUMMARY_NR_PERCENTILES; i++) {
		double ns = fl_summary_percentile(&row->slow, i, &why);
		char letter;

		if (!why) {
			duration_cell(p, "", ns);
			continue;
		}
		letter = note_letter(notes, nr_notes, why);
		html(p, "<td class=\"n none\">" FL_HTML_NONE "<sup>%c</sup></td>",
		     letter ? letter : '?');
	}
	duration_cell(p, "", (double)row->slow.hist->max_ns);
	html(p, "</tr>\n");
}

/* One workload's slow paths. */
static void put_slow_table(const struct fl_page *p,
			   const struct fl_summary_slow_row *rows, size_t nr)
{
	const char *notes[NOTES_MAX];
	size_t nr_notes = 0;

	within(p, rows->title);
	html(p, "<div class=scroll><table><thead><tr><th>arm</th>"
	     "<th class=extra>at the end of a block</th><th class=n>timed</th>"
	     "<th class=n>p50</th><th class=n>p90</th><th class=n>p99</th>"
	     "<th class=n>p99.9</th><th class=n>p99.99</th><th class=n>max</th>"
	     "</tr></thead><tbody>\n");
	for (size_t i = 0; i < nr; i++)
		slow_row(p, &rows[i], notes, &nr_notes);
	html(p, "</tbody></table></div>\n");
	for (size_t i = 0; i < nr_notes; i++) {
		html(p, "<p class=note><sup>%c</sup> ", 'a' + (int)i);
		put(p, notes[i]);
		html(p, "</p>\n");
	}
}

static void put_slow(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;

	part(p, "slow", "What the end of a block costs");
	if (!s->nr_slow_rows) {
		html(p, "<p class=missing>No cell of this campaign timed slow paths one by "
		     "one; a cell with latency_events does.</p>\n");
		return;
	}
	html(p, "<p class=note>Slow paths timed one by one on the allocating thread, all "
	     "blocks together; percentiles within %.2g %%.</p>\n",
	     100 * FL_HIST_ERROR);
	for (size_t i = 0, next; i < s->nr_slow_rows; i = next) {
		for (next = i + 1; next < s->nr_slow_rows &&
		     !strcmp(s->slow_rows[next].title, s->slow_rows[i].title);
		     next++)
			;
		put_slow_table(p, &s->slow_rows[i], next - i);
	}
}

/* ---- pages -------------------------------------------------------------- */

static void count_cell(const struct fl_page *p, double count)
{
	char text[FL_TEXT_BYTES];

	html(p, "<td class=n>%s</td>", fl_text_count(text, count));
}

/* At most two decimals, or a sign that there is none. */
static void decimal_cell(const struct fl_page *p, double value, const char *unit)
{
	if (isnan(value))
		html(p, "<td class=n>%s</td>", FL_HTML_NONE);
	else if (value == floor(value))
		html(p, "<td class=n>%.0f%s</td>", value, unit);
	else
		html(p, "<td class=n>%.2f%s</td>", value, unit);
}

static void put_pages(const struct fl_page *p)
{
	const json_t *host = json_object_get(json_object_get(
		p->s->results->campaign, "fingerprint"), "host");
	double page_bytes = json_number_value(json_object_get(host,
							      "page_bytes"));
	char text[FL_TEXT_BYTES];

	for (size_t c = 0; c < p->s->nr_cells; c++) {
		const struct fl_summary_cell *cell = &p->s->cells[c];
		bool any = false;

		for (size_t a = 0; a < cell->nr_arms; a++) {
			const struct fl_summary_arm *arm = &cell->arms[a];
			struct fl_pages pages;

			if (fl_summary_pages(arm, &pages))
				continue;
			if (!any) {
				html(p, "<h%d id=\"%spages-%zu\">Resident pages, ",
				     p->level, p->id, c);
				put(p, cell->title);
				html(p, "</h%d>\n<div class=scroll><table><thead><tr>"
				     "<th>arm</th><th class=n>leaked</th>"
				     "<th class=n>of it, censored</th>"
				     "<th class=n>peak to peak live</th>"
				     "<th class=n>tail, bytes</th>"
				     "<th class=n>last page, bytes</th>"
				     "<th class=n>peak, pages</th>"
				     "<th class=n>peak</th><th class=n>mean, pages</th>"
				     "<th class=n>at the end, pages</th></tr></thead>"
				     "<tbody>\n", p->level);
			}
			any = true;
			html(p, "<tr>");
			name_cell(p, arm->name, arm->strategy, "");
			decimal_cell(p, 100 * pages.leaked_share, " %");
			decimal_cell(p, 100 * pages.censored_share, " %");
			decimal_cell(p, pages.peak_over_live, "");
			decimal_cell(p, pages.tail_p50_bytes, "");
			decimal_cell(p, pages.last_page_p50_bytes, "");
			count_cell(p, pages.peak);
			html(p, "<td class=n>%s</td>", page_bytes > 0 ?
			     fl_text_bytes(text, pages.peak * page_bytes) :
			     FL_HTML_NONE);
			count_cell(p, pages.mean);
			count_cell(p, pages.last);
			html(p, "</tr>\n");
		}
		if (any)
			html(p, "</tbody></table></div>\n");
	}
}

/* ---- the whole ---------------------------------------------------------- */

void fl_page_numbers(const struct fl_page *p)
{
	const bool strategies = fl_report_has_strategies(p->s);

	fl_report_html_breakevens(p);
	fl_report_html_builds(p);
	if (strategies) {
		put_glance(p);
		put_slow(p);
		put_pages(p);
	}
	fl_report_html_benches(p);
	if (strategies)
		put_cells(p);
}

int fl_report_html(FILE *to, const struct fl_summary *summary,
		   const struct fl_plots *plots, const struct fl_palette *palette,
		   const char *plan)
{
	const struct fl_page p = {
		.to = to, .s = summary, .plots = plots, .palette = palette,
		.plan = plan, .id = "", .level = 2,
	};
	const bool strategies = fl_report_has_strategies(summary);
	const bool benches = fl_report_has_benches(summary);

	put_head(&p);
	fl_page_stamp(&p);
	fl_page_problems(&p);
	html(&p, "<nav aria-label=Contents>%s%s%s"
	     "<a href=\"#missing\">What is missing</a>"
	     "<a href=\"#environment\">Environment</a><a href=\"#repeat\">Repeat it</a>"
	     "<a href=\"#definitions\">Definitions</a></nav>\n",
	     has_plots(&p) ? "<a href=\"#plots\">Plots</a>" : "",
	     strategies ? "<a href=\"#glance\">At a glance</a><a href=\"#slow\">Slow paths</a>"
	     "<a href=\"#cells\">Cell by cell</a>" : "",
	     benches ? "<a href=\"#benches\">Benches</a>" : "");
	fl_page_answers(&p);
	fl_page_plots(&p);
	fl_page_numbers(&p);
	fl_page_missing(&p);
	fl_page_environment(&p, json_object_get(summary->results->campaign,
						"fingerprint"));
	fl_page_repeat(&p);
	part(&p, "definitions", "What the words and numbers mean");
	fl_page_words(&p);
	fl_page_metrics(&p);
	fl_page_end(&p);
	return 0;
}
