/* SPDX-License-Identifier: MIT */
/*
 * benches/large.h: what the files of the bench `large` share.
 *
 * A "way" says where arrays go.  A "window" is a number of objects, small ones and
 * arrays, that are allocated one after the other, used, and die together.
 */
#ifndef FL_BENCHES_LARGE_H
#define FL_BENCHES_LARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "benches/carrier.h"

/* Everything from a page on is an array to this bench. */
#define FL_LARGE_BYTES	4095u
#include "faultline/large.h"

enum {
	WAY, STRATEGY, GIVEBACK, SIZES, EVERY, LEAST, MOST, DOUBLINGS, USE, KEEP, BLOCK,
};
enum { WAY_OWN, WAY_AREA, WAY_MALLOC };
enum { SIZES_CONSTANT, SIZES_PERIODIC, SIZES_RANDOM };
enum { USE_PAGES, USE_FIRST };

/* Of a small object: where its size is constant, and on average where it is not. */
#define SMALL_BYTES	72u

/* How a small object of a strategy is allocated in the bench's loop. */
enum path {
	PATH_LIMIT,	/* inline: compared with the cursor's limit */
	PATH_BARE,	/* inline: not checked */
	PATH_CALL,	/* by the strategy's table */
};

/* One sample. */
struct work {
	const struct fl_bench_args *args;
	struct carrier on;		/* not of malloc */
	enum path path;
	struct fl_larges *area;		/* of WAY_AREA */
	uint64_t window, every;		/* objects; one in so many is an array, or 0 */
	uint64_t nr_windows;		/* that there are sizes for */
	uint32_t *sizes;		/* of each window, in order */
	void **objects;			/* of the window, by place */
	uint32_t *places;		/* of the arrays of each window */
	uint64_t nr_arrays;		/* of a window */
	uint64_t copied_bytes;
	int error;
};

/*
 * large_build: The first @nr objects of a window, from the sizes of the @k-th; arrays get
 * their doublings, and are used.
 */
void large_build(struct work *w, uint64_t k, uint64_t nr);

/* large_over: They die. */
void large_over(struct work *w, uint64_t nr);

#endif
