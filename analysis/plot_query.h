/* SPDX-License-Identifier: MIT */
/*
 * analysis/plot_query.h: plots that an experiment asks for in SQL: plots.ini beside
 * its plan; experiments/plots.ini is asked of every campaign.
 *
 *	[plot bytes]
 *	title = Bytes of code for each allocation site
 *	caption = Look at ...
 *	style = rows
 *	x = bytes a site
 *	query = SELECT strategy AS colour, arm AS label, median(hot_bytes) AS value,
 *		NULL AS low, NULL AS high FROM sample GROUP BY arm
 *
 * style: rows: a row for each label, its value along x, with its interval; the
 *	query has the columns colour, label, value, low, high.
 *	lines: value over x, one line for each label; the query has x, too, and its
 *	rows come in the order of the lines and, within one, of x.
 * x, y: what stands along the axes, with the unit; y: of lines alone.
 * log: x, y or xy: those axes are logarithmic.
 * one: yes: a line marks 1, for ratios.
 * missing: a query, too: its first column is sentences about what the plot does not
 *	show, which stand below it.
 * of: the campaign that is asked; the experiment's own where it is not said.
 *
 * colour: a strategy's name.  Rows without a finite value are left out; a plot
 * without any has only a reason.
 *
 * Context: cold.
 */
#ifndef FL_PLOT_QUERY_H
#define FL_PLOT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "harness/complain.h"

struct fl_query_row {
	char *colour, *label;
	double x, value, low, high;	/* low, high: the value if there are none */
};

struct fl_query_plot {
	char *name, *title, *caption, *x, *y;
	char *missing;		/* sentences, or NULL */
	bool lines, log_x, log_y, one;
	bool of_all;		/* asked of every campaign */
	struct fl_query_row *rows;
	size_t nr_rows;
};

struct fl_query_plots {
	struct fl_query_plot *list;
	size_t nr;
};

/*
 * fl_query_plots_load: What the plots.ini of all experiments ask of @campaign, by the
 * samples in @dir.
 * Returns 0 and *@out, also without any, or with a complaint that names file and
 * line -EINVAL, or as fl_keyfile_read, fl_db_open.
 */
int fl_query_plots_load(const char *dir, const char *campaign,
			struct fl_query_plots *out, struct fl_complaint *why);
void fl_query_plots_free(struct fl_query_plots *plots);

/*
 * fl_query_plot_write: For rows.gp or lines.gp, which say what stands where; it has
 * rows.  Returns 0 or -ENOMEM; errors of writing stay in @to.
 */
int fl_query_plot_write(FILE *to, const struct fl_query_plot *plot);

#endif
