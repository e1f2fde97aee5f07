/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/plot_data.h"
#include "harness/table.h"

/* Labels this far apart, as a share of the axis, do not touch: 15 of 230
 * pixels, the height of the narrow panels. */
#define LABEL_GAP	0.066

/* Pieces of a line between two block sizes. */
#define LINE_STEPS	12

/* Pages are drawn on a logarithmic axis above this ratio of most to least. */
#define LOG_ABOVE	20.0

/* ---- labels ------------------------------------------------------------- */

/*
 * With y_i = x_i - i gap, neighbours are far enough apart exactly if y never
 * falls, so this is isotonic regression: pool adjacent violators (Barlow,
 * Bartholomew, Bremner & Brunk 1972), then clamp, which keeps the order.
 */
void fl_plot_spread(double *at, size_t n, double gap)
{
	double room;

	if (n < 2)
		return;
	if ((double)(n - 1) * gap > 1)
		gap = 1 / (double)(n - 1);
	room = 1 - (double)(n - 1) * gap;
	for (size_t i = 0; i < n; i++)
		at[i] -= (double)i * gap;
	/* at[i] is part of a pool that begins at i - back and has one value. */
	for (size_t i = 1; i < n; i++) {
		size_t first = i;
		double sum = at[i];

		while (first && at[first - 1] > sum / (double)(i - first + 1)) {
			double value = at[first - 1];

			do {
				first--;
				sum += value;
			} while (first && at[first - 1] == value);
		}
		for (size_t j = first; j <= i; j++)
			at[j] = sum / (double)(i - first + 1);
	}
	for (size_t i = 0; i < n; i++)
		at[i] = fmin(fmax(at[i], 0), room) + (double)i * gap;
}

/* A line of a plot: where it ends, and where its name stands. */
struct series {
	const struct fl_summary_arm *arm;	/* one of its cells' */
	double end, label;
	unsigned int variant;	/* of its strategy, that is, of its colour */
};

static int by_end(const void *pa, const void *pb)
{
	const struct series *a = pa, *b = pb;

	return a->end != b->end ? (a->end > b->end) - (a->end < b->end) :
				  strcmp(a->arm->name, b->arm->name);
}

/* Arms of one strategy share a colour and differ in their dashes: 0, 1, ... in
 * the order of their names, whichever plot they are in. */
static void number_variants(struct series *series, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			series[i].variant +=
				!strcmp(series[j].arm->strategy,
					series[i].arm->strategy) &&
				strcmp(series[j].arm->name,
				       series[i].arm->name) < 0;
}

/* Sorts @series and places the labels on the axis from @lo to @hi. */
static int place_labels(struct series *series, size_t n, double lo, double hi,
			bool logarithmic)
{
	double *at = calloc(n ? n : 1, sizeof(*at));

	if (!at)
		return -ENOMEM;
	qsort(series, n, sizeof(*series), by_end);
	number_variants(series, n);
	for (size_t i = 0; i < n; i++)
		at[i] = logarithmic ? log(series[i].end / lo) / log(hi / lo) :
				      (series[i].end - lo) / (hi - lo);
	fl_plot_spread(at, n, LABEL_GAP);
	for (size_t i = 0; i < n; i++)
		series[i].label = logarithmic ? lo * pow(hi / lo, at[i]) :
						lo + (hi - lo) * at[i];
	free(at);
	return 0;
}

/* In double quotes for gnuplot, which knows no escape for them in data. */
void fl_plot_string(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++)
		fputc(*text == '"' || (unsigned char)*text < ' ' ? '\'' : *text,
		      to);
	fputc('"', to);
}

/* ---- crossing ----------------------------------------------------------- */

static bool is_choice(const struct fl_summary_arm *arm)
{
	return arm->role == FL_RESULT_BASELINE || arm->role == FL_RESULT_ARM;
}

/* The interval where there is one. */
static double low(const struct fl_interval *i)
{
	return i->n > 1 ? i->lo : i->median;
}

static double high(const struct fl_interval *i)
{
	return i->n > 1 ? i->hi : i->median;
}

/* Every arm with a time in any cell of @sweep, once; its end in the last. */
static int sweep_series(const struct fl_sweep *sweep, struct series **out,
			size_t *nr)
{
	size_t room = 0, n = 0;
	struct series *series;

	for (size_t c = 0; c < sweep->nr_cells; c++)
		room += sweep->cells[c]->nr_arms;
	series = calloc(room ? room : 1, sizeof(*series));
	if (!series)
		return -ENOMEM;
	for (size_t c = 0; c < sweep->nr_cells; c++)
		for (size_t a = 0; a < sweep->cells[c]->nr_arms; a++) {
			const struct fl_summary_arm *arm =
				&sweep->cells[c]->arms[a];
			size_t i = 0;

			if (!is_choice(arm) || !arm->alloc_ns.n)
				continue;
			while (i < n && strcmp(series[i].arm->name, arm->name))
				i++;
			series[i].arm = arm;
			series[i].end = arm->alloc_ns.median;
			n += i == n;
		}
	*out = series;
	*nr = n;
	return 0;
}

struct frame {
	double x0, x1, y0, y1;
};

static void frame_sweep(const struct fl_sweep *sweep, struct frame *frame)
{
	for (size_t c = 0; c < sweep->nr_cells; c++)
		for (size_t a = 0; a < sweep->cells[c]->nr_arms; a++) {
			const struct fl_summary_arm *arm =
				&sweep->cells[c]->arms[a];
			double bytes = (double)sweep->cells[c]->block_bytes;

			if (!is_choice(arm) || !arm->alloc_ns.n)
				continue;
			frame->x0 = fmin(frame->x0, bytes);
			frame->x1 = fmax(frame->x1, bytes);
			frame->y0 = fmin(frame->y0, low(&arm->alloc_ns));
			frame->y1 = fmax(frame->y1, high(&arm->alloc_ns));
		}
}

static const char *panel_title(const struct fl_sweep *sweep)
{
	if (!sweep->residence)
		return "";
	return strcmp(sweep->residence, "register") ? "cursor in memory" :
						      "cursor in registers";
}

static void put_panels(FILE *to, const struct fl_sweep *sweeps, size_t nr)
{
	char bytes[FL_TEXT_BYTES], label[FL_TEXT_BYTES + 16];

	fprintf(to, "# panels\n");
	for (size_t p = 0; p < nr; p++) {
		bool found = sweeps[p].state == FL_CROSSING_FOUND;

		snprintf(label, sizeof(label), "equal at %s",
			 fl_text_bytes(bytes, sweeps[p].block_bytes));
		fl_plot_string(to, panel_title(&sweeps[p]));
		fprintf(to, " %.0f %.6g ",
			found ? sweeps[p].block_bytes : 0,
			found ? sweeps[p].ns : 0);
		fl_plot_string(to, found ? label : "");
		fputc('\n', to);
	}
	fprintf(to, "\n\n");
}

static void put_sweep_points(FILE *to, const struct fl_sweep *sweep,
			     const char *arm_name)
{
	for (size_t c = 0; c < sweep->nr_cells; c++) {
		const struct fl_summary_arm *arm =
			fl_cell_timed_arm(sweep->cells[c], arm_name);

		if (arm)
			fprintf(to, "%.0f %.6g %.6g %.6g\n",
				(double)sweep->cells[c]->block_bytes,
				arm->alloc_ns.median, low(&arm->alloc_ns),
				high(&arm->alloc_ns));
	}
}

/*
 * The line through those points: between two of them the time is linear over
 * 1 / block size, as a slow path's share of an allocation is, which on these axes
 * is a curve.  A straight line there would cross others at the wrong place.
 */
static void put_sweep_line(FILE *to, const struct fl_sweep *sweep,
			   const char *arm_name)
{
	const struct fl_summary_cell *last = NULL;

	for (size_t c = 0; c < sweep->nr_cells; c++) {
		const struct fl_summary_cell *cell = sweep->cells[c];
		const struct fl_summary_arm *arm = fl_cell_timed_arm(cell, arm_name);
		double x0, x1, y0, y1;

		if (!arm)
			continue;
		x1 = (double)cell->block_bytes;
		y1 = arm->alloc_ns.median;
		x0 = last ? (double)last->block_bytes : x1;
		y0 = last ? fl_cell_timed_arm(last, arm_name)->alloc_ns.median : y1;
		for (int i = 1; last && i < LINE_STEPS; i++) {
			double x = x0 * pow(x1 / x0, (double)i / LINE_STEPS);

			fprintf(to, "%.6g %.6g\n", x, y0 + (y1 - y0) *
				(1 / x0 - 1 / x) / (1 / x0 - 1 / x1));
		}
		fprintf(to, "%.0f %.6g\n", x1, y1);
		last = cell;
	}
}

int fl_plot_crossing(FILE *to, const struct fl_sweep *sweeps, size_t nr)
{
	struct frame frame = { INFINITY, 0, INFINITY, 0 };
	struct series **series = calloc(nr, sizeof(*series));
	size_t *nr_series = calloc(nr, sizeof(*nr_series)), number = 0;
	double decades;
	int err = series && nr_series ? 0 : -ENOMEM;

	for (size_t p = 0; p < nr; p++)
		frame_sweep(&sweeps[p], &frame);
	/* Air below, and above for the crossing's label. */
	decades = fmax(log10(frame.y1 / frame.y0), 0.3);
	frame.y0 *= pow(10, -0.07 * decades);
	frame.y1 *= pow(10, 0.16 * decades);
	fprintf(to, "# frame\n%.0f %.0f %.6g %.6g\n\n\n", frame.x0, frame.x1,
		frame.y0, frame.y1);
	put_panels(to, sweeps, nr);
	fprintf(to, "# series\n");
	for (size_t p = 0; p < nr && !err; p++) {
		err = sweep_series(&sweeps[p], &series[p], &nr_series[p]);
		if (!err)
			err = place_labels(series[p], nr_series[p], frame.y0,
					   frame.y1, true);
		for (size_t i = 0; i < nr_series[p] && !err; i++) {
			fprintf(to, "%zu ", p + 1);
			fl_plot_string(to, series[p][i].arm->strategy);
			fputc(' ', to);
			fl_plot_string(to, series[p][i].arm->name);
			fprintf(to, " %.6g %u\n", series[p][i].label,
				series[p][i].variant);
		}
	}
	for (size_t p = 0; p < nr && !err; p++)
		for (size_t i = 0; i < nr_series[p]; i++) {
			fprintf(to, "\n\n# points %03zu\n", ++number);
			put_sweep_points(to, &sweeps[p],
					 series[p][i].arm->name);
			fprintf(to, "\n\n# line %03zu\n", number);
			put_sweep_line(to, &sweeps[p],
				       series[p][i].arm->name);
		}
	for (size_t p = 0; series && p < nr; p++)
		free(series[p]);
	free(series);
	free(nr_series);
	return err;
}

/* ---- resident pages ----------------------------------------------------- */

/* How high the axis is, at most. */
#define STEPS_PX	420.0

static const json_t *pages_of(const struct fl_summary_arm *arm)
{
	const json_t *pages = arm->pages ?
		json_object_get(arm->pages->json, "pages") : NULL;

	return is_choice(arm) && json_array_size(pages) > 1 ? pages : NULL;
}

bool fl_plot_has_pages(const struct fl_summary_cell *cell)
{
	for (size_t a = 0; a < cell->nr_arms; a++)
		if (pages_of(&cell->arms[a]))
			return true;
	return false;
}

/* Point @i of @pages, or false where it is no pair of numbers. */
static bool page_point(const json_t *pages, size_t i, double *event,
		       double *count)
{
	const json_t *pair = json_array_get(pages, i);
	const json_t *x = json_array_get(pair, 0), *y = json_array_get(pair, 1);

	*event = json_number_value(x);
	*count = json_number_value(y);
	return json_is_number(x) && json_is_number(y);
}

/*
 * Where the line's name belongs: the last census but one.  The last one is after
 * the end of the run, when some give everything back.
 */
static double page_level(const json_t *pages)
{
	double x, y, level = NAN;

	for (size_t i = 0; i + 1 < json_array_size(pages); i++)
		if (page_point(pages, i, &x, &y))
			level = y;
	return level;
}

/*
 * Points of a line of steps, without those that move it by less than half a pixel
 * from where it was drawn last.
 */
static void put_steps(FILE *to, const json_t *pages, const struct frame *f,
		      bool logarithmic)
{
	const size_t nr = json_array_size(pages);
	double x, y, last = NAN;

	for (size_t i = 0; i < nr; i++) {
		double moved;

		if (!page_point(pages, i, &x, &y))
			continue;
		y = logarithmic ? fmax(y, f->y0) : y;
		moved = logarithmic ? log(y / last) / log(f->y1 / f->y0) :
				      (y - last) / (f->y1 - f->y0);
		if (i && i + 1 < nr && fabs(moved) < 0.5 / STEPS_PX)
			continue;
		fprintf(to, "%.0f %.0f\n", x, y);
		last = y;
	}
}

int fl_plot_resident(FILE *to, const struct fl_summary_cell *cell)
{
	struct series *series = calloc(cell->nr_arms, sizeof(*series));
	struct frame f = { INFINITY, -INFINITY, INFINITY, 0 };
	size_t nr = 0;
	bool logarithmic;
	double x, y;
	int err;

	if (!series)
		return -ENOMEM;
	for (size_t a = 0; a < cell->nr_arms; a++) {
		const json_t *pages = pages_of(&cell->arms[a]);
		double level = page_level(pages);

		for (size_t i = 0; i < json_array_size(pages); i++) {
			if (!page_point(pages, i, &x, &y))
				continue;
			f.x0 = fmin(f.x0, x);
			f.x1 = fmax(f.x1, x);
			f.y1 = fmax(f.y1, y);
		}
		if (isnan(level))
			continue;
		f.y0 = fmin(f.y0, fmax(level, 1));
		series[nr].arm = &cell->arms[a];
		series[nr++].end = fmax(level, 1);
	}
	logarithmic = f.y1 > LOG_ABOVE * f.y0;
	f.y0 = logarithmic ? f.y0 / 2 : 0;
	f.y1 = logarithmic ? f.y1 * 1.5 : fmax(f.y1, 1) * 1.06;
	err = place_labels(series, nr, f.y0, f.y1, logarithmic);
	fprintf(to, "# frame\n%.0f %.0f %.6g %.6g %d\n\n\n# series\n", f.x0,
		f.x1, f.y0, f.y1, logarithmic);
	for (size_t i = 0; i < nr; i++) {
		fl_plot_string(to, series[i].arm->strategy);
		fputc(' ', to);
		fl_plot_string(to, series[i].arm->name);
		fprintf(to, " %.6g %.6g %u\n", series[i].end, series[i].label,
			series[i].variant);
	}
	for (size_t s = 0; s < nr; s++) {
		fprintf(to, "\n\n# points %03zu\n", s + 1);
		put_steps(to, pages_of(series[s].arm), &f, logarithmic);
	}
	free(series);
	return err;
}
