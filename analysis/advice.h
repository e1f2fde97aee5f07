/* SPDX-License-Identifier: MIT */
/*
 * analysis/advice.h: which of several ways to allocate to use, from what each of
 * them took and held.
 *
 * Vocabulary: a "candidate" is a strategy with settings.  Its "time" is ns per
 * event, its "memory" the most pages it held.  The "weight" w, from 0 to 1, is
 * how much time counts: candidates are compared by the "cost"
 *
 *	w * log(time) + (1 - w) * log(memory)
 *
 * so that at 0.5 a tenth less time is worth a tenth more memory, whatever the
 * units; at 1 nothing counts but time, at 0 but memory.  The "margin" of one
 * candidate over another is the difference of their costs; time has an interval,
 * over campaign blocks (analysis/stats.h), so the margin has one.  Memory is
 * counted and has none.  Two candidates are "tied" when the interval of their
 * margin, widened by what the same code differed by when it ran twice, includes
 * none.  A margin is "shown" when they are not and the interval has 95 % confidence:
 * of fewer blocks what seems best is advised, and said to be no more than that.
 *
 * Rule.  Of those candidates that no other one beats in time and memory alike,
 * the one of least cost is best; of those tied with it, that with the least memory
 * is advised: time that cannot be told apart is no reason to hold more.
 *
 * Context: cold, MT-safe, deterministic.
 */
#ifndef FL_ADVICE_H
#define FL_ADVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "analysis/stats.h"

struct fl_advice_candidate {
	bool usable;		/* may be advised; what cannot has no time, no
				   memory, or does not check at all */
	double ns;		/* per event; above 0.  Of the last ones the
				   median of blocks */
	double pages;		/* at the peak; above 0 */
	const double *blocks;	/* ns per event in each block; NaN: no sample;
				   NULL: it was not among the last, which alone
				   may be advised */
};

struct fl_advice_input {
	const struct fl_advice_candidate *candidates;
	size_t nr, nr_blocks;
	double noise;		/* |log ratio| of the same code run twice; >= 0 */
};

/* Of one candidate over another; above 0 it is cheaper. */
struct fl_advice_margin {
	double cost;
	double lo, hi;		/* its interval; all there is when !has_interval */
	bool has_interval;
	bool tied;
	bool enough;		/* so many blocks that a tie says something */
	bool shown;		/* it is surely cheaper */
};

#define FL_ADVICE_NONE	((size_t)-1)

struct fl_advice {
	size_t advised;		/* FL_ADVICE_NONE: no candidate is usable */
	size_t next;		/* the best of the others, or FL_ADVICE_NONE */
	struct fl_advice_margin margin;		/* of the one over the other */
};

/* What is advised from one weight to another. */
struct fl_advice_stretch {
	double from, to;
	size_t advised;
};

#define FL_ADVICE_STEPS		100	/* weights that are tried: in hundredths */
#define FL_ADVICE_STRETCHES_MAX	(FL_ADVICE_STEPS + 1)

/*
 * fl_advice_rank: The usable candidates (blocks or not), most promising first:
 * in turn the best for @weight, for time, for memory, and for what lies between,
 * so that the first few will do for any weight.
 * @order: room for nr.  Returns how many.
 */
size_t fl_advice_rank(const struct fl_advice_candidate *candidates, size_t nr,
		      double weight, size_t *order);

/* fl_advice_margin_of: Of @a over @b, both among the last. */
void fl_advice_margin_of(const struct fl_advice_input *input, size_t a, size_t b,
			 double weight, struct fl_advice_margin *out);

/* fl_advice_make: For one weight, from 0 to 1. */
void fl_advice_make(const struct fl_advice_input *input, double weight,
		    struct fl_advice *out);

/*
 * fl_advice_stretches: For all weights, from 0 up.
 * @out: room for FL_ADVICE_STRETCHES_MAX.  Returns how many.
 */
size_t fl_advice_stretches(const struct fl_advice_input *input,
			   struct fl_advice_stretch *out);

/*
 * fl_advice_beaten_by: A candidate that takes no more time and no more memory than
 * @which and less of one, by what was measured, or FL_ADVICE_NONE.  Those among the
 * last are held against each other, and so are the others.
 */
size_t fl_advice_beaten_by(const struct fl_advice_candidate *candidates,
			   size_t nr, size_t which);

#endif
