/* SPDX-License-Identifier: MIT */
/*
 * harness/account.h: an accounting run: one pass of a workload, with a census every
 * so many events, each page in its class (harness/ledger.h), and both witnesses
 * held against each other.
 *
 * The run is no good, with the reason, when
 *  - a page with a live object is not resident in a declared range;
 *  - pages in ranges for objects become resident that no object touched, more
 *    of them than the declared geometry opens ahead;
 *  - the process gains resident pages outside of all declared ranges, or shared ones;
 *  - ranges are not of whole pages, overlap, or are the harness's;
 *  - pages go while the strategy says what its ranges are, or pages that objects were
 *    put on are said to be something else;
 *  - the classes do not sum to what the kernel counts;
 *  - the pages that objects were put on, and those that the kernel saw written
 *    (vm/written.h), differ by more than FL_ACCOUNT_SLACK and what the geometry
 *    opens ahead.
 *
 * Context: cold; one run per process, on the heap's thread.
 */
#ifndef FL_ACCOUNT_H
#define FL_ACCOUNT_H

#include <jansson.h>

#include "faultline/kernel.h"
#include "harness/ledger.h"
#include "harness/sample.h"
#include "vm/census.h"
#include "vm/written.h"

/* Censuses of a run of as many events or more. */
#define FL_ACCOUNT_CENSUSES	240u

/*
 * What is let pass of @pages in one interval: allocators with headers in their
 * blocks write beside objects, too.
 */
#define FL_ACCOUNT_SLACK(pages)	(2 + (pages) / 100)

/*
 * Resident pages outside of all ranges that a run may gain over the fewest there
 * were: what libraries use for the first time.  And that opening the heap may gain:
 * stacks of service threads.  They are counted one by one, by PAGEMAP_SCAN; without
 * it (before Linux 6.7) nobody looks.
 */
#define FL_ACCOUNT_OUTSIDE	2u
#define FL_ACCOUNT_OPENED	16u

/*
 * The same by counters of the process, which lag behind by 32 pages for each of two
 * CPUs: shared pages, which no scan tells from files.
 */
#define FL_ACCOUNT_COUNTED	64u

struct fl_account {
	struct fl_event_sink sink;
	struct fl_sample *out;
	const struct fl_strategy *strategy;
	const struct fl_heap *heap;
	struct fl_ledger *ledger;
	struct fl_census census;
	struct fl_written written;
	const char *unwatched;		/* why nobody saw what was written */
	char why[256];
	struct fl_process_pages process;	/* when last looked at */
	uint64_t nr_censuses;
	uint64_t nr_events, every, due;	/* so far; between censuses; the next */
	uint64_t heap_events;		/* at the newest census */
	uint64_t outside_least;		/* pages, since before the heap was opened */
	uint64_t outside_opened;	/* more, by opening it */
	uint64_t shared_before;		/* pages, at the first census */
	uint64_t table_bytes;		/* of page tables, at the newest census */
	bool everywhere;		/* does it look at all parts of all ranges? */
	uint64_t census_ticks;		/* spent on all of them */
	double census_cpu_s;
	uint64_t ledger_start, ledger_ticks, nr_timed;	/* the ledger, sometimes */
	uint64_t timed_most;		/* ticks; what takes longer is not counted */
	uint64_t outside_most, ahead_most;
	uint64_t compared, missed, extra;
	int err;
};

/*
 * fl_account_begin: Before the heap is opened: see what the process is without it,
 * and prepare descriptors for being watched.
 * Returns 0, or what fl_sample_fail does.
 */
int fl_account_begin(struct fl_account *account, struct fl_sample *out);

/*
 * fl_account_run: Run @batch by @kernel.  @nr_events: what a pass will have.
 * Returns what the kernel did; if the account is no good, @out has failed.
 */
int fl_account_run(struct fl_account *account,
		   const struct fl_strategy *strategy,
		   const struct fl_kernel *kernel, struct fl_batch *batch,
		   uint64_t nr_events, struct fl_batch_result *result);

/* fl_account_metrics: What came out, if the run was good, into its sample. */
void fl_account_metrics(struct fl_account *account);

/* fl_account_json: The keys of results/SCHEMA.md that such a run adds to @line. */
void fl_account_json(const struct fl_account *account, json_t *line);

void fl_account_end(struct fl_account *account);

#endif
