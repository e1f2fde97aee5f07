/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/breakeven.h"
#include "analysis/html.h"
#include "analysis/report_breakeven.h"

static const char about[] =
	"Block size from which on the fault is cheaper than the fastest branch of "
	"the same compiler: predicted from fast and slow paths measured alone, and "
	"observed. Intervals: 95 %, bootstrap over blocks.";

static const char stronger[] =
	"A stronger question than where they cross: at how many block sizes do the "
	"intervals of the predicted and of the observed ratio of the two times overlap?";

/* ---- text --------------------------------------------------------------- */

static void put_crossing(struct fl_table *table, const struct fl_breakeven *b,
			 const struct fl_estimate *at, bool observed)
{
	char value[FL_TEXT_BYTES], lo[FL_TEXT_BYTES], hi[FL_TEXT_BYTES];
	enum fl_style style = observed && !b->missing && !b->agree ? FL_BAD :
								     FL_PLAIN;

	fl_table_put(table, style, "%s", fl_breakeven_text(value, b, at->value,
							   observed));
	if (isnan(at->lo))
		fl_table_put(table, FL_PLAIN, "%s", "");
	else
		fl_table_put(table, FL_DIM, "[%s, %s]",
			     fl_breakeven_text(lo, b, at->lo, observed),
			     fl_breakeven_text(hi, b, at->hi, observed));
}

static int print_levels(FILE *to, const struct fl_terminal *terminal,
			const struct fl_summary *s)
{
	const struct fl_breakeven_count count =
		fl_breakevens_count(s->breakevens, s->nr_breakevens);

	fputs("  ", to);
	fl_wrap(to, terminal, 2, stronger);
	fprintf(to, "  At %zu of %zu%s\n", count.nr_hold, count.nr,
		count.nr_hold < count.nr ? "; not at:" : ".");
	for (size_t i = 0; i < s->nr_breakevens; i++)
		for (size_t k = 0; k < s->breakevens[i].nr_levels; k++) {
			char *text;

			if (fl_breakeven_holds(&s->breakevens[i], k))
				continue;
			text = fl_breakeven_exception(&s->breakevens[i], k);
			if (!text)
				return -ENOMEM;
			fputs("  - ", to);
			fl_wrap(to, terminal, 4, text);
			free(text);
		}
	return 0;
}

int fl_report_print_breakevens(FILE *to, const struct fl_terminal *terminal,
			       const struct fl_summary *s)
{
	static const struct fl_column even_columns[] = {
		{ "fault", false, 0 }, { "branch", false, 3 },
		{ "cursor", false, 0 }, { "compare", true, 2 },
		{ "fault costs", true, 4 }, { "predicted", true, 0 },
		{ "interval", false, 1 }, { "observed", true, 0 },
		{ "interval", false, 1 }, { "", false, 5 },
	};
	const char *title = NULL;
	char text[FL_TEXT_BYTES], verdict[FL_VERDICT_TEXT_BYTES];
	int err = 0;

	if (!fl_breakevens_predicted(s->breakevens, s->nr_breakevens))
		return 0;
	fputc('\n', to);
	fl_style_print(to, terminal, FL_STRONG, "Break-even");
	fputs("\n  ", to);
	fl_wrap(to, terminal, 2, about);
	if (!err)
		err = print_levels(to, terminal, s);
	for (size_t i = 0, next; i < s->nr_breakevens && !err; i = next) {
		struct fl_table *table = fl_table_new(even_columns, 10);

		if (!table)
			return -ENOMEM;
		title = s->breakevens[i].title;
		for (next = i; next < s->nr_breakevens &&
		     !strcmp(s->breakevens[next].title, title); next++) {
			const struct fl_breakeven *b = &s->breakevens[next];

			fl_table_put(table, FL_PLAIN, "%s", b->fault);
			fl_table_put(table, FL_PLAIN, "%s", b->branch);
			fl_table_put(table, FL_PLAIN, "%s",
				     b->residence ? b->residence : "");
			fl_table_put(table, FL_PLAIN, "%s", isnan(b->compare_ns.value) ?
				     "" : fl_text_number(text,
							 b->compare_ns.value,
							 true));
			fl_table_put(table, FL_PLAIN, "%s", isnan(b->fault_ns.value) ?
				     "" : fl_text_ns(text, b->fault_ns.value,
						     "u"));
			put_crossing(table, b, &b->predicted, false);
			put_crossing(table, b, &b->observed, true);
			fl_table_put(table, FL_DIM, "%s",
				     fl_breakeven_verdict(verdict, b));
		}
		fputs("\n  ", to);
		fl_wrap(to, terminal, 2, title);
		err = fl_table_print(table, to, terminal, 2);
		fl_table_free(table);
	}
	return err;
}

/* ---- HTML --------------------------------------------------------------- */

static void crossing_cells(FILE *to, const struct fl_breakeven *b,
			   const struct fl_estimate *at, bool observed)
{
	char value[FL_TEXT_BYTES], lo[FL_TEXT_BYTES], hi[FL_TEXT_BYTES];

	fl_html_element(to, "td", "class=n",
			fl_breakeven_text(value, b, at->value, observed));
	fputs("<td class=\"i extra\">", to);
	if (!isnan(at->lo)) {
		fputc('[', to);
		fl_html_text(to, fl_breakeven_text(lo, b, at->lo, observed));
		fputs(", ", to);
		fl_html_text(to, fl_breakeven_text(hi, b, at->hi, observed));
		fputc(']', to);
	}
	fputs("</td>", to);
}

static void breakeven_row(FILE *to, const struct fl_breakeven *b)
{
	char verdict[FL_VERDICT_TEXT_BYTES];

	fputs("<tr>", to);
	fl_html_element(to, "th", "scope=row", b->fault);
	fl_html_element(to, "td", "class=extra", b->branch);
	fl_html_element(to, "td", "", b->residence ? b->residence : "");
	fl_html_number(to, "extra", b->compare_ns.value);
	fl_html_duration(to, "extra", b->fault_ns.value);
	fl_html_duration(to, "extra", b->in_place_ns.value);
	crossing_cells(to, b, &b->predicted, false);
	crossing_cells(to, b, &b->observed, true);
	fl_html_element(to, "td", "class=wrap", fl_breakeven_verdict(verdict, b));
	fputs("</tr>\n", to);
}

static void html_levels(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;
	const struct fl_breakeven_count count =
		fl_breakevens_count(s->breakevens, s->nr_breakevens);

	html(p, "<p>%s <b>At %zu of %zu</b>%s</p>\n", stronger, count.nr_hold, count.nr,
	     count.nr_hold < count.nr ? "; not at:" : ".");
	if (count.nr_hold == count.nr)
		return;
	html(p, "<ul>\n");
	for (size_t i = 0; i < s->nr_breakevens; i++)
		for (size_t k = 0; k < s->breakevens[i].nr_levels; k++)
			if (!fl_breakeven_holds(&s->breakevens[i], k)) {
				char *text = fl_breakeven_exception(
					&s->breakevens[i], k);

				element(p, "li", "", text ? text : "");
				html(p, "\n");
				free(text);
			}
	html(p, "</ul>\n");
}

void fl_report_html_breakevens(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;
	FILE *to = p->to;

	if (!fl_breakevens_predicted(s->breakevens, s->nr_breakevens))
		return;
	part(p, "breakeven", "Break-even: predicted and observed");
	fputs("<p>", to);
	fl_html_text(to, about);
	fputs(" <i>Compare</i>: what the branch\u2019s fast path takes more, ns per "
	      "allocation, at the smallest working set. <i>Fault</i>: one, timed by "
	      "itself; <i>in place</i>: what it takes more than a refill, by the "
	      "slope of the sweep.</p>\n", to);
	html_levels(p);
	for (size_t i = 0, next; i < s->nr_breakevens; i = next) {
		const char *title = s->breakevens[i].title;

		within(p, title);
		fputs("<div class=scroll><table><thead><tr><th>fault</th>"
		      "<th class=extra>branch</th><th>cursor</th>"
		      "<th class=\"n extra\">compare</th>"
		      "<th class=\"n extra\">fault</th>"
		      "<th class=\"n extra\">in place</th>"
		      "<th class=n>predicted</th><th class=\"i extra\">interval</th>"
		      "<th class=n>observed</th><th class=\"i extra\">interval</th>"
		      "<th></th></tr></thead><tbody>\n", to);
		for (next = i; next < s->nr_breakevens &&
		     !strcmp(s->breakevens[next].title, title); next++)
			breakeven_row(to, &s->breakevens[next]);
		fputs("</tbody></table></div>\n", to);
	}
}
