/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "analysis/breakeven.h"
#include "analysis/summary_make.h"

/* Lifetimes that differ by less are of one size: sizes round. */
#define SAME_LIFETIME	1.05

/* Farther away than any size of block. */
#define OTHER_WORKLOAD	1e3

/* Two arms at one level of a sweep. */
struct level {
	const struct fl_summary_arm *branch, *fault;
	const struct fl_summary_arm *hot_branch, *hot_fault;	/* or NULL */
	const struct fl_summary_arm *slow_branch, *slow_fault;	/* or NULL */
	double bytes;
	double events;			/* per allocation, of the fault arm */
	double branch_events;
};

/* One comparison while it is worked out. */
struct model {
	const struct fl_summary *s;
	struct fl_breakeven *out;
	struct level *levels;
	size_t nr;
	size_t *draw;			/* blocks of the resample */
	double *work;			/* s->nr_blocks values */
	double *curve[2];		/* observed, predicted: nr values each */
};

/* What one resample says. */
struct reading {
	double fault_ns, refill_ns, in_place_ns, compare_ns;
	double crossing[2];		/* observed, predicted */
};

enum { OBSERVED, PREDICTED };

/* Median of @values over the blocks drawn that have one, or NaN. */
static double drawn_median(const struct model *m, const double *values)
{
	size_t n = 0;

	for (size_t i = 0; i < m->s->nr_blocks; i++)
		if (!isnan(values[m->draw[i]]))
			m->work[n++] = values[m->draw[i]];
	if (!n)
		return NAN;
	gsl_sort(m->work, 1, n);
	return gsl_stats_median_from_sorted_data(m->work, 1, n);
}

static double drawn_ns(const struct model *m, const struct fl_summary_arm *arm)
{
	return arm ? drawn_median(m, arm->block_ns) : NAN;
}

/* Median of what @a takes more than @b in the same block, in ns. */
static double drawn_difference(const struct model *m,
			       const struct fl_summary_arm *a,
			       const struct fl_summary_arm *b)
{
	size_t n = 0;

	if (!a || !b)
		return NAN;
	for (size_t i = 0; i < m->s->nr_blocks; i++) {
		double d = a->block_ns[m->draw[i]] - b->block_ns[m->draw[i]];

		if (!isnan(d))
			m->work[n++] = d;
	}
	if (!n)
		return NAN;
	gsl_sort(m->work, 1, n);
	return gsl_stats_median_from_sorted_data(m->work, 1, n);
}

/*
 * Where @more, what the fault takes more at each level, falls below 0 for good.
 * @beyond: what to say if it is above 0 at the last level.
 */
static double crossing(const struct model *m, const double *more, double beyond)
{
	size_t last = m->nr;

	for (size_t i = 0; i < m->nr; i++) {
		if (isnan(more[i]))
			return NAN;
		if (more[i] > 0)
			last = i;
	}
	if (last == m->nr)
		return 0;
	if (last == m->nr - 1)
		return beyond;
	return 1 / (1 / m->levels[last].bytes + more[last] /
		    (more[last] - more[last + 1]) *
		    (1 / m->levels[last + 1].bytes - 1 / m->levels[last].bytes));
}

/* With the last level's fast paths, and ever fewer slow ones. */
static double beyond_last(const struct model *m, double fast, double slow)
{
	const struct level *last = &m->levels[m->nr - 1];

	return fast < 0 ? last->bytes * slow / -fast : INFINITY;
}

/* Slope of the observed difference over the events: least squares. */
static double slope(const struct model *m, const double *more)
{
	double x = 0, y = 0, xx = 0, xy = 0, n = (double)m->nr;

	for (size_t i = 0; i < m->nr; i++) {
		x += m->levels[i].events;
		y += more[i];
		xx += m->levels[i].events * m->levels[i].events;
		xy += m->levels[i].events * more[i];
	}
	return (n * xy - x * y) / (n * xx - x * x);
}

static double drawn_slow_ns(const struct model *m,
			    const struct fl_summary_arm *arm)
{
	return arm ? drawn_median(m, arm->block_slow_ns) : NAN;
}

/* All numbers of one resample; curves are left in m->curve as ratios. */
static void read_draw(struct model *m, struct reading *r)
{
	double fast = NAN, slow = NAN;
	const struct level *first = &m->levels[0];

	*r = (struct reading){
		.fault_ns = drawn_slow_ns(m, first->slow_fault),
		.refill_ns = drawn_slow_ns(m, first->slow_branch),
		.compare_ns = drawn_difference(m, first->hot_branch,
					       first->hot_fault),
	};
	for (size_t i = 0; i < m->nr; i++) {
		const struct level *l = &m->levels[i];

		m->curve[OBSERVED][i] = drawn_difference(m, l->fault, l->branch);
		fast = drawn_difference(m, l->hot_fault, l->hot_branch);
		slow = drawn_slow_ns(m, l->slow_fault) * l->events -
		       drawn_slow_ns(m, l->slow_branch) * l->branch_events;
		m->curve[PREDICTED][i] = fast + slow;
	}
	r->in_place_ns = slope(m, m->curve[OBSERVED]);
	r->crossing[OBSERVED] = crossing(m, m->curve[OBSERVED], INFINITY);
	r->crossing[PREDICTED] = crossing(m, m->curve[PREDICTED],
					  beyond_last(m, fast, slow));
	for (size_t i = 0; i < m->nr; i++) {
		const struct level *l = &m->levels[i];

		m->curve[OBSERVED][i] = drawn_ns(m, l->fault) /
					drawn_ns(m, l->branch);
		m->curve[PREDICTED][i] =
			(drawn_ns(m, l->hot_fault) +
			 drawn_slow_ns(m, l->slow_fault) * l->events) /
			(drawn_ns(m, l->hot_branch) +
			 drawn_slow_ns(m, l->slow_branch) * l->branch_events);
	}
}

/* ---- intervals ---------------------------------------------------------- */

/* Numbers that get an interval: those of a reading, then two of each level. */
#define NR_FIXED	6u

static void flatten(const struct model *m, const struct reading *r,
		    double *numbers)
{
	numbers[0] = r->fault_ns;
	numbers[1] = r->refill_ns;
	numbers[2] = r->in_place_ns;
	numbers[3] = r->compare_ns;
	numbers[4] = r->crossing[OBSERVED];
	numbers[5] = r->crossing[PREDICTED];
	for (size_t i = 0; i < m->nr; i++) {
		numbers[NR_FIXED + 2 * i] = m->curve[OBSERVED][i];
		numbers[NR_FIXED + 2 * i + 1] = m->curve[PREDICTED][i];
	}
}

/*
 * Ends of the middle 95 %, without interpolation: values may be infinite.  A
 * resample may lack an arm that few blocks have.
 */
static void set_ends(double *sorted, size_t n, struct fl_estimate *out)
{
	size_t have = 0, tail;

	for (size_t i = 0; i < n; i++)
		if (!isnan(sorted[i]))
			sorted[have++] = sorted[i];
	n = have;
	tail = (size_t)((1 - FL_STATS_CONFIDENCE) / 2 * (double)n);
	gsl_sort(sorted, 1, n);
	out->lo = sorted[tail];
	out->hi = sorted[n - 1 - tail];
}

static int estimate(struct model *m)
{
	struct fl_breakeven *b = m->out;
	const size_t nr = NR_FIXED + 2 * m->nr, n = FL_BREAKEVEN_NR_RESAMPLES;
	double *all = calloc(nr * n, sizeof(*all));
	double *numbers = calloc(nr, sizeof(*numbers));
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	struct fl_estimate *to[NR_FIXED] = {
		&b->fault_ns, &b->refill_ns, &b->in_place_ns, &b->compare_ns,
		&b->observed, &b->predicted,
	};
	struct reading r;
	int err = -ENOMEM;

	if (!all || !numbers || !rng)
		goto out;
	gsl_rng_set(rng, FL_STATS_SEED);
	for (size_t k = 0; k < n; k++) {
		for (size_t i = 0; i < m->s->nr_blocks; i++)
			m->draw[i] = gsl_rng_uniform_int(rng, m->s->nr_blocks);
		read_draw(m, &r);
		flatten(m, &r, numbers);
		for (size_t i = 0; i < nr; i++)
			all[i * n + k] = numbers[i];
	}
	for (size_t i = 0; i < m->s->nr_blocks; i++)
		m->draw[i] = i;
	read_draw(m, &r);
	flatten(m, &r, numbers);
	for (size_t i = 0; i < nr; i++) {
		struct fl_estimate e = {
			.value = numbers[i], .lo = NAN, .hi = NAN,
		};

		/* One block alone has no interval. */
		if (!isnan(e.value) && m->s->nr_blocks > 1)
			set_ends(&all[i * n], n, &e);
		if (i < NR_FIXED)
			*to[i] = e;
		else if ((i - NR_FIXED) % 2)
			b->levels[(i - NR_FIXED) / 2].predicted = e;
		else
			b->levels[(i - NR_FIXED) / 2].observed = e;
	}
	err = 0;
out:
	if (rng)
		gsl_rng_free(rng);
	free(numbers);
	free(all);
	return err;
}

/* ---- who meets whom ----------------------------------------------------- */

static bool same_workload(const struct fl_summary_cell *a,
			  const struct fl_summary_cell *b)
{
	/* Titles also tell the plan's groups apart. */
	return !fl_by_text(a->kernel, b->kernel) &&
	       !fl_by_text(a->trace, b->trace) &&
	       a->object_bytes == b->object_bytes && a->fresh == b->fresh &&
	       !fl_by_text(a->residence, b->residence);
}

/* Timed, and without a single slow path. */
static bool is_hot(const struct fl_summary_arm *arm)
{
	return arm && arm->alloc_ns.n && fl_summary_value(arm, "events") == 0;
}

/* @name's fast path on the working set of @cell, or NULL. */
static const struct fl_summary_arm *hot_arm(const struct fl_summary *s,
					    const struct fl_summary_cell *cell,
					    const char *name)
{
	for (size_t i = 0; i < s->nr_cells; i++) {
		const struct fl_summary_cell *c = &s->cells[i];
		const struct fl_summary_arm *arm = fl_cell_arm(c, name);
		double ratio = (double)c->lifetime_bytes /
			       (double)cell->lifetime_bytes;

		if (is_hot(arm) && same_workload(c, cell) &&
		    ratio < SAME_LIFETIME && ratio > 1 / SAME_LIFETIME)
			return arm;
	}
	return NULL;
}

static bool has_slow(const struct fl_summary *s, const struct fl_summary_arm *arm)
{
	for (size_t i = 0; arm && i < s->nr_blocks; i++)
		if (!isnan(arm->block_slow_ns[i]))
			return true;
	return false;
}

/*
 * Where @name's slow paths were timed: on this workload, or else on any; of those,
 * in blocks of about the size of @level's, because a slow path finds the less of
 * itself in the caches the more was allocated since the last.
 */
static const struct fl_summary_arm *slow_arm(const struct fl_summary *s,
					     const struct fl_summary_cell *level,
					     const char *name)
{
	const struct fl_summary_arm *best = NULL;
	double least = INFINITY;

	for (size_t i = 0; i < s->nr_cells; i++) {
		const struct fl_summary_cell *c = &s->cells[i];
		const struct fl_summary_arm *arm = fl_cell_arm(c, name);
		double distance = fabs(log2((double)c->block_bytes) -
				       log2((double)level->block_bytes));

		if (c->fresh || !has_slow(s, arm))
			continue;
		if (!same_workload(c, level))
			distance += OTHER_WORKLOAD;
		if (distance < least) {
			least = distance;
			best = arm;
		}
	}
	return best;
}

static double per_alloc(const struct fl_summary_arm *arm)
{
	return fl_summary_value(arm, "events") /
	       fl_summary_value(arm, "nr_allocs");
}

/* The levels at which both were timed and met the ends of blocks. */
static void fill_levels(struct model *m, const struct fl_sweep *sweep)
{
	for (size_t i = 0; i < sweep->nr_cells; i++) {
		const struct fl_summary_cell *cell = sweep->cells[i];
		struct level l = {
			.branch = fl_cell_arm(cell, m->out->branch),
			.fault = fl_cell_arm(cell, m->out->fault),
			.bytes = (double)cell->block_bytes,
		};

		if (!l.branch || !l.fault || !l.branch->alloc_ns.n ||
		    !l.fault->alloc_ns.n)
			continue;
		l.events = per_alloc(l.fault);
		l.branch_events = per_alloc(l.branch);
		if (!(l.events > 0))
			continue;
		l.hot_branch = hot_arm(m->s, cell, m->out->branch);
		l.hot_fault = hot_arm(m->s, cell, m->out->fault);
		l.slow_branch = slow_arm(m->s, cell, m->out->branch);
		l.slow_fault = slow_arm(m->s, cell, m->out->fault);
		m->levels[m->nr++] = l;
	}
}

static const char *what_is_missing(const struct model *m)
{
	if (!m->levels[0].slow_fault || !m->levels[0].slow_branch)
		return "slow paths were not timed one by one";
	for (size_t i = 0; i < m->nr; i++)
		if (!m->levels[i].hot_branch || !m->levels[i].hot_fault)
			return "not every level has a cell in which no block ends";
	return NULL;
}

static void judge(struct fl_breakeven *b)
{
	const double last = b->levels[b->nr_levels - 1].block_bytes;
	const double lo = fmin(b->observed.lo, last);

	b->agree = !b->missing && b->predicted.lo <= b->observed.hi &&
		   lo <= b->predicted.hi;
	b->neither = b->agree && isinf(b->observed.value) &&
		     b->predicted.value > last;
}

/* Nothing to compare leaves nr_levels 0. */
static int compare(const struct fl_summary *s, const struct fl_sweep *sweep,
		   struct fl_breakeven *b)
{
	struct model m = { .s = s, .out = b };
	int err = -ENOMEM;

	m.levels = calloc(sweep->nr_cells, sizeof(*m.levels));
	m.draw = calloc(s->nr_blocks, sizeof(*m.draw));
	m.work = calloc(s->nr_blocks, sizeof(*m.work));
	m.curve[0] = calloc(2 * sweep->nr_cells, sizeof(*m.curve[0]));
	b->levels = calloc(sweep->nr_cells, sizeof(*b->levels));
	if (!m.levels || !m.draw || !m.work || !m.curve[0] || !b->levels)
		goto out;
	m.curve[1] = m.curve[0] + sweep->nr_cells;
	err = 0;
	fill_levels(&m, sweep);
	/* A line needs two points. */
	if (m.nr < 2)
		goto out;
	b->nr_levels = m.nr;
	for (size_t i = 0; i < m.nr; i++)
		b->levels[i].block_bytes = m.levels[i].bytes;
	b->missing = what_is_missing(&m);
	err = estimate(&m);
	if (!err)
		judge(b);
out:
	free(m.levels);
	free(m.draw);
	free(m.work);
	free(m.curve[0]);
	return err;
}

/* Add what @arm, a redirecting one, has to say. */
static int add(const struct fl_summary *s, const struct fl_sweep *sweep,
	       const struct fl_summary_arm *arm, struct fl_breakeven **all,
	       size_t *nr)
{
	struct fl_breakeven b = {
		.title = sweep->title, .residence = sweep->residence,
		.compiler = arm->compiler, .fault = arm->name,
		.fault_strategy = arm->strategy,
		.branch = fl_sweep_best(sweep, "branch", arm->compiler),
	}, *grown;
	int err;

	if (!b.branch)
		return 0;
	err = compare(s, sweep, &b);
	if (err || !b.nr_levels) {
		free(b.levels);
		return err;
	}
	grown = realloc(*all, (*nr + 1) * sizeof(**all));
	if (!grown) {
		free(b.levels);
		return -ENOMEM;
	}
	*all = grown;
	(*all)[(*nr)++] = b;
	return 0;
}

/* Is it the first cell of @sweep that has this arm? */
static bool is_first(const struct fl_sweep *sweep, size_t cell, const char *name)
{
	for (size_t i = 0; i < cell; i++)
		if (fl_cell_arm(sweep->cells[i], name))
			return false;
	return true;
}

int fl_breakevens_make(const struct fl_summary *s, struct fl_breakeven **out,
		       size_t *nr)
{
	struct fl_breakeven *all = NULL;
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < s->nr_sweeps; i++) {
		const struct fl_sweep *sweep = &s->sweeps[i];

		for (size_t c = 0; c < sweep->nr_cells; c++)
			for (size_t a = 0; a < sweep->cells[c]->nr_arms && !err;
			     a++) {
				const struct fl_summary_arm *arm =
					&sweep->cells[c]->arms[a];

				if (!fl_is_control(arm) &&
				    !fl_by_text(arm->answer, "redirect") &&
				    is_first(sweep, c, arm->name))
					err = add(s, sweep, arm, &all, &n);
			}
	}
	if (err) {
		fl_breakevens_free(all, n);
		return err;
	}
	*out = all;
	*nr = n;
	return 0;
}

void fl_breakevens_free(struct fl_breakeven *all, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(all[i].levels);
	free(all);
}

const char *fl_breakeven_text(char text[FL_TEXT_BYTES],
			      const struct fl_breakeven *b, double bytes,
			      bool observed)
{
	char end[FL_TEXT_BYTES];

	if (isinf(bytes) && !observed)
		return "never";
	if (isinf(bytes))
		snprintf(text, FL_TEXT_BYTES, "above %s", fl_text_bytes(end,
			 b->levels[b->nr_levels - 1].block_bytes));
	else if (bytes == 0)
		snprintf(text, FL_TEXT_BYTES, "below %s",
			 fl_text_bytes(end, b->levels[0].block_bytes));
	else if (isnan(bytes))
		return "-";
	else
		return fl_text_bytes(text, bytes);
	return text;
}

const char *fl_breakeven_verdict(char text[FL_VERDICT_TEXT_BYTES],
				 const struct fl_breakeven *b)
{
	char last[FL_TEXT_BYTES];

	if (b->missing)
		return b->missing;
	if (!b->agree)
		return "DIFFER";
	if (!b->neither)
		return "agree";
	snprintf(text, FL_VERDICT_TEXT_BYTES, "agree: neither crosses up to %s",
		 fl_text_bytes(last, b->levels[b->nr_levels - 1].block_bytes));
	return text;
}

bool fl_breakevens_predicted(const struct fl_breakeven *all, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!all[i].missing)
			return true;
	return false;
}

/* ---- every level ---------------------------------------------------------- */

int fl_breakeven_holds(const struct fl_breakeven *b, size_t level)
{
	const struct fl_estimate *p = &b->levels[level].predicted;
	const struct fl_estimate *o = &b->levels[level].observed;

	if (b->missing || isnan(p->lo) || isnan(p->hi) || isnan(o->lo) ||
	    isnan(o->hi))
		return -1;
	return p->lo <= o->hi && o->lo <= p->hi;
}

struct fl_breakeven_count fl_breakevens_count(const struct fl_breakeven *all,
					      size_t nr)
{
	struct fl_breakeven_count count = { 0, 0 };

	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < all[i].nr_levels; k++) {
			const int holds = fl_breakeven_holds(&all[i], k);

			count.nr_hold += holds == 1;
			count.nr += holds >= 0;
		}
	return count;
}

char *fl_breakeven_exception(const struct fl_breakeven *b, size_t level)
{
	const struct fl_breakeven_level *l = &b->levels[level];
	const struct fl_estimate *e[] = { &l->predicted, &l->observed };
	char block[FL_TEXT_BYTES], number[6][FL_TEXT_BYTES], *text;
	const char *n[6];

	for (size_t i = 0; i < 2; i++) {
		n[3 * i] = fl_text_number(number[3 * i], e[i]->value, false);
		n[3 * i + 1] = fl_text_number(number[3 * i + 1], e[i]->lo, false);
		n[3 * i + 2] = fl_text_number(number[3 * i + 2], e[i]->hi, false);
	}
	if (asprintf(&text, "%s%s%s, %s, %s: predicted %s [%s, %s], observed %s [%s, %s]",
		     b->title, b->residence ? ", cursor in " : "",
		     b->residence ? b->residence : "", b->fault,
		     fl_text_bytes(block, l->block_bytes), n[0], n[1], n[2], n[3],
		     n[4], n[5]) < 0)
		return NULL;
	return text;
}

/* ---- JSON --------------------------------------------------------------- */

/* JSON has no infinity: "inf" says that there is none. */
static json_t *number(double value)
{
	if (isnan(value))
		return json_null();
	return isinf(value) ? json_string("inf") : json_real(value);
}

static json_t *estimate_json(const struct fl_estimate *e)
{
	return json_pack("{s:o, s:o, s:o}", "value", number(e->value),
			 "lo", number(e->lo), "hi", number(e->hi));
}

json_t *fl_breakevens_json(const struct fl_breakeven *all, size_t nr)
{
	json_t *array = json_array();

	for (size_t i = 0; i < nr; i++) {
		const struct fl_breakeven *b = &all[i];
		char verdict[FL_VERDICT_TEXT_BYTES];
		json_t *levels = json_array();

		for (size_t k = 0; k < b->nr_levels; k++)
			json_array_append_new(levels, json_pack("{s:f, s:o, s:o, s:o}",
				"block_bytes", b->levels[k].block_bytes,
				"observed", estimate_json(&b->levels[k].observed),
				"predicted",
				estimate_json(&b->levels[k].predicted),
				"overlap", fl_breakeven_holds(b, k) < 0 ? json_null() :
				json_boolean(fl_breakeven_holds(b, k))));
		json_array_append_new(array, json_pack(
			"{s:s, s:s?, s:s?, s:s, s:s, s:s?, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:s, s:o}",
			"workload", b->title, "residence", b->residence,
			"compiler", b->compiler, "branch", b->branch,
			"fault", b->fault, "missing", b->missing,
			"fault_ns", estimate_json(&b->fault_ns),
			"refill_ns", estimate_json(&b->refill_ns),
			"in_place_ns", estimate_json(&b->in_place_ns),
			"compare_ns", estimate_json(&b->compare_ns),
			"predicted_bytes", estimate_json(&b->predicted),
			"observed_bytes", estimate_json(&b->observed),
			"agree", b->agree, "neither_crosses", b->neither,
			"verdict", fl_breakeven_verdict(verdict, b),
			"levels", levels));
	}
	return array;
}
