/* SPDX-License-Identifier: MIT */
/*
 * analysis/plot_bench.h: the data files of plots of benches, as the scripts in
 * plots/ read them; each script says what stands where.
 *
 * Vocabulary: a "group" is the cells of one [cell] section, one after the other,
 * which differ in levels of tunables alone.
 *
 * Colours: an arm that is named after a strategy (segv_redirect_user) has that
 * strategy's colour; in plots of levels, where names do not say as much, lines
 * take the palette's "other" colours in turn.
 *
 * All that write do so to @to, where errors of writing stay (ferror), and return 0
 * or -ENOMEM.  Context: cold, MT-safe (no globals).
 */
#ifndef FL_PLOT_BENCH_H
#define FL_PLOT_BENCH_H

#include <stdbool.h>
#include <stdio.h>

#include "analysis/palette.h"
#include "analysis/summary.h"

/*
 * fl_plot_percentiles: For percentiles.gp: the arms of one cell with their p50, p99
 * and p99.9; the cell is one with fl_plot_has_percentiles().
 */
bool fl_plot_has_percentiles(const struct fl_summary_cell *cell);
int fl_plot_percentiles(FILE *to, const struct fl_summary_cell *cell,
			const struct fl_palette *palette);

/* fl_plot_group: How many of @nr cells, from @cells on, are of the first's group. */
size_t fl_plot_group(const struct fl_summary_cell *cells, size_t nr);

/*
 * fl_plot_levels: For levels.gp: time per op against the levels of a tunable that
 * is a number and has three or more in the group, a panel for each combination of
 * the others; the group is one with fl_plot_has_levels().
 */
bool fl_plot_has_levels(const struct fl_summary_cell *cells, size_t nr);
int fl_plot_levels(FILE *to, const struct fl_summary_cell *cells, size_t nr,
		   const struct fl_palette *palette);

#endif
