/* SPDX-License-Identifier: MIT */
/*
 * harness/plan.h: what a campaign measures, read from an INI file.
 *
 * Vocabulary: an "arm" is a strategy, or a bench, with settings: what is compared.
 * A "cell" is a workload, or a bench, at one level of every factor: what the arms
 * are compared on.  A [cell] section may list several levels of size, block and
 * residence, or of a bench's tunables; it stands for one cell for each
 * combination, and its name is their "group".  A "pair" is
 * a cell and an arm that takes part in it.  A "block" of a campaign is one sample
 * of every pair.  The "profile" is quick or full; a key with the suffix _quick
 * replaces the key without it in the quick profile.
 *
 * The "baseline" of a cell is the arm that ratios are formed against.  A "twin" is
 * an arm equal to another in everything but its name: they must not differ (A/A).
 * A "planted" arm is another one made slower on purpose: it must be found.
 * The "builds" of an arm are files of the same code at other addresses (NAME,
 * NAME@layout1, NAME@layout2); harness/campaign.h says which of them a block runs.
 *
 * [campaign]
 *	name		letters, digits, '-', '_'; names the results folder
 *	title		one line for people
 *	blocks		number of blocks
 *	baseline	name of an arm; default: the first strategy's, or without
 *			strategies the first
 *	timeout_s	a sample that takes longer is killed; default 60
 *	repeats_pct	flagged samples that are repeated, at most, in percent of
 *			the samples planned; default 20
 *	tolerance_pct	what a twin may seem to differ by before the campaign is
 *			invalid; default: the report's
 *	builds		how many layouts of each strategy take turns over the
 *			blocks, 1 to 3; default 1.  A strategy that is named with its
 *			layout or by a path, or that was linked into no other, has one
 *			build, and so has a bench
 *
 * [arm NAME] of a strategy
 *	strategy	name of a module; NAME@clang, as clang built it; or a path
 *			with a '/'
 *	set		settings, "name=value, name=value"; {block} stands for the
 *			cell's block in bytes, {block_pages} for it in pages.  The
 *			tunable "block" is not set here: it is the cell's block
 *	block_max	largest block of the cells it takes part in; default: any
 *
 * [arm NAME] of a bench; it takes part in the cells of that bench
 *	bench		name of a module, or a path with a '/'
 *	set		settings, "name=value, name=value"
 *
 * [arm NAME] that doubles another
 *	twin, planted	name of that arm; then no strategy, bench and set
 *
 * [cell NAME] of strategies
 *	kernel		as `faultline list` shows them
 *	size		list: object sizes, for kernels that come in several
 *	residence	list: register, memory; default: both, memory if account
 *	block		list: block sizes; default 64K
 *	lifetime	bytes, or "8x": so many blocks; default 16x
 *	ops		allocations to time; default: the kernel's
 *	trace		replay: path from the plan's folder
 *	mode		timed or account; default timed
 *	fresh		yes: first touch; heap: each lifetime in a heap of its own;
 *			default no
 *
 * [cell NAME] of a bench
 *	bench		its name
 *	set		settings that are every arm's
 *	vary.TUNABLE	list: levels of a tunable of the bench
 *	ops		ops to time in one stretch; default: the bench's
 *
 * [cell NAME] of either
 *	latency_events	slow paths, or ops, to time one by one; default 0
 *	arms		list; default: all that can (see fl_plan_load)
 *	baseline	name of an arm; default: the campaign's, and of a bench in
 *			which that takes no part, the first that does
 *	blocks		in blocks 0 to this less one; default: in all
 *	quick		no: the quick profile leaves it out; default yes
 *
 * A tunable of a bench is set by the cell or by the arm, not by both.
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
#include "harness/cell.h"
#include "harness/complain.h"
#include "harness/digest.h"
#include "harness/module_load.h"

#define FL_PLAN_BUILDS_MAX	3u

enum fl_role { FL_ROLE_BASELINE, FL_ROLE_ARM, FL_ROLE_TWIN, FL_ROLE_PLANTED };

/* One file of a module's code. */
struct fl_plan_build {
	char *named;			/* as written, "bump_down@clang", a path;
					   and "bump_down@clang@layout1" */
	char *path;			/* the file that was checked */
	char sha256[FL_DIGEST_HEX_BYTES];
};

struct fl_plan_arm {
	char *name;
	unsigned line;			/* of its section */
	enum fl_role role;		/* BASELINE: of the campaign; in a cell see
					   fl_plan_role */
	uint32_t of;			/* twin, planted: the arm it doubles;
					   else its own index */
	enum fl_module_kind kind;
	char *module;			/* its own name */
	char *compiler;			/* of the module */
	char *settings;			/* as written, or NULL */
	uint64_t block_bytes_max;
	struct fl_plan_build builds[FL_PLAN_BUILDS_MAX];
	uint32_t nr_builds;		/* at most the plan's */
	enum fl_answer answer;		/* of a strategy */
};

/* One level of a tunable that varies. */
struct fl_plan_level {
	char *tunable, *value;		/* "pages", "64K" */
};

struct fl_plan_cell {
	char *name;			/* "warm/16/64K/register",
					   "trap/threads=2/pages=16" */
	char *group;			/* "warm" */
	unsigned line;			/* of its section */
	char *bench, *op;		/* NULL: it is of strategies */
	struct fl_plan_level *levels;	/* of a bench, in the plan's order */
	size_t nr_levels;

	/* Of strategies; else NULL or 0. */
	char *kernel;
	uint32_t object_bytes;		/* 0: the kernel has none */
	uint64_t block_bytes;
	uint64_t lifetime_bytes;	/* asked for */
	enum fl_residence residence;
	bool account;
	enum fl_fresh fresh;
	char *trace;			/* as written, or NULL */
	char *trace_path;		/* seen from here */
	char trace_sha256[FL_DIGEST_HEX_BYTES];

	uint64_t nr_ops;		/* allocations, at least; or ops */
	uint64_t latency_events;
	uint32_t baseline;		/* UINT32_MAX: none, in account mode */
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
	uint32_t nr_builds;		/* 1: none varies */
	struct fl_plan_arm *arms;
	uint32_t nr_arms;
	uint32_t baseline;
	struct fl_plan_cell *cells;
	uint32_t nr_cells;
};

/*
 * fl_plan_load: Read, expand and check a plan.
 *
 * Checked, for both profiles: sections, keys and values; that modules load, in all
 * of their builds, take their settings and have the kernels; that traces are valid; that there are a
 * twin and a planted arm, among strategies and among benches if there are both;
 * that in each timed cell the baseline takes part, and beside a twin or planted
 * arm the one it doubles; and that each of these takes part somewhere.
 *
 * A cell of strategies without "arms" has all of their arms whose block_max allows
 * it, the planted ones if its kernel has a planted instance; in account mode
 * neither twins nor planted arms.  A cell of a bench has all arms of that bench.
 * What "arms" names must be possible.
 *
 * @plan: out; release with fl_plan_free.
 * Returns 0, or with a complaint "PLAN:LINE: what is wrong; the remedy":
 * -EINVAL, -ENOMEM, or what reading the plan, a module or a trace says.
 * Cost: reads each trace and hashes each module once.
 */
int fl_plan_load(const char *path, bool quick, struct fl_plan *plan,
		 struct fl_complaint *why);
void fl_plan_free(struct fl_plan *plan);

/* fl_plan_role: What @arm is in @cell. */
enum fl_role fl_plan_role(const struct fl_plan *plan,
			  const struct fl_plan_cell *cell, uint32_t arm);

/* "baseline", "arm", "twin", "planted" */
const char *fl_role_name(enum fl_role role);

/* fl_plan_samples: How many samples the plan makes in at most @nr_blocks. */
uint64_t fl_plan_samples(const struct fl_plan *plan, uint32_t nr_blocks);

#endif
