/* SPDX-License-Identifier: MIT */
/*
 * harness/campaign.h: runs a plan: every sample in a process of its own, in
 * random order, each recorded as soon as it is over; goes on where it stopped.
 *
 * Order.  A block is one sample of every pair (harness/plan.h has the words).
 * Within a block the cells come in random order, and within a cell its arms do,
 * so that what is compared is measured in the same few seconds and no arm has a
 * place of its own.  The order follows from the seed alone: not from what was
 * left out, resumed or unsupported.
 *
 * Builds.  Where an arm has several (harness/plan.h), each pair draws from an urn
 * of its own which of them a block runs: every build once in as many blocks, in
 * random order, then all of them again.  A twin draws by itself, and a repeated
 * sample is of the build that it repeats.
 *
 * Rules, fixed before the first sample:
 * - The number of blocks does not change because of what was seen.
 * - A pair that answers "unsupported" is recorded once and not asked again.
 * - A pair of which three samples failed and none succeeded is given up.
 * - When all blocks are done, each sample whose line has flags (it migrated, or
 *   lost time to other guests) is repeated once, in the order of the blocks,
 *   until repeats_pct percent of the samples planned were.  Both lines stay.
 *
 * Context: one thread, no other children.
 */
#ifndef FL_CAMPAIGN_H
#define FL_CAMPAIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/complain.h"
#include "harness/plan.h"

/* Seeds are exact in every reader of JSON. */
#define FL_CAMPAIGN_SEED_MAX	(((uint64_t)1 << 53) - 1)

struct fl_campaign_options {
	const char *output;	/* NULL: a new folder below results/ */
	const char **only;	/* groups and patterns of cell names */
	size_t nr_only;		/* 0: all cells */
	bool has_seed;
	uint64_t seed;		/* else drawn by the kernel */
	uint32_t nr_blocks;	/* 0: the plan's */
	int cpu;		/* -1: the last one we may use */
	bool no_progress;
	bool quiet;		/* say nothing at the end, either */
	size_t place, nr_places;	/* among several campaigns; 0: alone */
	double later_s;		/* what those behind it may take */
	double until_s;		/* monotonic: they will use the time until then;
				   0: no such thing */
	int argc;		/* for the record */
	char **argv;
};

struct fl_campaign_pair {
	uint32_t cell, arm;
};

/*
 * fl_campaign_order: The pairs of block @block in their order.
 * @pairs: room for as many as the plan has cells times arms.
 * Returns how many.  Pure.
 */
uint32_t fl_campaign_order(const struct fl_plan *plan, uint64_t seed,
			   uint32_t block, struct fl_campaign_pair *pairs);

/*
 * fl_campaign_build: Which of its arm's builds @pair runs in block @block; it follows
 * from the seed, too.  Pure.
 */
uint32_t fl_campaign_build(const struct fl_plan *plan, uint64_t seed,
			   struct fl_campaign_pair pair, uint32_t block);

/*
 * fl_campaign_run: Begin, or go on.
 * Returns 0 when every sample has its line, whatever its status; or with a
 * complaint: -EINTR (told to stop by a signal), -EINVAL (an option makes no
 * sense), -ESTALE (the directory was begun with something else, or a module
 * changed), or -errno.  All that was recorded stays.
 */
int fl_campaign_run(const struct fl_plan *plan,
		    const struct fl_campaign_options *options,
		    struct fl_complaint *why);

/*
 * fl_campaign_show: Print what would be run, and how long it may take, from
 * what the samples in the output directory took if it is there.
 * fl_campaign_list: Print each cell with its arms.
 * fl_campaign_commands: Print each pair with what to type to have a sample of its
 * first block measured by itself: cell, arm and command, tabs between them.
 * Return 0 or as fl_campaign_run.
 */
int fl_campaign_show(const struct fl_plan *plan,
		     const struct fl_campaign_options *options,
		     struct fl_complaint *why);
int fl_campaign_list(const struct fl_plan *plan,
		     const struct fl_campaign_options *options,
		     struct fl_complaint *why);
int fl_campaign_commands(const struct fl_plan *plan,
			 const struct fl_campaign_options *options,
			 struct fl_complaint *why);

/*
 * fl_campaign_estimate: Samples to go, and seconds, by what is in the output
 * directory if it is there.
 * Returns 0, or as fl_campaign_run.
 */
int fl_campaign_estimate(const struct fl_plan *plan,
			 const struct fl_campaign_options *options,
			 uint64_t *samples, double *seconds,
			 struct fl_complaint *why);

#endif
