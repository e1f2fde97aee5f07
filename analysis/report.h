/* SPDX-License-Identifier: MIT */
/*
 * analysis/report.h: a campaign's summary as text on a terminal and as one HTML
 * page.
 *
 * The page needs nothing beside itself: no network, no script, no font; the plots
 * stand in it as SVG.  Light or dark as the reader has it, readable on a phone
 * and on paper.  Every number on it comes out of the summary.  All text that
 * comes out of files is escaped.  The same summary gives the same page.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_REPORT_H
#define FL_REPORT_H

#include <stdio.h>

#include "analysis/plot.h"
#include "analysis/summary.h"
#include "harness/table.h"

/*
 * fl_report_print: The verdict, the answers, a table for each cell, and what is
 * missing.  Errors of writing stay in @to.
 * Returns 0 or -ENOMEM.
 */
int fl_report_print(FILE *to, const struct fl_terminal *terminal,
		    const struct fl_summary *summary);

/*
 * fl_report_html: The page.
 * @palette: may be empty; then nothing but text has a colour.
 * @plan: how the plan is called in the command that repeats the campaign.
 * Errors of writing stay in @to.
 * Returns 0 or -ENOMEM.
 */
int fl_report_html(FILE *to, const struct fl_summary *summary,
		   const struct fl_plots *plots, const struct fl_palette *palette,
		   const char *plan);

#endif
