/* SPDX-License-Identifier: MIT */
/*
 * analysis/report_builds.h: the part of the report that says how much of an arm's
 * scatter is between its builds.  For report*.c alone.  Nothing is written about a
 * campaign in which no arm had several.
 *
 * Context: cold.
 */
#ifndef FL_REPORT_BUILDS_H
#define FL_REPORT_BUILDS_H

#include <stdio.h>

#include "analysis/report_page.h"
#include "harness/table.h"

/* fl_report_print_builds: Returns 0 or -ENOMEM. */
int fl_report_print_builds(FILE *to, const struct fl_terminal *terminal,
			   const struct fl_summary *summary);

/* fl_report_html_builds: A part of the page. */
void fl_report_html_builds(const struct fl_page *page);

#endif
