/* SPDX-License-Identifier: MIT */
/*
 * analysis/summary.h: from samples to what may be said about them.
 *
 * Vocabulary: a "cell" is one workload, or one bench, with everything fixed but the
 * arm; an "arm" is a strategy or bench with its settings, in one of the roles of
 * analysis/results.h.  The "final" sample of a cell, arm and block is the one
 * with the highest repeat: a flagged sample is repeated by a rule fixed before
 * the campaign, and the repeat counts, whatever it says.  A "sweep" is a run of
 * cells that differ in block size alone.  A sample that "accounts" counted pages
 * and was not timed: it takes no part in what follows but pages.
 *
 * The "fastest" arm of a cell is that with the least median among those that
 * notice the end of a block (answer not "never") and are no controls.
 *
 * Everything is over final samples with status ok.  An arm's time is the median
 * over blocks (one process each); its ratio is the paired one to the cell's
 * baseline, over the blocks in which both are there.  Intervals are those of
 * analysis/stats.h.
 *
 * Validity.  A campaign shows that it can be believed: its twins (an arm again,
 * under another name) must not differ from the arm they double, its planted
 * slowdowns must.  Which arm is doubled stands in the results; failing that, it
 * is the one in the same cell with the same strategy and settings.
 *
 *  twin:    "differs" if the interval of its ratio lies wholly outside
 *	     [1 / (1 + delta), 1 + delta], "alike" if inside, else "undecided":
 *	     too noisy to say, and differences of that size are not to be believed.
 *  planted: "seen" if the interval of its ratio lies above 1, else "missed".
 *
 * INVALID if any twin differs, any planted slowdown is missed, or there is not at
 * least one of each that could be judged; a campaign that timed nothing needs
 * none.  Undecided twins do not make numbers
 * wrong, but coarse; how coarse is said.  A campaign has many twins, so the rule
 * must not cry wolf once in twenty: an interval that lies wholly beyond delta is
 * much rarer than one that excludes 1.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_SUMMARY_H
#define FL_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/results.h"
#include "analysis/stats.h"
#include "harness/complain.h"
#include "harness/hist.h"

/* What a twin may differ by, where campaign.json has no "delta". */
#define FL_SUMMARY_DELTA	0.03

/* Percentiles of slow paths, in the order of FL_HIST_PERCENTILES. */
#define FL_SUMMARY_ONE(name, ppm) + 1
enum { FL_SUMMARY_NR_PERCENTILES = 0 FL_HIST_PERCENTILES(FL_SUMMARY_ONE) };
#undef FL_SUMMARY_ONE

/* Slow paths timed one by one, over final samples. */
struct fl_summary_slow {
	struct fl_hist *hist;		/* NULL: none */
	const char *missing;		/* NULL, or why there is none */
	double step_ns, pair_ns;	/* the clock's; largest seen */
	bool resolved;			/* the clock can tell them apart */
};

/* Why samples are missing. */
struct fl_summary_reason {
	enum fl_result_status status;	/* not ok */
	const char *text;
	bool accounts;
	size_t nr;			/* final samples it holds for */
};

/* Median of a metric over the final samples that have it. */
struct fl_summary_metric {
	const char *name;
	double median, min, max;
	double lo, hi;			/* interval of the median; NaN if n = 1 */
	size_t n;
};

enum fl_summary_verdict {
	FL_VERDICT_NONE,	/* no such arm */
	FL_VERDICT_UNJUDGED,	/* too few blocks */
	FL_VERDICT_UNDECIDED,	/* twins only */
	FL_VERDICT_GOOD,	/* alike; seen */
	FL_VERDICT_BAD,		/* differs; missed */
};

struct fl_summary_arm {
	const char *name, *strategy, *settings;
	const char *answer, *trigger;	/* NULL: unknown */
	const char *compiler;		/* NULL: unknown */
	enum fl_result_role role;

	struct fl_interval alloc_ns;	/* of a bench, per op;
					   n = 0: none; n = 1: lo and hi NaN */
	struct fl_ratio ratio;		/* to the baseline; n = 0: none */
	const char *of;			/* twin, planted: the arm doubled */
	struct fl_ratio control;	/* twin, planted: to that arm */
	enum fl_summary_verdict verdict;	/* twin, planted: on that */
	double *block_ns;		/* the same by block, or NaN */
	unsigned int *block_build;	/* which build ran in it, where there is a
					   time */
	struct fl_spread spread, ratio_spread;	/* of times and of ratios over
					   its builds; n = 0: it has one build,
					   or too few blocks to say */
	double *block_slow_ns;		/* mean of its slow paths, or ops, timed
					   one by one, by block, or NaN */

	size_t nr_blocks;		/* blocks with a final sample, any status */
	size_t nr_ok;			/* of these, ok */
	size_t nr_flagged;		/* of these, flagged all the same */
	size_t nr_repeated;		/* blocks that were repeated */
	size_t nr_uneven;		/* ok, but events are not what is implied */
	struct fl_summary_reason *reasons;
	size_t nr_reasons;
	struct fl_summary_metric *metrics;	/* sorted by name */
	size_t nr_metrics;
	struct fl_summary_slow slow;
	const struct fl_result *pages;	/* the first sample that accounts */
};

/* What an arm's pages did over a run. */
struct fl_pages {
	double peak, mean, last;	/* mean: over events */
	/* Of what was accounted for (harness/ledger.h), or NaN. */
	double leaked_share;		/* censored included */
	double censored_share, pooled_share;
	double peak_over_live;
	double events_per_s;		/* of the accounting run */
	double tail_p50_bytes, last_page_p50_bytes;
};

/* An arm's samples that failed for one reason, over all cells. */
struct fl_summary_missing {
	const char *arm, *reason;
	enum fl_result_status status;
	size_t nr_samples, nr_cells;
};

struct fl_summary_cell {
	const char *name;
	const char *title;		/* its workload: "fill, 16-byte objects", or
					   its bench, without its levels */
	const char *bench, *op;		/* NULL: it is of strategies */
	const char *kernel, *residence, *trace;	/* may be NULL */
	uint64_t object_bytes, block_bytes, lifetime_bytes;	/* 0: unknown */
	bool fresh;			/* first touch */
	size_t order;			/* in the plan */
	struct fl_summary_arm *arms;	/* never, branch, extend, redirect,
					   others; then twins and planted */
	size_t nr_arms;
	size_t nr_timed;		/* arms with at least one timed sample */
	const struct fl_summary_arm *baseline;	/* or NULL */
	const struct fl_summary_arm *fastest;	/* or NULL */
	const struct fl_summary_arm *second;	/* or NULL */
	struct fl_ratio lead;		/* second to fastest; n = 0: unknown */
	enum fl_summary_verdict twin, planted;
	double resolution;		/* twins: largest difference between equal
					   arms that is not ruled out, as a share;
					   NaN without a twin */
};

/* Where redirecting becomes cheaper than branching. */
enum fl_crossing_state {
	FL_CROSSING_UNKNOWN,	/* an arm is missing, or block sizes are */
	FL_CROSSING_BRANCH,	/* the branch is faster at every size */
	FL_CROSSING_REDIRECT,	/* the fault is faster at every size */
	FL_CROSSING_FOUND,
	FL_CROSSING_UNCLEAR,	/* too close, or not in that direction */
};

/*
 * A sweep.  The arms compared are the branch that takes the least time over all
 * sizes (geometric mean) and the redirect of the same compiler that does; where that
 * compiler made no redirect, the fastest redirect and its compiler's fastest branch.
 * The crossing is where they take
 * equally long, on a line over 1 / block size between two neighbours, because an
 * allocation's share of a slow path goes with that; if noise makes them change
 * places more than once, between the last size at which the redirect is surely
 * slower and the first at which it is surely faster.
 */
struct fl_sweep {
	const char *title;		/* of its cells; sweeps with the same
					   differ in residence, and share a plot */
	const char *residence;		/* or NULL */
	const struct fl_summary_cell **cells;	/* by block size */
	size_t nr_cells;
	const char *branch, *redirect;	/* arms, or NULL */
	const char *compiler;		/* of both; NULL: unknown */
	enum fl_crossing_state state;
	double block_bytes, ns;		/* the crossing, or NaN */
	double slower_bytes;		/* largest size with redirect surely
					   slower, or NaN */
	double faster_bytes;		/* smallest with it surely faster, or NaN */
	double refill_ns[2];		/* branch, redirect: cost of one slow path
					   by the difference between smallest
					   and largest block; NaN: unknown */
};

/* An arm of a strategy that is no control, over all cells. */
struct fl_summary_strategy {
	const char *name, *strategy;
	const char *answer, *trigger;	/* or NULL */
};

/*
 * An arm's slow paths on one workload, all its blocks, block sizes and residences
 * together.  Different workloads are not mixed: first touch is part of a slow
 * path there, and not elsewhere.
 */
struct fl_summary_slow_row {
	const char *title;		/* the workload's; rows of one together */
	const struct fl_summary_strategy *arm;
	struct fl_summary_slow slow;
};

struct fl_breakeven;		/* analysis/breakeven.h */

struct fl_summary {
	const struct fl_results *results;
	struct fl_summary_cell *cells;	/* in the plan's order */
	size_t nr_cells;
	struct fl_summary_strategy *strategies;	/* in the arms' order */
	size_t nr_strategies;
	struct fl_summary_slow_row *slow_rows;	/* of workloads with any; benches
					   have theirs in their cells */
	size_t nr_slow_rows;
	struct fl_sweep *sweeps;	/* those of one plot together */
	size_t nr_sweeps;
	struct fl_breakeven *breakevens;	/* in the order of sweeps */
	size_t nr_breakevens;
	struct fl_summary_missing *missing;	/* arm by arm */
	size_t nr_missing;
	int64_t *blocks;		/* block numbers, ascending */
	size_t nr_blocks;
	size_t nr_spreads;		/* arms with one, over all cells */

	bool valid;
	const char **verdicts;		/* why, a sentence each */
	size_t nr_verdicts;
	const char **answers;		/* what came out, a sentence each: of
					   what, a colon, and the answer */
	size_t nr_answers;
	double delta;
	double confidence;		/* lowest of all intervals, or NaN */
	double floor_ns;		/* the empty loop, median; or NaN */
	double step_ns;			/* the clock's, largest; or NaN */
	size_t nr_samples;		/* results, repeats included */
	size_t nr_status[FL_RESULT_NR_STATUS];	/* of final samples */
	size_t nr_flagged, nr_repeated;	/* as in the arms, summed */

	char **texts;			/* strings made here, to be freed */
	size_t nr_texts;
};

/*
 * fl_summary_make: Work out all of it.
 *
 * @results: outlives the summary.
 * @out: written only on success; release with fl_summary_free.
 * Returns 0 or -ENOMEM.
 * Cost: a sort of the results, and 18 KiB for each arm of each cell whose slow
 * paths were timed.
 */
int fl_summary_make(const struct fl_results *results, struct fl_summary *out,
		    struct fl_complaint *why);
void fl_summary_free(struct fl_summary *summary);

/*
 * fl_cell_arm: The arm of that name, or NULL; @cell and @name may be NULL.
 * fl_cell_timed_arm: The same, if its allocations were timed.
 */
const struct fl_summary_arm *fl_cell_arm(const struct fl_summary_cell *cell,
					 const char *name);
const struct fl_summary_arm *
fl_cell_timed_arm(const struct fl_summary_cell *cell, const char *name);

/*
 * fl_summary_second_opinion: The ratio of @arm to the baseline of its @cell with the
 * percentile bootstrap over the same blocks: docs/decisions/0008.
 * Returns 0, -ENODATA (no baseline, it is the baseline, fewer than two blocks),
 * -EINVAL (a time is not above 0) or -ENOMEM.
 * Cost: FL_STATS_NR_RESAMPLES medians.  With a thousand arms that is seconds, so only
 * who shows it asks.
 */
int fl_summary_second_opinion(const struct fl_summary *summary,
			      const struct fl_summary_cell *cell,
			      const struct fl_summary_arm *arm,
			      struct fl_interval *out);

/* fl_summary_find: Metric @name of @arm, or NULL. */
const struct fl_summary_metric *fl_summary_find(const struct fl_summary_arm *arm,
						const char *name);

/* fl_summary_value: Its median, or NaN. */
double fl_summary_value(const struct fl_summary_arm *arm, const char *name);

/*
 * fl_summary_percentile: Percentile @i of FL_HIST_PERCENTILES in ns.
 * @why: out, may be NULL: NULL, or why there is none; lives as long as @slow.
 * Returns NaN where there is none.
 */
double fl_summary_percentile(const struct fl_summary_slow *slow, size_t i,
			     const char **why);

/*
 * fl_summary_pages: Peak, mean and last number of resident pages of @arm.
 * Returns 0, or -ENODATA where its pages were not counted.
 */
int fl_summary_pages(const struct fl_summary_arm *arm, struct fl_pages *out);

/* fl_summary_json: The summary as one object; a new reference, or NULL. */
json_t *fl_summary_json(const struct fl_summary *summary);

#endif
