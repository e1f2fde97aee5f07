/* SPDX-License-Identifier: MIT */
/*
 * analysis/compare.h: two campaigns held against each other, cell by cell and arm
 * by arm.
 *
 * Vocabulary: the "old" campaign is the first, the "new" one the second; a ratio
 * is new to old, so above 1 the new one is slower.  "within" is the difference
 * that is not worth the name, as a share.
 *
 *  same:	the interval lies inside [1 / (1 + within), 1 + within].
 *  faster, slower: it lies wholly outside, on that side.
 *  undecided:	neither.
 *
 * Not "slower" as soon as the interval excludes 1: among hundreds of pairs that
 * happens to equal ones, and a check that cries wolf is switched off.
 *
 * Pairs.  Samples of one block share their inputs if the campaigns share their
 * seed; then they are compared block by block.  Else each arm's samples are
 * resampled by themselves (unpaired; analysis/stats.h).  What the machine did
 * differently in the one hour and in the other, no interval sees: a relative
 * comparison divides each sample by that of its cell's baseline in the same
 * block, which both campaigns must have measured, and so compares ratios.
 *
 * An arm of a cell that the old campaign timed and the new one did not is lost, and
 * no less a failure than a slower one: whatever it would have shown is not known.
 * What the new one has beyond the old one is no failure.
 *
 * Planted arms take no part.  Context: cold, MT-safe.
 */
#ifndef FL_COMPARE_H
#define FL_COMPARE_H

#include "analysis/summary.h"

enum fl_compare_verdict {
	FL_COMPARE_SAME,
	FL_COMPARE_FASTER,
	FL_COMPARE_SLOWER,
	FL_COMPARE_UNDECIDED,
	FL_COMPARE_UNKNOWN,	/* too few samples, or none */
	FL_COMPARE_NR_VERDICTS,
};

struct fl_compare_pair {
	const struct fl_summary_cell *cell;	/* of the old one */
	const struct fl_summary_arm *was, *is;
	bool paired;
	bool settings_differ;
	struct fl_ratio ratio;		/* n = 0: unknown */
	enum fl_compare_verdict verdict;
};

struct fl_compare_lost {
	const struct fl_summary_cell *cell;
	const struct fl_summary_arm *arm;
};

struct fl_comparison {
	struct fl_compare_pair *pairs;	/* in the plan's order */
	size_t nr_pairs;
	size_t nr[FL_COMPARE_NR_VERDICTS];
	size_t nr_only_old, nr_only_new;	/* arms of cells, timed in one */
	struct fl_compare_lost lost;	/* the first of nr_only_old */
};

struct fl_compare_options {
	double within;		/* in (0, 1) */
	bool relative;		/* to the cell's baseline */
};

#define FL_COMPARE_WITHIN	0.03

/*
 * fl_compare: Hold @is against @was, which outlive the comparison.
 * Returns 0 and *@out, to be released with fl_compare_free, or -ENOMEM.
 */
int fl_compare(const struct fl_summary *was, const struct fl_summary *is,
	       const struct fl_compare_options *options,
	       struct fl_comparison *out);
void fl_compare_free(struct fl_comparison *comparison);

const char *fl_compare_verdict_name(enum fl_compare_verdict verdict);

#endif
