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
 * any other.  So what is written for runs works with every strategy.  One that has
 * strategy_turn of its own says FL_HAS_TURNS.
 *
 * In a loop there is a form that is cheaper still: what a "turn" of it takes is not
 * asked for in advance, but may pass the block's limit by as much as a "red zone"
 * behind it holds, the slop.  It costs one compare of what is in registers anyway.
 *
 *	for (...) {
 *		strategy_turn(region, cursor, FL_TURN_BYTES(3 * sizeof(*a)));
 *		... up to three carves
 *	}
 *
 * FL_TURN_BYTES does not compile for more than FL_SLOP_BYTES.  A strategy without a red
 * zone claims what a turn may take at most.
 *
 * Rules: carve no more than was claimed, or than the turn's bound, rounded sizes
 * counted (FL_RUN_BYTES does); every carve is of alignment FL_GRAIN_BYTES; allocate
 * nothing else from the region between.  What was not carved is still there.
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
 * them; more do not compile.  A constant expression if the sizes are.
 */
#define FL_RUN_ROUND(n)	(((size_t)(n) + !(n) + 7) & ~(size_t)7)
#define FL_RUN_SUM(a, b, c, d, e, f, g, h, ninth, ...)			\
	(FL_RUN_ROUND(a) + ((b) < 0 ? 0 : FL_RUN_ROUND(b)) +		\
	 ((c) < 0 ? 0 : FL_RUN_ROUND(c)) + ((d) < 0 ? 0 : FL_RUN_ROUND(d)) + \
	 ((e) < 0 ? 0 : FL_RUN_ROUND(e)) + ((f) < 0 ? 0 : FL_RUN_ROUND(f)) + \
	 ((g) < 0 ? 0 : FL_RUN_ROUND(g)) + ((h) < 0 ? 0 : FL_RUN_ROUND(h)) + \
	 0 * sizeof(struct {						\
		_Static_assert((ninth) < 0,				\
			"a run has at most eight objects: add up two of these"); \
		char nothing;						\
	 }))
#define FL_RUN_BYTES(...)						\
	FL_RUN_SUM(__VA_ARGS__, -1, -1, -1, -1, -1, -1, -1, -1, -1)

/*
 * fl_run_fits: Has a cursor that is bumped downwards room for @bytes, a multiple of
 * FL_GRAIN_BYTES?
 */
fl_hot int fl_run_fits(const struct fl_cursor *cursor, size_t bytes)
{
	return fl_below(cursor->bump, bytes) >= cursor->limit;
}

/*
 * The red zone of a strategy with FL_HAS_TURNS lies below each block's limit: so much
 * memory that nothing else is in.
 */
#define FL_SLOP_BYTES	4096u

/* FL_TURN_BYTES: FL_RUN_BYTES of constants, and no more than the slop. */
#define FL_TURN_BYTES(...)						\
	(FL_RUN_BYTES(__VA_ARGS__) + 0 * sizeof(struct {		\
		_Static_assert(FL_RUN_BYTES(__VA_ARGS__) <= FL_SLOP_BYTES, \
			"a turn takes more than the red zone holds: claim it"); \
		char nothing;						\
	}))

/*
 * fl_turn_fits: Is there anything left of a block that has a red zone?  Then a turn
 * may take FL_SLOP_BYTES.
 */
fl_hot int fl_turn_fits(const struct fl_cursor *cursor)
{
	return cursor->bump > cursor->limit;
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
