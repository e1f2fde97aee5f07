/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/plot_data.h"
#include "analysis/plot_pages.h"

/*
 * Steps of a stack on the page.  A campaign has 240 censuses and a panel of a phone
 * 160 pixels; all of them in each panel are another megabyte.  Files of their own
 * have all.
 */
#define STACK_STEPS	60u

/* How high a panel is there, at most; half a pixel is no step. */
#define STACK_PX	126.0

/* Of a point of "pages" in a result: event, resident, and the classes. */
enum { EVENT, RESIDENT, LIVE, METADATA, POOLED, LEAKED, CENSORED, NR_NUMBERS };

/* A name's height, and the least height of a panel, in pixels. */
#define LABEL_PX	15.0
#define PANEL_PX	290.0

static bool is_choice(const struct fl_summary_arm *arm)
{
	return arm->role == FL_RESULT_BASELINE || arm->role == FL_RESULT_ARM;
}

/* ---- stacks ------------------------------------------------------------- */

/* Censuses with classes, or NULL. */
static const json_t *stack_of(const struct fl_summary_arm *arm)
{
	const json_t *pages = arm->pages ?
		json_object_get(arm->pages->json, "pages") : NULL;

	return is_choice(arm) && json_array_size(pages) > 1 &&
	       json_array_size(json_array_get(pages, 0)) >= NR_NUMBERS ?
	       pages : NULL;
}

bool fl_plot_has_stack(const struct fl_summary_cell *cell)
{
	for (size_t a = 0; a < cell->nr_arms; a++)
		if (stack_of(&cell->arms[a]))
			return true;
	return false;
}

static double number(const json_t *pages, size_t census, size_t i)
{
	return json_number_value(json_array_get(json_array_get(pages, census),
						i));
}

static void put_corner(FILE *to, double event, const json_t *pages,
		       size_t census)
{
	fprintf(to, "%.0f", event);
	for (size_t i = LIVE; i <= CENSORED; i++)
		fprintf(to, " %.0f", number(pages, census, i));
	fputc('\n', to);
}

/* "1 4": of LIVE on, the classes that any census has pages of; at least the first. */
static void put_classes(FILE *to, const json_t *pages)
{
	fputs("\"1", to);
	for (size_t i = LIVE + 1; i <= CENSORED; i++) {
		size_t census = 0;

		while (census < json_array_size(pages) &&
		       !(number(pages, census, i) > 0))
			census++;
		if (census < json_array_size(pages))
			fprintf(to, " %zu", i - LIVE + 1);
	}
	fputc('"', to);
}

/* Does no border between classes move by more than @within pages? */
static bool alike(const json_t *pages, size_t a, size_t b, double within)
{
	double moved = 0;

	for (size_t i = LIVE; i <= CENSORED; i++) {
		moved += number(pages, a, i) - number(pages, b, i);
		if (fabs(moved) > within)
			return false;
	}
	return true;
}

/*
 * The corners of the steps: an area of one piece is a tenth of what gnuplot makes of
 * steps.  Of several censuses that share a step the one with the most pages: a peak
 * that the plot does not show would be one that the table has.
 */
static void put_stack(FILE *to, const json_t *pages, size_t steps, double within)
{
	const size_t nr = json_array_size(pages);
	size_t last = 0;

	steps = nr < steps ? nr : steps;
	for (size_t s = 0; s < steps; s++) {
		const size_t first = s * nr / steps, end = (s + 1) * nr / steps;
		size_t most = first;

		for (size_t i = first + 1; i < end; i++)
			if (number(pages, i, RESIDENT) >
			    number(pages, most, RESIDENT))
				most = i;
		if (s && alike(pages, most, last, within))
			continue;
		if (s)
			put_corner(to, number(pages, first, EVENT), pages, last);
		put_corner(to, number(pages, first, EVENT), pages, most);
		last = most;
	}
	put_corner(to, number(pages, nr - 1, EVENT), pages, last);
}

int fl_plot_stack(FILE *to, const struct fl_summary_cell *cell)
{
	double events = 0, most = 0;
	size_t nr = 0;

	for (size_t a = 0; a < cell->nr_arms; a++) {
		const json_t *pages = stack_of(&cell->arms[a]);

		for (size_t i = 0; i < json_array_size(pages); i++) {
			events = fmax(events, number(pages, i, EVENT));
			most = fmax(most, number(pages, i, RESIDENT));
		}
	}
	fprintf(to, "# frame\n%.0f %.0f\n\n\n# panels\n", fmax(events, 1),
		fmax(most, 1));
	for (size_t a = 0; a < cell->nr_arms; a++) {
		if (!stack_of(&cell->arms[a]))
			continue;
		fl_plot_string(to, cell->arms[a].strategy);
		fputc(' ', to);
		fl_plot_string(to, cell->arms[a].name);
		fputc(' ', to);
		put_classes(to, stack_of(&cell->arms[a]));
		fputc('\n', to);
	}
	for (size_t a = 0; a < cell->nr_arms; a++)
		if (stack_of(&cell->arms[a])) {
			fprintf(to, "\n\n# steps %03zu\n", ++nr);
			put_stack(to, stack_of(&cell->arms[a]), STACK_STEPS,
				  most / STACK_PX / 2);
			fprintf(to, "\n\n# few %03zu\n", nr);
			put_stack(to, stack_of(&cell->arms[a]), STACK_STEPS / 2,
				  most / STACK_PX / 2);
			fprintf(to, "\n\n# points %03zu\n", nr);
			put_stack(to, stack_of(&cell->arms[a]), SIZE_MAX, 0);
		}
	return 0;
}

/* ---- Pareto ------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool fl_plot_pareto_next(const struct fl_summary *summary, struct fl_pareto *p)
{
	const struct fl_summary_cell *end = summary->cells + summary->nr_cells;
	const struct fl_summary_cell *c = p->timed ? p->timed + 1 :
						     summary->cells;

	for (; c < end; c++)
		if (!c->bench && c->nr_timed &&
		    same(c->kernel, p->pages->kernel) &&
		    same(c->trace, p->pages->trace) &&
		    c->object_bytes == p->pages->object_bytes &&
		    c->block_bytes == p->pages->block_bytes) {
			p->timed = c;
			return true;
		}
	return false;
}

/* An arm: what its time is over, and what it is in pages. */
struct point {
	const struct fl_summary_arm *arm;
	double at[2];			/* leaked share, peak over peak live */
	double ns, low, high;
	double label;
	bool best[2];			/* nothing is better in both */
};

static bool has_pages(const struct fl_summary_arm *arm, double *at)
{
	struct fl_pages pages;

	if (!is_choice(arm) || fl_summary_pages(arm, &pages) ||
	    isnan(pages.leaked_share) || isnan(pages.peak_over_live))
		return false;
	at[0] = pages.leaked_share;
	at[1] = pages.peak_over_live;
	return true;
}

static const struct fl_summary_metric *time_of(const struct fl_summary_arm *arm)
{
	return is_choice(arm) ? fl_summary_find(arm, "event_ns") : NULL;
}

static bool get_point(const struct fl_summary_arm *arm,
		      const struct fl_summary_cell *pages, struct point *out)
{
	const struct fl_summary_metric *time = time_of(arm);
	const struct fl_summary_arm *counted = fl_cell_arm(pages, arm->name);

	if (!time || !counted || !has_pages(counted, out->at))
		return false;
	out->arm = arm;
	out->ns = time->median;
	out->low = isnan(time->lo) ? time->median : time->lo;
	out->high = isnan(time->hi) ? time->median : time->hi;
	return true;
}

size_t fl_plot_pareto_points(const struct fl_pareto *p)
{
	struct point point;
	size_t nr = 0;

	for (size_t a = 0; a < p->timed->nr_arms; a++)
		nr += get_point(&p->timed->arms[a], p->pages, &point);
	return nr;
}

int fl_plot_pareto_without(const struct fl_pareto *p, char **out)
{
	char *text = NULL;
	size_t bytes, nr = 0;
	struct point point;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		return -ENOMEM;
	for (size_t a = 0; a < p->pages->nr_arms; a++) {
		const struct fl_summary_arm *arm = &p->pages->arms[a];
		const struct fl_summary_arm *timed = fl_cell_arm(p->timed, arm->name);

		if (has_pages(arm, point.at) && (!timed || !time_of(timed)))
			fprintf(to, "%s%s", nr++ ? ", " : "Not timed: ",
				arm->name);
	}
	if (nr)
		fputs(". ", to);
	nr = 0;
	for (size_t a = 0; a < p->timed->nr_arms; a++) {
		const struct fl_summary_arm *arm = &p->timed->arms[a];

		if (time_of(arm) && !get_point(arm, p->pages, &point))
			fprintf(to, "%s%s", nr++ ? ", " : "Pages not counted: ",
				arm->name);
	}
	if (nr)
		fputs(". ", to);
	if (fclose(to)) {
		free(text);
		return -ENOMEM;
	}
	if (!bytes) {
		free(text);
		text = NULL;
	}
	*out = text;
	return 0;
}

static int by_time(const void *pa, const void *pb)
{
	const struct point *a = pa, *b = pb;

	return a->ns != b->ns ? (a->ns > b->ns) - (a->ns < b->ns) :
				strcmp(a->arm->name, b->arm->name);
}

/* On the frontier is what no other is as good as in both, and better in one. */
static void find_frontier(struct point *points, size_t nr, int axis)
{
	for (size_t i = 0; i < nr; i++) {
		points[i].best[axis] = true;
		for (size_t k = 0; k < nr; k++)
			if (points[k].ns <= points[i].ns &&
			    points[k].at[axis] <= points[i].at[axis] &&
			    (points[k].ns < points[i].ns ||
			     points[k].at[axis] < points[i].at[axis]))
				points[i].best[axis] = false;
	}
}

static void put_frontier(FILE *to, const struct point *points, size_t nr,
			 int axis)
{
	fprintf(to, "\n\n# frontier %03d\n", axis + 1);
	for (size_t i = nr; i-- > 0;)
		if (points[i].best[axis])
			fprintf(to, "%.6g %.6g\n", points[i].at[axis],
				points[i].ns);
}

int fl_plot_pareto(FILE *to, const struct fl_pareto *p)
{
	const size_t room = p->timed->nr_arms;
	struct point *points = calloc(room, sizeof(*points));
	double *at = calloc(room, sizeof(*at));
	double low = INFINITY, high = 0, ratio = 0, height;
	size_t nr = 0;
	int err = -ENOMEM;

	if (!points || !at)
		goto out;
	for (size_t a = 0; a < room; a++)
		nr += get_point(&p->timed->arms[a], p->pages, &points[nr]);
	qsort(points, nr, sizeof(*points), by_time);
	find_frontier(points, nr, 0);
	find_frontier(points, nr, 1);
	for (size_t i = 0; i < nr; i++) {
		low = fmin(low, points[i].low);
		high = fmax(high, points[i].high);
		ratio = fmax(ratio, points[i].at[1]);
	}
	low /= 1.15;
	high *= 1.15;
	height = fmax(PANEL_PX, LABEL_PX * ((double)nr + 1));
	for (size_t i = 0; i < nr; i++)
		at[i] = log(points[i].ns / low) / log(high / low);
	fl_plot_spread(at, nr, LABEL_PX / height);
	fprintf(to, "# frame\n%.6g %.6g %.6g %.0f\n\n\n# points\n", low, high,
		ratio, height);
	for (size_t i = 0; i < nr; i++) {
		fl_plot_string(to, points[i].arm->strategy);
		fputc(' ', to);
		fl_plot_string(to, points[i].arm->name);
		fprintf(to, " %.6g %.6g %.6g %.6g %.6g %d %d %.6g\n",
			points[i].at[0], points[i].at[1], points[i].ns,
			points[i].low, points[i].high, points[i].best[0],
			points[i].best[1], low * pow(high / low, at[i]));
	}
	put_frontier(to, points, nr, 0);
	put_frontier(to, points, nr, 1);
	err = 0;
out:
	free(at);
	free(points);
	return err;
}
