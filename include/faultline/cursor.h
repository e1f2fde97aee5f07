/* SPDX-License-Identifier: MIT */
/*
 * faultline/cursor.h: the cursor, and the arithmetic of sizes and addresses.
 *
 * Vocabulary: a "cursor" is what a compiler would keep in registers while it
 * allocates: where the next object goes (bump) and where the block ends
 * (limit).  "Down" strategies subtract from bump and stop at the block's lowest
 * address; "up" strategies add and stop at its end.  Fault-driven strategies
 * leave limit unused.
 *
 * Context: everything here is hot, pure, async-signal-safe and thread-safe.
 */
#ifndef FL_CURSOR_H
#define FL_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#define fl_hot		static inline __attribute__((always_inline))
#define fl_cold		__attribute__((cold, noinline))
/*
 * A function that runs on a service thread while the program's thread is
 * stopped in a fault, and touches what that thread owns.  The kernel orders the
 * two through the fault, which ThreadSanitizer cannot see.
 */
#define fl_behind_fault	__attribute__((no_sanitize("thread")))
#define fl_likely(x)	__builtin_expect(!!(x), 1)
#define fl_unlikely(x)	__builtin_expect(!!(x), 0)

/* Every object starts on and covers a multiple of this many bytes. */
#define FL_GRAIN_BYTES	8u

/*
 * Largest object anyone may ask for, in bytes.  The kernel hands out addresses
 * far above 2^40, so that a bump-down cursor can be decreased by any size
 * without wrapping, and one unsigned compare of addresses is enough.
 */
#define FL_OBJECT_BYTES_MAX	((size_t)1 << 40)

/*
 * The largest object a fault site takes without a size test, in bytes, and the
 * guard that makes this safe: an object of FL_SITE_BYTES_MAX rounds up to 64
 * KiB, and aligning it to at most FL_ALIGN_MAX moves it down by less than a
 * page more, so its first word lands inside the guard and never below it.
 * 65,535 is what a uint16_t can hold: a size loaded from one is "range-proven"
 * and costs no test.
 */
#define FL_SITE_BYTES_MAX	65535u
#define FL_ALIGN_MAX		4096u
#define FL_GUARD_BYTES		(65536u + FL_ALIGN_MAX)

struct fl_cursor {
	char *bump;	/* down: start of the newest object; up: end of it */
	char *limit;	/* down: lowest address of the block; up: its end */
};

/*
 * fl_object_bytes: What an object of @bytes occupies: the next multiple of 8,
 * and at least 8, because real programs ask for 0 and the first word must fit.
 * @bytes: 0 to FL_OBJECT_BYTES_MAX.
 * Folds to a constant for constant sizes.  Otherwise it is straight-line
 * arithmetic with no compare, so that it cannot be mistaken for a check: for 0
 * the shifted borrow of (0 - 1) supplies the missing grain.
 */
fl_hot size_t fl_object_bytes(size_t bytes)
{
	if (__builtin_constant_p(bytes != 0) && bytes != 0)
		return (bytes + 7) & ~(size_t)7;
	return ((bytes + 7) & ~(size_t)7) + (((bytes - 1) >> 60) & 8);
}

/*
 * fl_below: @bytes below @p.  To gcc, p - bytes is p + -bytes; it shares the
 * negation with the slow path's and so leaves it, and a copy, on the fast path.
 * clang does not, and would spill the limit over this form.
 */
fl_hot char *fl_below(char *p, size_t bytes)
{
#ifndef __clang__
	if (!__builtin_constant_p(bytes))
		return (char *)((uintptr_t)p - bytes);
#endif
	return p - bytes;
}

/*
 * fl_align_down, fl_align_up: @p moved to a multiple of @align, a power of two.
 * Cursors and object sizes are multiples of 8, so nothing is left to do for 8.
 */
fl_hot char *fl_align_down(char *p, size_t align)
{
	if (align <= FL_GRAIN_BYTES)
		return p;
	return p - ((uintptr_t)p & (align - 1));
}

fl_hot char *fl_align_up(char *p, size_t align)
{
	if (align <= FL_GRAIN_BYTES)
		return p;
	/* Of numbers: as p + ..., compilers need two instructions more. */
	return (char *)(((uintptr_t)p + (align - 1)) & -(uintptr_t)align);
}

#endif
