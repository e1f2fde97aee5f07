/* SPDX-License-Identifier: MIT */
/*
 * handwritten.c: the loops of some kernels as one would write them without the
 * harness: no header of it, no inline functions, no cursor behind a pointer.
 * Compiled alone with the flags of the modules; hotloop.pl --compare expects the
 * loop of each function
 *
 *	hand_MODULE__KERNEL_BYTES_RESIDENCE
 *
 * to consist of the instructions of that kernel's loop in that module.
 *
 * What the two have in common is what is measured, not how the harness is built:
 * objects come in chunks, of which the last is kept; the program has an object
 * when the empty asm has taken its address; and in memory residence the program
 * may have changed the cursor by then.
 */
#include <stddef.h>
#include <stdint.h>

struct cursor {
	char *bump;
	char *limit;
};

struct region {
	struct cursor cursor;
	int error;
};

struct cursor refill(struct region *region, size_t bytes)
	__attribute__((cold, visibility("hidden")));

#define unlikely(x)	__builtin_expect(x, 0)

#define LOOP(name, enter, allocate, leave)				\
	void name(struct region *region, uint64_t left, uint64_t word,	\
		  const uint16_t *sizes, uint64_t mask, char **kept);	\
	void name(struct region *region, uint64_t left, uint64_t word,	\
		  const uint16_t *sizes, uint64_t mask, char **kept)	\
	{								\
		(void)sizes, (void)mask;				\
		enter							\
		while (left) {						\
			uint64_t n = left < 4096 ? left : 4096;		\
			uint64_t end = word + n;			\
			char *p = NULL;					\
									\
			left -= n;					\
			for (; word != end; word++) {			\
				allocate				\
			}						\
			*kept++ = p;					\
		}							\
		leave							\
	}

#define IN_REGISTER(name, allocate)					\
	LOOP(name,							\
	     char *bump = region->cursor.bump;				\
	     char *limit = region->cursor.limit;,			\
	     allocate							\
	     __asm__ volatile("" :: "r"(p));,				\
	     region->cursor.bump = bump;				\
	     region->cursor.limit = limit;)

#define IN_MEMORY(name, allocate)					\
	LOOP(name, ,							\
	     allocate							\
	     __asm__ volatile("" :: "r"(p));				\
	     __asm__ volatile("" ::: "memory");, )

IN_REGISTER(hand_bump_down__fill_16_register,
	p = bump - 16;
	if (unlikely(p < limit)) {
		struct cursor c = refill(region, 16);

		limit = c.limit;
		p = c.bump - 16;
	}
	bump = p;
	*(uint64_t *)(void *)p = word;
)

IN_MEMORY(hand_bump_down__fill_16_memory,
	p = region->cursor.bump - 16;
	if (unlikely(p < region->cursor.limit)) {
		region->cursor = refill(region, 16);
		p = region->cursor.bump - 16;
	}
	region->cursor.bump = p;
	*(uint64_t *)(void *)p = word;
)

IN_REGISTER(hand_bump_up__fill_16_register,
	p = bump;
	if (unlikely(p + 16 > limit)) {
		struct cursor c = refill(region, 16);

		limit = c.limit;
		p = c.bump;
	}
	bump = p + 16;
	*(uint64_t *)(void *)p = word;
)

IN_MEMORY(hand_bump_up__fill_16_memory,
	p = region->cursor.bump;
	if (unlikely(p + 16 > region->cursor.limit)) {
		region->cursor = refill(region, 16);
		p = region->cursor.bump;
	}
	region->cursor.bump = p + 16;
	*(uint64_t *)(void *)p = word;
)

/* The store is the check, or there is none; the instructions are the same. */
#define STORE(bump, bytes)						\
	__asm__ volatile("mov %1, %0\n\t"				\
			 "sub %2, %0\n\t"				\
			 "mov %3, (%0)"					\
			 : "=&r"(p), "+&r"(bump)			\
			 : "er"((size_t)(bytes)), "r"(word)		\
			 : "memory", "cc")

#define UNCHECKED(module)						\
	IN_REGISTER(hand_##module##__fill_16_register,			\
		STORE(bump, 16);					\
		bump = p;						\
	)								\
	IN_MEMORY(hand_##module##__fill_16_memory,			\
		char *bump = region->cursor.bump;			\
									\
		STORE(bump, 16);					\
		region->cursor.bump = p;				\
	)								\
	IN_REGISTER(hand_##module##__mix_0_register,			\
		size_t bytes = sizes[word & mask];			\
									\
		STORE(bump, (bytes + 7) & ~(size_t)7);			\
		bump = p;						\
	)

UNCHECKED(no_check)
UNCHECKED(segv_redirect)

/* Here the store of the address of something constant comes first. */
extern const char descriptor[] __attribute__((visibility("hidden")));

#define ARMED_STORE(bump, armed, bytes)					\
	__asm__ volatile("lea descriptor(%%rip), %0\n\t"		\
			 "mov %0, (%4)\n\t"				\
			 "mov %1, %0\n\t"				\
			 "sub %2, %0\n\t"				\
			 "mov %3, (%0)"					\
			 : "=&r"(p), "+&r"(bump)			\
			 : "er"((size_t)(bytes)), "r"(word), "r"(armed)	\
			 : "memory", "cc")

IN_REGISTER(hand_rseq_redirect__fill_16_register,
	ARMED_STORE(bump, limit, 16);
	bump = p;
)

IN_MEMORY(hand_rseq_redirect__fill_16_memory,
	char *bump = region->cursor.bump;

	ARMED_STORE(bump, region->cursor.limit, 16);
	region->cursor.bump = p;
)

IN_REGISTER(hand_rseq_redirect__mix_0_register,
	size_t bytes = sizes[word & mask];

	ARMED_STORE(bump, limit, (bytes + 7) & ~(size_t)7);
	bump = p;
)
