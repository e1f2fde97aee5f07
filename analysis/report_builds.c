/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "analysis/html.h"
#include "analysis/report_builds.h"

#define SPREAD_BYTES	128u

static const char about[] =
	"Builds of an arm are the same code at other addresses, and take turns over the "
	"blocks. The median of each build, how many blocks ran it, and the standard "
	"deviation between builds and within them, of logarithms, in percent; of ratios, "
	"over the builds of the arm. Few builds show that layout matters here, not how much "
	"it may. In the table is whose builds differ by more than blocks of one build do "
	"(F test at 1 %, of times or of ratios: one arm in fifty is there by chance).";

/* Told apart by chance once in so many. */
#define CHANCE	0.01

static bool differs(const struct fl_summary_arm *arm)
{
	return (arm->spread.n && arm->spread.p < CHANCE) ||
	       (arm->ratio_spread.n && arm->ratio_spread.p < CHANCE);
}

static size_t nr_differ(const struct fl_summary *s)
{
	size_t nr = 0;

	for (size_t c = 0; c < s->nr_cells; c++)
		for (size_t a = 0; a < s->cells[c].nr_arms; a++)
			nr += differs(&s->cells[c].arms[a]);
	return nr;
}

/* Of all arms, told or not. */
static const char query[] =
	"SELECT cell, arm, build, median(ns) AS ns, count(*) AS n FROM sample GROUP BY "
	"cell, arm, build";

/* "0.301 0.299 0.312", "4 4 4", "1.2 %"; empty where nothing is known. */
static void medians(char out[SPREAD_BYTES], const struct fl_spread *spread)
{
	char number[FL_TEXT_BYTES];
	size_t n = 0;

	*out = '\0';
	for (unsigned int g = 0; spread->n && g < FL_STATS_GROUPS_MAX; g++)
		if (spread->nr[g] && n < SPREAD_BYTES)
			n += (size_t)snprintf(out + n, SPREAD_BYTES - n, "%s%s",
				n ? " " : "", fl_text_number(number,
							     spread->median[g],
							     false));
}

static void counts(char out[SPREAD_BYTES], const struct fl_spread *spread)
{
	size_t n = 0;

	*out = '\0';
	for (unsigned int g = 0; g < FL_STATS_GROUPS_MAX; g++)
		if (spread->nr[g] && n < SPREAD_BYTES)
			n += (size_t)snprintf(out + n, SPREAD_BYTES - n, "%s%zu",
					      n ? " " : "", spread->nr[g]);
}

static void percent(char out[SPREAD_BYTES], const struct fl_spread *spread,
		    double sd)
{
	if (spread->n)
		snprintf(out, SPREAD_BYTES, "%.1f %%", 100 * sd);
	else
		*out = '\0';
}

#define NR_TEXTS	7u

static void texts_of(const struct fl_summary_arm *arm,
		     char out[NR_TEXTS][SPREAD_BYTES])
{
	const struct fl_spread *time = &arm->spread, *ratio = &arm->ratio_spread;

	medians(out[0], time);
	percent(out[1], time, time->between);
	percent(out[2], time, time->within);
	medians(out[3], ratio);
	percent(out[4], ratio, ratio->between);
	percent(out[5], ratio, ratio->within);
	counts(out[6], time);
}

static int print_cell(FILE *to, const struct fl_terminal *terminal,
		      const struct fl_summary_cell *cell)
{
	static const struct fl_column columns[] = {
		{ "arm", false, 0 }, { "ns of each build", false, 0 },
		{ "between", true, 0 }, { "within", true, 0 },
		{ "ratio of each", false, 1 }, { "between", true, 2 },
		{ "within", true, 3 }, { "n", false, 4 },
	};
	struct fl_table *table = fl_table_new(columns, 1 + NR_TEXTS);
	bool any = false;
	int err = 0;

	if (!table)
		return -ENOMEM;
	for (size_t a = 0; a < cell->nr_arms; a++) {
		char texts[NR_TEXTS][SPREAD_BYTES];

		if (!differs(&cell->arms[a]))
			continue;
		any = true;
		texts_of(&cell->arms[a], texts);
		fl_table_put(table, FL_PLAIN, "%s", cell->arms[a].name);
		for (size_t i = 0; i < NR_TEXTS; i++)
			fl_table_put(table, FL_PLAIN, "%s", texts[i]);
	}
	if (any) {
		fprintf(to, "\n  %s\n", cell->name);
		err = fl_table_print(table, to, terminal, 2);
	}
	fl_table_free(table);
	return err;
}

int fl_report_print_builds(FILE *to, const struct fl_terminal *terminal,
			   const struct fl_summary *s)
{
	int err = 0;

	if (!s->nr_spreads)
		return 0;
	fputc('\n', to);
	fl_style_print(to, terminal, FL_STRONG, "Builds");
	fputs("\n  ", to);
	fl_wrap(to, terminal, 2, about);
	fprintf(to, "  %zu of %zu arms of cells do; all: faultline query DIR \"%s\"\n",
		nr_differ(s), s->nr_spreads, query);
	for (size_t c = 0; c < s->nr_cells && !err; c++)
		err = print_cell(to, terminal, &s->cells[c]);
	return err;
}

static void html_row(const struct fl_page *p, const struct fl_summary_cell *cell,
		     const struct fl_summary_arm *arm)
{
	char texts[NR_TEXTS][SPREAD_BYTES];

	texts_of(arm, texts);
	fputs("<tr>", p->to);
	fl_html_element(p->to, "th", "scope=row", cell->name);
	fl_html_element(p->to, "td", "", arm->name);
	for (size_t i = 0; i < NR_TEXTS; i++)
		fl_html_element(p->to, "td", "class=n", texts[i]);
	fputs("</tr>\n", p->to);
}

void fl_report_html_builds(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;

	if (!s->nr_spreads)
		return;
	part(p, "builds", "Builds: what the layout of code does");
	fputs("<p>", p->to);
	fl_html_text(p->to, about);
	fputs(" All of them: </p>\n<pre><code>faultline query DIR &quot;", p->to);
	fl_html_text(p->to, query);
	fprintf(p->to, "&quot;</code></pre>\n<details><summary>%zu of %zu arms of cells</summary>"
		"<div class=scroll><table><thead><tr><th>cell</th><th>arm</th>"
		"<th class=n>ns of each build</th><th class=n>between</th>"
		"<th class=n>within</th><th class=n>ratio of each</th>"
		"<th class=n>between</th><th class=n>within</th>"
		"<th class=n>blocks of each</th></tr></thead><tbody>\n",
		nr_differ(s), s->nr_spreads);
	for (size_t c = 0; c < s->nr_cells; c++)
		for (size_t a = 0; a < s->cells[c].nr_arms; a++)
			if (differs(&s->cells[c].arms[a]))
				html_row(p, &s->cells[c], &s->cells[c].arms[a]);
	fputs("</tbody></table></div></details>\n", p->to);
}
