/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "analysis/html.h"
#include "harness/table.h"

void fl_html_char(FILE *to, char c)
{
	switch (c) {
	case '<': fputs("&lt;", to); break;
	case '>': fputs("&gt;", to); break;
	case '&': fputs("&amp;", to); break;
	case '"': fputs("&quot;", to); break;
	case '\'': fputs("&#39;", to); break;
	default:
		/* Control characters have no place in HTML. */
		fputc((unsigned char)c < ' ' && c != '\n' && c != '\t' ? '?' : c,
		      to);
	}
}

void fl_html_text(FILE *to, const char *text)
{
	for (; *text; text++)
		fl_html_char(to, *text);
}

void fl_html_element(FILE *to, const char *tag, const char *attributes,
		     const char *text)
{
	fprintf(to, "<%s%s%s>", tag, *attributes ? " " : "", attributes);
	fl_html_text(to, text);
	fprintf(to, "</%s>", tag);
}

/*
 * A number of four digits whose point stands where those above and below it
 * have theirs: what is missing behind it is filled with spaces as wide as
 * figures and the point.
 */
static void put_aligned(FILE *to, double value)
{
	char text[FL_TEXT_BYTES];
	const char *c = fl_text_number(text, value, true);
	bool point = strchr(c, '.') != NULL;

	for (; *c; c++) {
		if (*c == ' ') {
			fputs(point ? "\u2007" : "\u2008", to);
			point = true;
		} else {
			fputc(*c, to);
		}
	}
}

/* <td class=n> or <td class="n extra">: a page has tens of thousands of them. */
static void begin_cell(FILE *to, const char *class, const char *more)
{
	if (*more)
		fprintf(to, "<td class=\"%s %s\">", class, more);
	else
		fprintf(to, "<td class=%s>", class);
}

void fl_html_number(FILE *to, const char *class, double value)
{
	begin_cell(to, "n", class);
	if (isfinite(value))
		put_aligned(to, value);
	else
		fprintf(to, "<span class=none>" FL_HTML_NONE "</span>");
	fputs("</td>", to);
}

void fl_html_interval(FILE *to, const char *class, double lo, double hi)
{
	char a[FL_TEXT_BYTES], b[FL_TEXT_BYTES];

	begin_cell(to, "i", class);
	if (isfinite(lo) && isfinite(hi))
		fprintf(to, "[%s, %s]", fl_text_number(a, lo, false),
		     fl_text_number(b, hi, false));
	fputs("</td>", to);
}

void fl_html_duration(FILE *to, const char *class, double ns)
{
	char text[FL_TEXT_BYTES];

	begin_cell(to, "n", class);
	if (isfinite(ns))
		fputs(fl_text_ns(text, ns, FL_HTML_MICRO), to);
	else
		fputs("<span class=none>" FL_HTML_NONE "</span>", to);
	fputs("</td>", to);
}

void fl_html_count(FILE *to, const char *class, double count)
{
	char text[FL_TEXT_BYTES];

	begin_cell(to, "n", class);
	fprintf(to, "%s</td>", isfinite(count) ? fl_text_count(text, count) :
						 FL_HTML_NONE);
}
