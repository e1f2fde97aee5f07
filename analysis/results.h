/* SPDX-License-Identifier: MIT */
/*
 * analysis/results.h: a campaign's directory, read into memory.
 *
 * Vocabulary: a "campaign directory" holds plan.ini, campaign.json and
 * results.jsonl, or that file packed by xz, as reference results are kept.  A
 * "result" is one line of the last: one sample, or why there
 * is none.  A "problem" is something wrong with a file that does not stop the
 * reading: a torn or garbled line, which is skipped; a missing campaign.json.
 *
 * A result file is append-only and its campaign may have been killed at any
 * instruction, so a bad line costs that line and nothing else.  What is refused
 * is a line of another schema: to skip it, or to guess at it, would give wrong
 * answers in silence.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_RESULTS_H
#define FL_RESULTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/complain.h"

#define FL_RESULTS_SCHEMA	1

#define FL_RESULTS_LINES	"results.jsonl"
#define FL_RESULTS_PACKED	"results.jsonl.xz"

/* Problems that are told one by one; the others are counted. */
#define FL_RESULTS_PROBLEMS_MAX	10

enum fl_result_status {
	FL_RESULT_OK,
	FL_RESULT_FAILED,
	FL_RESULT_CRASHED,
	FL_RESULT_TIMEOUT,
	FL_RESULT_UNSUPPORTED,
	FL_RESULT_NR_STATUS,
};

/* What an arm is for. */
enum fl_result_role {
	FL_RESULT_BASELINE,	/* what the others are compared with */
	FL_RESULT_ARM,
	FL_RESULT_TWIN,		/* another arm again: must not differ from it */
	FL_RESULT_PLANTED,	/* another arm, slowed down: must differ */
	FL_RESULT_NR_ROLES,
};

/* Strings belong to the results; NULL where the line has none. */
struct fl_result {
	unsigned int line;		/* of results.jsonl, from 1 */
	enum fl_result_status status;
	enum fl_result_role role;
	bool accounts;			/* counted pages instead of timing */
	bool fresh;			/* first touch */
	const char *reason;		/* why it is not ok */
	const char *cell, *arm;		/* never NULL */
	const char *group;		/* the plan's word for the cell's kind */
	const char *of;			/* twin, planted: the arm it doubles */
	const char *strategy;		/* the bench's name if it is of one;
					   never NULL: the arm where missing */
	const char *bench, *op;		/* NULL: it is of a strategy */
	const char *settings;		/* "block=64K step=2", never NULL */
	const char *answer, *trigger;
	const char *compiler;		/* of its module */
	const char *kernel, *residence, *trace;
	int64_t block, repeat;
	int64_t build;			/* of its arm's; 0 where the line has none */
	uint64_t object_bytes, block_bytes, lifetime_bytes;
	size_t nr_flags;
	json_t *json;			/* the whole line */
};

struct fl_results {
	struct fl_result *results;	/* in the file's order */
	size_t nr_results;
	size_t nr_lines;
	json_t *campaign;		/* campaign.json, or an empty object */
	char *plan;			/* text of plan.ini, or NULL */
	char *problems[FL_RESULTS_PROBLEMS_MAX]; /* "FILE:LINE: ...", the
					   file without its directory */
	size_t nr_problems;		/* may exceed what problems[] holds */
	char **settings;		/* what results point to */
};

/*
 * fl_results_load: Read @dir.
 *
 * @out: written only on success; release with fl_results_free.
 * @why: out, may be NULL: one line.
 * Returns 0, or:
 *   -ENODATA: not a single line is a result.
 *   -EPROTO:  a line has another schema.
 *   -EBADMSG: packed, and corrupt or cut off.
 *   -ENOENT, -ENOTDIR, -EACCES, ...: from opening results.jsonl.
 *   -ENOMEM.
 */
int fl_results_load(const char *dir, struct fl_results *out,
		    struct fl_complaint *why);
void fl_results_free(struct fl_results *results);

/* fl_result_metric: Number @name of @result, or NaN where it has none. */
double fl_result_metric(const struct fl_result *result, const char *name);

/* fl_result_unavailable: Why it has none, or NULL where the line says nothing. */
const char *fl_result_unavailable(const struct fl_result *result,
				  const char *name);

/* fl_results_string: String @key of campaign.json, or @fallback. */
const char *fl_results_string(const struct fl_results *results, const char *key,
			      const char *fallback);

const char *fl_result_status_name(enum fl_result_status status);
const char *fl_result_role_name(enum fl_result_role role);

#endif
