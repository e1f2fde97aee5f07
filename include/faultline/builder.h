/* SPDX-License-Identifier: MIT */
/*
 * faultline/builder.h: arrays whose length nobody knows beforehand.
 *
 * Vocabulary: a "builder" belongs to a region and is used linearly: opened, pushed
 * to, and closed once, which makes its elements one object of the region, the
 * "array".  It fills chunks (struct fl_chunk) of the region from low to high.  An
 * array in one chunk is "linked": it stays where it is, and what it leaves of the
 * chunk serves later objects.  Otherwise it is copied into an object of exactly its
 * size, and the chunks go back.  A short array that began in the rest of a block
 * and outgrows it moves to another, once, and is linked there.
 *
 *	struct fl_builder b;
 *
 *	fl_builder_open(&b, strategy, region, 8);
 *	while (...)
 *		*(uint64_t *)fl_builder_push(&b, 8) = value;
 *	err = fl_builder_close(&b, &array, &bytes);
 *
 * It works on any strategy.  One without chunk hooks has its elements gathered in
 * memory of malloc and copied at close.  One whose chunks' rest does not serve
 * (chunk_rest_serves) links only what fills half its chunk, and copies the rest.
 *
 * An array that is copied is an object like others: the heap was opened with an
 * object_bytes_max and a region_bytes_max that cover it.  The region's cursor must
 * be valid (memory residence) at open, close, and any push.
 *
 * Misuse: a push or close after the close; an open builder whose region is reset or
 * destroyed.  Where FL_DEBUG is defined when the call of open is compiled, the
 * program ends with a message (abort).  Otherwise pushes go where nobody reads them
 * and close returns an error.  What is not noticed: a builder that is still open
 * when its heap is closed.
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

/* Most bytes of one push; fl_builder_append takes any number. */
#define FL_BUILDER_PUSH_MAX	4096u

enum fl_builder_state {
	FL_BUILDER_CLOSED = 0x51ac,	/* not what garbage is likely to be */
	FL_BUILDER_OPEN,
	FL_BUILDER_BEREFT,		/* its region is gone */
};

struct fl_builder_full;

/*
 * Owned by the caller, who need not initialise it, and must not move it while it is
 * open.  linked, copied_bytes and nr_chunks may be read after the close.
 */
struct fl_builder {
	char *next, *end;		/* of the current chunk's free part */
	char *first;			/* its first element */
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

/* For a strategy's reset and destroy (module.h): their region's builders end. */
void fl_builders_bereave(struct fl_region *region);

/*
 * fl_builder_open: An empty array.  Takes no memory before the first push.
 * @align: of the array; a power of two, 8 to FL_ALIGN_MAX.
 */
static inline void fl_builder_open(struct fl_builder *b,
				   const struct fl_strategy *strategy,
				   struct fl_region *region, size_t align)
{
	b->next = b->end = b->first = b->chunk.base = NULL;
	b->chunk.bytes = 0;
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

	if (fl_unlikely(bytes > (size_t)(b->end - p)))
		return fl_builder_more(b, bytes);
	b->next = p + bytes;
	return p;
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
 * (closed before); -ESTALE (its region was reset or destroyed).
 */
int fl_builder_close(struct fl_builder *b, void **array, uint64_t *bytes);

/* fl_builder_drop: Close it without an array; everything goes back. */
void fl_builder_drop(struct fl_builder *b);

#endif
