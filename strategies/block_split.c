/* SPDX-License-Identifier: MIT */
/*
 * block_split: the heap split naively into fixed blocks, one free list, and no
 * policy at all: a region has no block until it allocates and keeps none when
 * it is reset.  The leak-free baseline of the design notes (claim N2): a page
 * that a region leaves is the next one that any region gets.
 */
#include <errno.h>

#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/loans.h"

enum { BLOCK, GIVEBACK };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 8 << 10, .min = 4 << 10, .max = 1 << 30,
	},
	FL_RETAIN_TUNABLES(GIVEBACK),
};

struct region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *newest;
};

/* A cursor without room, whose refill compare still has addresses to compare. */
static struct fl_cursor no_block(const struct fl_blocks *heap)
{
	return (struct fl_cursor){
		.bump = heap->sink->base, .limit = heap->sink->base,
	};
}

static fl_cold struct fl_cursor block_split_refill(struct fl_region *pub,
						   size_t bytes)
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
	return (struct fl_cursor){
		.bump = fl_block_top(block), .limit = block->base,
	};
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(fl_below(cursor->bump, n), align);

	if (fl_unlikely(p < cursor->limit)) {
		*cursor = block_split_refill(region, n);
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
	region->heap = heap;
	region->pub.events = &heap->pub.events;
	region->pub.cursor = no_block(heap);
	fl_loan_from_gap(&region->pub, heap, FL_GAP_BELOW_BUMP);
	*out = &region->pub;
	return 0;
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	region->newest = NULL;
	pub->cursor = no_block(region->heap);
	pub->error = 0;
	fl_blocks_death(region->heap);
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	fl_blocks_death(region->heap);
	fl_record_give(region->heap, region);
}

static int block_split_chunk_take(struct fl_region *pub, uint64_t bytes,
			size_t align, struct fl_chunk *chunk)
{
	struct region *region = (struct region *)pub;

	return fl_loan_take_down(pub, region->heap, &region->newest, bytes, align,
				 chunk);
}

static void block_split_chunk_give(struct fl_region *pub,
			const struct fl_chunk *chunk, uint64_t used)
{
	struct region *region = (struct region *)pub;

	fl_loan_give_down(pub, region->heap, &region->newest, chunk, used);
}

#include "faultline/module.h"

static int block_split_probe(const uint64_t *values, char *reason,
			     size_t reason_bytes)
{
	return fl_retain_probe(values + GIVEBACK, FL_RETAIN_CAN_ORDINARY,
			       FL_RETAIN_NO_POOL, reason, reason_bytes);
}

static int block_split_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

static void block_split_geometry(const struct fl_heap *heap,
				 struct fl_geometry *out)
{
	*out = (struct fl_geometry){
		.start_bytes = 0,
		.block_bytes = ((const struct fl_blocks *)heap)->block_bytes,
		.rearms = true,
	};
}

FL_STRATEGY(
	.name = "block_split",
	.summary = "naive fixed blocks from one free list, no policy",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = block_split_probe,
	.open = block_split_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = block_split_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
	.chunk_take = block_split_chunk_take,
	.chunk_grow = fl_loan_grow_down,
	.chunk_give = block_split_chunk_give,
	.chunk_rest_serves = true,
);
