/* SPDX-License-Identifier: MIT */
/*
 * analysis/report_breakeven.h: the part of the report that holds predicted
 * crossings against observed ones.  For report*.c alone.  Nothing is written about
 * a campaign that predicts none.
 *
 * Context: cold.
 */
#ifndef FL_REPORT_BREAKEVEN_H
#define FL_REPORT_BREAKEVEN_H

#include <stdio.h>

#include "analysis/report_page.h"
#include "harness/table.h"

/* fl_report_print_breakevens: Returns 0 or -ENOMEM. */
int fl_report_print_breakevens(FILE *to, const struct fl_terminal *terminal,
			       const struct fl_summary *summary);

/* fl_report_html_breakevens: A part of the page. */
void fl_report_html_breakevens(const struct fl_page *page);

#endif
