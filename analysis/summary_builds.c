/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "analysis/summary_make.h"

/*
 * The arm's times, or with @base its ratios to that one's, over its own builds.  A
 * spread that cannot be had stays as it is, with n = 0.
 */
static void make_spread(struct fl_maker *m, const struct fl_summary_arm *arm,
			const struct fl_summary_arm *base,
			struct fl_spread *out)
{
	double *values = calloc(m->s.nr_blocks, sizeof(*values));
	unsigned int *builds = calloc(m->s.nr_blocks, sizeof(*builds));
	size_t n = 0;

	for (size_t i = 0; values && builds && i < m->s.nr_blocks; i++) {
		const double ns = arm->block_ns[i];
		const double value = base ? ns / base->block_ns[i] : ns;

		if (isnan(value))
			continue;
		values[n] = value;
		builds[n++] = arm->block_build[i];
	}
	if (!values || !builds ||
	    fl_stats_spread(values, builds, n, out) == -ENOMEM)
		m->failed = true;
	free(values);
	free(builds);
}

void fl_make_spreads(struct fl_maker *m)
{
	for (size_t c = 0; c < m->s.nr_cells; c++) {
		struct fl_summary_cell *cell = &m->s.cells[c];

		for (size_t a = 0; a < cell->nr_arms; a++) {
			struct fl_summary_arm *arm = &cell->arms[a];

			make_spread(m, arm, NULL, &arm->spread);
			if (cell->baseline && arm != cell->baseline)
				make_spread(m, arm, cell->baseline,
					    &arm->ratio_spread);
			m->s.nr_spreads += arm->spread.n > 0;
		}
	}
}
