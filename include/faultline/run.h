/* SPDX-License-Identifier: MIT */
/*
 * faultline/run.h: one check for several allocations.
 *
 * Vocabulary: a "run" is a number of objects that are allocated one after the
 * other, of which a bound on all their bytes is known before the first, as in a
 * constructor of several objects.  To "claim" is to make sure of room for it;
 * to "carve" is to take an object of it, unchecked.
 *
 *	strategy_claim(region, cursor, FL_RUN_BYTES(sizeof(*a), sizeof(*b)));
 *	a = strategy_carve(region, cursor, sizeof(*a), word);
 *	b = strategy_carve(region, cursor, sizeof(*b), word);
 *
 * A strategy that can has both as functions, and says so with FL_HAS_RUNS; for all
 * others faultline/module.h makes a claim nothing, and a carve an allocation like
 * any other.  So what is written for runs works with every strategy.
 *
 * In a loop, claim for each turn the most that a turn may take, and carve what it
 * does take: what was not carved is still there for the next.
 *
 * Rules: carve no more than was claimed, rounded sizes counted (FL_RUN_BYTES does);
 * every carve is of alignment FL_GRAIN_BYTES; allocate nothing else from the region
 * between.
 *
 * Context: hot; as cursor.h.
 *
 * Origin: OCaml's combined allocation (Comballoc) and MLton's limit checks, which
 * compilers make of a basic block; here as an interface.
 */
#ifndef FL_RUN_H
#define FL_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "faultline/cursor.h"

/*
 * FL_RUN_BYTES: What objects of so many bytes occupy together, one to eight of
 * them.  A constant expression if the sizes are.
 */
#define FL_RUN_ROUND(n)	(((size_t)(n) + !(n) + 7) & ~(size_t)7)
#define FL_RUN_SUM(a, b, c, d, e, f, g, h, ...)				\
	(FL_RUN_ROUND(a) + ((b) < 0 ? 0 : FL_RUN_ROUND(b)) +		\
	 ((c) < 0 ? 0 : FL_RUN_ROUND(c)) + ((d) < 0 ? 0 : FL_RUN_ROUND(d)) + \
	 ((e) < 0 ? 0 : FL_RUN_ROUND(e)) + ((f) < 0 ? 0 : FL_RUN_ROUND(f)) + \
	 ((g) < 0 ? 0 : FL_RUN_ROUND(g)) + ((h) < 0 ? 0 : FL_RUN_ROUND(h)))
#define FL_RUN_BYTES(...)						\
	FL_RUN_SUM(__VA_ARGS__, -1, -1, -1, -1, -1, -1, -1, -1)

/*
 * fl_run_fits: Has a cursor that is bumped downwards room for @bytes, a multiple of
 * FL_GRAIN_BYTES?
 */
fl_hot int fl_run_fits(const struct fl_cursor *cursor, size_t bytes)
{
	return fl_below(cursor->bump, bytes) >= cursor->limit;
}

/* fl_carve: An object of @bytes of a run that was claimed. */
fl_hot void *fl_carve(struct fl_cursor *cursor, size_t bytes,
		      uint64_t first_word)
{
	char *p = fl_below(cursor->bump, fl_object_bytes(bytes));

	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

#endif
