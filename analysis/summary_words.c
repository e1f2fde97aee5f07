/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "analysis/summary_make.h"
#include "harness/clock.h"
#include "harness/table.h"

/* ---- validity ----------------------------------------------------------- */

/* A sentence more, as fl_maker_text makes it. */
#define VERDICT(m, ...)	FL_PUSH(m, (m)->s.verdicts, (m)->s.nr_verdicts,	\
				fl_maker_text(m, __VA_ARGS__))
#define ANSWER(m, ...)	FL_PUSH(m, (m)->s.answers, (m)->s.nr_answers,	\
				fl_maker_text(m, __VA_ARGS__))

static const char *range_text(char out[3 * FL_TEXT_BYTES],
			      const struct fl_ratio *ratio)
{
	char a[FL_TEXT_BYTES], b[FL_TEXT_BYTES], c[FL_TEXT_BYTES];

	snprintf(out, 3 * FL_TEXT_BYTES, "%s [%s, %s]",
		 fl_text_number(a, ratio->ratio, false),
		 fl_text_number(b, ratio->lo, false),
		 fl_text_number(c, ratio->hi, false));
	return out;
}

/* The controls of one role: how many cells came to each verdict. */
static void count_verdicts(const struct fl_summary *s, bool planted,
			   size_t counts[FL_VERDICT_BAD + 1])
{
	memset(counts, 0, (FL_VERDICT_BAD + 1) * sizeof(*counts));
	for (size_t c = 0; c < s->nr_cells; c++)
		counts[planted ? s->cells[c].planted : s->cells[c].twin]++;
}

static void tell_bad_controls(struct fl_maker *m, enum fl_result_role role,
			      const char *what)
{
	char range[3 * FL_TEXT_BYTES];

	for (size_t c = 0; c < m->s.nr_cells; c++)
		for (size_t a = 0; a < m->s.cells[c].nr_arms; a++) {
			const struct fl_summary_arm *arm =
				&m->s.cells[c].arms[a];

			if (arm->role == role &&
			    arm->verdict == FL_VERDICT_BAD)
				VERDICT(m, "%s %s: %s takes %s times as long as %s.",
					what, m->s.cells[c].name, arm->name,
					range_text(range, &arm->control),
					arm->of);
		}
}

/* The most that equal arms may differ by in any cell. */
static double worst_resolution(const struct fl_summary *s)
{
	double worst = 0;

	for (size_t c = 0; c < s->nr_cells; c++)
		worst = fmax(worst, s->cells[c].resolution);
	return worst;
}

static void judge_twins(struct fl_maker *m)
{
	size_t counts[FL_VERDICT_BAD + 1], judged;
	const char *noisy = "";
	char share[FL_TEXT_BYTES];

	count_verdicts(&m->s, false, counts);
	judged = counts[FL_VERDICT_UNDECIDED] + counts[FL_VERDICT_GOOD] +
		 counts[FL_VERDICT_BAD];
	if (!judged) {
		m->s.valid = false;
		if (counts[FL_VERDICT_UNJUDGED])
			VERDICT(m, "A/A: no twin could be judged: fewer than %d blocks have both it and the arm it doubles.",
				FL_STATS_BLOCKS_MIN);
		else
			VERDICT(m, "A/A: no cell has a twin arm, so nothing shows what equal arms differ by.");
		return;
	}
	if (counts[FL_VERDICT_BAD]) {
		m->s.valid = false;
		tell_bad_controls(m, FL_RESULT_TWIN,
				  "A/A: equal arms differ in");
	}
	if (counts[FL_VERDICT_UNDECIDED] > counts[FL_VERDICT_GOOD])
		VERDICT(m, "A/A: too noisy for small differences: in most cells equal arms cannot be shown to be alike. A quiet machine, or more blocks, would see finer.");
	if (counts[FL_VERDICT_UNDECIDED])
		noisy = fl_maker_text(m, ", too noisy to say in %zu",
				      counts[FL_VERDICT_UNDECIDED]);
	VERDICT(m, "A/A: the twin is within \u00b1%.3g %% of the arm it doubles in %zu of %zu cells%s; at the widest, equal arms may differ by %s.",
		100 * m->s.delta, counts[FL_VERDICT_GOOD], judged, noisy,
		fl_text_share(share, worst_resolution(&m->s)));
}

static void judge_planteds(struct fl_maker *m)
{
	size_t counts[FL_VERDICT_BAD + 1], judged;

	count_verdicts(&m->s, true, counts);
	judged = counts[FL_VERDICT_GOOD] + counts[FL_VERDICT_BAD];
	if (!judged) {
		m->s.valid = false;
		if (counts[FL_VERDICT_UNJUDGED])
			VERDICT(m, "Planted slowdown: it could not be judged: fewer than %d blocks have both it and the arm it doubles.",
				FL_STATS_BLOCKS_MIN);
		else
			VERDICT(m, "Planted slowdown: no cell has one, so nothing shows that a difference would be seen.");
		return;
	}
	if (counts[FL_VERDICT_BAD]) {
		m->s.valid = false;
		tell_bad_controls(m, FL_RESULT_PLANTED,
				  "Planted slowdown: missed in");
	}
	VERDICT(m, "Planted slowdown: seen in %zu of %zu cells.",
		counts[FL_VERDICT_GOOD], judged);
}

/*
 * Was any sample to be timed?  What was only read in code needs no controls; what
 * was to be timed and failed does.
 */
static bool anything_timed(const struct fl_summary *s)
{
	for (size_t c = 0; c < s->nr_cells; c++)
		for (size_t a = 0; a < s->cells[c].nr_arms; a++)
			if (s->cells[c].arms[a].alloc_ns.n ||
			    s->cells[c].arms[a].nr_ok < s->cells[c].arms[a].nr_blocks)
				return true;
	return !s->nr_cells;
}

void fl_make_verdicts(struct fl_maker *m)
{
	if (!anything_timed(&m->s)) {
		VERDICT(m, "Nothing was timed, so there is nothing that twins would control.");
		return;
	}
	judge_twins(m);
	judge_planteds(m);
}

/* ---- answers ------------------------------------------------------------ */

/* One cell: who is fastest, and by how much. */
static void tell_one_fastest(struct fl_maker *m,
			     const struct fl_summary_cell *cell)
{
	const struct fl_summary_arm *fastest = cell->fastest;
	char number[FL_TEXT_BYTES], range[3 * FL_TEXT_BYTES];
	const char *op = !cell->bench ? "allocation" :
			 cell->op ? cell->op : "op", *next = "";

	fl_text_number(number, fastest->alloc_ns.median, false);
	/* A bench may be there to be known, and not to be compared. */
	if (cell->bench && !cell->second) {
		ANSWER(m, "%s: %s takes %s ns per %s.", cell->title,
		       fastest->name, number, op);
		return;
	}
	if (cell->lead.n)
		next = fl_maker_text(m, "; %s takes %s times as long%s",
				     cell->second->name,
				     range_text(range, &cell->lead),
				     fl_stats_differs(&cell->lead) ? "" :
				     ", which is too close to call");
	ANSWER(m, "%s: the fastest is %s, %s ns per %s%s.",
	       cell->title, fastest->name, number, op, next);
}

/* An arm and the number of cells it is fastest in. */
struct winner {
	const char *name;
	size_t nr;
};

static int by_wins(const void *pa, const void *pb)
{
	const struct winner *a = pa, *b = pb;

	return a->nr != b->nr ? (a->nr < b->nr) - (a->nr > b->nr) :
				strcmp(a->name, b->name);
}

static void add_win(struct fl_maker *m, struct winner **winners, size_t *nr,
		    const char *name)
{
	for (size_t i = 0; i < *nr; i++)
		if (!strcmp((*winners)[i].name, name)) {
			(*winners)[i].nr++;
			return;
		}
	FL_PUSH(m, *winners, *nr, (struct winner){ .name = name, .nr = 1 });
}

/* All cells of one workload: who is fastest how often. */
static void tell_fastest(struct fl_maker *m, const struct fl_summary_cell *cells,
			 size_t nr)
{
	const struct fl_summary_cell *only = NULL;
	size_t nr_won = 0, nr_ties = 0, nr_winners = 0;
	struct winner *winners = NULL;
	const char *list = "";

	for (size_t i = 0; i < nr; i++) {
		if (!cells[i].fastest)
			continue;
		/* Alone, it has not won. */
		if (nr > 1 && cells[i].bench && !cells[i].second)
			continue;
		only = &cells[i];
		nr_won++;
		nr_ties += cells[i].lead.n && !fl_stats_differs(&cells[i].lead);
		add_win(m, &winners, &nr_winners, cells[i].fastest->name);
	}
	if (nr_won == 1)
		tell_one_fastest(m, only);
	if (nr_won > 1) {
		qsort(winners, nr_winners, sizeof(*winners), by_wins);
		for (size_t i = 0; i < nr_winners; i++)
			list = fl_maker_text(m, "%s%s %s in %zu", list,
					     i ? "," : "", winners[i].name,
					     winners[i].nr);
		if (nr_ties)
			list = fl_maker_text(m, "%s; too close to call in %zu",
					     list, nr_ties);
		ANSWER(m, "%s: of %zu cells, the fastest is%s.", cells->title,
		       nr_won, list);
	}
	free(winners);
}

/* Where the redirect overtakes the branch; "" where nothing can be said. */
static const char *crossing_text(struct fl_maker *m,
				 const struct fl_sweep *sweep)
{
	const struct fl_summary_cell *last = sweep->cells[sweep->nr_cells - 1];
	char at[FL_TEXT_BYTES], from[FL_TEXT_BYTES], to[FL_TEXT_BYTES];
	const char *sure = "";

	if (!isnan(sweep->slower_bytes))
		sure = fl_maker_text(m, "surely slower at %s",
				     fl_text_bytes(from, sweep->slower_bytes));
	if (!isnan(sweep->faster_bytes))
		sure = fl_maker_text(m, "%s%ssurely faster at %s", sure,
				     *sure ? ", " : "",
				     fl_text_bytes(to, sweep->faster_bytes));
	else if (sweep->state == FL_CROSSING_FOUND)
		sure = fl_maker_text(m, "%s%snowhere surely faster", sure,
				     *sure ? ", " : "");
	if (*sure)
		sure = fl_maker_text(m, " (%s)", sure);
	fl_text_bytes(from, (double)sweep->cells[0]->block_bytes);
	fl_text_bytes(to, (double)last->block_bytes);

	switch (sweep->state) {
	case FL_CROSSING_FOUND:
		return fl_maker_text(m, " %s overtakes %s at blocks of about %s%s.",
				     sweep->redirect, sweep->branch,
				     fl_text_bytes(at, sweep->block_bytes),
				     sure);
	case FL_CROSSING_BRANCH:
		return fl_maker_text(m, " %s stays behind %s at every block size from %s to %s.",
				     sweep->redirect, sweep->branch, from, to);
	case FL_CROSSING_REDIRECT:
		return fl_maker_text(m, " %s is ahead of %s at every block size from %s to %s.",
				     sweep->redirect, sweep->branch, from, to);
	case FL_CROSSING_UNCLEAR:
		return fl_maker_text(m, " between %s and %s no single crossing of %s and %s can be placed%s.",
				     from, to, sweep->redirect, sweep->branch,
				     sure);
	case FL_CROSSING_UNKNOWN:
		break;
	}
	return "";
}

/*
 * What looking for the end of the block costs: where blocks are largest, hardly
 * anything else is left of the difference.
 */
static const char *check_text(struct fl_maker *m, const struct fl_sweep *sweep)
{
	const char *never = fl_sweep_best(sweep, "never", sweep->compiler);
	char bytes[FL_TEXT_BYTES], range[3 * FL_TEXT_BYTES];

	for (size_t c = sweep->nr_cells; c-- > 0;) {
		const struct fl_summary_cell *cell = sweep->cells[c];
		const struct fl_summary_arm *branch, *floor;
		struct fl_ratio ratio;

		branch = fl_cell_arm(cell, sweep->branch);
		floor = fl_cell_arm(cell, never);
		if (!branch || !floor)
			continue;
		fl_maker_pair(m, branch, floor, &ratio);
		if (!ratio.n)
			continue;
		return fl_maker_text(m, " In blocks of %s, where little but the check is left, %s takes %s times as long as %s.",
				     fl_text_bytes(bytes, (double)
						   cell->block_bytes),
				     branch->name, range_text(range, &ratio),
				     floor->name);
	}
	return "";
}

/* What a redirecting fault costs, by another way than timing it. */
static const char *slope_text(struct fl_maker *m, const struct fl_sweep *sweep)
{
	char ns[FL_TEXT_BYTES];

	if (!(sweep->refill_ns[1] > 0))
		return "";
	return fl_maker_text(m, " By what allocations lose in small blocks, a fault of %s costs %s.",
			     sweep->redirect,
			     fl_text_ns(ns, sweep->refill_ns[1], "\u00b5"));
}

static void tell_sweep(struct fl_maker *m, const struct fl_sweep *sweep)
{
	const char *crossing = crossing_text(m, sweep);
	const char *check = check_text(m, sweep);
	const char *slope = slope_text(m, sweep);

	if (*crossing || *check || *slope)
		ANSWER(m, "%s%s%s%s:%s%s%s", sweep->title,
		       sweep->residence ? ", cursor in " : "",
		       sweep->residence ? sweep->residence : "",
		       fl_by_text(sweep->residence, "register") ? "" : "s",
		       crossing, check, slope);
}

static void tell_redirect(struct fl_maker *m,
			  const struct fl_summary_slow_row *row)
{
	double p99_ns = fl_summary_percentile(&row->slow, 2, NULL);
	char p50[FL_TEXT_BYTES], p99[FL_TEXT_BYTES], n[FL_TEXT_BYTES];
	const char *tail = "";

	if (!isnan(p99_ns))
		tail = fl_maker_text(m, " and %s at the 99th percentile",
				     fl_text_ns(p99, p99_ns, "\u00b5"));
	ANSWER(m, "Redirecting fault, %s: %s takes %s at the median%s, over %s timed one by one.",
	       row->title, row->arm->name,
	       fl_text_ns(p50, fl_summary_percentile(&row->slow, 0, NULL),
			  "\u00b5"), tail,
	       fl_text_count(n, (double)row->slow.hist->nr_values));
}

/* One workload's slow paths: rows @first to @next. */
static void tell_slow_paths(struct fl_maker *m, size_t first, size_t next)
{
	const char *others = "", *quick = "";
	char p50[FL_TEXT_BYTES];

	for (size_t i = first; i < next; i++) {
		const struct fl_summary_slow_row *row = &m->s.slow_rows[i];
		double p50_ns = fl_summary_percentile(&row->slow, 0, NULL);

		if (!row->slow.hist)
			continue;
		if (isnan(p50_ns))
			quick = fl_maker_text(m, "%s%s %s", quick,
					      *quick ? "," : "",
					      row->arm->name);
		else if (fl_by_text(row->arm->answer, "redirect"))
			others = fl_maker_text(m, "%s%s %s %s", others,
					       *others ? "," : "",
					       row->arm->name,
					       fl_text_ns(p50, p50_ns,
							  "\u00b5"));
		else
			tell_redirect(m, row);
	}
	if (*others || *quick)
		ANSWER(m, "Other slow paths, %s:%s%s%s%s%s.",
		       m->s.slow_rows[first].title,
		       *others ? " at the median," : "", others,
		       *others && *quick ? ";" : "",
		       *quick ? " too short to be timed alone:" : "", quick);
}

/* What the loop itself takes, and what the clock can tell. */
static void tell_limits(struct fl_maker *m)
{
	const char *floor = "", *clock = "";
	char ns[FL_TEXT_BYTES];

	if (!isnan(m->s.floor_ns))
		floor = fl_maker_text(m, "the empty loop takes %s ns per iteration, which is subtracted nowhere",
				      fl_text_number(ns, m->s.floor_ns, false));
	if (!isnan(m->s.step_ns))
		clock = fl_maker_text(m, "the clock steps by %.3g ns, so nothing under %.3g ns is timed alone",
				      m->s.step_ns,
				      FL_CLOCK_STEPS_MIN * m->s.step_ns);
	if (*floor || *clock)
		ANSWER(m, "Limits: %s%s%s.", floor,
		       *floor && *clock ? "; " : "", clock);
}

void fl_make_answers(struct fl_maker *m)
{
	for (size_t i = 0; i < m->s.nr_sweeps; i++)
		tell_sweep(m, &m->s.sweeps[i]);
	for (size_t i = 0, next; i < m->s.nr_slow_rows; i = next) {
		for (next = i + 1; next < m->s.nr_slow_rows &&
		     !strcmp(m->s.slow_rows[next].title,
			     m->s.slow_rows[i].title); next++)
			;
		tell_slow_paths(m, i, next);
	}
	for (size_t c = 0, next; c < m->s.nr_cells; c = next) {
		for (next = c + 1; next < m->s.nr_cells &&
		     !strcmp(m->s.cells[next].title, m->s.cells[c].title); next++)
			;
		tell_fastest(m, &m->s.cells[c], next - c);
	}
	tell_limits(m);
}
