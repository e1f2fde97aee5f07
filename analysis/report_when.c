/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report_when.h"
#include "analysis/stats.h"
#include "harness/table.h"

static const struct {
	const char *answer, *as, *plural;
} kinds[] = {
	{ "branch", "a branch", "branches" },
	{ "redirect", "a fault that redirects", "faults that redirect" },
	{ "extend", "a fault that extends", "faults that extend" },
	{ "elastic", "an elastic block", "elastic blocks" },
};

#define NR_KINDS	((int)(sizeof(kinds) / sizeof(kinds[0])))
#define BRANCH		0

static const struct {
	uint64_t most;		/* block size */
	const char *name;
} classes[] = {
	{ 64 << 10, "Blocks of 64 KiB and less" },
	{ 1 << 20, "Blocks up to 1 MiB" },
	{ UINT64_MAX, "Larger blocks" },
};

#define NR_CLASSES	((int)(sizeof(classes) / sizeof(classes[0])))

struct fl_when_cell {
	char *experiment, *cell, *title, *arm, *rival;
	int class, kind;
	struct fl_ratio lead;		/* rival to arm */
	double fault;			/* best fault to best branch, or NaN */
};

struct fl_when_pages {
	char *program, *arm, *strategy;
	double peak_over_live, leaked_share;
};

/* ---- what there is ----------------------------------------------------------- */

static int kind_of(const struct fl_summary_arm *arm)
{
	for (int k = 0; k < NR_KINDS; k++)
		if (arm->answer && !strcmp(arm->answer, kinds[k].answer))
			return k;
	return -1;
}

static bool is_control(const struct fl_summary_arm *arm)
{
	return arm->role == FL_RESULT_TWIN || arm->role == FL_RESULT_PLANTED;
}

static int class_of(uint64_t block_bytes)
{
	int class = 0;

	while (block_bytes > classes[class].most)
		class++;
	return class;
}

/* @a over @b, over the blocks that both have. */
static int ratio_of(const struct fl_summary_arm *a, const struct fl_summary_arm *b,
		    size_t nr_blocks, struct fl_ratio *out)
{
	double *x = calloc(2 * nr_blocks + 1, sizeof(*x)), *y = x + nr_blocks;
	size_t n = 0;
	int err;

	if (!x)
		return -ENOMEM;
	for (size_t i = 0; i < nr_blocks; i++)
		if (isfinite(a->block_ns[i]) && isfinite(b->block_ns[i])) {
			x[n] = a->block_ns[i];
			y[n++] = b->block_ns[i];
		}
	err = fl_stats_paired_ratio(x, y, n, out);
	free(x);
	return err;
}

/* The fastest arm of each kind; does any block end? */
static bool find_best(const struct fl_summary_cell *cell,
		      const struct fl_summary_arm *best[NR_KINDS])
{
	bool ends = false;

	for (size_t a = 0; a < cell->nr_arms; a++) {
		const struct fl_summary_arm *arm = &cell->arms[a];
		const int k = kind_of(arm);

		if (k < 0 || is_control(arm) || !arm->alloc_ns.n)
			continue;
		ends |= fl_summary_value(arm, "events") > 0;
		if (!best[k] ||
		    arm->alloc_ns.median < best[k]->alloc_ns.median)
			best[k] = arm;
	}
	return ends;
}

static int add_cell(struct fl_when *when, const struct fl_summary *s,
		    const struct fl_summary_cell *cell)
{
	const struct fl_summary_arm *best[NR_KINDS] = { NULL };
	const struct fl_summary_arm *first = NULL, *second = NULL;
	struct fl_when_cell *more, one = { .fault = NAN };
	struct fl_ratio ratio;
	int err;

	if (cell->bench || !cell->block_bytes || !find_best(cell, best))
		return 0;
	for (int k = 0; k < NR_KINDS; k++) {
		const struct fl_summary_arm *arm = best[k];

		if (!arm)
			continue;
		if (!first || arm->alloc_ns.median < first->alloc_ns.median) {
			second = first;
			first = arm;
		} else if (!second ||
			   arm->alloc_ns.median < second->alloc_ns.median) {
			second = arm;
		}
		if (k == BRANCH || !best[BRANCH])
			continue;
		err = ratio_of(arm, best[BRANCH], s->nr_blocks, &ratio);
		if (err == -ENOMEM)
			return err;
		if (!err && !(ratio.ratio > one.fault))
			one.fault = ratio.ratio;
	}
	if (!second)
		return 0;
	err = ratio_of(second, first, s->nr_blocks, &one.lead);
	if (err)
		return err == -ENOMEM ? err : 0;
	one.kind = kind_of(first);
	one.class = class_of(cell->block_bytes);
	one.experiment = strdup(fl_results_string(s->results, "campaign", ""));
	one.cell = strdup(cell->name);
	one.title = strdup(cell->title);
	one.arm = strdup(first->name);
	one.rival = strdup(second->name);
	more = reallocarray(when->cells, when->nr_cells + 1, sizeof(*more));
	if (more) {
		when->cells = more;
		more[when->nr_cells++] = one;
	}
	return more && one.experiment && one.cell && one.title && one.arm &&
	       one.rival ? 0 : -ENOMEM;
}

static int add_pages(struct fl_when *when, const struct fl_summary_cell *cell)
{
	for (size_t a = 0; a < cell->nr_arms; a++) {
		const struct fl_summary_arm *arm = &cell->arms[a];
		struct fl_when_pages *more, one;
		struct fl_pages pages;

		if (kind_of(arm) < 0 || is_control(arm) ||
		    fl_summary_pages(arm, &pages) ||
		    !isfinite(pages.peak_over_live))
			continue;
		one = (struct fl_when_pages){
			.program = strdup(cell->name), .arm = strdup(arm->name),
			.strategy = strdup(arm->strategy),
			.peak_over_live = pages.peak_over_live,
			.leaked_share = pages.leaked_share,
		};
		more = reallocarray(when->pages, when->nr_pages + 1,
				    sizeof(*more));
		if (more) {
			when->pages = more;
			more[when->nr_pages++] = one;
		}
		if (!more || !one.program || !one.arm || !one.strategy)
			return -ENOMEM;
	}
	return 0;
}

int fl_when_add(struct fl_when *when, const struct fl_summary *summary)
{
	int err = 0;

	when->nr_invalid += !summary->valid;
	for (size_t c = 0; c < summary->nr_cells && !err; c++) {
		if (summary->valid)
			err = add_cell(when, summary, &summary->cells[c]);
		if (!err)
			err = add_pages(when, &summary->cells[c]);
	}
	return err;
}

void fl_when_free(struct fl_when *when)
{
	for (size_t i = 0; i < when->nr_cells; i++) {
		free(when->cells[i].experiment);
		free(when->cells[i].cell);
		free(when->cells[i].title);
		free(when->cells[i].arm);
		free(when->cells[i].rival);
	}
	for (size_t i = 0; i < when->nr_pages; i++) {
		free(when->pages[i].program);
		free(when->pages[i].arm);
		free(when->pages[i].strategy);
	}
	free(when->cells);
	free(when->pages);
	*when = (struct fl_when){ .cells = NULL };
}

/* ---- time ---------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(double *values, size_t n)
{
	if (!n)
		return NAN;
	qsort(values, n, sizeof(*values), by_value);
	return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/* "how much a fault takes of a branch", at the median and at both ends. */
static void put_faults(const struct fl_page *p, double *faults, size_t n)
{
	char m[FL_TEXT_BYTES], lo[FL_TEXT_BYTES], hi[FL_TEXT_BYTES];
	const double median = median_of(faults, n);

	if (!n)
		return;
	html(p, " The fastest fault takes %s times as long as the fastest branch at the median",
	     fl_text_number(m, median, false));
	html(p, n > 1 ? " (from %s to %s)." : ".",
	     fl_text_number(lo, faults[0], false),
	     fl_text_number(hi, faults[n - 1], false));
}

static int put_class(const struct fl_page *p, const struct fl_when *when, int class)
{
	double *faults = calloc(when->nr_cells + 1, sizeof(*faults));
	size_t wins[NR_KINDS] = { 0 }, nr = 0, close = 0, nr_faults = 0;
	const char *before = " fastest is ";

	if (!faults)
		return -ENOMEM;
	for (size_t i = 0; i < when->nr_cells; i++) {
		const struct fl_when_cell *cell = &when->cells[i];

		if (cell->class != class)
			continue;
		nr++;
		if (fl_stats_differs(&cell->lead))
			wins[cell->kind]++;
		else
			close++;
		if (isfinite(cell->fault))
			faults[nr_faults++] = cell->fault;
	}
	if (nr) {
		html(p, "<li><b>%s</b>: of %zu timed workloads,",
		     classes[class].name, nr);
		for (int k = 0; k < NR_KINDS; k++)
			if (wins[k]) {
				html(p, "%s%s in %zu", before, kinds[k].as,
				     wins[k]);
				before = ", ";
			}
		if (close)
			html(p, "%s%zu %s too close to call", close == nr ? " " :
			     "; ", close, close == 1 ? "is" : "are");
		html(p, ".");
		put_faults(p, faults, nr_faults);
		html(p, "</li>\n");
	}
	free(faults);
	return 0;
}

static void put_cells(const struct fl_page *p, const struct fl_when *when)
{
	if (!when->nr_cells)
		return;
	html(p, "<details><summary>The fastest of each workload</summary>\n"
	     "<div class=scroll><table><thead><tr><th>experiment, cell</th><th>fastest</th>"
	     "<th>next of another kind</th><th class=n>takes, times</th>"
	     "<th class=i>interval</th><th></th></tr></thead><tbody>\n");
	for (size_t i = 0; i < when->nr_cells; i++) {
		const struct fl_when_cell *cell = &when->cells[i];

		html(p, "<tr><th scope=row>");
		link_to(p, cell->experiment, cell->experiment);
		html(p, " ");
		put(p, cell->cell);
		html(p, "</th>");
		element(p, "td", "", cell->arm);
		element(p, "td", "", cell->rival);
		fl_html_number(p->to, "", cell->lead.ratio);
		fl_html_interval(p->to, "", cell->lead.lo, cell->lead.hi);
		html(p, "<td>%s</td></tr>\n", fl_stats_differs(&cell->lead) ? "" :
		     "too close to call");
	}
	html(p, "</tbody></table></div></details>\n");
}

/* ---- memory ----------------------------------------------------------------------- */

struct keeper {
	const char *arm, *strategy;
	double peak_over_live, leaked_share;	/* medians over programs */
	size_t nr;
};

static int by_peak(const void *a, const void *b)
{
	const struct keeper *x = a, *y = b;

	return by_value(&x->peak_over_live, &y->peak_over_live);
}

/* Those of @arm. */
static int keeper_of(const struct fl_when *when, const struct fl_when_pages *first,
		     struct keeper *out)
{
	double *peaks = calloc(2 * when->nr_pages, sizeof(*peaks));
	double *leaked = peaks + when->nr_pages;
	size_t n = 0;

	if (!peaks)
		return -ENOMEM;
	for (size_t i = 0; i < when->nr_pages; i++)
		if (!strcmp(when->pages[i].arm, first->arm)) {
			peaks[n] = when->pages[i].peak_over_live;
			leaked[n++] = when->pages[i].leaked_share;
		}
	*out = (struct keeper){
		.arm = first->arm, .strategy = first->strategy, .nr = n,
		.peak_over_live = median_of(peaks, n),
		.leaked_share = median_of(leaked, n),
	};
	free(peaks);
	return 0;
}

static bool is_first(const struct fl_when *when, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(when->pages[k].arm, when->pages[i].arm))
			return false;
	return true;
}

static void put_keepers(const struct fl_page *p, const struct keeper *keepers,
			size_t nr)
{
	html(p, "<details><summary>What each keeps</summary>\n<div class=scroll><table><thead>"
	     "<tr><th>arm</th><th class=n>peak resident to peak live</th>"
	     "<th class=n>leaked, %%</th><th class=n>programs</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < nr; i++) {
		html(p, "<tr>");
		element(p, "th", "scope=row", keepers[i].arm);
		fl_html_number(p->to, "", keepers[i].peak_over_live);
		fl_html_number(p->to, "", 100 * keepers[i].leaked_share);
		html(p, "<td class=n>%zu</td></tr>\n", keepers[i].nr);
	}
	html(p, "</tbody></table></div><p class=note>Medians over programs; arms that were not "
	     "measured on the same programs cannot be held against each other by this "
	     "table.</p></details>\n");
}

/* Only arms measured on the most programs are held against each other in words. */
static int put_memory(const struct fl_page *p, const struct fl_when *when,
		      struct keeper **out, size_t *nr_out)
{
	struct keeper *keepers = calloc(when->nr_pages + 1, sizeof(*keepers));
	const struct keeper *least = NULL, *most = NULL;
	char text[FL_TEXT_BYTES];
	size_t nr = 0, programs = 0;
	int err = keepers ? 0 : -ENOMEM;

	for (size_t i = 0; i < when->nr_pages && !err; i++)
		if (is_first(when, i)) {
			err = keeper_of(when, &when->pages[i], &keepers[nr]);
			programs = programs > keepers[nr].nr ? programs :
							       keepers[nr].nr;
			nr += !err;
		}
	if (err) {
		free(keepers);
		return err;
	}
	if (nr)
		qsort(keepers, nr, sizeof(*keepers), by_peak);
	for (size_t i = 0; i < nr; i++)
		if (keepers[i].nr == programs) {
			least = least ? least : &keepers[i];
			most = &keepers[i];
		}
	if (least && most != least) {
		html(p, "<li><b>Memory</b>: over %zu programs, least is kept by ",
		     programs);
		put(p, least->arm);
		html(p, ": %s times the live pages at the peak, %.2g %% leaked; most by ",
		     fl_text_number(text, least->peak_over_live, false),
		     100 * least->leaked_share);
		put(p, most->arm);
		html(p, ": %s times, %.2g %% (medians).</li>\n",
		     fl_text_number(text, most->peak_over_live, false),
		     100 * most->leaked_share);
	}
	*out = keepers;
	*nr_out = nr;
	return 0;
}

/* ---- the answer ------------------------------------------------------------------- */

int fl_when_put(const struct fl_page *p, const struct fl_when *when,
		const char *claims)
{
	struct keeper *keepers = NULL;
	size_t nr_keepers = 0;
	int err = 0;

	html(p, "<h2 id=when>Which strategy when</h2>\n<ul>\n");
	for (int c = 0; c < NR_CLASSES && !err; c++)
		err = put_class(p, when, c);
	if (!err)
		err = put_memory(p, when, &keepers, &nr_keepers);
	if (err)
		return err;
	if (!when->nr_cells && !nr_keepers)
		html(p, "<li>No VALID campaign here timed strategies of two kinds, and none "
		     "counted pages.</li>\n");
	if (claims) {
		html(p, "<li><b>The notes\u2019 claims</b>: ");
		put(p, claims);
		html(p, ".</li>\n");
	}
	html(p, "</ul>\n<p class=note>");
	if (when->nr_cells)
		html(p, "Fastest: surely so, against the best of every other kind, where blocks "
		     "do end. What never looks at the end of a block is no choice. ");
	if (when->nr_invalid)
		html(p, "Timings of %zu INVALID campaign%s were left out.", when->nr_invalid,
		     when->nr_invalid == 1 ? "" : "s");
	html(p, "</p>\n");
	put_cells(p, when);
	if (nr_keepers)
		put_keepers(p, keepers, nr_keepers);
	free(keepers);
	return 0;
}
