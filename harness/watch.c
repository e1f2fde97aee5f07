/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "harness/watch.h"

#define NEVER	UINT64_MAX

static const uint64_t never = NEVER;

static void slow(struct fl_slow_watch *base, uint64_t nr, bool timed,
		 uint64_t ticks)
{
	struct fl_watch *watch = (struct fl_watch *)base;

	if (watch->learning) {
		if (watch->nr_due < FL_WATCH_MAX)
			watch->due[watch->nr_due++] = nr;
		return;
	}
	if (timed)
		watch->sink.base.add(&watch->sink.base, ticks);
	while (*base->due <= nr)
		base->due++;
}

int fl_watch_init(struct fl_watch *watch, struct fl_hist *hist,
		  double ns_per_tick)
{
	int err = fl_hist_sink_init(&watch->sink, hist, ns_per_tick);

	watch->base.slow = slow;
	watch->due = err ? NULL : malloc((FL_WATCH_MAX + 1) * sizeof(*watch->due));
	if (!err && !watch->due)
		err = -ENOMEM;
	if (!err)
		fl_watch_learn(watch);
	return err;
}

void fl_watch_free(struct fl_watch *watch)
{
	free(watch->due);
	watch->due = NULL;
}

static void rewind_to(struct fl_watch *watch, bool learning)
{
	watch->learning = learning;
	watch->due[watch->nr_due] = NEVER;
	watch->base.due = learning ? &never : watch->due;
	watch->base.nr_allocs = 0;
}

void fl_watch_learn(struct fl_watch *watch)
{
	watch->nr_due = 0;
	rewind_to(watch, true);
}

void fl_watch_begin(struct fl_watch *watch)
{
	rewind_to(watch, false);
}
