/* SPDX-License-Identifier: MIT */
/*
 * benches/builder.h: what the files of the bench `builder` share.
 *
 * A "way" is a policy for arrays of unknown length.  A "lifetime" is what is built
 * between two resets: some arrays, all of which die together at its end.
 */
#ifndef FL_BENCHES_BUILDER_H
#define FL_BENCHES_BUILDER_H

#include <obstack.h>
#include <stdbool.h>
#include <stdint.h>

#include "benches/carrier.h"
#include "faultline/bench.h"
#include "faultline/builder.h"

enum { POLICY, STRATEGY, LENGTH, OPEN, SHAPE, BLOCK };
enum { SHAPE_TOGETHER, SHAPE_NESTED };

/* Most arrays of a lifetime, and most builders open at a time. */
#define ARRAYS_MAX	4096u
#define OPEN_MAX	64u

/* An array under construction, or done. */
struct array {
	uint64_t *base, *next, *end;
	struct fl_region *region;	/* its own */
};

struct way;

/* One sample. */
struct work {
	const struct fl_bench_args *args;
	const struct way *way;
	struct carrier on;		/* needs_strategy */
	uint64_t length, bound;		/* elements: built, and at most */
	struct array *arrays;		/* of the lifetime */
	uint64_t nr_arrays;		/* done, or being built */
	uint64_t nr_turns;		/* planted: of building, with those for nothing */
	struct fl_builder builders[OPEN_MAX];	/* of those that are open */
	struct obstack obstacks[OPEN_MAX];
	char *reserves[OPEN_MAX], *reserved[OPEN_MAX];	/* base, and bump */
	uint64_t reserve_bytes;		/* of each */
	uint64_t nr_linked, copied_bytes, nr_moves;
	int error;
};

/*
 * A way.  begin and end: of the sample; over: of a lifetime.  build: @nr builders of
 * @length elements each, open at the same time, pushed to as the shape says; @nr is 1
 * to OPEN_MAX.
 */
struct way {
	bool needs_strategy;
	int (*begin)(struct work *w);
	void (*build)(struct work *w, uint64_t nr, uint64_t length);
	void (*over)(struct work *w);
	void (*end)(struct work *w);
};

/* By number of the tunable "policy". */
extern const struct way builder_ways[];

#endif
