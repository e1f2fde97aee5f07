/* SPDX-License-Identifier: MIT */
/*
 * analysis/claims.h: statements that results confirm or refute, and the verdicts.
 *
 *	[claim N3-large]
 *	says = With large blocks, allocation without a branch is faster.
 *	needs = break-even * bump_down, break-even * segv_redirect
 *	query = SELECT ratio(x, y) AS value, ratio_low(x, y) AS low,
 *		ratio_high(x, y) AS high, count(*) AS n FROM pair WHERE ...
 *	confirm = below 1
 *	refute = above 1 by 1 %
 *	unit = ratio
 *
 * A claim's name begins with the note that it is about: N3-large is of N3.
 *
 * needs: EXPERIMENT [CELL [ARM]], separated by commas; CELL and ARM are patterns
 *	as of SQLite's GLOB.  Of each there must be a sample with status ok.  The
 *	experiment "kernel" is what `faultline kernel --output` left.
 * query: one row with columns called value, low, high and n, over the database of
 *	analysis/db.h; "reason" may be a fifth: a text that goes beside the verdict.
 *	What is counted and does not vary has low = high = value.
 * confirm, refute: what must hold of all of the interval from low to high:
 *	below X [by P %]	high is under X, or under X by P percent of it
 *	above X [by P %]	low is over X
 *	within P % of X		it lies in [X / (1 + P), X (1 + P)]
 *	beyond P % of X		it lies wholly outside of that
 *	from X to Y		it lies in [X, Y]
 * timed: no: counts alone; noise in time cannot make it wrong.  Else the verdict
 *	of an INVALID campaign is INCONCLUSIVE.
 *
 * Verdicts.  CONFIRMED, REFUTED: that rule holds, and the other does not.
 * INCONCLUSIVE: neither does, or there is no interval.  NOT MEASURED: a sample
 * that is needed is not there, with the reason; it is "owed" unless the host
 * cannot have it, or the profile does not ask for it.
 *
 * Context: cold; a database belongs to one thread.
 */
#ifndef FL_CLAIMS_H
#define FL_CLAIMS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/complain.h"

enum fl_claim_word {
	FL_CLAIM_BELOW, FL_CLAIM_ABOVE, FL_CLAIM_WITHIN, FL_CLAIM_BEYOND,
	FL_CLAIM_FROM,
};

struct fl_claim_rule {
	char *text;		/* as it stands in the file */
	enum fl_claim_word word;
	double x, y;		/* y: of "from" alone */
	double share;		/* P / 100 */
};

struct fl_claim_need {
	char *experiment;
	char *cell, *arm;	/* patterns; NULL: any */
};

struct fl_claim {
	char *path;		/* of its file */
	unsigned int line;
	char *name;
	size_t note_bytes;	/* of the name: "N3" of "N3-large" */
	char *says, *query;
	char *unit;		/* may be NULL */
	bool timed;
	struct fl_claim_rule confirm, refute;
	struct fl_claim_need *needs;
	size_t nr_needs;	/* at least one */
};

struct fl_claims {
	struct fl_claim *list;	/* by note, then as in the files */
	size_t nr;
};

/*
 * fl_claims_add: Read the file at @path and add what is in it to @claims (zeros at
 * first), which is released with fl_claims_free, also after an error.
 * Returns 0, or with a complaint that names file and line -EINVAL, or as
 * fl_keyfile_read.
 */
int fl_claims_add(struct fl_claims *claims, const char *path,
		  struct fl_complaint *why);
void fl_claims_free(struct fl_claims *claims);

enum fl_verdict_kind {
	FL_CONFIRMED, FL_REFUTED, FL_INCONCLUSIVE, FL_NOT_MEASURED,
	FL_NR_VERDICT_KINDS,
};

struct fl_verdict {
	const struct fl_claim *claim;
	enum fl_verdict_kind kind;
	bool owed;		/* not measured, and should have been */
	double value, low, high;	/* NaN where there is none */
	int64_t n;
	char *reason;		/* or NULL */
};

/*
 * fl_verdict_judge: Judge @claim by @db.
 * Returns 0 and *@out, to be released with fl_verdict_free, or with a complaint
 * that names file and line -EINVAL (what is wrong with the claim) or -ENOMEM.
 */
int fl_verdict_judge(sqlite3 *db, const struct fl_claim *claim,
		     struct fl_verdict *out, struct fl_complaint *why);
void fl_verdict_free(struct fl_verdict *verdict);

/* "CONFIRMED", "NOT MEASURED", ... */
const char *fl_verdict_kind_name(enum fl_verdict_kind kind);

#endif
