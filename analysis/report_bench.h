/* SPDX-License-Identifier: MIT */
/*
 * analysis/report_bench.h: the part of the report that is about benches.  For
 * report*.c alone.
 *
 * Vocabulary: a "bench group" is the cells of one [cell] section of a plan: one
 * bench at every combination of its levels.  It has one table: a row for each arm
 * at each combination, and one more for what the bench counted itself.
 *
 * Context: cold.
 */
#ifndef FL_REPORT_BENCH_H
#define FL_REPORT_BENCH_H

#include <stdio.h>

#include "analysis/report_page.h"
#include "harness/table.h"

/*
 * What report_text.c and report.c lend.  times: median, interval, ratio, interval,
 * or why there are none; samples: "7/8 f1 r2", ok of all, flagged, repeated.
 */
void fl_report_times(struct fl_table *table, const struct fl_summary_cell *cell,
		     const struct fl_summary_arm *arm);
void fl_report_html_times(FILE *to, const struct fl_summary_cell *cell,
			  const struct fl_summary_arm *arm);
void fl_report_samples(struct fl_table *table, const struct fl_summary_arm *arm);
void fl_report_html_samples(FILE *to, const struct fl_summary_arm *arm);

/* Are there cells of benches; of strategies? */
bool fl_report_has_benches(const struct fl_summary *summary);
bool fl_report_has_strategies(const struct fl_summary *summary);

/* fl_report_print_benches: Returns 0 or -ENOMEM. */
int fl_report_print_benches(FILE *to, const struct fl_terminal *terminal,
			    const struct fl_summary *summary);

/* fl_report_html_benches: A part of the page, or nothing. */
void fl_report_html_benches(const struct fl_page *page);

#endif
