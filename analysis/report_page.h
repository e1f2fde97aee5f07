/* SPDX-License-Identifier: MIT */
/*
 * analysis/report_page.h: what the parts of a page share: report.c (a campaign's
 * numbers), report_about.c (what is missing, where it was measured, how to repeat
 * it), report_all.c (several campaigns on one page), report_page.c (how it looks).
 * For nobody else.
 *
 * Vocabulary: a "part" of a campaign is a heading and what is below it.
 *
 * Context: cold, MT-safe (no globals).  Errors of writing stay in the stream.
 */
#ifndef FL_REPORT_PAGE_H
#define FL_REPORT_PAGE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "analysis/html.h"
#include "analysis/palette.h"
#include "analysis/plot.h"
#include "analysis/summary.h"

struct fl_page {
	FILE *to;
	const struct fl_summary *s;	/* NULL on top of several campaigns */
	const struct fl_plots *plots;
	const struct fl_palette *palette;
	const char *plan;	/* as the command that repeats it names it */
	const char *id;		/* what ids of this campaign begin with, or "" */
	int level;		/* of its parts' headings: 2; among others 3 */
};

/* Any text, as text. */
static inline void put(const struct fl_page *p, const char *text)
{
	fl_html_text(p->to, text);
}

/* The format is HTML; %s among it must be safe or be put(). */
static inline void html(const struct fl_page *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline void html(const struct fl_page *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(p->to, format, args);
	va_end(args);
}

/* <tag class>text</tag>, where the class is ours. */
static inline void element(const struct fl_page *p, const char *tag,
			   const char *attributes, const char *text)
{
	fl_html_element(p->to, tag, attributes, text);
}

/* A link to an experiment's section among several (report_all.c). */
static inline void link_to(const struct fl_page *p, const char *experiment,
			   const char *text)
{
	html(p, "<a href=\"#x-");
	put(p, experiment);
	html(p, "\">");
	put(p, text);
	html(p, "</a>");
}

/* The heading of a part, which begins it; ours, as it is. */
static inline void part(const struct fl_page *p, const char *id, const char *title)
{
	html(p, "<h%d id=\"%s%s\">%s</h%d>\n", p->level, p->id, id, title,
	     p->level);
}

/* A heading within a part. */
static inline void within(const struct fl_page *p, const char *title)
{
	html(p, "<h%d>", p->level + 1);
	put(p, title);
	html(p, "</h%d>\n", p->level + 1);
}

/* report_page.c: from the doctype to <main>, and the end of that. */
void fl_page_begin(const struct fl_page *p, const char *title);
void fl_page_end(const struct fl_page *p);

/* report.c: whether a campaign is to be believed; what came out; plots; numbers. */
void fl_page_stamp(const struct fl_page *p);
void fl_page_problems(const struct fl_page *p);
void fl_page_answers(const struct fl_page *p);
void fl_page_plots(const struct fl_page *p);
void fl_page_numbers(const struct fl_page *p);

/* report_about.c */
void fl_page_missing(const struct fl_page *p);
void fl_page_environment(const struct fl_page *p, json_t *fingerprint);
void fl_page_repeat(const struct fl_page *p);
/* The words; the metrics of the campaign, if there is one. */
void fl_page_words(const struct fl_page *p);
void fl_page_metrics(const struct fl_page *p);

#endif
