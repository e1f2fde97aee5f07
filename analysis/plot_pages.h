/* SPDX-License-Identifier: MIT */
/*
 * analysis/plot_pages.h: the data files of plots of pages: what resident pages are
 * for over a run (pages.gp), and what time it costs to have few (pareto.gp).
 *
 * Pages and time come from different samples, so from different cells: those with
 * one kernel, trace, size of objects and of blocks are of one workload.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_PLOT_PAGES_H
#define FL_PLOT_PAGES_H

#include <stdbool.h>
#include <stdio.h>

#include "analysis/summary.h"

/* One workload: a cell that counted pages, and one that was timed. */
struct fl_pareto {
	const struct fl_summary_cell *pages, *timed;
};

/* fl_plot_has_stack: Does any arm of @cell tell what its pages were for? */
bool fl_plot_has_stack(const struct fl_summary_cell *cell);

/*
 * fl_plot_pareto_next: The next timed cell of the workload of @p->pages, behind
 * @p->timed (NULL: the first).  Returns false when there is none.
 */
bool fl_plot_pareto_next(const struct fl_summary *summary, struct fl_pareto *p);

/* fl_plot_pareto_points: Arms of which both are known. */
size_t fl_plot_pareto_points(const struct fl_pareto *p);

/*
 * fl_plot_pareto_without: Arms that have pages or a time but not both, as one
 * sentence; NULL in *@out if there are none.  To be freed.  0 or -ENOMEM.
 */
int fl_plot_pareto_without(const struct fl_pareto *p, char **out);

/*
 * Both write to @to, where errors of writing stay (ferror), and return 0 or
 * -ENOMEM.  fl_plot_stack: a cell with fl_plot_has_stack; fl_plot_pareto: at least
 * one point.
 */
int fl_plot_stack(FILE *to, const struct fl_summary_cell *cell);
int fl_plot_pareto(FILE *to, const struct fl_pareto *p);

#endif
