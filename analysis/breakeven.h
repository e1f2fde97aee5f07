/* SPDX-License-Identifier: MIT */
/*
 * analysis/breakeven.h: from which block size on is a fault cheaper than a branch:
 * predicted from what each costs by itself, and observed.
 *
 * Vocabulary: a "level" is one block size of a sweep.  A "hot" cell is the same
 * workload with a block so large that its end is never met: what is left is the
 * fast path, on a working set of the same size.  A "slow" cell times slow paths
 * one by one.
 *
 * The model.  At block size B an arm takes
 *
 *	T(B) = h(W) + r e(B)
 *
 * per allocation: h, its fast path, from the hot cell with the lifetime W of the
 * level; r, one slow path, from the slow cell whose blocks are nearest to B in
 * size (a fault that comes after a mebibyte of new objects finds neither the
 * kernel's code nor its own in the caches); e, slow paths per allocation, which is
 * counted and not measured.  The fault wins where
 *
 *	h_fault - h_branch + (r_fault - r_branch) e(B) < 0,
 *
 * which, with e = object / B, is the break-even size of Appel and Li (ASPLOS
 * 1991) and of Hosking and Moss (SOSP 1993) for their traps: cost of a trap over
 * cost of a check.  Nothing of the prediction is read off the sweep itself.
 *
 * The crossing of a curve is placed between the largest level at which the fault
 * is slower and the next one, on a line over 1 / B; 0 if it is slower at none,
 * infinite if it is at the largest.  A prediction may lie beyond the largest
 * level, where it keeps that level's h.
 *
 * Intervals are percentile bootstraps over the campaign's blocks, 95 %: a
 * resample draws whole blocks, so that hot, slow and swept samples of one block
 * stay together.  Curves are of medians over the resample.  (An order interval
 * does not apply: a crossing is no median of samples.)
 *
 * The opponent is the branch arm of the same compiler that takes the least time
 * over the sweep.  Each redirecting arm is held against it.
 *
 * Context: cold, MT-safe, deterministic.
 */
#ifndef FL_BREAKEVEN_H
#define FL_BREAKEVEN_H

#include "analysis/summary.h"
#include "harness/table.h"

#define FL_BREAKEVEN_NR_RESAMPLES	2000

/* Of what fl_breakeven_verdict says. */
#define FL_VERDICT_TEXT_BYTES	64

/* A number with its interval; lo and hi may be 0 or infinite for a crossing. */
struct fl_estimate {
	double value, lo, hi;	/* NaN: unknown */
};

struct fl_breakeven_level {
	double block_bytes;
	struct fl_estimate observed;	/* time of the fault arm over the branch's */
	struct fl_estimate predicted;	/* the same, by the model */
};

struct fl_breakeven {
	const char *title;		/* of the sweep: its workload */
	const char *residence, *compiler;	/* may be NULL */
	const char *branch, *fault;	/* arms; branch may be NULL */
	const char *fault_strategy;
	const char *missing;		/* NULL, or what the prediction lacks */
	struct fl_estimate fault_ns;	/* one slow path of each, by slow cells, at
					   the smallest level */
	struct fl_estimate refill_ns;
	struct fl_estimate in_place_ns;	/* what a slow path of the fault arm costs
					   more, by the slope of the sweep: a
					   second witness of the difference */
	struct fl_estimate compare_ns;	/* branch over fault, fast paths alone, at
					   the smallest working set */
	struct fl_estimate predicted, observed;	/* the crossing, block bytes */
	bool agree;			/* the two intervals overlap; an observed
					   crossing beyond the largest level is
					   known to be at least there */
	bool neither;			/* agree, and both lie beyond that level */
	struct fl_breakeven_level *levels;	/* ascending */
	size_t nr_levels;
};

/*
 * fl_breakevens_make: One for each sweep of @summary, compiler and redirecting
 * arm, in the order of the sweeps.
 * @out: to be freed with fl_breakevens_free; may be empty.
 * Returns 0 or -ENOMEM.
 * Cost: FL_BREAKEVEN_NR_RESAMPLES times levels times blocks, sorted.
 */
int fl_breakevens_make(const struct fl_summary *summary,
		       struct fl_breakeven **out, size_t *nr);
void fl_breakevens_free(struct fl_breakeven *all, size_t nr);

/*
 * fl_breakeven_text: A crossing for people: "960 KiB", "never" (predicted) or
 * "above 64 MiB" (observed, the largest level), "below 16 KiB", "-" for NaN.
 */
const char *fl_breakeven_text(char text[FL_TEXT_BYTES],
			      const struct fl_breakeven *breakeven, double bytes,
			      bool observed);

/*
 * fl_breakeven_verdict: What comes of holding the two against each other: "agree",
 * "agree: neither crosses up to 1 MiB" (the largest level; there is then no
 * crossing to agree about), "DIFFER", or what is missing.
 */
const char *fl_breakeven_verdict(char text[FL_VERDICT_TEXT_BYTES],
				 const struct fl_breakeven *breakeven);

/*
 * fl_breakevens_predicted: Does any have a prediction?  A campaign that was not
 * made for it has none, and need not hear about it.
 */
bool fl_breakevens_predicted(const struct fl_breakeven *all, size_t nr);

/*
 * fl_breakeven_holds: Does the predicted ratio at a level agree with the observed one:
 * do their intervals overlap?  1, 0, or -1 where one of them has no interval, or the
 * prediction lacks something.
 */
int fl_breakeven_holds(const struct fl_breakeven *breakeven, size_t level);

/* How many levels hold, of all that say. */
struct fl_breakeven_count {
	size_t nr_hold, nr;
};

struct fl_breakeven_count fl_breakevens_count(const struct fl_breakeven *all,
					      size_t nr);

/*
 * fl_breakeven_exception: Level @level in words: "fill, cursor in memory,
 * segv_redirect_clang, 32 KiB: predicted 2.31 [2.2, 2.4], observed 2.21 [...]".
 * To be freed, or NULL without memory.
 */
char *fl_breakeven_exception(const struct fl_breakeven *breakeven, size_t level);

/* fl_breakevens_json: All of them as an array; a new reference, or NULL. */
json_t *fl_breakevens_json(const struct fl_breakeven *all, size_t nr);

#endif
