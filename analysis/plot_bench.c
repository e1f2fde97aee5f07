/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/plot_bench.h"
#include "analysis/plot_data.h"
#include "harness/tunables.h"

/* As in plot_data.c: labels this far apart, as a share of the axis, do not touch. */
#define LABEL_GAP	0.066

/* Fewest rows, and points of a line, that are not read faster from a table. */
#define ROWS_MIN	3
#define LEVELS_MIN	3

static const struct {
	const char *name, *metric;
	size_t place;			/* in FL_HIST_PERCENTILES */
} marks[] = {
	{ "p50", "slow_p50_ns", 0 },
	{ "p99", "slow_p99_ns", 2 },
	{ "p99.9", "slow_p99_9_ns", 3 },
};

#define NR_MARKS	(sizeof(marks) / sizeof(*marks))

static bool is_choice(const struct fl_summary_arm *arm)
{
	return arm->role == FL_RESULT_BASELINE || arm->role == FL_RESULT_ARM;
}

/* In double quotes for gnuplot, which knows no escape for them in data. */
static void put_string(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++)
		fputc(*text == '"' || (unsigned char)*text < ' ' ? '\'' : *text,
		      to);
	fputc('"', to);
}

/* ---- percentiles ---------------------------------------------------------- */

/* A percentile of an arm.  lo and hi are NaN where there is no interval. */
struct point {
	double ns, lo, hi;
};

/*
 * The median over samples, if most samples know it: an interval belongs to that.
 * If single samples are too short for so rare a value, all of them together may
 * not be.  NaN: neither.
 */
static struct point percentile(const struct fl_summary_arm *arm, size_t mark)
{
	const struct fl_summary_metric *metric =
		fl_summary_find(arm, marks[mark].metric);
	struct point p = { NAN, NAN, NAN };

	if (!arm->slow.hist || !arm->slow.resolved)
		return p;
	if (metric && 2 * metric->n > arm->nr_ok)
		return (struct point){ metric->median, metric->lo, metric->hi };
	p.ns = fl_summary_percentile(&arm->slow, marks[mark].place, NULL);
	return p;
}

struct row {
	const struct fl_summary_arm *arm;
	struct point points[NR_MARKS];
};

static int by_median(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;
	const double x = a->points[0].ns, y = b->points[0].ns;

	return x != y ? (x > y) - (x < y) : strcmp(a->arm->name, b->arm->name);
}

/* Of @rows, which may be NULL, as many as there are arms; returns how many. */
static size_t make_rows(const struct fl_summary_cell *cell, struct row *rows)
{
	size_t nr = 0;

	for (size_t a = 0; a < cell->nr_arms; a++) {
		struct row row = { .arm = &cell->arms[a] };

		if (!is_choice(row.arm))
			continue;
		for (size_t i = 0; i < NR_MARKS; i++)
			row.points[i] = percentile(row.arm, i);
		if (isnan(row.points[0].ns))
			continue;
		if (rows)
			rows[nr] = row;
		nr++;
	}
	return nr;
}

bool fl_plot_has_percentiles(const struct fl_summary_cell *cell)
{
	return cell->bench && make_rows(cell, NULL) >= ROWS_MIN;
}

/* The strategy that @arm is named after, or what text is written in. */
static const char *colour_of(const struct fl_palette *palette, const char *arm)
{
	const char *found = "text";
	size_t longest = 0;

	for (size_t i = 0; i < palette->nr; i++) {
		const char *name = palette->colours[i].name;
		const size_t n = strlen(name);

		if (n > longest && !strncmp(arm, name, n) &&
		    (!arm[n] || arm[n] == '_')) {
			found = name;
			longest = n;
		}
	}
	return found;
}

int fl_plot_percentiles(FILE *to, const struct fl_summary_cell *cell,
			const struct fl_palette *palette)
{
	struct row *rows = calloc(cell->nr_arms, sizeof(*rows));
	double lowest = INFINITY, highest = 0;
	size_t nr;

	if (!rows)
		return -ENOMEM;
	nr = make_rows(cell, rows);
	qsort(rows, nr, sizeof(*rows), by_median);
	for (size_t r = 0; r < nr; r++)
		for (size_t i = 0; i < NR_MARKS; i++) {
			const struct point *p = &rows[r].points[i];

			lowest = fmin(lowest, fmin(p->ns, p->lo));
			highest = fmax(highest, fmax(p->ns, p->hi));
		}
	fprintf(to, "# frame\n%.6g %.6g ", lowest, highest);
	put_string(to, cell->op ? cell->op : "op");
	fprintf(to, "\n\n\n# rows\n");
	for (size_t r = 0; r < nr; r++) {
		fprintf(to, "%zu %s ", r + 1,
			colour_of(palette, rows[r].arm->name));
		put_string(to, rows[r].arm->name);
		fputc('\n', to);
	}
	fprintf(to, "\n\n# marks\n");
	for (size_t i = 0; i < NR_MARKS; i++) {
		put_string(to, marks[i].name);
		fputc('\n', to);
	}
	for (size_t i = 0; i < NR_MARKS; i++) {
		fprintf(to, "\n\n# points %03zu\n", i + 1);
		for (size_t r = 0; r < nr; r++) {
			const struct point *p = &rows[r].points[i];

			/* Off the axis, so that no block is ever empty. */
			fprintf(to, "%zu %.6g %.6g %.6g %s\n", r + 1,
				isnan(p->ns) ? -1 : p->ns,
				isnan(p->lo) ? p->ns : p->lo,
				isnan(p->hi) ? p->ns : p->hi,
				colour_of(palette, rows[r].arm->name));
		}
	}
	free(rows);
	return 0;
}

/* ---- levels ---------------------------------------------------------------- */

size_t fl_plot_group(const struct fl_summary_cell *cells, size_t nr)
{
	size_t n = 1;

	while (n < nr && cells[n].bench && cells->bench &&
	       !strcmp(cells[n].title, cells->title))
		n++;
	return n;
}

/*
 * The level of tunable number @i (from 0) in "GROUP/pages=16/other=run"; "" beyond
 * the last.  *@bytes: its length.
 */
static const char *level(const char *name, size_t i, size_t *bytes)
{
	for (i++; i && *name; i--) {
		name += strcspn(name, "/");
		name += *name == '/';
	}
	*bytes = strcspn(name, "/");
	return name;
}

/* The level's number, or NaN: it has none. */
static double number(const char *name, size_t i)
{
	char text[64];
	uint64_t value;
	size_t bytes;
	const char *equals;

	name = level(name, i, &bytes);
	equals = memchr(name, '=', bytes);
	if (!equals)
		return NAN;
	bytes -= (size_t)(equals + 1 - name);
	if (bytes >= sizeof(text))
		return NAN;
	memcpy(text, equals + 1, bytes);
	text[bytes] = '\0';
	return fl_parse_bytes(text, &value) || !value ? NAN : (double)value;
}

/* How many different numbers tunable @i has; 0 if one of its levels is none. */
static size_t nr_numbers(const struct fl_summary_cell *cells, size_t nr, size_t i)
{
	size_t n = 0;

	for (size_t c = 0; c < nr; c++) {
		const double x = number(cells[c].name, i);
		bool seen = false;

		if (isnan(x))
			return 0;
		for (size_t k = 0; k < c; k++)
			seen |= number(cells[k].name, i) == x;
		n += !seen;
	}
	return n;
}

/* The tunable for the axis, or SIZE_MAX. */
static size_t axis_of(const struct fl_summary_cell *cells, size_t nr)
{
	size_t bytes;

	for (size_t i = 0; *level(cells->name, i, &bytes); i++)
		if (nr_numbers(cells, nr, i) >= LEVELS_MIN)
			return i;
	return SIZE_MAX;
}

/* Does cell @a differ from @b in tunable @axis at most? */
static bool same_panel(const char *a, const char *b, size_t axis)
{
	size_t bytes_a, bytes_b;

	for (size_t i = 0;; i++) {
		const char *x = level(a, i, &bytes_a), *y = level(b, i, &bytes_b);

		if (!*x || !*y)
			return !*x && !*y;
		if (i != axis && (bytes_a != bytes_b || memcmp(x, y, bytes_a)))
			return false;
	}
}

/* A line: its arm's name, and where it ends. */
struct line {
	const char *arm;
	double end, label;
	size_t place;			/* of the arm in the group */
};

static int by_end(const void *pa, const void *pb)
{
	const struct line *a = pa, *b = pb;

	return a->end != b->end ? (a->end > b->end) - (a->end < b->end) :
				  strcmp(a->arm, b->arm);
}

/* What the lines of a group have in common. */
struct levels {
	const struct fl_summary_cell *cells;
	size_t nr, axis;
	double x0, x1, y0, y1;
	const char **arms;		/* of the group, in the order of the first cell
					   that they are in */
	size_t nr_arms;
};

static double low(const struct fl_interval *i)
{
	return i->n > 1 ? i->lo : i->median;
}

static double high(const struct fl_interval *i)
{
	return i->n > 1 ? i->hi : i->median;
}

static int look_around(struct levels *l)
{
	size_t room = 0;

	for (size_t c = 0; c < l->nr; c++)
		room += l->cells[c].nr_arms;
	l->arms = calloc(room ? room : 1, sizeof(*l->arms));
	if (!l->arms)
		return -ENOMEM;
	l->x0 = l->y0 = INFINITY;
	for (size_t c = 0; c < l->nr; c++)
		for (size_t a = 0; a < l->cells[c].nr_arms; a++) {
			const struct fl_summary_arm *arm = &l->cells[c].arms[a];
			const double x = number(l->cells[c].name, l->axis);
			size_t i = 0;

			if (!is_choice(arm) || !arm->alloc_ns.n)
				continue;
			while (i < l->nr_arms && strcmp(l->arms[i], arm->name))
				i++;
			l->arms[i] = arm->name;
			l->nr_arms += i == l->nr_arms;
			l->x0 = fmin(l->x0, x);
			l->x1 = fmax(l->x1, x);
			l->y0 = fmin(l->y0, low(&arm->alloc_ns));
			l->y1 = fmax(l->y1, high(&arm->alloc_ns));
		}
	l->y0 *= 0.85;
	l->y1 *= 1.18;
	return 0;
}

bool fl_plot_has_levels(const struct fl_summary_cell *cells, size_t nr)
{
	struct levels l = { .cells = cells, .nr = nr };
	bool has;

	if (!cells->bench)
		return false;
	l.axis = axis_of(cells, nr);
	if (l.axis == SIZE_MAX || look_around(&l))
		return false;
	has = l.nr_arms > 0;
	free(l.arms);
	return has;
}

/* Of the panel that begins with cell @first, each arm's line and its label. */
static size_t make_lines(const struct levels *l, size_t first,
			 struct line *lines, double *at)
{
	size_t nr = 0;

	for (size_t i = 0; i < l->nr_arms; i++) {
		struct line line = { .arm = l->arms[i], .place = i };
		double last = 0;

		for (size_t c = first; c < l->nr; c++) {
			const struct fl_summary_arm *arm =
				fl_cell_timed_arm(&l->cells[c], l->arms[i]);
			const double x = number(l->cells[c].name, l->axis);

			if (!arm || x < last || !same_panel(
				l->cells[first].name, l->cells[c].name, l->axis))
				continue;
			last = x;
			line.end = arm->alloc_ns.median;
		}
		if (last > 0)
			lines[nr++] = line;
	}
	qsort(lines, nr, sizeof(*lines), by_end);
	for (size_t i = 0; i < nr; i++)
		at[i] = log(lines[i].end / l->y0) / log(l->y1 / l->y0);
	fl_plot_spread(at, nr, LABEL_GAP);
	for (size_t i = 0; i < nr; i++)
		lines[i].label = l->y0 * pow(l->y1 / l->y0, at[i]);
	return nr;
}

static bool begins_panel(const struct levels *l, size_t c)
{
	for (size_t k = 0; k < c; k++)
		if (same_panel(l->cells[k].name, l->cells[c].name, l->axis))
			return false;
	return true;
}

/* "other=run, threads=2", without the axis. */
static void put_panel(FILE *to, const struct levels *l, size_t first)
{
	const char *separator = "", *text;
	size_t bytes;

	fputc('"', to);
	for (size_t i = 0; *(text = level(l->cells[first].name, i, &bytes)); i++) {
		if (i == l->axis)
			continue;
		fprintf(to, "%s%.*s", separator, (int)bytes, text);
		separator = ", ";
	}
	fprintf(to, "\"\n");
}

static void put_line(FILE *to, const struct levels *l, size_t first,
		     const char *name)
{
	/* A plan may list levels in any order; a line goes from left to right. */
	for (double done = 0;;) {
		const struct fl_summary_arm *next = NULL;
		double next_x = INFINITY;

		for (size_t c = first; c < l->nr; c++) {
			const double x = number(l->cells[c].name, l->axis);
			const struct fl_summary_arm *arm =
				fl_cell_timed_arm(&l->cells[c], name);

			if (!arm || x <= done || x >= next_x || !same_panel(
				l->cells[first].name, l->cells[c].name, l->axis))
				continue;
			next = arm;
			next_x = x;
		}
		if (!next)
			return;
		fprintf(to, "%.0f %.6g %.6g %.6g\n", next_x,
			next->alloc_ns.median, low(&next->alloc_ns),
			high(&next->alloc_ns));
		done = next_x;
	}
}

static void put_frame(FILE *to, const struct levels *l)
{
	size_t bytes;
	const char *axis = level(l->cells->name, l->axis, &bytes);

	fprintf(to, "# frame\n%.0f %.0f %.6g %.6g \"%.*s\" ", l->x0, l->x1, l->y0,
		l->y1, (int)strcspn(axis, "="), axis);
	put_string(to, l->cells->op ? l->cells->op : "op");
	fprintf(to, "\n\n\n# panels\n");
	for (size_t c = 0; c < l->nr; c++)
		if (begins_panel(l, c))
			put_panel(to, l, c);
}

/* Calls for each line of each panel, in the order in which they are drawn. */
static void put_lines(FILE *to, const struct levels *l, struct line *lines,
		      double *at, size_t nr_others)
{
	size_t panel = 0, number_of_line = 0;

	fprintf(to, "\n\n# series\n");
	for (size_t c = 0; c < l->nr; c++) {
		size_t nr = begins_panel(l, c) ? make_lines(l, c, lines, at) : 0;

		panel += begins_panel(l, c);
		for (size_t i = 0; i < nr; i++) {
			fprintf(to, "%zu other-%zu ", panel,
				1 + lines[i].place % nr_others);
			put_string(to, lines[i].arm);
			fprintf(to, " %.6g %zu\n", lines[i].label,
				lines[i].place / nr_others);
		}
	}
	for (size_t c = 0; c < l->nr; c++) {
		size_t nr = begins_panel(l, c) ? make_lines(l, c, lines, at) : 0;

		for (size_t i = 0; i < nr; i++) {
			fprintf(to, "\n\n# points %03zu\n", ++number_of_line);
			put_line(to, l, c, lines[i].arm);
		}
	}
}

int fl_plot_levels(FILE *to, const struct fl_summary_cell *cells, size_t nr,
		   const struct fl_palette *palette)
{
	struct levels l = { .cells = cells, .nr = nr };
	struct line *lines;
	double *at;
	int err;

	l.axis = axis_of(cells, nr);
	err = look_around(&l);
	if (err)
		return err;
	lines = calloc(l.nr_arms, sizeof(*lines));
	at = calloc(l.nr_arms, sizeof(*at));
	if (lines && at) {
		put_frame(to, &l);
		put_lines(to, &l, lines, at,
			  palette->nr_others ? palette->nr_others : 1);
	} else {
		err = -ENOMEM;
	}
	free(lines);
	free(at);
	free(l.arms);
	return err;
}
