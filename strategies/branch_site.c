/* SPDX-License-Identifier: MIT */
/*
 * branch_site: bump_down as one would write it in assembly: four instructions,
 * and a slow path that the compiler does not see.
 *
 * The fastest branch to be had on every compiler, for fault-driven strategies to
 * be held against.  In bump_down the call of the refill is the compiler's: it
 * keeps registers free for it, copies the bump, and may spill what is alive.
 * Here the site's cold part saves every register itself (faultline/slowpath.h).
 * Policy is bump_down's: a region keeps its first block over resets, and the
 * others return to the free list, warm.
 */
#include <errno.h>

#include "faultline/slowpath.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"

enum { BLOCK };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

struct region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *newest;	/* the chain, newest block first */
	struct fl_block *first;		/* its end: the block that is kept */
};

FL_SLOW_FUNCTION struct fl_cursor branch_site_warm(struct fl_region *pub,
						   size_t bytes);
FL_SLOW_FUNCTION struct fl_cursor branch_site_refill(struct fl_region *pub,
						     size_t bytes);
FL_SLOW_THUNK(branch_site_thunk, branch_site_warm, branch_site_refill);

static struct fl_cursor whole_block(const struct fl_block *block)
{
	return (struct fl_cursor){
		.bump = fl_block_top(block), .limit = block->base,
	};
}

/* A block that was used before, by general registers alone; or nothing. */
fl_general_regs struct fl_cursor branch_site_warm(struct fl_region *pub,
						  size_t bytes)
{
	struct region *region = (struct region *)pub;
	struct fl_blocks *heap = region->heap;
	struct fl_block *block = fl_blocks_take_warm(heap, bytes, pub);
	struct fl_cursor cursor;

	cursor.bump = cursor.limit = NULL;
	if (!block)
		return cursor;
	heap->pub.events.nr_refills++;
	block->next = region->newest;
	region->newest = block;
	cursor.limit = block->base;
	cursor.bump = block->base + block->bytes;
	return cursor;
}

/* Another block for @pub, with room for @bytes; the sink when there is none. */
fl_cold struct fl_cursor branch_site_refill(struct fl_region *pub, size_t bytes)
{
	struct region *region = (struct region *)pub;
	struct fl_blocks *heap = region->heap;
	struct fl_block *block = fl_blocks_take(heap, bytes, pub);

	if (!block) {
		heap->pub.events.nr_sinks++;
		pub->error = -ENOMEM;
		block = heap->sink;
	} else {
		heap->pub.events.nr_refills++;
		heap->pub.events.nr_large += block->order > 0;
		block->next = region->newest;
		region->newest = block;
	}
	return whole_block(block);
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(fl_below(cursor->bump, n), align);

	if (fl_unlikely(p < cursor->limit)) {
		FL_SLOW_CALL(branch_site_thunk, region, n, cursor);
		p = fl_align_down(fl_below(cursor->bump, n), align);
	}
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct fl_blocks *heap = (struct fl_blocks *)pub;
	struct region *region = fl_record_take(heap);

	if (!region)
		return -ENOMEM;
	region->first = fl_blocks_take(heap, 1, &region->pub);
	if (!region->first) {
		fl_record_give(heap, region);
		return -ENOMEM;
	}
	region->newest = region->first;
	region->heap = heap;
	region->pub.events = &heap->pub.events;
	region->pub.cursor = whole_block(region->first);
	*out = &region->pub;
	return 0;
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	while (region->newest != region->first) {
		struct fl_block *block = region->newest;

		region->newest = block->next;
		fl_blocks_give(region->heap, block);
	}
	pub->cursor = whole_block(region->first);
	pub->error = 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	fl_record_give(region->heap, region);
}

#include "faultline/module.h"

static int branch_site_probe(const uint64_t *values, char *reason,
			     size_t reason_bytes)
{
	(void)values;
	return fl_slow_probe(reason, reason_bytes);
}

static int branch_site_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

static void branch_site_geometry(const struct fl_heap *heap,
				 struct fl_geometry *out)
{
	uint64_t block = ((const struct fl_blocks *)heap)->block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = block, .block_bytes = block, .rearms = true,
	};
}

FL_STRATEGY(
	.name = "branch_site",
	.summary = "bump_down in assembly: compare, jump, and a thunk that saves every register",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = branch_site_probe,
	.open = branch_site_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = branch_site_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
);
