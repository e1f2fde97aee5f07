/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/html.h"
#include "analysis/report_bench.h"
#include "harness/metrics.h"
#include "harness/tunables.h"

/* Different metrics of its own that one group can show: those of one bench. */
#define OWN_MAX		FL_BENCH_METRICS_MAX

/* Percentiles in the tables, as places in FL_HIST_PERCENTILES: p50, p99, p99.9. */
static const size_t shown[] = { 0, 2, 3 };

#define NR_SHOWN	(sizeof(shown) / sizeof(*shown))

/* Cells that differ in levels alone. */
struct group {
	const struct fl_summary_cell *cells;
	size_t nr_cells;
	char *names[FL_TUNABLES_MAX];	/* of the tunables that vary */
	size_t nr_names;
	const char *own[OWN_MAX];	/* metrics that are the bench's alone */
	size_t nr_own;
	bool singles;			/* were ops timed one by one? */
	char *copy;			/* what names point into */
};

bool fl_report_has_benches(const struct fl_summary *s)
{
	for (size_t c = 0; c < s->nr_cells; c++)
		if (s->cells[c].bench)
			return true;
	return false;
}

bool fl_report_has_strategies(const struct fl_summary *s)
{
	for (size_t c = 0; c < s->nr_cells; c++)
		if (!s->cells[c].bench)
			return true;
	return false;
}

static bool is_control(const struct fl_summary_arm *arm)
{
	return arm->role == FL_RESULT_TWIN || arm->role == FL_RESULT_PLANTED;
}

/* ---- groups ------------------------------------------------------------- */

/*
 * "GROUP/pages=16/threads=2", which is copied, taken apart: the names, or with
 * @values the values.  Returns how many.
 */
static size_t take_apart(char *copy, char *parts[FL_TUNABLES_MAX], bool values)
{
	size_t nr = 0;
	char *part;

	strsep(&copy, "/");
	while (nr < FL_TUNABLES_MAX && (part = strsep(&copy, "/"))) {
		char *equals = strchrnul(part, '=');

		parts[nr] = values && *equals ? equals + 1 : part;
		*equals = '\0';
		nr++;
	}
	return nr;
}

static void add_own(struct group *group, const struct fl_summary_arm *arm)
{
	for (size_t i = 0; i < arm->nr_metrics; i++) {
		const char *name = arm->metrics[i].name;
		size_t k = 0;

		if (fl_metric_known(name))
			continue;
		while (k < group->nr_own && strcmp(group->own[k], name))
			k++;
		if (k == group->nr_own && k < OWN_MAX)
			group->own[group->nr_own++] = name;
	}
}

/* The group that begins with cell @first; its end.  Release with free(copy). */
static int find_group(const struct fl_summary *s, size_t first,
		      struct group *group)
{
	*group = (struct group){ .cells = &s->cells[first] };
	group->copy = strdup(group->cells->name);
	if (!group->copy)
		return -ENOMEM;
	group->nr_names = take_apart(group->copy, group->names, false);
	for (size_t c = first; c < s->nr_cells && s->cells[c].bench &&
	     !strcmp(s->cells[c].title, group->cells->title); c++) {
		group->nr_cells++;
		for (size_t a = 0; a < s->cells[c].nr_arms; a++) {
			add_own(group, &s->cells[c].arms[a]);
			group->singles |= s->cells[c].arms[a].slow.hist != NULL;
		}
	}
	return 0;
}

/* "; A/A alike in 3 of 4 cells; planted slowdown seen in 4 of 4" */
static void about_controls(const struct group *group, char *out, size_t bytes)
{
	static const char *const words[] = {
		"A/A alike", "planted slowdown seen",
	};
	size_t n = 0;

	*out = '\0';
	for (int planted = 0; planted < 2; planted++) {
		size_t good = 0, all = 0;

		for (size_t c = 0; c < group->nr_cells; c++) {
			const enum fl_summary_verdict verdict = planted ?
				group->cells[c].planted : group->cells[c].twin;

			good += verdict == FL_VERDICT_GOOD;
			all += verdict != FL_VERDICT_NONE;
		}
		if (all && n < bytes)
			n += (size_t)snprintf(out + n, bytes - n,
					      "; %s in %zu of %zu cells",
					      words[planted], good, all);
	}
}

static const char *op_of(const struct group *group)
{
	return group->cells->op ? group->cells->op : "op";
}

/* Whole numbers are counts. */
static const char *own_text(char text[FL_TEXT_BYTES], double value)
{
	if (isnan(value))
		return "";
	return value == floor(value) && fabs(value) < 1e15 ?
	       fl_text_count(text, value) : fl_text_number(text, value, false);
}

/* ---- on a terminal ------------------------------------------------------ */

/*
 * The columns of a group's table: its levels, the arm, and @fixed.  They must
 * live as long as the table; release with free.
 */
static struct fl_column *make_columns(const struct group *group,
				      const struct fl_column *fixed,
				      size_t nr_fixed)
{
	const size_t n = group->nr_names;
	struct fl_column *columns = calloc(n + 1 + nr_fixed, sizeof(*columns));

	for (size_t i = 0; columns && i < n; i++)
		columns[i] = (struct fl_column){ group->names[i], true, 0 };
	if (columns) {
		columns[n] = (struct fl_column){ "arm", false, 0 };
		memcpy(columns + n + 1, fixed, nr_fixed * sizeof(*fixed));
	}
	return columns;
}

/* A row's first cells.  0 or -ENOMEM. */
static int put_levels(struct fl_table *table, const struct group *group,
		      const struct fl_summary_cell *cell,
		      const struct fl_summary_arm *arm)
{
	char *copy = strdup(cell->name), *values[FL_TUNABLES_MAX];
	size_t nr;

	if (!copy)
		return -ENOMEM;
	nr = take_apart(copy, values, true);
	for (size_t i = 0; i < group->nr_names; i++)
		fl_table_put(table, FL_PLAIN, "%s", i < nr ? values[i] : "");
	fl_table_put(table, arm == cell->fastest && cell->second ? FL_STRONG :
		     FL_PLAIN, "%s", arm->name);
	free(copy);
	return 0;
}

static void put_percentiles(struct fl_table *table,
			    const struct fl_summary_slow *slow)
{
	char text[FL_TEXT_BYTES];

	for (size_t i = 0; i < NR_SHOWN; i++) {
		double ns = fl_summary_percentile(slow, shown[i], NULL);

		fl_table_put(table, FL_PLAIN, "%s", isnan(ns) ? "" :
			     fl_text_ns(text, ns, "u"));
	}
	fl_table_put(table, FL_PLAIN, "%s", slow->hist && slow->resolved ?
		     fl_text_ns(text, (double)slow->hist->max_ns, "u") : "");
}

static int put_arm(struct fl_table *table, const struct group *group,
		   const struct fl_summary_cell *cell,
		   const struct fl_summary_arm *arm)
{
	const char *why;
	int err = put_levels(table, group, cell, arm);

	if (err)
		return err;
	fl_report_times(table, cell, arm);
	if (!arm->alloc_ns.n) {
		fl_table_end_row(table);
		return 0;
	}
	put_percentiles(table, &arm->slow);
	fl_report_samples(table, arm);
	fl_summary_percentile(&arm->slow, 0, &why);
	fl_table_put(table, FL_DIM, "%s", group->singles && why ? why : "");
	return 0;
}

static int print_times(FILE *to, const struct fl_terminal *terminal,
		       const struct group *group)
{
	char per[FL_TEXT_BYTES];
	const struct fl_column fixed[] = {
		{ per, true, 0 }, { "interval", false, 2 },
		{ "ratio", true, 0 }, { "interval", false, 1 },
		{ "p50", true, 3 }, { "p99", true, 4 }, { "p99.9", true, 6 },
		{ "max", true, 7 }, { "n", false, 5 }, { "", false, 8 },
	};
	const size_t nr_fixed = sizeof(fixed) / sizeof(*fixed);
	struct fl_column *columns = make_columns(group, fixed, nr_fixed);
	struct fl_table *table = columns ?
		fl_table_new(columns, group->nr_names + 1 + nr_fixed) : NULL;
	int err = table ? 0 : -ENOMEM;

	snprintf(per, sizeof(per), "ns/%s", op_of(group));
	for (size_t c = 0; c < group->nr_cells; c++)
		for (size_t a = 0; a < group->cells[c].nr_arms && !err; a++)
			if (group->cells[c].arms[a].nr_blocks)
				err = put_arm(table, group, &group->cells[c],
					      &group->cells[c].arms[a]);
	if (!err)
		err = fl_table_print(table, to, terminal, 2);
	fl_table_free(table);
	free(columns);
	return err;
}

/* What the bench counted, beside the time; nothing for controls. */
static int print_own(FILE *to, const struct fl_terminal *terminal,
		     const struct group *group)
{
	struct fl_column fixed[OWN_MAX], *columns;
	struct fl_table *table;
	char text[FL_TEXT_BYTES];
	int err;

	if (!group->nr_own)
		return 0;
	for (size_t i = 0; i < group->nr_own; i++)
		fixed[i] = (struct fl_column){ group->own[i], true,
					       (unsigned int)i };
	columns = make_columns(group, fixed, group->nr_own);
	table = columns ? fl_table_new(columns, group->nr_names + 1 +
				       group->nr_own) : NULL;
	err = table ? 0 : -ENOMEM;
	for (size_t c = 0; c < group->nr_cells; c++)
		for (size_t a = 0; a < group->cells[c].nr_arms && !err; a++) {
			const struct fl_summary_arm *arm =
				&group->cells[c].arms[a];

			if (!arm->nr_ok || is_control(arm))
				continue;
			err = put_levels(table, group, &group->cells[c], arm);
			for (size_t i = 0; i < group->nr_own && !err; i++)
				fl_table_put(table, FL_PLAIN, "%s",
					own_text(text, fl_summary_value(arm,
						 group->own[i])));
		}
	if (!err) {
		fputs("\n  What the bench counted (medians of samples):\n", to);
		err = fl_table_print(table, to, terminal, 2);
	}
	fl_table_free(table);
	free(columns);
	return err;
}

static int print_group(FILE *to, const struct fl_terminal *terminal,
		       const struct group *group)
{
	const struct fl_summary_arm *baseline = group->cells->baseline;
	char controls[160], about[512];
	int err;

	about_controls(group, controls, sizeof(controls));
	fputc('\n', to);
	fl_style_print(to, terminal, FL_STRONG, group->cells->title);
	fputs("\n  ", to);
	snprintf(about, sizeof(about), "a bench; time per %s; %s%s%s%s",
		 op_of(group), baseline ? "ratio to " : "no baseline",
		 baseline ? baseline->name : "", controls, group->singles ?
		 "; percentiles of those timed one by one" : "");
	fl_wrap(to, terminal, 2, about);
	err = print_times(to, terminal, group);
	return err ? err : print_own(to, terminal, group);
}

int fl_report_print_benches(FILE *to, const struct fl_terminal *terminal,
			    const struct fl_summary *s)
{
	int err = 0;

	for (size_t c = 0; c < s->nr_cells && !err;) {
		struct group group;

		if (!s->cells[c].bench) {
			c++;
			continue;
		}
		err = find_group(s, c, &group);
		if (err)
			break;
		err = print_group(to, terminal, &group);
		c += group.nr_cells;
		free(group.copy);
	}
	return err;
}

/* ---- on the page -------------------------------------------------------- */

static void html_head(FILE *to, const struct group *group)
{
	fputs("<div class=scroll><table><thead><tr>", to);
	for (size_t i = 0; i < group->nr_names; i++)
		fl_html_element(to, "th", "class=n", group->names[i]);
	fputs("<th>arm</th>", to);
}

/* A row's first cells. */
static void html_levels(FILE *to, const struct fl_palette *palette,
			const struct group *group,
			const struct fl_summary_cell *cell,
			const struct fl_summary_arm *arm)
{
	char *copy = strdup(cell->name), *values[FL_TUNABLES_MAX];
	size_t nr = copy ? take_apart(copy, values, true) : 0;

	fprintf(to, "<tr%s>", is_control(arm) ? " class=control" : "");
	for (size_t i = 0; i < group->nr_names; i++)
		fl_html_element(to, "td", "class=n", i < nr ? values[i] : "");
	fprintf(to, "<th scope=row%s><i class=dot style=--k:var(--c%zu)></i>",
		arm == cell->fastest && cell->second ? " class=best" : "",
		palette->nr ? fl_palette_index(palette, arm->name) : 0);
	fl_html_text(to, arm->name);
	fputs("</th>", to);
	free(copy);
}

static void html_arm(FILE *to, const struct fl_palette *palette,
		     const struct group *group,
		     const struct fl_summary_cell *cell,
		     const struct fl_summary_arm *arm)
{
	html_levels(to, palette, group, cell, arm);
	fl_report_html_times(to, cell, arm);
	for (size_t i = 0; group->singles && i < NR_SHOWN; i++)
		fl_html_duration(to, "extra", fl_summary_percentile(
					 &arm->slow, shown[i], NULL));
	if (group->singles)
		fl_html_duration(to, "extra", arm->slow.resolved ?
				 (double)arm->slow.hist->max_ns : NAN);
	fl_report_html_samples(to, arm);
	fputs("</tr>\n", to);
}

static void html_times(FILE *to, const struct fl_palette *palette,
		       const struct group *group)
{
	html_head(to, group);
	fputs("<th class=n>ns/", to);
	fl_html_text(to, op_of(group));
	fprintf(to, "</th><th class=i>interval</th><th class=n>ratio</th>"
		"<th class=i>interval</th>%s<th>blocks</th></tr></thead><tbody>\n",
		group->singles ? "<th class=\"n extra\">p50</th><th class=\"n extra\">p99</th>"
		"<th class=\"n extra\">p99.9</th><th class=\"n extra\">max</th>" : "");
	for (size_t c = 0; c < group->nr_cells; c++)
		for (size_t a = 0; a < group->cells[c].nr_arms; a++)
			if (group->cells[c].arms[a].nr_blocks)
				html_arm(to, palette, group, &group->cells[c],
					 &group->cells[c].arms[a]);
	fputs("</tbody></table></div>\n", to);
}

static void html_own(FILE *to, const struct fl_palette *palette,
		     const struct group *group)
{
	char text[FL_TEXT_BYTES];

	if (!group->nr_own)
		return;
	fputs("<p class=note>What the bench counted, medians of samples:</p>\n", to);
	html_head(to, group);
	for (size_t i = 0; i < group->nr_own; i++)
		fl_html_element(to, "th", "class=n", group->own[i]);
	fputs("</tr></thead><tbody>\n", to);
	for (size_t c = 0; c < group->nr_cells; c++)
		for (size_t a = 0; a < group->cells[c].nr_arms; a++) {
			const struct fl_summary_arm *arm =
				&group->cells[c].arms[a];

			if (!arm->nr_ok || is_control(arm))
				continue;
			html_levels(to, palette, group, &group->cells[c], arm);
			for (size_t i = 0; i < group->nr_own; i++)
				fl_html_element(to, "td", "class=n",
					own_text(text, fl_summary_value(arm,
						 group->own[i])));
			fputs("</tr>\n", to);
		}
	fputs("</tbody></table></div>\n", to);
}

static void html_group(const struct fl_page *p, const struct group *group)
{
	FILE *to = p->to;
	const struct fl_summary_arm *baseline = group->cells->baseline;
	char controls[160];

	about_controls(group, controls, sizeof(controls));
	within(p, group->cells->title);
	fputs("<p class=note>Time per ", to);
	fl_html_text(to, op_of(group));
	fputs(baseline ? "; ratio to " : "; no baseline", to);
	fl_html_text(to, baseline ? baseline->name : "");
	fl_html_text(to, controls);
	fprintf(to, ".%s</p>\n", group->singles ?
		" Percentiles are of those timed one by one." : "");
	html_times(to, p->palette, group);
	html_own(to, p->palette, group);
}

void fl_report_html_benches(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;

	if (!fl_report_has_benches(s))
		return;
	part(p, "benches", "Benches");
	html(p, "<p class=note>What is measured beside strategies; an op is what the bench "
	     "says it is. Grey rows are controls.</p>\n");
	for (size_t c = 0; c < s->nr_cells;) {
		struct group group;

		if (!s->cells[c].bench || find_group(s, c, &group)) {
			c++;
			continue;
		}
		html_group(p, &group);
		c += group.nr_cells;
		free(group.copy);
	}
}
