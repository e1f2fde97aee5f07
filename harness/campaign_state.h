/* SPDX-License-Identifier: MIT */
/*
 * harness/campaign_state.h: what the parts of a campaign share.  For campaign*.c
 * alone; harness/campaign.h is the way in.
 *
 *	campaign.c		the folder, the loop, what people see
 *	campaign_begin.c	campaign.json: what a campaign was begun with
 *	campaign_order.c	chance: order, builds, workload seeds, padding
 *	campaign_sample.c	one sample: its command, its verdict, its line
 *	campaign_state.c	what is done, and what is left
 *
 * A "tally" is what is known of a pair.
 */
#ifndef FL_CAMPAIGN_STATE_H
#define FL_CAMPAIGN_STATE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <jansson.h>

#include "harness/campaign.h"
#include "harness/campaign_child.h"
#include "harness/campaign_dir.h"
#include "harness/clock.h"
#include "harness/progress.h"

#define FL_CAMPAIGN_SCHEMA		1
#define FL_CAMPAIGN_PROBLEMS_MAX	32u

/* Samples that a pair may lose before the first good one. */
#define FL_CAMPAIGN_GIVE_UP_AFTER	3u

enum fl_sample_status {
	FL_SAMPLE_OK,
	FL_SAMPLE_FAILED,
	FL_SAMPLE_UNSUPPORTED,
	FL_SAMPLE_CRASHED,
	FL_SAMPLE_TIMEOUT,
	FL_SAMPLE_NR_STATUSES,
};

/* What is known of a pair's sample in one block. */
#define FL_TALLY_DONE		1u
#define FL_TALLY_FLAGGED	2u
#define FL_TALLY_REPEATED	4u

struct fl_campaign_tally {
	uint8_t *blocks;	/* FL_TALLY_... of each */
	uint32_t nr_ok, nr_bad;
	bool unsupported;
	double wall_s;		/* of nr_walls good samples together */
	uint32_t nr_walls;
};

/* Something other than ok, and how often: said once at the end. */
struct fl_campaign_problem {
	uint32_t arm;
	enum fl_sample_status status;
	char reason[200];
	uint64_t nr;
};

struct fl_campaign {
	const struct fl_plan *plan;
	const struct fl_campaign_options *options;
	struct fl_complaint *why;
	uint64_t seed;
	uint32_t nr_blocks;
	int cpu;
	cpu_set_t cpus;			/* that samples may use */
	const char *runner;
	struct fl_campaign_tally *tallies;	/* nr_cells x nr_arms */
	struct stat *modules;		/* of each arm's builds, when they were
					   hashed: nr_arms x FL_PLAN_BUILDS_MAX */
	bool *selected;			/* of each cell: --only */
	struct fl_campaign_problem problems[FL_CAMPAIGN_PROBLEMS_MAX];
	uint32_t nr_problems;
	uint64_t nr_of[FL_SAMPLE_NR_STATUSES];
	uint64_t nr_flagged, nr_repeated;
	struct fl_clock clock;		/* calibrated once, for all samples */
	double probe_ns;		/* least of all samples; 0: none yet */
	double wall_s, estimate_s;	/* of good samples, together */
	struct fl_campaign_dir dir;
	struct fl_child_signals signals;
	struct fl_progress progress;
};

/* Where a sample stands in the campaign. */
struct fl_campaign_place {
	struct fl_campaign_pair pair;
	uint32_t block, order, repeat;
};

/* ---- campaign_order.c ---- */

/* The same inputs for every arm of a block, others in each block; never 0. */
uint64_t fl_campaign_workload_seed(const struct fl_campaign *c, uint32_t block);

/* How much larger than ours a sample's environment is. */
uint32_t fl_campaign_padding_bytes(const struct fl_campaign *c,
				   const struct fl_campaign_place *at);

/* ---- campaign_state.c ---- */

const char *fl_sample_status_name(enum fl_sample_status status);
/* The status called @name, or -1. */
int fl_sample_status_find(const char *name);

/*
 * fl_campaign_note_probe: The least probe a line tells is what later samples go by;
 * they may be disturbed from beginning to end.
 */
void fl_campaign_note_probe(struct fl_campaign *c, const json_t *line);

/* Does a line say that the sample was disturbed? */
bool fl_sample_has_flags(const json_t *line);

struct fl_campaign_tally *fl_campaign_tally_of(const struct fl_campaign *c,
					       struct fl_campaign_pair p);

/* The number of blocks in which a cell takes part. */
uint32_t fl_campaign_blocks_of(const struct fl_campaign *c, uint32_t cell);

/* A sample has its line: keep count. */
void fl_campaign_note(struct fl_campaign *c,
		      const struct fl_campaign_place *at,
		      enum fl_sample_status status, bool flagged, double wall_s,
		      const char *reason);

/* The same for a line that is in the file; for fl_campaign_dir_results. */
const char *fl_campaign_take_line(void *context, const json_t *line);

/* Is the pair to be asked at all? */
bool fl_campaign_wants(const struct fl_campaign *c, struct fl_campaign_pair p);

/* Samples to go: of a pair; repeats; of all pairs, with the seconds. */
uint32_t fl_campaign_nr_left(const struct fl_campaign *c,
			     struct fl_campaign_pair p);
uint64_t fl_campaign_repeats_left(const struct fl_campaign *c);
uint64_t fl_campaign_left(const struct fl_campaign *c, double *seconds);

/* What a sample of the pair takes, as far as is known. */
double fl_campaign_cost_s(const struct fl_campaign *c,
			  struct fl_campaign_pair p);

/* Samples that have a line. */
uint64_t fl_campaign_nr_lines(const struct fl_campaign *c);

/* ---- campaign_begin.c: 0, or -errno with c->why ---- */

/* Now, as "2026-11-22T15:14:32.060Z", in 32 characters of room. */
void fl_campaign_utc(char *out, size_t bytes);

int fl_campaign_take_fingerprint(struct fl_campaign *c, json_t **fingerprint);

/* Write what the campaign begins with. */
int fl_campaign_begin(struct fl_campaign *c, json_t *fingerprint);

/*
 * Take seed, blocks and CPU from what is recorded; plan, traces and the options
 * that were given must agree with it (-ESTALE).
 */
int fl_campaign_take_recorded(struct fl_campaign *c, const char *dir,
			      const json_t *recorded);

/* Host and binaries must be those that are recorded (-ESTALE). */
int fl_campaign_check_fingerprint(struct fl_campaign *c, const char *dir,
				  const json_t *recorded, const json_t *now);

/* ---- campaign_sample.c ---- */

#define FL_CAMPAIGN_COMMAND_BYTES	1024

/* What to type to have the sample measured again. */
void fl_campaign_command(const struct fl_campaign *c, struct fl_campaign_pair p,
			 uint32_t block, char out[FL_CAMPAIGN_COMMAND_BYTES]);

/*
 * Run a sample and record it.  Returns 0, or with c->why -EINTR (told to stop;
 * nothing was recorded) or -errno.
 */
int fl_campaign_sample(struct fl_campaign *c,
		       const struct fl_campaign_place *at);

#endif
