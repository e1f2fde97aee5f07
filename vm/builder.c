/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "faultline/builder.h"

/*
 * What a first chunk holds when it cannot grow where it is: up to this it moves, and
 * stays the only one; above it the next chunk is a second one, and all are copied at
 * the end.
 */
#define MOVE_BYTES_MAX	((size_t)256 << 10)

/*
 * A chunk that was filled.  Its description stands at the low end of the one after
 * it, so that a builder's first chunk holds nothing but elements.
 */
struct fl_builder_full {
	struct fl_chunk chunk;
	char *first;
	uint64_t bytes;
	struct fl_builder_full *older;
};

/* Where pushes go that cannot go anywhere else: written, and never read. */
static _Thread_local _Alignas(64) char nowhere[FL_BUILDER_PUSH_MAX];

static bool has_chunks(const struct fl_builder *b)
{
	return b->strategy->chunk_take;
}

static void misused(const struct fl_builder *b, const char *what)
{
	if (!b->strict)
		return;
	fprintf(stderr, "faultline: builder: %s\n", what);
	abort();
}

static fl_cold void not_open(const struct fl_builder *b, const char *what)
{
	char text[80];

	snprintf(text, sizeof(text), "%s after %s", what,
		 b->state == FL_BUILDER_CLOSED ? "its close" :
		 b->state == FL_BUILDER_BEREFT ? "the end of its region" :
		 "nothing: it was never opened");
	misused(b, text);
}

/* False, and told, if it is not open. */
static inline bool is_open(const struct fl_builder *b, const char *what)
{
	if (fl_likely(b->state == FL_BUILDER_OPEN))
		return true;
	not_open(b, what);
	return false;
}

static void unlist(struct fl_builder *b)
{
	struct fl_builder **at = &b->region->builders;

	while (*at != b)
		at = &(*at)->older;
	*at = b->older;
}

/* Whatever is pushed from now on comes to fl_builder_more. */
static void end(struct fl_builder *b, enum fl_builder_state state)
{
	b->next = b->end = b->first = NULL;
	b->low = NULL;
	b->state = state;
}

/* Where the chunk was cut off its region's gap, unless it is a block of its own. */
static char **low_of(const struct fl_builder *b)
{
	struct fl_region *region = b->region;

	if (b->chunk.loan || region->gap == FL_GAP_NONE)
		return NULL;
	return region->gap == FL_GAP_BELOW_BUMP ? &region->cursor.limit :
	       &region->cursor.bump;
}

/* Is something allocated behind the current chunk, so that its rest would be lost? */
static bool is_behind(const struct fl_builder *b)
{
	char **low = low_of(b);

	return low && *low != b->chunk.base + b->chunk.bytes;
}

/*
 * The current chunk is wanted no more.  A first one that cannot go back is kept for
 * the next builder: many short arrays that lie in each other, as in a tree, are then
 * copied out of one chunk for each level.
 */
static void leave(const struct fl_builder *b)
{
	struct fl_region *region = b->region;

	if (b->chunk.bytes != FL_BUILDER_FIRST_BYTES || !is_behind(b)) {
		b->strategy->chunk_give(region, &b->chunk, 0);
		return;
	}
	memcpy(b->chunk.base, &region->spare, sizeof(region->spare));
	region->spare = b->chunk.base;
}

static bool take_spare(struct fl_builder *b)
{
	struct fl_region *region = b->region;
	char *base = region->spare;

	if (!base || (uintptr_t)base & (b->align - 1))
		return false;
	memcpy(&region->spare, base, sizeof(region->spare));
	b->next = b->first = b->chunk.base = base;
	b->end = base + FL_BUILDER_FIRST_BYTES;
	b->chunk.bytes = FL_BUILDER_FIRST_BYTES;
	b->low = low_of(b);
	b->nr_chunks = 1;
	return true;
}

/* Newest first, so that those that lie side by side in a block all go back. */
static void give_all(struct fl_builder *b)
{
	struct fl_builder_full *full = b->full;
	struct fl_chunk chunk = b->chunk;

	if (!has_chunks(b)) {
		free(chunk.base);
		return;
	}
	if (!full && chunk.base) {
		leave(b);
		return;
	}
	while (full) {
		/* What describes it is in the chunk that is about to go. */
		const struct fl_builder_full before = *full;

		b->strategy->chunk_give(b->region, &chunk, 0);
		chunk = before.chunk;
		full = before.older;
	}
	if (chunk.base)
		b->strategy->chunk_give(b->region, &chunk, 0);
}

void fl_builders_bereave(struct fl_region *region)
{
	while (region->builders) {
		struct fl_builder *b = region->builders;

		region->builders = b->older;
		misused(b, "its region was reset or destroyed, or its heap closed, "
			   "while it was open");
		if (!has_chunks(b))
			free(b->chunk.base);
		end(b, FL_BUILDER_BEREFT);
	}
}

/* realloc, for any alignment. */
static void *resize(void *old, size_t used, size_t bytes, size_t align)
{
	void *made;

	if (align <= _Alignof(max_align_t))
		return realloc(old, bytes);
	if (posix_memalign(&made, align, bytes))
		return NULL;
	if (used)
		memcpy(made, old, used);
	free(old);
	return made;
}

/* Without chunks: one that moves. */
static int more_elsewhere(struct fl_builder *b, size_t bytes)
{
	const size_t used = (size_t)(b->next - b->first);
	size_t want = b->chunk.bytes ? 2 * b->chunk.bytes : FL_BUILDER_FIRST_BYTES;
	char *base;

	if (want < used + bytes)
		want = used + bytes;
	base = resize(b->chunk.base, used, want, b->align);
	if (!base)
		return -ENOMEM;
	b->nr_chunks += !b->chunk.base;
	b->chunk.base = b->first = base;
	b->chunk.bytes = want;
	b->next = base + used;
	b->end = base + want;
	return 0;
}

/* Twice as long, where it is; but the first time as long as it can rely on. */
static bool grow(struct fl_builder *b, size_t bytes)
{
	const uint64_t more = b->chunk.bytes > bytes ? b->chunk.bytes : bytes;
	const uint64_t tail = b->region->tail_bytes;
	const uint64_t want = b->chunk.bytes + more;

	if (b->strategy->chunk_grow(b->region, &b->chunk, want < tail ? tail : want) &&
	    (want >= tail || b->strategy->chunk_grow(b->region, &b->chunk, want)))
		return false;
	b->end = b->chunk.base + b->chunk.bytes;
	return true;
}

/* Into a larger chunk, so that what began in the rest of a block can be linked. */
static void move(struct fl_builder *b, const struct fl_chunk *chunk)
{
	const size_t used = (size_t)(b->next - b->first);

	memcpy(chunk->base, b->first, used);
	b->copied_bytes += used;
	leave(b);
	b->chunk = *chunk;
	b->low = low_of(b);
	b->first = chunk->base;
	b->next = chunk->base + used;
	b->end = chunk->base + chunk->bytes;
}

/* Where elements begin in a chunk that describes the one before it. */
static size_t head_bytes(const struct fl_builder *b)
{
	return (sizeof(struct fl_builder_full) + b->align - 1) &
	       ~(b->align - 1);
}

/*
 * Straight into its place: a copy of what was stored a moment ago, in pieces of another
 * size, would wait for it.
 */
static int first_chunk(struct fl_builder *b, size_t bytes)
{
	struct fl_region *region = b->region;
	const bool gap = region->gap != FL_GAP_NONE;
	const size_t least = bytes < FL_BUILDER_FIRST_BYTES ?
		FL_BUILDER_FIRST_BYTES : bytes;
	size_t want = least;
	int err;

	if (gap && !region->error && bytes <= FL_BUILDER_FIRST_BYTES) {
		if (take_spare(b))
			return 0;
		fl_builder_cut(b, region, b->align);
		if (b->chunk.base)
			return 0;
		/* More than there is here, so that it begins elsewhere. */
		want = region->tail_bytes + FL_GRAIN_BYTES;
	}
	err = b->strategy->chunk_take(region, want, b->align, &b->chunk);
	if (err && want > bytes)
		err = b->strategy->chunk_take(region, bytes, b->align, &b->chunk);
	if (err)
		return err;
	b->low = low_of(b);
	if (b->low && want > least && b->chunk.bytes > least) {
		b->chunk.bytes = least;
		*b->low = b->chunk.base + least;
	}
	b->nr_chunks = 1;
	b->first = b->next = b->chunk.base;
	b->end = b->chunk.base + b->chunk.bytes;
	return 0;
}

static int more_chunk(struct fl_builder *b, size_t bytes)
{
	const size_t used = (size_t)(b->next - b->first);
	const bool moves = !b->full && used <= MOVE_BYTES_MAX;
	const size_t head = moves ? used : head_bytes(b);
	uint64_t want = 2 * b->chunk.bytes;
	struct fl_builder_full *full;
	struct fl_chunk chunk;
	int err;

	if (grow(b, bytes))
		return 0;
	if (want < head + bytes)
		want = head + bytes;
	err = b->strategy->chunk_take(b->region, want, b->align, &chunk);
	if (err && want > head + bytes)
		err = b->strategy->chunk_take(b->region, head + bytes, b->align,
					      &chunk);
	if (err)
		return err;
	b->nr_chunks++;
	if (moves) {
		move(b, &chunk);
		return 0;
	}
	full = (void *)chunk.base;
	full->chunk = b->chunk;
	full->first = b->first;
	full->bytes = used;
	full->older = b->full;
	b->full = full;
	b->low = NULL;
	b->full_bytes += used;
	b->chunk = chunk;
	b->first = b->next = chunk.base + head;
	b->end = chunk.base + chunk.bytes;
	return 0;
}

/* @bytes of room at b->next; after the first failure never again. */
static bool make_room(struct fl_builder *b, size_t bytes)
{
	if (!b->error && bytes > FL_OBJECT_BYTES_MAX)
		b->error = -ENOMEM;
	if (!b->error)
		b->error = !has_chunks(b) ? more_elsewhere(b, bytes) :
			b->chunk.base ? more_chunk(b, bytes) :
			first_chunk(b, bytes);
	if (b->error) {
		b->next = b->end = b->first = NULL;
		b->low = NULL;
	}
	return !b->error;
}

void *fl_builder_more(struct fl_builder *b, size_t bytes)
{
	char *p;

	if (!is_open(b, "a push") || !make_room(b, bytes))
		return nowhere;
	p = b->next;
	b->next += bytes;
	return p;
}

struct fl_builder_run fl_builder_run_more(struct fl_builder *b, char *next,
					  size_t bytes)
{
	if (!is_open(b, "a push"))
		return (struct fl_builder_run){ nowhere, nowhere + bytes };
	if (!b->error)
		b->next = next;
	if (!make_room(b, bytes))
		return (struct fl_builder_run){ nowhere, nowhere + bytes };
	return (struct fl_builder_run){ b->next, b->end };
}

void fl_builder_append_slowly(struct fl_builder *b, const void *data,
			      size_t bytes)
{
	if (!is_open(b, "an append") || !make_room(b, bytes))
		return;
	memcpy(b->next, data, bytes);
	b->next += bytes;
}

void *fl_builder_room(struct fl_builder *b, size_t bytes, size_t *room)
{
	if (!is_open(b, "a request for room"))
		return NULL;
	if (bytes > (size_t)(b->end - b->next) && !make_room(b, bytes))
		return NULL;
	*room = (size_t)(b->end - b->next);
	return b->next;
}

/* Everything into an object of exactly its size, the newest chunk first. */
static int copy(struct fl_builder *b, uint64_t bytes, void **array)
{
	size_t part = (size_t)(b->next - b->first);
	char *p = b->strategy->object_new(b->region, bytes, b->align, 0);
	char *at = p + bytes - part;

	if (b->region->error)
		return b->region->error;
	memcpy(at, b->first, part);
	for (const struct fl_builder_full *full = b->full; full;
	     full = full->older) {
		at -= full->bytes;
		memcpy(at, full->first, full->bytes);
	}
	b->copied_bytes += bytes;
	*array = p;
	return 0;
}

static bool links(const struct fl_builder *b)
{
	const uint64_t used = (uint64_t)(b->next - b->chunk.base);

	return has_chunks(b) && !b->full &&
	       ((b->strategy->chunk_rest_serves && !is_behind(b)) ||
		used >= b->chunk.bytes / 2);
}

int fl_builder_close_slowly(struct fl_builder *b, void **array, uint64_t *bytes)
{
	const uint64_t total = fl_builder_bytes(b);
	void *made = NULL;
	int err;

	if (!is_open(b, "a close"))
		return b->state == FL_BUILDER_BEREFT ? -ESTALE : -EINVAL;
	unlist(b);
	err = b->error;
	b->linked = !err && total && links(b);
	if (b->linked) {
		made = b->first;
		b->strategy->chunk_give(b->region, &b->chunk, total);
	} else {
		if (!err && total)
			err = copy(b, total, &made);
		give_all(b);
	}
	end(b, FL_BUILDER_CLOSED);
	if (err)
		return err;
	*array = made;
	*bytes = total;
	return 0;
}

void fl_builder_drop(struct fl_builder *b)
{
	if (!is_open(b, "a drop"))
		return;
	unlist(b);
	give_all(b);
	end(b, FL_BUILDER_CLOSED);
}
