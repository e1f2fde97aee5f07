/* SPDX-License-Identifier: MIT */
/*
 * benches/carrier.h: a region for benches of what any strategy can carry.
 *
 * Context: cold; a carrier belongs to the thread that opened it.
 */
#ifndef FL_BENCHES_CARRIER_H
#define FL_BENCHES_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faultline/bench.h"
#include "faultline/read.h"

/* A strategy, a heap of it and a region; all NULL: not open. */
struct carrier {
	const struct fl_strategy *strategy;
	struct fl_heap *heap;
	struct fl_region *region;
};

/* A setting that is not the default. */
struct carrier_setting {
	const char *name;		/* NULL: none */
	uint64_t value;
	bool required;			/* no strategy without it will do */
};

/*
 * carrier_open_set: By the strategy's default settings, but for these.
 * @need: what to open the heap for; values and cpu are filled in.
 * Returns 0, -ENOTSUP (no such strategy, or it cannot run here) or -errno, with a
 * reason.  End with carrier_close, either way.
 */
int carrier_open_set(struct carrier *carrier, const struct fl_bench_args *args,
		     const char *strategy,
		     const struct carrier_setting *settings, size_t nr_settings,
		     const struct fl_open_args *need, char *reason,
		     size_t reason_bytes);

/* carrier_open: The same, but for its block, if it has one. */
int carrier_open(struct carrier *carrier, const struct fl_bench_args *args,
		 const char *strategy, uint64_t block_bytes,
		 const struct fl_open_args *need, char *reason,
		 size_t reason_bytes);
void carrier_close(struct carrier *carrier);

/*
 * carrier_probe_ring: Can a reader read by @by (faultline/read.h), into a buffer of
 * @bytes if that is registered?  Really asks for a ring.
 * Returns 0, or -errno with a reason.
 */
int carrier_probe_ring(enum fl_read_by by, size_t bytes, char *reason,
		       size_t reason_bytes);

#endif
