/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "faultline/strategy.h"
#include "harness/oracle.h"
#include "vm/reserve.h"

struct arena {
	struct fl_region pub;
	struct heap *heap;
	struct arena *next;	/* free list */
	char *base;
};

struct heap {
	struct fl_heap pub;
	size_t arena_bytes;
	struct arena *free;
};

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_up(cursor->bump, align);

	(void)region;
	if (fl_unlikely(n > (size_t)(cursor->limit - p)))
		abort();
	cursor->bump = p + n;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct arena *arena = (struct arena *)pub;

	pub->cursor.bump = arena->base;
}

static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct heap *heap = (struct heap *)pub;
	struct arena *arena = heap->free;

	if (arena) {
		heap->free = arena->next;
	} else {
		arena = calloc(1, sizeof(*arena));
		if (!arena || fl_reserve(heap->arena_bytes, FL_OPEN,
					 &arena->base)) {
			free(arena);
			return -ENOMEM;
		}
		arena->heap = heap;
		arena->pub.events = &pub->events;
		arena->pub.cursor.limit = arena->base + heap->arena_bytes;
	}
	arena->pub.cursor.bump = arena->base;
	*out = &arena->pub;
	return 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct arena *arena = (struct arena *)pub;

	arena->next = arena->heap->free;
	arena->heap->free = arena;
}

#include "faultline/module.h"

static int oracle_open(const struct fl_open_args *args, struct fl_heap **out)
{
	struct heap *heap = calloc(1, sizeof(*heap));

	if (!heap)
		return -ENOMEM;
	heap->arena_bytes = fl_page_round(args->region_bytes_max + 1);
	*out = &heap->pub;
	return 0;
}

static void oracle_close(struct fl_heap *pub)
{
	struct heap *heap = (struct heap *)pub;

	while (heap->free) {
		struct arena *arena = heap->free;

		heap->free = arena->next;
		fl_release(arena->base, heap->arena_bytes);
		free(arena);
	}
	free(heap);
}

const struct fl_strategy fl_oracle = {
	FL_TABLE_FIELDS,
	.name = "oracle",
	.summary = "one arena per region, for reference checksums",
	.trigger = "none",
	.answer = FL_ANSWER_NEVER,
	.open = oracle_open,
	.close = oracle_close,
};
