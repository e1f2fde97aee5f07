/* SPDX-License-Identifier: MIT */
/*
 * faultline/convention.h: how an allocation site calls its slow path.
 *
 * Vocabulary: a "convention" says which registers a call may change, and so what
 * the compiler must move out of the way around it.  A strategy that uses this
 * header is built once for each, from one source, as the module NAME-CONVENTION;
 * strategies/local.mk has the list.
 *
 *  cold      a function that is out of line and said to be rare: what is built as
 *            NAME, without a suffix
 *  plain     a function that is out of line, and nothing else is said
 *  ncsr      __attribute__((no_caller_saved_registers)): the function saves every
 *            register it uses.  gcc's callers do not rely on it (seen in gcc 12)
 *  preserve  __attribute__((preserve_most)): all general registers but r11; clang
 *            alone
 *  thunk     the compiler sees no call: faultline/slowpath.h
 *
 * -DFL_CONVENTION=NAME chooses.  In the strategy's file:
 *
 *	FL_SLOW_PATH(mine)			declares what follows
 *	struct fl_cursor mine_refill(struct fl_region *, size_t bytes) { ... }
 *	#if FL_SLOW_PATH_WARM
 *	struct fl_cursor mine_warm(struct fl_region *, size_t bytes) { ... }
 *	#endif
 *
 * with storage class and attributes of the declarations; and at the site
 *
 *	if (FL_SLOW_IF(p < cursor->limit))
 *		FL_SLOW_PATH_CALL(mine, region, n, cursor);
 *
 * mine_warm is FL_SLOW_THUNK's: general registers alone, and bump NULL where it
 * has nothing.
 *
 * What compilers make of ncsr and preserve has been wrong: clang 14 restores the
 * registers that hold the result of a preserve_most function, and so loses it
 * (the same at -O0 is llvm #173800); functions with ncsr stored below their stack
 * (llvm #62287) and called on by a jump after they had restored all (clang 14).
 * Hence fl_convention_probe, which tries.
 *
 * Context: as slowpath.h.
 */
#ifndef FL_CONVENTION_H
#define FL_CONVENTION_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "faultline/cursor.h"
#include "faultline/slowpath.h"
#include "faultline/strategy.h"

#ifndef FL_CONVENTION
#define FL_CONVENTION	cold
#endif

#define FL_CONVENTION_IS_cold		1
#define FL_CONVENTION_IS_plain		2
#define FL_CONVENTION_IS_ncsr		3
#define FL_CONVENTION_IS_preserve	4
#define FL_CONVENTION_IS_thunk		5
#define FL_CONVENTION_PASTE(name)	FL_CONVENTION_IS_##name
#define FL_CONVENTION_NUMBER(name)	FL_CONVENTION_PASTE(name)
#define FL_CONVENTION_IS(name)						\
	(FL_CONVENTION_NUMBER(FL_CONVENTION) == FL_CONVENTION_IS_##name)

#if !(FL_CONVENTION_IS(cold) || FL_CONVENTION_IS(plain) ||		\
      FL_CONVENTION_IS(ncsr) || FL_CONVENTION_IS(preserve) ||		\
      FL_CONVENTION_IS(thunk))
#error "FL_CONVENTION is cold, plain, ncsr, preserve or thunk"
#endif

/* What the name of a module has behind its file's stem. */
#define FL_CONVENTION_STRING(name)	"-" #name
#define FL_CONVENTION_WORD(name)	FL_CONVENTION_STRING(name)
#if FL_CONVENTION_IS(cold)
#define FL_CONVENTION_SUFFIX	""
#else
#define FL_CONVENTION_SUFFIX	FL_CONVENTION_WORD(FL_CONVENTION)
#endif

#define FL_SLOW_PATH_WARM						\
	(FL_CONVENTION_IS(thunk) || FL_CONVENTION_IS(ncsr))

/* Said of a function whose call the compiler sees. */
#if FL_CONVENTION_IS(plain)
#define FL_CONVENTION_CALLED	__attribute__((noinline))
#elif FL_CONVENTION_IS(preserve) && defined(__clang__)
#define FL_CONVENTION_CALLED	fl_cold __attribute__((preserve_most))
#elif FL_CONVENTION_IS(ncsr) && defined(__clang__)
#define FL_CONVENTION_CALLED						\
	fl_cold fl_general_regs __attribute__((no_caller_saved_registers))
#elif FL_CONVENTION_IS(ncsr)
/*
 * Once gcc 12 has compiled such a function, it takes all that later functions of
 * the same target call to have the attribute as well.  So no other has its target.
 */
#define FL_CONVENTION_CALLED						\
	fl_cold __attribute__((no_caller_saved_registers,		\
			       target("general-regs-only,no-aes"),	\
			       no_sanitize("address", "thread", "undefined")))
#else
#define FL_CONVENTION_CALLED	fl_cold
#endif

/* Code that nobody expects anything of is laid out as it comes. */
#if FL_CONVENTION_IS(plain)
#define FL_SLOW_IF(condition)	(condition)
#else
#define FL_SLOW_IF(condition)	fl_unlikely(condition)
#endif

#if FL_SLOW_PATH_WARM
#define FL_SLOW_PATH_THUNK(stem)					\
	FL_SLOW_FUNCTION fl_general_regs				\
	struct fl_cursor stem##_warm(struct fl_region *, size_t);	\
	FL_SLOW_FUNCTION fl_cold					\
	struct fl_cursor stem##_refill(struct fl_region *, size_t);	\
	FL_SLOW_THUNK(stem##_thunk, stem##_warm, stem##_refill);
#endif

#if FL_CONVENTION_IS(thunk)
#define FL_SLOW_PATH(stem)		FL_SLOW_PATH_THUNK(stem)
#define FL_SLOW_PATH_CALL(stem, region, bytes, cursor)			\
	FL_SLOW_CALL(stem##_thunk, region, bytes, cursor)

#elif FL_CONVENTION_IS(ncsr) || FL_CONVENTION_IS(preserve)
/*
 * The bump alone is returned: a second register would be one more that the caller
 * has to clear, and five arguments would not all stay where they are.  The limit
 * goes through the region's own cursor, in which nobody else is interested while a
 * kernel holds a copy.
 *
 * gcc compiles ncsr for general registers alone, and it must keep the vector
 * registers, too, which clang's callers rely on: the thunk does.
 */
#if FL_CONVENTION_IS(ncsr)
#define FL_SLOW_PATH_BEHIND(stem)	FL_SLOW_PATH_THUNK(stem)
#define FL_SLOW_PATH_ON(stem, region, bytes, cursor)			\
	FL_SLOW_CALL(stem##_thunk, region, bytes, cursor)
#else
#define FL_SLOW_PATH_BEHIND(stem)					\
	static fl_cold							\
	struct fl_cursor stem##_refill(struct fl_region *, size_t);
#define FL_SLOW_PATH_ON(stem, region, bytes, cursor)			\
	(*(cursor) = stem##_refill(region, bytes))
#endif

#define FL_SLOW_PATH(stem)						\
	FL_SLOW_PATH_BEHIND(stem)					\
	static FL_CONVENTION_CALLED					\
	char *stem##_slow(struct fl_region *region, size_t bytes)	\
	{								\
		struct fl_cursor cursor;				\
									\
		FL_SLOW_PATH_ON(stem, region, bytes, &cursor);		\
		region->cursor.limit = cursor.limit;			\
		return cursor.bump;					\
	}
#define FL_SLOW_PATH_CALL(stem, region, bytes, cursor_)			\
	do {								\
		(cursor_)->bump = stem##_slow(region, bytes);		\
		(cursor_)->limit = (region)->cursor.limit;		\
	} while (0)

#else
#define FL_SLOW_PATH(stem)						\
	static FL_CONVENTION_CALLED					\
	struct fl_cursor stem##_refill(struct fl_region *, size_t);
#define FL_SLOW_PATH_CALL(stem, region, bytes, cursor)			\
	(*(cursor) = stem##_refill(region, bytes))
#endif

/*
 * fl_convention_keeps: Does this compiler keep its promises around a call?  Here
 * the callee wants all registers that the convention does not protect, and the
 * caller has more values than there are of the others.
 */
#define FL_CONVENTION_VALUES	12u

static FL_CONVENTION_CALLED
char *fl_convention_callee(struct fl_region *region, size_t bytes)
{
	char *bump;

	__asm__ volatile("" ::: "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10",
			 "r11", "r12", "r13", "r14", "r15", "memory");
	bump = (char *)region + bytes;
	__asm__ volatile("xor %%ecx, %%ecx\n\t"
			 "xor %%edx, %%edx\n\t"
			 "xor %%r8d, %%r8d\n\t"
			 "xor %%r9d, %%r9d\n\t"
			 "xor %%r10d, %%r10d\n\t"
			 "xor %%r11d, %%r11d"
			 : "+r"(bump)
			 :: "rcx", "rdx", "r8", "r9", "r10", "r11", "cc");
	return bump;
}

static __attribute__((noinline, unused)) bool
fl_convention_keeps(volatile uint64_t *seed)
{
	uint64_t v[FL_CONVENTION_VALUES], sum = 0, want = 0;
	struct fl_region region;
	const size_t bytes = (size_t)*seed;
	char *bump;

	for (unsigned i = 0; i < FL_CONVENTION_VALUES; i++)
		want += (v[i] = *seed * (i + 3)) ^ i;
	/* Eight in registers before and behind the call, the others anywhere. */
	__asm__ volatile("" : "+r"(v[0]), "+r"(v[1]), "+r"(v[2]), "+r"(v[3]),
			 "+r"(v[4]), "+r"(v[5]), "+r"(v[6]), "+r"(v[7]));
	bump = fl_convention_callee(&region, bytes);
	__asm__ volatile("" : "+r"(v[0]), "+r"(v[1]), "+r"(v[2]), "+r"(v[3]),
			 "+r"(v[4]), "+r"(v[5]), "+r"(v[6]), "+r"(v[7]));
	for (unsigned i = 0; i < FL_CONVENTION_VALUES; i++)
		sum += v[i] ^ i;
	return sum == want && bump == (char *)&region + bytes;
}

/*
 * fl_convention_probe: Can this module's convention be used?  0, or -ENOTSUP with
 * a reason of at most @reason_bytes - 1 characters: the compiler has no such
 * attribute, or what it made of one is wrong.
 */
static inline int fl_convention_probe(char *reason, size_t reason_bytes)
{
	volatile uint64_t seed = 0x9e3779b97f4a7c15u >> 40;

#if FL_CONVENTION_IS(preserve) && !defined(__clang__)
	snprintf(reason, reason_bytes,
		 "%s has no preserve_most; use the module that clang built, NAME@clang",
		 FL_COMPILER);
	return -ENOTSUP;
#endif
	if (!fl_convention_keeps(&seed)) {
		snprintf(reason, reason_bytes,
			 "%s makes wrong code of this convention: a call loses its result or its caller's registers; use another convention or a newer compiler",
			 FL_COMPILER);
		return -ENOTSUP;
	}
	return FL_SLOW_PATH_WARM ? fl_slow_probe(reason, reason_bytes) : 0;
}

#endif
