/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/breakeven.h"
#include "analysis/plot_data.h"

/* Comparisons of one compiler with the cursor in one place. */
struct panel {
	const char *residence, *compiler;
};

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static bool is_in(const struct panel *p, const struct fl_breakeven *b)
{
	return same_text(p->residence, b->residence) &&
	       same_text(p->compiler, b->compiler);
}

static size_t find_panels(const struct fl_breakeven *all, size_t nr,
			  struct panel *panels)
{
	size_t n = 0;

	for (size_t i = 0; i < nr; i++) {
		size_t p = 0;

		while (p < n && !is_in(&panels[p], &all[i]))
			p++;
		if (p == n)
			panels[n++] = (struct panel){
				all[i].residence, all[i].compiler,
			};
	}
	return n;
}

/* Of "clang 19.1.7 (3~deb12u1)" as many characters as say it shortly. */
static int name_and_version(const char *compiler)
{
	const size_t name = strcspn(compiler, " ");
	const size_t version = strcspn(compiler + name + !!compiler[name], " ");

	return (int)(name + !!compiler[name] + version);
}

static void put_panels(FILE *to, const struct fl_breakeven *all,
		       const struct panel *panels, size_t nr_panels)
{
	fprintf(to, "# panels\n");
	for (size_t p = 0; p < nr_panels; p++) {
		const struct fl_breakeven *b = all;
		char title[160];

		while (!is_in(&panels[p], b))
			b++;
		snprintf(title, sizeof(title), "%.*s, cursor in %s; against %.40s",
			 b->compiler ? name_and_version(b->compiler) : 16,
			 b->compiler ? b->compiler : "compiler unknown",
			 b->residence && strcmp(b->residence, "register") ?
			 "memory" : "registers", b->branch);
		fl_plot_string(to, title);
		fputc('\n', to);
	}
	fprintf(to, "\n\n");
}

static void frame_estimate(const struct fl_estimate *e, double *lo, double *hi)
{
	const double ends[] = { e->value, e->lo, e->hi };

	for (size_t i = 0; i < 3; i++)
		if (isfinite(ends[i]) && ends[i] > 0) {
			*lo = fmin(*lo, ends[i]);
			*hi = fmax(*hi, ends[i]);
		}
}

/* An end that is not there is the value's own. */
static void put_estimate(FILE *to, double x, const struct fl_estimate *e)
{
	if (isnan(e->value))
		return;
	fprintf(to, "%.0f %.6g %.6g %.6g\n", x, e->value,
		isnan(e->lo) ? e->value : e->lo,
		isnan(e->hi) ? e->value : e->hi);
}

int fl_plot_breakeven(FILE *to, const struct fl_breakeven *all, size_t nr)
{
	struct panel *panels = calloc(nr ? nr : 1, sizeof(*panels));
	double x0 = INFINITY, x1 = 0, y0 = 0.9, y1 = 1.1;
	size_t nr_panels, number = 0;

	if (!panels)
		return -ENOMEM;
	nr_panels = find_panels(all, nr, panels);
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < all[i].nr_levels; k++) {
			const struct fl_breakeven_level *l = &all[i].levels[k];

			x0 = fmin(x0, l->block_bytes);
			x1 = fmax(x1, l->block_bytes);
			frame_estimate(&l->observed, &y0, &y1);
			frame_estimate(&l->predicted, &y0, &y1);
		}
	fprintf(to, "# frame\n%.0f %.0f %.6g %.6g\n\n\n", x0, x1, y0 / 1.05,
		y1 * 1.05);
	put_panels(to, all, panels, nr_panels);
	fprintf(to, "# series\n");
	for (size_t p = 0; p < nr_panels; p++) {
		unsigned variant = 0;

		for (size_t i = 0; i < nr; i++) {
			if (!is_in(&panels[p], &all[i]))
				continue;
			fprintf(to, "%zu ", p + 1);
			fl_plot_string(to, all[i].fault_strategy);
			fputc(' ', to);
			fl_plot_string(to, all[i].fault);
			fprintf(to, " %u\n", variant++);
		}
	}
	for (size_t p = 0; p < nr_panels; p++)
		for (size_t i = 0; i < nr; i++) {
			const struct fl_breakeven *b = &all[i];

			if (!is_in(&panels[p], b))
				continue;
			fprintf(to, "\n\n# observed %03zu\n", ++number);
			for (size_t k = 0; k < b->nr_levels; k++)
				put_estimate(to, b->levels[k].block_bytes,
					     &b->levels[k].observed);
			fprintf(to, "\n\n# predicted %03zu\n", number);
			for (size_t k = 0; k < b->nr_levels; k++)
				put_estimate(to, b->levels[k].block_bytes,
					     &b->levels[k].predicted);
			/* A block of nothing would shift the ones after it. */
			if (isnan(b->levels[0].predicted.value))
				fprintf(to, "%.0f 1 1 1\n", x0);
		}
	free(panels);
	return 0;
}
