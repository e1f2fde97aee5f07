/* SPDX-License-Identifier: MIT */
/*
 * analysis/plot_data.h: the data files of plots, as the scripts in plots/ read
 * them; each script says what stands where.
 *
 * All of them write to @to, where errors of writing stay (ferror), and return 0
 * or -ENOMEM.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_PLOT_DATA_H
#define FL_PLOT_DATA_H

#include <stdbool.h>
#include <stdio.h>

#include "analysis/summary.h"

/* fl_plot_crossing: For crossing.gp; @nr sweeps with one title, one a panel. */
int fl_plot_crossing(FILE *to, const struct fl_sweep *sweeps, size_t nr);

/* fl_plot_breakeven: For breakeven.gp; @nr comparisons with one title. */
int fl_plot_breakeven(FILE *to, const struct fl_breakeven *all, size_t nr);

/* fl_plot_string: @text in double quotes, as gnuplot reads data. */
void fl_plot_string(FILE *to, const char *text);

/* fl_plot_resident: For resident.gp; a cell with fl_plot_has_pages(). */
int fl_plot_resident(FILE *to, const struct fl_summary_cell *cell);

/* fl_plot_has_pages: Were pages counted for any arm of @cell? */
bool fl_plot_has_pages(const struct fl_summary_cell *cell);

/*
 * fl_plot_spread: Move @n heights, ascending, as little as possible (least
 * squares) so that neighbours are @gap apart and all lie in [0, 1].  Needs
 * (@n - 1) * @gap <= 1; otherwise they are spread evenly.
 */
void fl_plot_spread(double *at, size_t n, double gap);

#endif
