/* SPDX-License-Identifier: MIT */
/*
 * analysis/advise.h: measures what could be advised for a trace, in rounds that
 * fewer and fewer candidates take part in, within a given time.
 *
 * Rounds, each of them a campaign (harness/campaign.h) with a plan that is written
 * here, so that samples are made, ordered, judged and recorded as all others are:
 *
 *  1 strategies	every strategy that this host supports, each with its own
 *		defaults; and, on objects of 16 bytes, what a slow path of each costs
 *  2 settings	the most promising of them with other blocks, of sizes that the
 *		trace's regions need, and with memory given back
 *  3 last	the most promising of all, in as many blocks as there is time for,
 *		with the controls.  Only these may be advised, and only by what was
 *		measured here: what chose them does not count for them
 *
 * Pages are counted once for each candidate (harness/account.h), in a process of
 * its own.
 *
 *	advise.c	the rounds
 *	advise_arms.c	strategies, and the candidates that are made of them
 *	advise_plan.c	a round as the text of a plan
 *	advise_read.c	what its results say of the candidates
 *	advise_say.c	for people
 *	advise_json.c	for programs
 *
 * Context: one thread, no other children.
 */
#ifndef FL_ADVISE_H
#define FL_ADVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "analysis/advice.h"
#include "analysis/results.h"
#include "harness/complain.h"
#include "harness/module_load.h"
#include "harness/table.h"
#include "harness/trace.h"

#define FL_ADVISE_SECONDS	20	/* default */
#define FL_ADVISE_ROUNDS	3
#define FL_ADVISE_REASON_BYTES	256

struct fl_advise_options {
	const char *trace;
	double weight;
	double seconds;			/* to stay within, if that is possible */
	enum fl_residence residence;
	const char *strategies;		/* names, separated by commas; NULL: all */
	const char *keep;		/* a folder to make, for what was measured;
					   NULL: it is thrown away */
	int cpu;			/* -1: as campaigns choose */
	bool all;			/* show what was left out early, too */
	bool no_progress;
	int argc;			/* for the record */
	char **argv;
};

/* A strategy as it was found. */
struct fl_advise_strategy {
	char *name;			/* as `faultline run` takes it */
	enum fl_answer answer;
	bool has_block;
	uint64_t block_bytes, block_min, block_max;	/* default and range */
	char unsupported[FL_ADVISE_REASON_BYTES];	/* "" if it is not */
	/* What one object of 16 bytes costs with it, and one slow path; or NaN. */
	double alloc_ns, slow_ns;
	bool faults;			/* its slow path was a fault, handled */
};

struct fl_advise_candidate {
	size_t strategy;
	const char *set;		/* "giveback=death", or "" */
	uint64_t block_bytes;		/* of the cell; nothing where !has_block */
	unsigned int round;		/* the last it took part in, from 1; 0: none */
	char reason[FL_ADVISE_REASON_BYTES];	/* why it is out, or "" */
	double *blocks;			/* ns per event, of the last round */
	struct fl_interval ns;		/* of the newest round; n = 0: no time */
	double floor_ns;		/* its fastest batch: what early rounds, of
					   a sample or two, go by */
	/* One pass, pages counted; NaN before. */
	double leaked_share, peak_pages, over_live;
	double slow_per_alloc;		/* slow paths for each allocation */
	double wall_s;			/* of its samples that were timed, mean */
};

struct fl_advise {
	struct fl_trace trace;		/* facts alone: words are freed */
	struct fl_advise_strategy *strategies;
	size_t nr_strategies;
	struct fl_advise_candidate *candidates;
	size_t nr_candidates;
	bool varied;			/* other settings than defaults were tried */
	size_t nr_blocks;		/* of the last round */
	uint64_t nr_ops;		/* of a timed sample */
	struct fl_ratio twin;		/* same code, run twice; n = 0: unknown */
	struct fl_ratio planted;	/* the known slowdown; likewise */
	double compare_ns;		/* NaN: not to be had */
	double fault_ns;		/* cheapest handled fault; likewise */
	double account_wall_s;		/* of samples that counted, mean */
	double seconds;			/* it took */
	const char *folder;		/* where it is kept, or NULL */
	double weight;
	struct fl_advice_candidate *of_advice;	/* the same, as advice.h has them */
	struct fl_advice_input input;
	struct fl_advice advice;
	struct fl_advice_stretch stretches[FL_ADVICE_STRETCHES_MAX];
	size_t nr_stretches;
};

/*
 * fl_advise_run: All of it.
 * Returns 0, or with a complaint: as fl_trace_read, -EINVAL (an option),
 * -ENODEV (no strategy could be measured), -EINTR, -EEXIST (the folder), or what
 * a campaign says.  End with fl_advise_free, either way.
 * Cost: options->seconds, or what a sample of each strategy takes.
 */
int fl_advise_run(const struct fl_advise_options *options,
		  struct fl_advise *advise, struct fl_complaint *why);
void fl_advise_free(struct fl_advise *advise);

/* fl_advise_print: Returns 0 or -ENOMEM.  Errors of writing stay in @to. */
int fl_advise_print(FILE *to, const struct fl_terminal *terminal,
		    const struct fl_advise_options *options,
		    const struct fl_advise *advise);
/* fl_advise_json: A new reference, or NULL without memory. */
json_t *fl_advise_json(const struct fl_advise_options *options,
		       const struct fl_advise *advise);

/* ---- between the parts ---- */

/* Strategies of this host; of no use are conventions of another (NAME-THUNK). */
int fl_advise_find(const struct fl_advise_options *options,
		   struct fl_advise *advise, struct fl_complaint *why);

/* A candidate for each strategy with its defaults. */
int fl_advise_begin(struct fl_advise *advise);

/*
 * Settings of the candidates in @order, the most promising first, that may be
 * better; at most @most more.
 */
int fl_advise_vary(struct fl_advise *advise, const size_t *order, size_t nr,
		   size_t most);

/* "block=64K,giveback=death", or "" */
#define FL_ADVISE_SETTINGS_BYTES	64
const char *fl_advise_settings(const struct fl_advise *advise,
			       const struct fl_advise_candidate *c,
			       char out[FL_ADVISE_SETTINGS_BYTES]);

/* What to type to have it measured by itself; the caller frees.  May be NULL. */
char *fl_advise_command(const struct fl_advise_options *options,
			const struct fl_advise *advise,
			const struct fl_advise_candidate *c, bool account);

/* A round: which candidates, in how many blocks. */
struct fl_advise_round {
	unsigned int number;		/* from 1 */
	const char *name;
	const size_t *candidates;
	size_t nr;
	uint32_t nr_blocks;
	bool host;			/* and what slow paths cost here */
	bool controls;			/* and a twin and a planted arm that count */
	bool account;			/* and pages */
};

/* Write the plan; @trace as seen from its folder. */
int fl_advise_plan(const struct fl_advise_options *options,
		   const struct fl_advise *advise,
		   const struct fl_advise_round *round, const char *trace,
		   FILE *to);

/* Names in that plan: of the cell, of the arm. */
#define FL_ADVISE_NAME_BYTES	96
const char *fl_advise_cell(const struct fl_advise_candidate *c,
			   const char *kind, char out[FL_ADVISE_NAME_BYTES]);
const char *fl_advise_arm(const struct fl_advise *advise,
			  const struct fl_advise_candidate *c,
			  char out[FL_ADVISE_NAME_BYTES]);
#define FL_ADVISE_TWIN		"twin"
#define FL_ADVISE_PLANTED	"planted"
#define FL_ADVISE_TIME		"time"
#define FL_ADVISE_PAGES		"pages"
#define FL_ADVISE_HOST		"host"

/* Take what the round's results say. */
int fl_advise_read(struct fl_advise *advise, const struct fl_advise_round *round,
		   const struct fl_results *results);

#endif
