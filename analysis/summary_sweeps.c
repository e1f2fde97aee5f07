/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "analysis/summary_make.h"

static int by_sweep(const void *pa, const void *pb)
{
	const struct fl_sweep *a = pa, *b = pb;
	int order = strcmp(a->title, b->title);

	return order ? order : fl_residence_rank(a->residence) -
			       fl_residence_rank(b->residence);
}

const char *fl_sweep_best(const struct fl_sweep *sweep, const char *answer,
			  const char *compiler)
{
	const char *best = NULL;
	size_t best_n = 0;
	double best_log = INFINITY;

	for (size_t c = 0; c < sweep->nr_cells; c++)
		for (size_t a = 0; a < sweep->cells[c]->nr_arms; a++) {
			const struct fl_summary_arm *arm =
				&sweep->cells[c]->arms[a], *there;
			double log_sum = 0;
			size_t n = 0;

			if (fl_is_control(arm) ||
			    fl_by_text(arm->answer, answer) ||
			    (compiler && fl_by_text(arm->compiler, compiler)))
				continue;
			for (size_t i = 0; i < sweep->nr_cells; i++) {
				there = fl_cell_arm(sweep->cells[i], arm->name);
				if (!there || !there->alloc_ns.n)
					continue;
				log_sum += log(there->alloc_ns.median);
				n++;
			}
			if (n > best_n ||
			    (n && n == best_n && log_sum < best_log)) {
				best = arm->name;
				best_n = n;
				best_log = log_sum;
			}
		}
	return best;
}

/*
 * Where no block ends there is nothing to sweep: such a cell shows the fast path
 * by itself.
 */
static bool ends_blocks(const struct fl_summary_cell *cell)
{
	return !cell->lifetime_bytes || cell->block_bytes < cell->lifetime_bytes;
}

/* Cells belong to one sweep if they differ in block size alone. */
static void add_to_sweep(struct fl_maker *m, const struct fl_summary_cell *cell)
{
	struct fl_sweep *sweep = NULL;

	for (size_t i = 0; i < m->s.nr_sweeps && !sweep; i++)
		if (!strcmp(m->s.sweeps[i].title, cell->title) &&
		    !fl_by_text(m->s.sweeps[i].residence, cell->residence))
			sweep = &m->s.sweeps[i];
	if (!sweep) {
		FL_PUSH(m, m->s.sweeps, m->s.nr_sweeps, (struct fl_sweep){
			.title = cell->title, .residence = cell->residence,
			.block_bytes = NAN, .ns = NAN, .slower_bytes = NAN,
			.faster_bytes = NAN, .refill_ns = { NAN, NAN },
		});
		if (m->failed)
			return;
		sweep = &m->s.sweeps[m->s.nr_sweeps - 1];
	}
	FL_PUSH(m, sweep->cells, sweep->nr_cells, cell);
}

static int by_block_bytes(const void *pa, const void *pb)
{
	const struct fl_summary_cell *a =
		*(const struct fl_summary_cell *const *)pa;
	const struct fl_summary_cell *b =
		*(const struct fl_summary_cell *const *)pb;
	int order = fl_by_number(a->block_bytes, b->block_bytes);

	return order ? order : strcmp(a->name, b->name);
}

/*
 * What one slow path costs, from how much longer an allocation takes when
 * blocks are small: a second witness beside timing them one by one.
 */
static double refill_by_slope(const struct fl_sweep *sweep, const char *name)
{
	double ns[2] = { NAN, NAN }, share[2] = { NAN, NAN };

	for (size_t c = 0; c < sweep->nr_cells; c++) {
		const struct fl_summary_arm *arm =
			fl_cell_arm(sweep->cells[c], name);
		double events, allocs;
		int end = !isnan(ns[0]);

		if (!arm || !arm->alloc_ns.n)
			continue;
		events = fl_summary_value(arm, "events");
		allocs = fl_summary_value(arm, "nr_allocs");
		if (!(events >= 0) || !(allocs > 0))
			continue;
		ns[end] = arm->alloc_ns.median;
		share[end] = events / allocs;
	}
	/* Less than a factor of two in events, and noise decides. */
	if (!(share[0] > 2 * share[1]))
		return NAN;
	return (ns[0] - ns[1]) / (share[0] - share[1]);
}

/* A sweep's two arms at one block size. */
struct duel {
	double bytes, ns;		/* of the redirect */
	struct fl_ratio ratio;		/* redirect to branch */
};

static bool surely_slower(const struct duel *d)
{
	return fl_stats_differs(&d->ratio) && d->ratio.lo > 1;
}

static bool surely_faster(const struct duel *d)
{
	return fl_stats_differs(&d->ratio) && d->ratio.hi < 1;
}

/*
 * Where between @a and @b the arms take equally long.  An allocation's share of
 * a slow path goes with 1 / block size, so what one arm takes more than the
 * other is a line over that.
 */
static void cross(struct fl_sweep *sweep, const struct duel *a,
		  const struct duel *b)
{
	double before = a->ns * (1 - 1 / a->ratio.ratio);
	double after = b->ns * (1 - 1 / b->ratio.ratio);
	double share = before / (before - after);

	sweep->state = FL_CROSSING_FOUND;
	sweep->block_bytes = 1 / (1 / a->bytes +
				  share * (1 / b->bytes - 1 / a->bytes));
	sweep->ns = a->ns + share * (b->ns - a->ns);
}

/* By ascending block size, at least two. */
static void judge_duels(struct fl_sweep *sweep, const struct duel *duels,
			size_t n)
{
	size_t nr_changes = 0, change = 0, slower = n, faster = n;

	for (size_t i = 0; i < n; i++) {
		if (surely_slower(&duels[i])) {
			slower = i;
			sweep->slower_bytes = duels[i].bytes;
		}
		if (surely_faster(&duels[i]) && faster == n) {
			faster = i;
			sweep->faster_bytes = duels[i].bytes;
		}
		if (i && (duels[i].ratio.ratio > 1) !=
			 (duels[i - 1].ratio.ratio > 1)) {
			nr_changes++;
			change = i;
		}
	}
	if (!nr_changes)
		sweep->state = duels[0].ratio.ratio > 1 ? FL_CROSSING_BRANCH :
							  FL_CROSSING_REDIRECT;
	else if (nr_changes == 1 && duels[0].ratio.ratio > 1)
		cross(sweep, &duels[change - 1], &duels[change]);
	else if (slower < faster && faster < n)
		cross(sweep, &duels[slower], &duels[faster]);
	else
		sweep->state = FL_CROSSING_UNCLEAR;
}

static void find_crossing(struct fl_maker *m, struct fl_sweep *sweep)
{
	struct duel *duels = calloc(sweep->nr_cells, sizeof(*duels));
	size_t n = 0;

	if (!duels) {
		m->failed = true;
		return;
	}
	for (size_t c = 0; c < sweep->nr_cells; c++) {
		const struct fl_summary_cell *cell = sweep->cells[c];
		const struct fl_summary_arm *branch, *redirect;

		branch = fl_cell_arm(cell, sweep->branch);
		redirect = fl_cell_arm(cell, sweep->redirect);
		if (!branch || !redirect)
			continue;
		fl_maker_pair(m, redirect, branch, &duels[n].ratio);
		duels[n].bytes = (double)cell->block_bytes;
		duels[n].ns = redirect->alloc_ns.median;
		n += duels[n].ratio.n > 0;
	}
	if (n >= 2)
		judge_duels(sweep, duels, n);
	free(duels);
}

/* What made arm @name's module; NULL: unknown. */
static const char *compiler_of(const struct fl_sweep *sweep, const char *name)
{
	for (size_t c = 0; name && c < sweep->nr_cells; c++) {
		const struct fl_summary_arm *arm =
			fl_cell_arm(sweep->cells[c], name);

		if (arm)
			return arm->compiler;
	}
	return NULL;
}

/*
 * The fastest branch and the fastest redirect, both by one compiler: else a crossing
 * tells two compilers apart.  That of the fastest branch goes first, because nothing
 * is shown by winning against a badly compiled one.
 */
static void choose_arms(struct fl_sweep *sweep)
{
	const char *branch, *redirect;

	sweep->branch = fl_sweep_best(sweep, "branch", NULL);
	sweep->compiler = compiler_of(sweep, sweep->branch);
	sweep->redirect = fl_sweep_best(sweep, "redirect", sweep->compiler);
	redirect = fl_sweep_best(sweep, "redirect", NULL);
	branch = fl_sweep_best(sweep, "branch", compiler_of(sweep, redirect));
	if (sweep->redirect || !redirect || !branch)
		return;
	sweep->branch = branch;
	sweep->compiler = compiler_of(sweep, branch);
	sweep->redirect = redirect;
}

static bool is_sweep(const struct fl_sweep *sweep)
{
	return sweep->cells[0]->block_bytes !=
	       sweep->cells[sweep->nr_cells - 1]->block_bytes;
}

void fl_make_sweeps(struct fl_maker *m)
{
	size_t nr = 0;

	for (size_t c = 0; c < m->s.nr_cells && !m->failed; c++)
		if (m->s.cells[c].block_bytes && m->s.cells[c].nr_timed &&
		    ends_blocks(&m->s.cells[c]))
			add_to_sweep(m, &m->s.cells[c]);
	for (size_t i = 0; i < m->s.nr_sweeps && !m->failed; i++) {
		struct fl_sweep sweep = m->s.sweeps[i];

		qsort(sweep.cells, sweep.nr_cells, sizeof(*sweep.cells),
		      by_block_bytes);
		if (!is_sweep(&sweep)) {
			free(sweep.cells);
			continue;
		}
		choose_arms(&sweep);
		find_crossing(m, &sweep);
		sweep.refill_ns[0] = refill_by_slope(&sweep, sweep.branch);
		sweep.refill_ns[1] = refill_by_slope(&sweep, sweep.redirect);
		m->s.sweeps[nr++] = sweep;
	}
	if (m->failed)
		return;
	m->s.nr_sweeps = nr;
	if (nr)
		qsort(m->s.sweeps, nr, sizeof(*m->s.sweeps), by_sweep);
}
