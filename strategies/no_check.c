/* SPDX-License-Identifier: MIT */
/*
 * no_check: one big buffer per region whose end is never checked: the floor.
 * Nothing that answers "the block is full" can be faster.
 *
 * Each buffer is as large as the run says a lifetime gets.  The allocation is
 * the fault site without its table entry, so that the floor has the same shape
 * of code as what it is a floor of.  Below each buffer lies a guard: a program
 * that was told wrong dies at once instead of writing over its neighbour, and
 * its core shows where.
 */
#include <errno.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"

struct region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *buffer;
};

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	(void)region;
	return fl_bare_new(&cursor->bump, fl_object_bytes(bytes), align,
			   first_word);
}

static void strategy_region_reset(struct fl_region *pub)
{
	pub->cursor.bump = fl_block_top(((struct region *)pub)->buffer);
	pub->error = 0;
}

static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct fl_blocks *heap = (struct fl_blocks *)pub;
	struct region *region = fl_record_take(heap);

	if (!region)
		return -ENOMEM;
	region->buffer = fl_blocks_take(heap, 1, &region->pub);
	if (!region->buffer) {
		fl_record_give(heap, region);
		return -ENOMEM;
	}
	region->heap = heap;
	region->pub.events = &heap->pub.events;
	strategy_region_reset(&region->pub);
	*out = &region->pub;
	return 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give(region->heap, region->buffer);
	fl_record_give(region->heap, region);
}

#include "faultline/module.h"

static int no_check_open(const struct fl_open_args *args, struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->region_bytes_max + 1,
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE,
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

static void no_check_geometry(const struct fl_heap *heap, struct fl_geometry *out)
{
	uint64_t buffer = ((const struct fl_blocks *)heap)->block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = buffer, .block_bytes = buffer, .rearms = true,
	};
}

FL_STRATEGY(
	.name = "no_check",
	.summary = "one big buffer, never checked: the floor",
	.trigger = "none",
	.answer = FL_ANSWER_NEVER,
	.open = no_check_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = no_check_geometry,
	.trim = fl_blocks_trim,
);
