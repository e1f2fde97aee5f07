/* SPDX-License-Identifier: MIT */
/*
 * analysis/report_when.h: which strategy when, over several campaigns.
 *
 * Vocabulary: a "kind" is what an arm does at the end of a block: branch, extend,
 * redirect, elastic (struct fl_summary_arm's answer); what never looks is a bound
 * and no choice.  In a cell where blocks end, the fastest arm of each kind stands
 * for it.  The fastest kind "surely" is when the interval of the ratio to the next
 * one, paired within blocks, lies above 1; else the cell is too close to call.
 * That the best arm of a kind was chosen by the same samples favours kinds with
 * many arms a little.  Cells go by block size into classes.
 *
 * Timings of INVALID campaigns are left out; counts of pages are not.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_REPORT_WHEN_H
#define FL_REPORT_WHEN_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/report_page.h"

struct fl_when_cell;
struct fl_when_pages;

struct fl_when {
	struct fl_when_cell *cells;
	size_t nr_cells;
	struct fl_when_pages *pages;	/* an arm on a program, each */
	size_t nr_pages;
	size_t nr_invalid;		/* campaigns whose timings were left out */
};

/*
 * fl_when_add: What @summary says; it need not live on.  @when: zeros at first.
 * fl_when_put: As an answer in sentences, with what they rest on below.
 * @claims: a sentence about the claims, or NULL.
 * All return 0 or -ENOMEM.
 */
int fl_when_add(struct fl_when *when, const struct fl_summary *summary);
int fl_when_put(const struct fl_page *page, const struct fl_when *when,
		const char *claims);
void fl_when_free(struct fl_when *when);

#endif
