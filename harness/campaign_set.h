/* SPDX-License-Identifier: MIT */
/*
 * harness/campaign_set.h: several experiments in a row.
 *
 * Vocabulary: a "set" is what one command runs; its "stamp", the second it was
 * begun, is part of the name of each of its folders: PARENT/NAME[-quick]-STAMP.
 * So a set that was stopped is found again: it is the newest of which there is a
 * folder, and what of it was finished is left as it is.
 *
 * All plans are read and checked before anything is run.  An experiment that
 * cannot go on does not keep the others from it.
 *
 * Context: one thread, no other children.
 */
#ifndef FL_CAMPAIGN_SET_H
#define FL_CAMPAIGN_SET_H

#include <stdbool.h>

#include "harness/campaign.h"
#include "harness/complain.h"
#include "harness/experiments.h"
#include "harness/plan.h"

struct fl_campaign_member {
	bool matrix;		/* the kernel is asked: there is no plan */
	struct fl_plan plan;	/* unless it is one */
	char *output;		/* folder, once it is known */
};

struct fl_campaign_set {
	struct fl_campaign_member *members;
	size_t nr;
	bool quick;
};

/*
 * fl_campaign_set_add: Read what @word names: an experiment, a plan's file, or a
 * folder with one.
 * @experiments: those there are, or NULL where they were not found.
 * Returns 0, or with a complaint -ENOENT, -EINVAL, or as fl_plan_load.
 */
int fl_campaign_set_add(struct fl_campaign_set *set, const char *word,
			const struct fl_experiments *experiments,
			struct fl_complaint *why);
void fl_campaign_set_free(struct fl_campaign_set *set);

/*
 * fl_campaign_set_run: Run all of it.
 * @options: as of a campaign; its output must be NULL.
 * @parent: where the folders go; made if it is not there.
 * @resume: go on with the newest set of these experiments there.
 * Returns 0, or with a complaint -ENOENT (nothing to go on with), -EINTR, -EINVAL,
 * or what the first experiment returned that failed.
 */
int fl_campaign_set_run(struct fl_campaign_set *set,
			const struct fl_campaign_options *options,
			const char *parent, bool resume,
			struct fl_complaint *why);

#endif
