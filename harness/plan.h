/* SPDX-License-Identifier: MIT */
/*
 * harness/plan.h: what a campaign measures, read from an INI file.
 *
 * Vocabulary: an "arm" is a strategy with settings: what is compared.  A "cell"
 * is a workload at one level of every factor: what the arms are compared on.  A
 * [cell] section may list several levels of size, block and residence; it stands
 * for one cell for each combination, and its name is their "group".  A "pair" is
 * a cell and an arm that takes part in it.  A "block" of a campaign is one sample
 * of every pair.  The "profile" is quick or full; a key with the suffix _quick
 * replaces the key without it in the quick profile.
 *
 * The "baseline" is the arm that ratios are formed against.  The "twin" is an
 * arm equal to another in everything but its name: they must not differ (A/A).
 * The "planted" arm is another one made slower on purpose: it must be found.
 *
 * [campaign]
 *	name		letters, digits, '-', '_'; names the results folder
 *	title		one line for people
 *	blocks		number of blocks
 *	baseline	name of an arm; default: the first arm
 *	timeout_s	a sample that takes longer is killed; default 60
 *	repeats_pct	flagged samples that are repeated, at most, in percent of
 *			the samples planned; default 20
 *	tolerance_pct	what a twin may seem to differ by before the campaign is
 *			invalid; default: the report's
 *
 * [arm NAME]
 *	strategy	name of a module, or a path with a '/'
 *	set		settings, "name=value, name=value"; {block} stands for the
 *			cell's block in bytes, {block_pages} for it in pages.  The
 *			tunable "block" is not set here: it is the cell's block
 *	block_max	largest block of the cells it takes part in; default: any
 *	twin, planted	name of the arm it doubles; then no strategy and no set
 *
 * [cell NAME]
 *	kernel		as `faultline list` shows them
 *	size		list: object sizes, for kernels that come in several
 *	residence	list: register, memory; default: both, memory if account
 *	block		list: block sizes; default 64K
 *	lifetime	bytes, or "8x": so many blocks; default 16x
 *	ops		allocations to time; default: the kernel's
 *	trace		replay: path from the plan's folder
 *	mode		timed or account; default timed
 *	fresh		yes: first touch; default no
 *	latency_events	slow paths to time one by one; default 0
 *	arms		list; default: all that can (see fl_plan_load)
 *	blocks		in blocks 0 to this less one; default: in all
 *	quick		no: the quick profile leaves it out; default yes
 *
 * Lists are separated by blanks or commas.  Sizes and counts take K, M, G (powers
 * of 1,024).  harness/keyfile.h has the syntax.
 *
 * Context: cold, single-threaded.
 */
#ifndef FL_PLAN_H
#define FL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faultline/kernel.h"
#include "harness/complain.h"
#include "harness/digest.h"

enum fl_role { FL_ROLE_BASELINE, FL_ROLE_ARM, FL_ROLE_TWIN, FL_ROLE_PLANTED };

struct fl_plan_arm {
	char *name;
	unsigned line;			/* of its section */
	enum fl_role role;
	uint32_t of;			/* twin, planted: the arm it doubles;
					   else its own index */
	char *strategy;			/* the strategy's own name */
	char *settings;			/* as written, or NULL */
	uint64_t block_bytes_max;
	char *module_path;		/* the file that was checked */
	char module_sha256[FL_DIGEST_HEX_BYTES];
	enum fl_answer answer;
};

struct fl_plan_cell {
	char *name;			/* "warm/16/64K/register" */
	char *group;			/* "warm" */
	unsigned line;			/* of its section */
	char *kernel;
	uint32_t object_bytes;		/* 0: the kernel has none */
	uint64_t block_bytes;
	uint64_t lifetime_bytes;	/* asked for */
	uint64_t nr_ops;		/* allocations timed, at least */
	uint64_t latency_events;
	enum fl_residence residence;
	bool account, fresh;
	char *trace;			/* as written, or NULL */
	char *trace_path;		/* seen from here */
	char trace_sha256[FL_DIGEST_HEX_BYTES];
	uint32_t nr_blocks;		/* it takes part in blocks [0, nr);
					   UINT32_MAX: in all */
	bool *arms;			/* nr_arms of them: takes part? */
	char **settings;		/* of each arm that does; may be NULL */
	double *estimate_s;		/* of each arm's sample: a rough guess */
};

struct fl_plan {
	char *path;			/* as given */
	char *text;			/* the file */
	size_t text_bytes;
	char sha256[FL_DIGEST_HEX_BYTES];
	bool quick;
	char *name, *title;		/* title: may be NULL */
	uint32_t nr_blocks;
	uint32_t timeout_s;
	uint32_t repeats_pct;
	uint32_t tolerance_pct;		/* 0: not given */
	struct fl_plan_arm *arms;
	uint32_t nr_arms;
	uint32_t baseline, twin, planted;
	struct fl_plan_cell *cells;
	uint32_t nr_cells;
};

/*
 * fl_plan_load: Read, expand and check a plan.
 *
 * Checked, for both profiles: sections, keys and values; that modules load, take
 * their settings and have the kernels; that traces are valid; that there is
 * exactly one twin and one planted arm; that in each timed cell the baseline
 * takes part, and beside a twin or planted arm the one it doubles; and that each
 * of these two takes part somewhere.  A cell without "arms" has all arms whose
 * block_max allows it, the planted one if its kernel has a planted instance; in
 * account mode neither twin nor planted arm.  What "arms" names must be possible.
 *
 * @plan: out; release with fl_plan_free.
 * Returns 0, or with a complaint "PLAN:LINE: what is wrong; the remedy":
 * -EINVAL, -ENOMEM, or what reading the plan, a module or a trace says.
 * Cost: reads each trace and hashes each module once.
 */
int fl_plan_load(const char *path, bool quick, struct fl_plan *plan,
		 struct fl_complaint *why);
void fl_plan_free(struct fl_plan *plan);

/* "baseline", "arm", "twin", "planted" */
const char *fl_role_name(enum fl_role role);

/* fl_plan_samples: How many samples the plan makes in at most @nr_blocks. */
uint64_t fl_plan_samples(const struct fl_plan *plan, uint32_t nr_blocks);

#endif
