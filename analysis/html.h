/* SPDX-License-Identifier: MIT */
/*
 * analysis/html.h: text and numbers as HTML, for the parts of the report.
 *
 * Numbers are written as harness/table.h writes them; what is not finite is a dash.
 * @class: of ours, safe as it is.  Errors of writing stay in @to.
 *
 * Context: cold, MT-safe.
 */
#ifndef FL_HTML_H
#define FL_HTML_H

#include <stdio.h>

#define FL_HTML_MICRO	"\u00b5"
#define FL_HTML_NONE	"\u2013"

/* fl_html_char, fl_html_text: Any text, as text. */
void fl_html_char(FILE *to, char c);
void fl_html_text(FILE *to, const char *text);

/* fl_html_element: <tag attributes>text</tag>; @attributes is ours. */
void fl_html_element(FILE *to, const char *tag, const char *attributes,
		     const char *text);

/*
 * Cells of a table: a number whose point stands below those above it; an
 * interval; a duration with its unit; a count.
 */
void fl_html_number(FILE *to, const char *class, double value);
void fl_html_interval(FILE *to, const char *class, double lo, double hi);
void fl_html_duration(FILE *to, const char *class, double ns);
void fl_html_count(FILE *to, const char *class, double count);

#endif
