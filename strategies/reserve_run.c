/* SPDX-License-Identifier: MIT */
/*
 * reserve_run: bump_down that checks once for a run of allocations, and bumps
 * unchecked within it (faultline/run.h).
 *
 * What a compiler does that knows several allocations of a basic block: OCaml's are
 * combined into one.  A run costs one compare instead of one for each object, and
 * its objects lie in one block.  An allocation by itself is bump_down's, and so is
 * the policy: a region keeps its first block over resets, and the others return to
 * the free list, warm.
 */
#include <errno.h>

#include "faultline/run.h"
#include "faultline/strategy.h"
#include "vm/chains.h"
#include "vm/loans.h"

enum { BLOCK };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

/* Another block for @pub, with room for @bytes; the sink when there is none. */
static fl_cold struct fl_cursor reserve_run_refill(struct fl_region *pub,
						   size_t bytes)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;
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
		*cursor = reserve_run_refill(region, n);
		p = fl_align_down(fl_below(cursor->bump, n), align);
	}
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

#define FL_HAS_RUNS

fl_hot void strategy_claim(struct fl_region *region, struct fl_cursor *cursor,
			   size_t bytes)
{
	if (fl_unlikely(!fl_run_fits(cursor, bytes)))
		*cursor = reserve_run_refill(region, bytes);
}

fl_hot void *strategy_carve(struct fl_region *region, struct fl_cursor *cursor,
			    size_t bytes, uint64_t first_word)
{
	(void)region;
	return fl_carve(cursor, bytes, first_word);
}

/* A chain's first block, and the limit that redirecting strategies do without. */
static void arm(struct fl_region *pub)
{
	pub->cursor.limit = ((struct fl_chain_region *)pub)->first->base;
}

static int strategy_region_create(struct fl_heap *heap, struct fl_region **out)
{
	int err = fl_chains_region_create(heap, out);

	if (!err)
		arm(*out);
	return err;
}

static void strategy_region_reset(struct fl_region *region)
{
	fl_chains_region_reset(region);
	arm(region);
}

#define strategy_region_destroy	fl_chains_region_destroy

static int reserve_run_chunk_take(struct fl_region *pub, uint64_t bytes,
			size_t align, struct fl_chunk *chunk)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	return fl_loan_take_down(pub, region->heap, &region->newest, bytes, align,
				 chunk);
}

static void reserve_run_chunk_give(struct fl_region *pub,
			const struct fl_chunk *chunk, uint64_t used)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	fl_loan_give_down(pub, region->heap, &region->newest, chunk, used);
}

#include "faultline/module.h"

static int reserve_run_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.access = FL_OPEN,
		.record_bytes = sizeof(struct fl_chain_region),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

FL_STRATEGY(
	.name = "reserve_run",
	.summary = "chained blocks, bumped down, one compare for a run of allocations",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.open = reserve_run_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_chains_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
	.chunk_take = reserve_run_chunk_take,
	.chunk_grow = fl_loan_grow_down,
	.chunk_give = reserve_run_chunk_give,
	.chunk_rest_serves = true,
);
