/* SPDX-License-Identifier: MIT */
/*
 * harness/watch.h: slow paths timed one by one, in a program that otherwise runs
 * as fast as it does untimed.
 *
 * Reading the clock at each allocation would make the way from one slow path to the
 * next a hundred times as long, in which timer interrupts and neighbours cool the
 * caches that the slow path then misses: that was seen as faults of 10 us for 4.
 * But a workload is the same in each batch, so a batch in which nothing is timed
 * says which allocations take the slow path, and in the next ones only these are
 * timed.
 *
 * An allocation that is timed and takes the fast path is forgotten; a slow path
 * that nobody expected is not timed.  Both come where a strategy's slow paths depend
 * on what went before the batch.
 *
 * Context: one thread; learning allocates memory.
 */
#ifndef FL_HARNESS_WATCH_H
#define FL_HARNESS_WATCH_H

#include "faultline/kernel.h"
#include "harness/hist.h"

struct fl_watch {
	struct fl_slow_watch base;	/* first: slow() casts back from it */
	struct fl_hist_sink sink;
	uint64_t *due;			/* nr_due numbers, then UINT64_MAX */
	uint64_t nr_due;
	bool learning;
};

/*
 * fl_watch_init: Nothing is due.  @hist: the caller's, to be fed with what is timed.
 * @ns_per_tick: as for fl_hist_sink_init().
 * Returns 0, -EINVAL, or -ENOMEM; fl_watch_free() in any case.
 */
int fl_watch_init(struct fl_watch *watch, struct fl_hist *hist,
		  double ns_per_tick);
void fl_watch_free(struct fl_watch *watch);

/*
 * fl_watch_learn: The next batch says what is due; nothing is timed in it.  Of more
 * slow paths than FL_WATCH_MAX the first are taken.
 * fl_watch_begin: The next batch is timed.
 */
#define FL_WATCH_MAX	((uint64_t)1 << 16)
void fl_watch_learn(struct fl_watch *watch);
void fl_watch_begin(struct fl_watch *watch);

#endif
