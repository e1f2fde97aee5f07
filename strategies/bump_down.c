/* SPDX-License-Identifier: MIT */
/*
 * bump_down: blocks from a free list, objects bumped downwards, a compare of
 * the object's start with the block's lowest address.
 *
 * What a careful language implementer writes by hand.  A region keeps its first
 * block over resets, so that a region that fits one block never leaves the fast
 * path; the other blocks go back to the free list, warm, in the order in which
 * they were taken.
 *
 * The compare is a branch to a cold call and never a conditional move, which
 * would put it on the chain from one bump to the next (the codegen test checks).
 * How that call is made is faultline/convention.h's: bump_down-plain, -ncsr,
 * -preserve and -thunk are this file, built with another convention.
 */
#include <errno.h>

#include "faultline/convention.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/loans.h"

enum { BLOCK, GIVEBACK };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
	FL_RETAIN_TUNABLES(GIVEBACK),
};

struct region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *newest;	/* the chain, newest block first */
	struct fl_block *first;		/* its end: the block that is kept */
};

static struct fl_cursor whole_block(const struct fl_block *block)
{
	return (struct fl_cursor){
		.bump = fl_block_top(block), .limit = block->base,
	};
}

FL_SLOW_PATH(bump_down)

#if FL_SLOW_PATH_WARM
/* A block that was used before, by general registers alone; or nothing. */
struct fl_cursor bump_down_warm(struct fl_region *pub, size_t bytes)
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
#endif

/*
 * Another block for @region, with room for @bytes.  What was left of the old
 * one is lost.  By value in and out, so that the cursor can stay in registers.
 */
struct fl_cursor bump_down_refill(struct fl_region *pub, size_t bytes)
{
	struct region *region = (struct region *)pub;
	struct fl_blocks *heap = region->heap;
	struct fl_block *block = fl_blocks_take(heap, bytes, pub);

	if (!block) {
		heap->pub.events.nr_sinks++;
		pub->error = -ENOMEM;
		return whole_block(heap->sink);
	}
	heap->pub.events.nr_refills++;
	heap->pub.events.nr_large += block->order > 0;
	block->next = region->newest;
	region->newest = block;
	return whole_block(block);
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(fl_below(cursor->bump, n), align);

	if (FL_SLOW_IF(p < cursor->limit)) {
		FL_SLOW_PATH_CALL(bump_down, region, n, cursor);
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
	fl_loan_from_gap(&region->pub, heap, FL_GAP_BELOW_BUMP);
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
	fl_blocks_death(region->heap);
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	fl_blocks_death(region->heap);
	fl_record_give(region->heap, region);
}

static int bump_down_chunk_take(struct fl_region *pub, uint64_t bytes,
			size_t align, struct fl_chunk *chunk)
{
	struct region *region = (struct region *)pub;

	return fl_loan_take_down(pub, region->heap, &region->newest, bytes, align,
				 chunk);
}

static void bump_down_chunk_give(struct fl_region *pub,
			const struct fl_chunk *chunk, uint64_t used)
{
	struct region *region = (struct region *)pub;

	fl_loan_give_down(pub, region->heap, &region->newest, chunk, used);
}

#include "faultline/module.h"

static int bump_down_probe(const uint64_t *values, char *reason,
			   size_t reason_bytes)
{
	int err = fl_convention_probe(reason, reason_bytes);

	return err ? err : fl_retain_probe(values + GIVEBACK,
					   FL_RETAIN_CAN_ORDINARY,
					   FL_RETAIN_NO_POOL, reason,
					   reason_bytes);
}

static int bump_down_open(const struct fl_open_args *args, struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

static void bump_down_geometry(const struct fl_heap *heap,
			       struct fl_geometry *out)
{
	uint64_t block = ((const struct fl_blocks *)heap)->block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = block, .block_bytes = block, .rearms = true,
	};
}

FL_STRATEGY(
	.name = "bump_down" FL_CONVENTION_SUFFIX,
	.summary = "chained blocks, bumped down, compare with the lowest address",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = bump_down_probe,
	.open = bump_down_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = bump_down_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
	.chunk_take = bump_down_chunk_take,
	.chunk_grow = fl_loan_grow_down,
	.chunk_give = bump_down_chunk_give,
	.chunk_rest_serves = true,
);
