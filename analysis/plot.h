/* SPDX-License-Identifier: MIT */
/*
 * analysis/plot.h: gnuplot on the scripts of plots/.
 *
 * Vocabulary: a plot is "wide" for a page and "narrow" for a phone; inline SVG
 * and the palette are those of analysis/palette.h.
 *
 * Context: cold; starts processes.
 */
#ifndef FL_PLOT_H
#define FL_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "analysis/palette.h"
#include "analysis/plot_query.h"
#include "analysis/summary.h"
#include "harness/complain.h"

enum fl_plot_kind {
	FL_PLOT_CROSSING,
	FL_PLOT_BREAKEVEN,
	FL_PLOT_RESIDENT,
	FL_PLOT_STACK,
	FL_PLOT_PARETO,
	FL_PLOT_PERCENTILES,
	FL_PLOT_LEVELS,
	FL_PLOT_ROWS,
	FL_PLOT_LINES,
};

/* One figure, or what it lacks. */
struct fl_plot {
	enum fl_plot_kind kind;
	char *title;
	char *file;		/* stem of its files, or NULL */
	bool aside;		/* others say most of it: has no narrow one */
	char *wide, *narrow;	/* inline SVG, or NULL */
	char *missing;		/* why there is none, or NULL */
	char *caption;		/* where the plot brings its own, or NULL */
	char *without;		/* what the figure lacks, sentences; or NULL */
};

struct fl_plots {
	struct fl_plot *plots;
	size_t nr;
	bool drawn;		/* gnuplot was there and did its work */
};

struct fl_plot_options {
	const char *id;		/* what ids in the page begin with, or "" */
	bool png, pdf;		/* also STEM.png, STEM.pdf */
	const struct fl_query_plots *queries;	/* more plots, or NULL */
};

/*
 * fl_plots_make: Write data files and plots of @summary to @folder, which is
 * made if it is not there: STEM.dat, STEM.svg, STEM-narrow.svg, and what @options
 * say.
 *
 * @scripts, @palette: from fl_plots_find and fl_palette_load.
 * A figure without data has no files, only a reason.  When gnuplot is missing or
 * fails, data files are there all the same, each plot has the reason, and @why
 * says it, too.
 * Returns 0, or -ENOMEM, or -errno of writing.
 */
int fl_plots_make(const struct fl_summary *summary, const char *scripts,
		  const struct fl_palette *palette, const char *folder,
		  const struct fl_plot_options *options,
		  struct fl_plots *out, struct fl_complaint *why);

/* fl_plots_none: The same figures, all missing because of @reason. */
int fl_plots_none(const struct fl_summary *summary, const char *reason,
		  struct fl_plots *out);

void fl_plots_free(struct fl_plots *plots);

#endif
