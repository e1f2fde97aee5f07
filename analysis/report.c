/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/html.h"
#include "analysis/report.h"
#include "analysis/report_bench.h"
#include "analysis/report_breakeven.h"
#include "harness/counters.h"
#include "harness/metrics.h"

#ifndef PACKAGE_STRING
#define PACKAGE_STRING	"faultline"
#endif

#define MICRO		"\u00b5"
#define TIMES		"\u00d7"

/* Values of the environment longer than this are folded away. */
#define LONG_VALUE	120

/* So are more facts of one kind than this. */
#define FACTS_MAX	5

/* Different reasons for what is not there, below one table. */
#define NOTES_MAX	26

struct page {
	FILE *to;
	const struct fl_summary *s;
	const struct fl_plots *plots;
	const struct fl_palette *palette;
	const char *plan;
};

/* ---- text --------------------------------------------------------------- */

/* Any text, as text. */
static void put(const struct page *p, const char *text)
{
	fl_html_text(p->to, text);
}

/* The format is HTML; %s among it must be safe or be put(). */
static void html(const struct page *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void html(const struct page *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(p->to, format, args);
	va_end(args);
}

/* <tag class>text</tag>, where the class is ours. */
static void element(const struct page *p, const char *tag, const char *attributes,
		    const char *text)
{
	fl_html_element(p->to, tag, attributes, text);
}

static void number_cell(const struct page *p, const char *class, double value)
{
	fl_html_number(p->to, class, value);
}

static size_t colour_of(const struct page *p, const char *strategy)
{
	return p->palette->nr ? fl_palette_index(p->palette, strategy) : 0;
}

/* A swatch and the name. */
static void name_cell(const struct page *p, const char *name,
		      const char *strategy, const char *class)
{
	html(p, "<th scope=row class=\"%s\"><i class=dot style=\"--k:var(--c%zu)\"></i>",
	     class, colour_of(p, strategy));
	put(p, name);
	html(p, "</th>");
}

/* ---- head --------------------------------------------------------------- */

static const char style[] =
"*{box-sizing:border-box}\n"
"html{-webkit-text-size-adjust:100%;text-size-adjust:100%}\n"
"body{margin:0;background:var(--paper);color:var(--text);"
"font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n"
"main{max-width:70rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}\n"
"h1{font-size:1.75rem;line-height:1.2;font-weight:650;margin:0 0 .35rem;letter-spacing:-.01em}\n"
"h2{font-size:1.2rem;font-weight:650;margin:3rem 0 .6rem;padding-top:.9rem;border-top:1px solid var(--grid)}\n"
"h3{font-size:1rem;font-weight:650;margin:2rem 0 .1rem}\n"
"p{margin:.4rem 0;max-width:46rem}\n"
"ul{margin:.4rem 0;padding-left:1.2rem;max-width:54rem}li{margin:.3rem 0}li b{font-weight:600}\n"
".sub,.note,figcaption,.foot{color:var(--muted)}\n"
".sub{margin:0 0 1.4rem;max-width:none}.note,figcaption,.foot{font-size:.875rem}.note{max-width:60rem}\n"
"sup{font-size:.7em;line-height:0}\n"
"nav{font-size:.875rem;margin:1.1rem 0 0;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem}\n"
"a{color:inherit;text-decoration-color:var(--muted);text-underline-offset:.18em}\n"
".stamp{border:1px solid var(--grid);border-left:6px solid var(--ok);border-radius:4px;padding:.8rem 1.1rem}\n"
".stamp b{font-size:1.15rem;letter-spacing:.06em;color:var(--ok)}\n"
".stamp.bad{border:2px solid var(--bad);border-left-width:12px}\n"
".stamp.bad b{font-size:1.6rem;color:var(--bad)}\n"
".stamp p{margin:.25rem 0 0;max-width:60rem}\n"
".warn{border-left:6px solid var(--grid);padding:.2rem 1.1rem;margin:1rem 0}\n"
".scroll{overflow-x:auto;margin:.6rem 0;-webkit-overflow-scrolling:touch}\n"
"table{border-collapse:collapse;font-size:.875rem;line-height:1.35;font-variant-numeric:tabular-nums}\n"
"th,td{padding:.28rem .65rem;text-align:left;vertical-align:baseline;white-space:nowrap}\n"
"th:first-child,td:first-child{padding-left:0}\n"
"thead th{font-weight:500;color:var(--muted);border-bottom:1px solid var(--muted);vertical-align:bottom}\n"
"tbody th{font-weight:400}\n"
"tbody tr+tr>*{border-top:1px solid var(--grid)}\n"
"tr.control>*{color:var(--muted)}\n"
".n{text-align:right}.i,thead .i{color:var(--muted);padding-left:0}\n"
".best{font-weight:700}.none{color:var(--muted)}\n"
".why{white-space:normal;min-width:14rem;color:var(--muted)}\n"
".text td,.wrap{white-space:normal}.wrap{min-width:6rem}\n"
".dot{display:inline-block;width:.65em;height:.65em;border-radius:50%;background:var(--k);margin-right:.5em}\n"
"td.forest{vertical-align:middle}.bar{display:block;width:150px;height:15px}\n"
".bar line{stroke:var(--k);stroke-width:1.6}.bar circle{fill:var(--k)}.bar .one{stroke:var(--muted);stroke-width:1}\n"
".axis{display:flex;justify-content:space-between;width:150px;font-weight:400}\n"
"figure{margin:1rem 0 2rem}figcaption{margin-top:.6rem;max-width:60rem}\n"
"figure svg{display:block;width:100%;height:auto;font-family:inherit}\n"
".narrow{display:none}\n"
".missing{border:1px dashed var(--muted);border-radius:4px;padding:1rem 1.2rem;color:var(--muted);max-width:46rem}\n"
"dl{display:grid;grid-template-columns:minmax(9rem,max-content) 1fr;gap:.1rem 1.2rem;font-size:.875rem;margin:.4rem 0}\n"
"dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}\n"
"pre{background:var(--well);border-radius:4px;padding:.8rem 1rem;overflow-x:auto;font-size:.8125rem;line-height:1.45}\n"
"code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}\n"
"summary{cursor:pointer;color:var(--muted)}\n"
"@media (max-width:640px){main{padding:1.5rem 1rem 3rem}h1{font-size:1.4rem}"
".wide{display:none}.narrow{display:block}.extra{display:none}"
"dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}"
".scroll th:first-child{position:sticky;left:0;background:var(--paper)}}\n"
"@media print{body{font-size:10pt}main{max-width:none;padding:0}nav{display:none}"
".wide{display:block}.narrow{display:none}.extra{display:table-cell}"
"h2,h3{break-after:avoid}tr,figure,.stamp{break-inside:avoid}"
".scroll{overflow:visible}table{font-size:7.5pt}th,td{padding:.15rem .35rem}.bar,.axis{width:90px}pre{white-space:pre-wrap}}\n";

static void put_colours(const struct page *p, bool dark)
{
	static const char *const base[][3] = {
		{ "paper", "#ffffff", "#15171a" },
		{ "text", "#1f2328", "#e4e7ea" },
		{ "muted", "#5b636b", "#9aa3ad" },
		{ "grid", "#e4e7ea", "#2d3238" },
	};

	html(p, ":root{");
	/* The page has these without the palette, too. */
	for (size_t i = 0; i < sizeof(base) / sizeof(*base); i++) {
		const char *value = base[i][1 + dark];

		for (size_t k = 0; k < p->palette->nr; k++)
			if (!strcmp(p->palette->colours[k].name, base[i][0]))
				value = dark ? p->palette->colours[k].dark :
					       p->palette->colours[k].light;
		html(p, "--%s:%s;", base[i][0], value);
	}
	html(p, dark ? "--well:#1f2328;--ok:#4cc38a;--bad:#ff7b72;" :
		       "--well:#f4f5f7;--ok:#0f7b4b;--bad:#b42318;");
	for (size_t k = 0; k < p->palette->nr; k++)
		html(p, "--c%zu:%s;", k, dark ? p->palette->colours[k].dark :
						p->palette->colours[k].light);
	html(p, "}");
}

static void put_head(const struct page *p)
{
	const struct fl_results *r = p->s->results;
	const char *name = fl_results_string(r, "campaign", "a campaign");
	const char *title = fl_results_string(r, "title", name);
	const json_t *seed = json_object_get(r->campaign, "seed");
	const char *started = fl_results_string(r, "started", "");
	char count[FL_TEXT_BYTES];

	html(p, "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
	     "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
	     "<meta name=color-scheme content=\"light dark\">\n<title>");
	put(p, title);
	html(p, "</title>\n<style>\n:root{color-scheme:light dark}\n");
	put_colours(p, false);
	html(p, "\n@media (prefers-color-scheme:dark){");
	put_colours(p, true);
	html(p, "}\n@media print{");
	put_colours(p, false);
	html(p, "}\n%s</style>\n</head>\n<body>\n<main>\n", style);

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

static void put_stamp(const struct page *p)
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

static void put_problems(const struct page *p)
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

static void put_answers(const struct page *p)
{
	html(p, "<h2 id=answers>In short</h2>\n<ul>\n");
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

static const struct fl_summary_arm *arm_in(const struct fl_summary_cell *cell,
					   const char *name)
{
	for (size_t i = 0; i < cell->nr_arms; i++)
		if (!strcmp(cell->arms[i].name, name))
			return &cell->arms[i];
	return NULL;
}

/* How many cells was it timed in? */
static size_t nr_cells_timed(const struct fl_summary *s, const char *name)
{
	size_t nr = 0;

	for (size_t c = 0; c < s->nr_cells; c++) {
		const struct fl_summary_arm *arm = arm_in(&s->cells[c], name);

		nr += arm && arm->alloc_ns.n;
	}
	return nr;
}

static void put_glance(const struct page *p)
{
	const struct fl_summary *s = p->s;
	size_t nr_cells = 0, least, nr_out = 0;

	for (size_t c = 0; c < s->nr_cells; c++)
		nr_cells += s->cells[c].nr_timed > 0 && !s->cells[c].bench;
	least = nr_cells > 1 ? 2 : 1;
	for (size_t i = 0; i < s->nr_strategies; i++)
		nr_out += nr_cells_timed(s, s->strategies[i].name) == 1;
	html(p, "<h2 id=glance>All cells at a glance</h2>\n"
	     "<p class=note>Nanoseconds per allocation, median over blocks; in bold the "
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
		html(p, "<tr><th scope=row><a href=\"#cell-%zu\">", c);
		put(p, cell->name);
		html(p, "</a></th>");
		for (size_t i = 0; i < s->nr_strategies; i++) {
			const char *name = s->strategies[i].name;
			const struct fl_summary_arm *arm = arm_in(cell, name);

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
static void put_caption(const struct page *p, const struct fl_plot *plot)
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
	}
}

/* A campaign of benches alone lacks nothing that is about allocating. */
static bool is_wanted(const struct page *p, const struct fl_plot *plot)
{
	return plot->wide || fl_report_has_strategies(p->s);
}

static bool has_plots(const struct page *p)
{
	for (size_t i = 0; i < p->plots->nr; i++)
		if (is_wanted(p, &p->plots->plots[i]))
			return true;
	return false;
}

static void put_plots(const struct page *p)
{
	if (has_plots(p))
		html(p, "<h2 id=plots>Plots</h2>\n");
	for (size_t i = 0; i < p->plots->nr; i++) {
		const struct fl_plot *plot = &p->plots->plots[i];

		if (!is_wanted(p, plot))
			continue;
		element(p, "h3", "", plot->title);
		html(p, "\n");
		if (!plot->wide) {
			html(p, "<p class=missing>No plot: ");
			put(p, plot->missing ? plot->missing : "unknown");
			html(p, ".</p>\n");
			continue;
		}
		html(p, "<figure><div class=wide>%s</div>", plot->wide);
		html(p, "<div class=narrow>%s</div>\n<figcaption>",
		     plot->narrow ? plot->narrow : "");
		put_caption(p, plot);
		html(p, "</figcaption></figure>\n");
	}
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

static void bar_cell(const struct page *p, const struct axis *axis,
		     const struct fl_summary_arm *arm)
{
	double one = axis_x(axis, 1);

	html(p, "<td class=\"extra forest\">");
	if (arm->ratio.n || arm->role == FL_RESULT_BASELINE) {
		html(p, "<svg class=bar viewBox=\"0 0 150 15\" aria-hidden=true style=\"--k:var(--c%zu)\">"
		     "<line class=one x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"15\"/>",
		     colour_of(p, arm->strategy), one, one);
		if (arm->ratio.n)
			html(p, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"7.5\" y2=\"7.5\"/>"
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

static void duration_cell(const struct page *p, const char *class, double ns)
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

static void arm_row(const struct page *p, const struct fl_summary_cell *cell,
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

static void put_verdict(const struct page *p, const struct fl_summary_cell *cell)
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

static void put_cell(const struct page *p, size_t c)
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
	html(p, "<h3 id=\"cell-%zu\">", c);
	put(p, cell->name);
	html(p, "</h3>\n<p class=note>");
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

static void put_cells(const struct page *p)
{
	const struct fl_results *r = p->s->results;

	html(p, "<h2 id=cells>Cell by cell</h2>\n<p class=note>Ratio: time relative to ");
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

static void slow_row(const struct page *p, const struct fl_summary_slow_row *row,
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
static void put_slow_table(const struct page *p,
			   const struct fl_summary_slow_row *rows, size_t nr)
{
	const char *notes[NOTES_MAX];
	size_t nr_notes = 0;

	element(p, "h3", "", rows->title);
	html(p, "\n<div class=scroll><table><thead><tr><th>arm</th>"
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

static void put_slow(const struct page *p)
{
	const struct fl_summary *s = p->s;

	html(p, "<h2 id=slow>What the end of a block costs</h2>\n");
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

static void count_cell(const struct page *p, double count)
{
	char text[FL_TEXT_BYTES];

	html(p, "<td class=n>%s</td>", fl_text_count(text, count));
}

/* At most two decimals, or a sign that there is none. */
static void decimal_cell(const struct page *p, double value, const char *unit)
{
	if (isnan(value))
		html(p, "<td class=n>%s</td>", FL_HTML_NONE);
	else if (value == floor(value))
		html(p, "<td class=n>%.0f%s</td>", value, unit);
	else
		html(p, "<td class=n>%.2f%s</td>", value, unit);
}

static void put_pages(const struct page *p)
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
				html(p, "<h2 id=\"pages-%zu\">Resident pages, ",
				     c);
				put(p, cell->title);
				html(p, "</h2>\n<div class=scroll><table><thead><tr>"
				     "<th>arm</th><th class=n>leaked</th>"
				     "<th class=n>of it, censored</th>"
				     "<th class=n>peak to peak live</th>"
				     "<th class=n>tail, bytes</th>"
				     "<th class=n>last page, bytes</th>"
				     "<th class=n>peak, pages</th>"
				     "<th class=n>peak</th><th class=n>mean, pages</th>"
				     "<th class=n>at the end, pages</th></tr></thead>"
				     "<tbody>\n");
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

/* ---- what is missing ---------------------------------------------------- */

static void put_missing(const struct page *p)
{
	const struct fl_summary *s = p->s;

	html(p, "<h2 id=missing>What is missing</h2>\n");
	if (!s->nr_missing) {
		html(p, "<p>Nothing: every sample of the campaign succeeded.</p>\n");
		return;
	}
	html(p, "<div class=scroll><table class=text><thead><tr><th>arm</th><th>status</th>"
	     "<th class=n>samples</th><th class=n>cells</th><th>reason</th></tr></thead>"
	     "<tbody>\n");
	for (size_t i = 0; i < s->nr_missing; i++) {
		const struct fl_summary_missing *missing = &s->missing[i];

		html(p, "<tr>");
		element(p, "th", "scope=row", missing->arm);
		html(p, "<td>%s</td><td class=n>%zu</td><td class=n>%zu</td>",
		     fl_result_status_name(missing->status),
		     missing->nr_samples, missing->nr_cells);
		element(p, "td", "class=why", missing->reason);
		html(p, "</tr>\n");
	}
	html(p, "</tbody></table></div>\n");
}

/* ---- environment -------------------------------------------------------- */

static void put_value(const struct page *p, const json_t *value);

static void put_scalar(const struct page *p, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		put(p, *json_string_value(value) ? json_string_value(value) :
						   "none");
		break;
	case JSON_INTEGER:
		html(p, "%" PRId64, (int64_t)json_integer_value(value));
		break;
	case JSON_REAL:
		html(p, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		html(p, "yes");
		break;
	case JSON_FALSE:
		html(p, "no");
		break;
	default:
		html(p, "<span class=none>not known here</span>");
	}
}

static void put_value(const struct page *p, const json_t *value)
{
	size_t i;
	json_t *item;

	if (!json_is_array(value)) {
		put_scalar(p, value);
		return;
	}
	json_array_foreach((json_t *)(uintptr_t)value, i, item) {
		html(p, i ? ", " : "");
		if (json_is_object(item)) {
			const char *key;
			json_t *part;
			bool first = true;

			json_object_foreach(item, key, part) {
				html(p, first ? "" : " ");
				first = false;
				put(p, key);
				html(p, " ");
				put_value(p, part);
			}
		} else {
			put_value(p, item);
		}
	}
}

/* A rough length, to decide whether it is folded. */
static size_t value_bytes(const json_t *value)
{
	size_t bytes = 0, i;
	json_t *item;

	if (json_is_string(value))
		return json_string_length(value);
	json_array_foreach((json_t *)(uintptr_t)value, i, item)
		bytes += 2 + (json_is_object(item) ? 40 : value_bytes(item));
	return bytes;
}

static void put_facts(const struct page *p, const char *path, json_t *object);

/* Many facts of one kind, such as a CPU's weaknesses. */
static void put_folded(const struct page *p, const char *name, json_t *object)
{
	element(p, "dt", "", name);
	html(p, "<dd><details><summary>%zu values</summary><dl>\n",
	     json_object_size(object));
	put_facts(p, "", object);
	html(p, "</dl></details></dd>\n");
}

/* @path: the keys on the way, with blanks between them. */
static void put_facts(const struct page *p, const char *path, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		char *name;

		if (asprintf(&name, "%s%s%s", path, *path ? " " : "", key) < 0)
			continue;
		if (json_object_size(value) > FACTS_MAX && *path) {
			put_folded(p, name, value);
		} else if (json_is_object(value)) {
			put_facts(p, name, value);
		} else {
			element(p, "dt", "", name);
			html(p, "<dd>");
			if (value_bytes(value) > LONG_VALUE)
				html(p, "<details><summary>show</summary>");
			put_value(p, value);
			if (value_bytes(value) > LONG_VALUE)
				html(p, "</details>");
			html(p, "</dd>\n");
		}
		free(name);
	}
}

static void put_environment(const struct page *p)
{
	static const char *const parts[][2] = {
		{ "host", "Host" }, { "build", "Build" }, { "about", "About" },
	};
	const json_t *fingerprint = json_object_get(p->s->results->campaign,
						    "fingerprint");
	const char *id = json_string_value(json_object_get(fingerprint, "id"));

	html(p, "<h2 id=environment>Where it was measured</h2>\n");
	if (!json_is_object(fingerprint)) {
		html(p, "<p class=missing>campaign.json has no fingerprint, so what these "
		     "results depend on is not known.</p>\n");
		return;
	}
	html(p, "<p class=note>Ratios travel, absolute times do not.");
	if (id) {
		html(p, " Fingerprint ");
		element(p, "code", "", id);
		html(p, ": results with another one are not pooled with these.");
	}
	html(p, "</p>\n");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		json_t *part = json_object_get(fingerprint, parts[i][0]);

		if (!json_object_size(part))
			continue;
		html(p, "<h3>%s</h3>\n<dl>\n", parts[i][1]);
		put_facts(p, "", part);
		html(p, "</dl>\n");
	}
}

/* ---- how to repeat it --------------------------------------------------- */

static void put_option(const struct page *p, const char *option,
		       const char *key)
{
	const json_t *value = json_object_get(p->s->results->campaign, key);

	if (json_is_integer(value))
		html(p, " --%s %" PRId64, option,
		     (int64_t)json_integer_value(value));
}

/* As a shell reads it. */
static void put_word(const struct page *p, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"_-./=,:+@%";

	if (*word && strspn(word, plain) == strlen(word)) {
		put(p, word);
		return;
	}
	put(p, "'");
	for (; *word; word++)
		if (*word == '\'')
			put(p, "'\\''");
		else
			fl_html_char(p->to, *word);
	put(p, "'");
}

static void put_repeat(const struct page *p)
{
	const struct fl_results *r = p->s->results;
	const json_t *words = json_object_get(r->campaign, "options");
	bool only = false;

	html(p, "<h2 id=repeat>How to repeat it</h2>\n<p>The same plan, order and inputs, "
	     "%s:</p>\n<pre><code>faultline campaign ",
	     strchr(p->plan, '/') ? "from the top of the source tree" :
	     "in the folder that the plan came from");
	put_word(p, p->plan);
	if (!strcmp(fl_results_string(r, "profile", ""), "quick"))
		html(p, " --quick");
	put_option(p, "blocks", "blocks");
	put_option(p, "seed", "seed");
	put_option(p, "cpu", "cpu");
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *word = json_string_value(json_array_get(words, i));

		if (word && (only || !strncmp(word, "--only", 6))) {
			html(p, " ");
			put_word(p, word);
			only = !only && !strchr(word, '=');
		}
	}
	html(p, " --output again\nfaultline report again</code></pre>\n");
	if (r->plan) {
		html(p, "<details><summary>The plan</summary><pre><code>");
		put(p, r->plan);
		html(p, "</code></pre></details>\n");
	}
}

/* ---- definitions -------------------------------------------------------- */

static const char *const terms[][2] = {
	{ "cell", "one workload with everything fixed but the arm" },
	{ "arm", "a strategy with its settings" },
	{ "block of a campaign", "one sample of every arm, in random order; a sample is a process of its own" },
	{ "block", "a run of pages that a strategy hands to a region; objects are placed in it one after another" },
	{ "slow path", "what runs when a block is exhausted: a call or a fault" },
	{ "median", "over the blocks; each sample is total time over total operations" },
	{ "ratio", "median over blocks of arm over baseline within the block: e to the median difference of logarithms" },
	{ "interval", "from the k-th smallest to the k-th largest block, k as large as the confidence allows; for any distribution. faultline report --json also has the percentile bootstrap, a second opinion" },
	{ "fastest", "the arm with the least median among those that notice the end of a block: what never looks is a bound and no choice" },
	{ "too close to call", "the interval of the paired ratio of the two fastest includes 1" },
	{ "crossing", "where the best branch and the best redirect take equally long, between two measured block sizes on a line over 1 / block size" },
	{ "surely", "the interval of the paired ratio lies wholly on one side of 1" },
	{ "flagged", "the sample migrated or lost time to other guests; it is repeated by a rule fixed beforehand, and the repeat counts" },
};

static bool is_there(const struct fl_summary *s, const char *metric)
{
	for (size_t c = 0; c < s->nr_cells; c++)
		for (size_t a = 0; a < s->cells[c].nr_arms; a++)
			if (fl_summary_find(&s->cells[c].arms[a], metric))
				return true;
	return false;
}

static void define(const struct page *p, const char *name, const char *unit,
		   const char *definition)
{
	html(p, "<dt>");
	element(p, "code", "", name);
	html(p, "</dt><dd>");
	put(p, definition);
	if (strcmp(unit, "1")) {
		html(p, " (");
		put(p, unit);
		html(p, ")");
	}
	html(p, "</dd>\n");
}

/* What a bench counts, by its own words. */
static void define_own(const struct page *p, const char *bench,
		       const json_t *metric)
{
	const char *name, *unit, *definition;
	char *of;

	if (json_unpack((json_t *)(uintptr_t)metric, "{s:s, s:s, s:s}", "name",
			&name, "unit", &unit, "definition", &definition) ||
	    !is_there(p->s, name) ||
	    asprintf(&of, "bench %s: %s", bench, definition) < 0)
		return;
	define(p, name, unit, of);
	free(of);
}

static void put_definitions(const struct page *p)
{
	json_t *about, *metric;
	const char *bench;

	html(p, "<h2 id=definitions>What the words and numbers mean</h2>\n<dl>\n");
	for (size_t i = 0; i < sizeof(terms) / sizeof(*terms); i++)
		html(p, "<dt>%s</dt><dd>%s</dd>\n", terms[i][0], terms[i][1]);
	html(p, "<dt>VALID</dt><dd>the twin of an arm is not shown to differ from it by "
	     "more than %.3g %%, and a slowdown planted on purpose is seen</dd>\n"
	     "</dl>\n<h3>Metrics in the results</h3>\n<dl>\n", 100 * p->s->delta);
#define X(name, unit, of, definition)					\
	if (is_there(p->s, #name))					\
		define(p, #name, unit, definition);
	FL_METRICS(X)
#undef X
#define X(name, definition)						\
	if (is_there(p->s, #name))					\
		define(p, #name, "1", definition);
	FL_COUNTERS(X)
#undef X
	json_object_foreach(json_object_get(p->s->results->campaign, "benches"),
			    bench, about) {
		size_t i;

		json_array_foreach(json_object_get(about, "metrics"), i, metric)
			define_own(p, bench, metric);
	}
	html(p, "</dl>\n");
}

/* ---- the whole ---------------------------------------------------------- */

int fl_report_html(FILE *to, const struct fl_summary *summary,
		   const struct fl_plots *plots, const struct fl_palette *palette,
		   const char *plan)
{
	const struct page p = {
		.to = to, .s = summary, .plots = plots, .palette = palette,
		.plan = plan,
	};

	const bool strategies = fl_report_has_strategies(summary);
	const bool benches = fl_report_has_benches(summary);

	put_head(&p);
	put_stamp(&p);
	put_problems(&p);
	html(&p, "<nav aria-label=Contents>%s%s%s"
	     "<a href=\"#missing\">What is missing</a>"
	     "<a href=\"#environment\">Environment</a><a href=\"#repeat\">Repeat it</a>"
	     "<a href=\"#definitions\">Definitions</a></nav>\n",
	     has_plots(&p) ? "<a href=\"#plots\">Plots</a>" : "",
	     strategies ? "<a href=\"#glance\">At a glance</a><a href=\"#slow\">Slow paths</a>"
	     "<a href=\"#cells\">Cell by cell</a>" : "",
	     benches ? "<a href=\"#benches\">Benches</a>" : "");
	put_answers(&p);
	put_plots(&p);
	fl_report_html_breakevens(to, summary);
	if (strategies) {
		put_glance(&p);
		put_slow(&p);
		put_pages(&p);
	}
	fl_report_html_benches(to, palette, summary);
	if (strategies)
		put_cells(&p);
	put_missing(&p);
	put_environment(&p);
	put_repeat(&p);
	put_definitions(&p);
	html(&p, "<p class=foot>Written by %s from results.jsonl and campaign.json.</p>\n"
	     "</main>\n</body>\n</html>\n", PACKAGE_STRING);
	return 0;
}
