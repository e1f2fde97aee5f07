/* SPDX-License-Identifier: MIT */
/*
 * faultline/builder.h: arrays whose length nobody knows beforehand.
 *
 * Vocabulary: a "builder" belongs to a region and is used linearly: opened, pushed
 * to, and closed once, which makes its elements one object of the region, the
 * "array".  It fills chunks (struct fl_chunk) of the region from low to high.  An
 * array in one chunk is "linked": it stays where it is, and what it leaves of the
 * chunk serves later objects (in a block that is bumped upwards only if nothing was
 * allocated behind it while it was open).  Otherwise it is copied into an object of exactly its
 * size, and the chunks go back.  An array that began in the rest of a block and
 * outgrows it moves to another, once, and is linked there; one of no more than the
 * region's tail_bytes (4 KiB in blocks of 64 KiB) never has to, if it is alone.
 *
 *	struct fl_builder b;
 *
 *	fl_builder_open(&b, strategy, region, 8);
 *	while (...)
 *		*(uint64_t *)fl_builder_push(&b, 8) = value;
 *	err = fl_builder_close(&b, &array, &bytes);
 *
 * It works on any strategy.  One without chunk hooks has its elements gathered in
 * memory of malloc and copied at close.  Where a chunk's rest does not serve (by
 * chunk_rest_serves, or because something was allocated behind it) only what fills half
 * its chunk is linked, and the rest is copied; a first chunk that this leaves is the
 * next builder's.
 *
 * An array that is copied is an object like others: the heap was opened with an
 * object_bytes_max and a region_bytes_max that cover it.  The region's cursor must
 * be valid (memory residence) at open, close, and any push.
 *
 * Misuse: a push or close after the close; an open builder whose region is reset or
 * destroyed, or whose heap is closed.  Where FL_DEBUG is defined when the call of open
 * is compiled, the program ends with a message (abort).  Otherwise pushes go where
 * nobody reads them and close returns an error.  A run (fl_builder_run_begin) that
 * outlives its builder is looked at only where its room ends: until then what is pushed
 * goes where it went before.
 *
 * Context: a builder belongs to its region's thread; not signal-safe.
 *
 * Origin: the buffer that apr_psprintf (APR) grows at the pool's end and keeps when
 * it is done; obstack's growing object; here with chunks, and with any number of
 * builders open at a time.
 */
#ifndef FL_BUILDER_H
#define FL_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "faultline/cursor.h"
#include "faultline/strategy.h"

/* The first chunk; what is not used of it goes back. */
#define FL_BUILDER_FIRST_BYTES	512u

/* Most bytes of one push; fl_builder_append takes any number. */
#define FL_BUILDER_PUSH_MAX	4096u

enum fl_builder_state {
	FL_BUILDER_CLOSED = 0x51ac,	/* not what garbage is likely to be */
	FL_BUILDER_OPEN,
	FL_BUILDER_BEREFT,		/* its region is gone */
};

struct fl_builder_full;

/* Where the next element goes, and where room ends: to be kept in registers. */
struct fl_builder_run {
	char *next, *end;
};

/*
 * Owned by the caller, who need not initialise it, and must not move it while it is
 * open.  linked, copied_bytes and nr_chunks may be read after the close.
 */
struct fl_builder {
	char *next, *end;		/* of the current chunk's free part */
	char *first;			/* its first element */
	char **low;			/* the cursor's member that is this chunk's
					   end, if the array can be linked by setting
					   it back; else NULL */
	struct fl_chunk chunk;		/* the current one; base NULL: none yet */
	struct fl_builder_full *full;	/* chunks before it, newest first */
	uint64_t full_bytes;		/* of elements in them */
	const struct fl_strategy *strategy;
	struct fl_region *region;
	struct fl_builder *older;	/* open in the same region */
	size_t align;
	enum fl_builder_state state;
	int error;			/* -errno of the first failure */
	bool strict, linked;
	uint32_t nr_chunks;		/* ever taken */
	uint64_t copied_bytes;
};

/* What the inline functions below call. */
void *fl_builder_more(struct fl_builder *b, size_t bytes);
void fl_builder_append_slowly(struct fl_builder *b, const void *data,
			      size_t bytes);

struct fl_builder_run fl_builder_run_more(struct fl_builder *b, char *next,
					  size_t bytes);
int fl_builder_close_slowly(struct fl_builder *b, void **array, uint64_t *bytes);

/*
 * For a strategy's reset and destroy (module.h) and the end of its heap: the region's
 * builders end.
 */
void fl_builders_bereave(struct fl_region *region);

/* A first chunk off the low end of the region's gap, as vm/loans.h does it. */
fl_hot void fl_builder_cut(struct fl_builder *b, struct fl_region *region,
			   size_t align)
{
	const bool down = region->gap == FL_GAP_BELOW_BUMP;
	char **low = down ? &region->cursor.limit : &region->cursor.bump;
	const char *high = down ? region->cursor.bump : region->cursor.limit;
	char *base = fl_align_up(*low, align);

	if (fl_unlikely(high - base <= (ptrdiff_t)region->tail_bytes || region->spare))
		return;
	*low = base + FL_BUILDER_FIRST_BYTES;
	b->low = low;
	b->next = b->first = b->chunk.base = base;
	b->end = base + FL_BUILDER_FIRST_BYTES;
	b->chunk.bytes = FL_BUILDER_FIRST_BYTES;
	b->nr_chunks = 1;
}

/*
 * fl_builder_open: An empty array.  Takes no block before the first push.
 * @align: of the array; a power of two, 8 to FL_ALIGN_MAX.
 */
static inline void fl_builder_open(struct fl_builder *b,
				   const struct fl_strategy *strategy,
				   struct fl_region *region, size_t align)
{
	b->next = b->end = b->first = b->chunk.base = NULL;
	b->low = NULL;
	b->chunk.bytes = 0;
	b->chunk.loan = NULL;
	b->full = NULL;
	b->full_bytes = 0;
	b->strategy = strategy;
	b->region = region;
	b->older = region->builders;
	region->builders = b;
	b->align = align;
	b->state = FL_BUILDER_OPEN;
	b->error = 0;
#ifdef FL_DEBUG
	b->strict = true;
#else
	b->strict = false;
#endif
	b->linked = false;
	b->nr_chunks = 0;
	b->copied_bytes = 0;
	if (fl_likely(region->gap != FL_GAP_NONE && !region->error))
		fl_builder_cut(b, region, align);
}

/*
 * fl_builder_push: Room for one more element, to be written before the next push.
 * @bytes: 1 to FL_BUILDER_PUSH_MAX, a multiple of the alignment that the element
 *         needs; elements need not be equally large.
 * Never NULL: without memory the room is where nobody reads, and close tells.
 * Cost: an addition and a compare.
 */
fl_hot void *fl_builder_push(struct fl_builder *b, size_t bytes)
{
	char *p = b->next;

	if (fl_unlikely((uintptr_t)p + bytes > (uintptr_t)b->end))
		return fl_builder_more(b, bytes);
	b->next = p + bytes;
	return p;
}

/*
 * A loop that pushes much keeps the builder's place in a run, which compilers keep in
 * registers, because nobody else has its address.  From fl_builder_run_begin to
 * fl_builder_run_end nothing else is done with the builder.  fl_builder_run_push is
 * fl_builder_push otherwise.
 *
 *	struct fl_builder_run run = fl_builder_run_begin(&b);
 *
 *	while (...)
 *		*(uint64_t *)fl_builder_run_push(&b, &run, 8) = value;
 *	fl_builder_run_end(&b, run);
 */
static inline struct fl_builder_run fl_builder_run_begin(const struct fl_builder *b)
{
	return (struct fl_builder_run){ b->next, b->end };
}

fl_hot void *fl_builder_run_push(struct fl_builder *b, struct fl_builder_run *run,
				 size_t bytes)
{
	char *next = run->next + bytes;

	/*
	 * Whose past is not known, so that the place before it is next - bytes, in the
	 * store's address: else both are kept, and one is moved into the other each time.
	 */
	__asm__("" : "+r"(next));
	if (fl_unlikely((uintptr_t)next > (uintptr_t)run->end)) {
		*run = fl_builder_run_more(b, next - bytes, bytes);
		next = run->next + bytes;
	}
	run->next = next;
	return next - bytes;
}

/* After a failure the run is where nobody reads, and no builder ends there. */
static inline void fl_builder_run_end(struct fl_builder *b,
				      struct fl_builder_run run)
{
	if (fl_likely(run.end == b->end))
		b->next = run.next;
}

/* fl_builder_append: Copy @bytes behind what is there; any number, 0 included. */
fl_hot void fl_builder_append(struct fl_builder *b, const void *data,
			      size_t bytes)
{
	char *p = b->next;

	if (fl_unlikely(bytes > (size_t)(b->end - p))) {
		fl_builder_append_slowly(b, data, bytes);
	} else if (bytes) {
		memcpy(p, data, bytes);
		b->next = p + bytes;
	}
}

/*
 * fl_builder_room: At least @bytes of room in one piece, for somebody who writes
 * there himself, as read() does; *@room is how much there is.  fl_builder_wrote
 * then says how much of it was used.
 * Returns NULL when there is no memory, or on misuse.
 */
void *fl_builder_room(struct fl_builder *b, size_t bytes, size_t *room);

static inline void fl_builder_wrote(struct fl_builder *b, size_t bytes)
{
	b->next += bytes;
}

/* fl_builder_bytes: Of all elements so far. */
static inline uint64_t fl_builder_bytes(const struct fl_builder *b)
{
	return b->full_bytes + (uint64_t)(b->next - b->first);
}

/*
 * fl_builder_close: The array becomes an object of the region.
 * @array, @bytes: out; NULL and 0 for an empty array.
 * Returns 0; -ENOMEM (or what the region's error is: nothing remains); -EINVAL
 * (closed before); -ESTALE (its region was reset or destroyed, or its heap closed).
 * Cost: a dozen loads and stores if it is the one opened last, in one chunk, and
 * nothing was cut off behind it since; else a call.
 */
static inline int fl_builder_close(struct fl_builder *b, void **array,
				   uint64_t *bytes)
{
	char *const next = b->next, *const first = b->first;

	if (fl_unlikely(b->state != FL_BUILDER_OPEN || !b->low ||
			*b->low != b->end || b->region->builders != b ||
			next == first))
		return fl_builder_close_slowly(b, array, bytes);
	b->region->builders = b->older;
	*b->low = first + (((size_t)(next - first) + FL_GRAIN_BYTES - 1) &
			   ~(size_t)(FL_GRAIN_BYTES - 1));
	b->next = b->end = b->first = NULL;
	b->state = FL_BUILDER_CLOSED;
	b->linked = true;
	*array = first;
	*bytes = (uint64_t)(next - first);
	return 0;
}

/* fl_builder_drop: Close it without an array; everything goes back. */
void fl_builder_drop(struct fl_builder *b);

#endif
