/* SPDX-License-Identifier: MIT */
/*
 * branch_site: bump_down with a slow path that costs the site nothing but its
 * compare and its jump.
 *
 * The fastest branch to be had on every compiler, for fault-driven strategies to
 * be held against.  In bump_down the refill is a call that the compiler sees: it
 * keeps registers free for it, and saves or spills what is alive around it.  Here
 * the site's cold part calls a thunk that preserves every register, as a fault
 * handler does (faultline/slowpath.h).
 *
 * The compare stays the compiler's.  With all of the site in one asm statement,
 * gcc 12 copies the bump into and out of it: 9 instructions a turn of fill, and
 * not 7.  The codegen test holds this strategy to the least there can be.
 *
 * Policy is bump_down's: a region keeps its first block over resets, and the
 * others return to the free list, warm.
 */
#include "faultline/slowpath.h"
#include "faultline/strategy.h"
#include "vm/chains.h"
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

FL_SLOW_FUNCTION struct fl_cursor branch_site_warm(struct fl_region *pub,
						   size_t bytes);
FL_SLOW_FUNCTION struct fl_cursor branch_site_refill(struct fl_region *pub,
						     size_t bytes);
FL_SLOW_THUNK(branch_site_thunk, branch_site_warm, branch_site_refill);

/* A block that was used before, by general registers alone; or nothing. */
fl_general_regs struct fl_cursor branch_site_warm(struct fl_region *pub,
						  size_t bytes)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;
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

fl_cold struct fl_cursor branch_site_refill(struct fl_region *pub, size_t bytes)
{
	return fl_chains_limited_refill(pub, bytes);
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

#define strategy_region_create	fl_chains_limited_create
#define strategy_region_reset	fl_chains_limited_reset
#define strategy_region_destroy	fl_chains_region_destroy

#include "faultline/module.h"

static int branch_site_probe(const uint64_t *values, char *reason,
			     size_t reason_bytes)
{
	int err = fl_slow_probe(reason, reason_bytes);

	return err ? err : fl_retain_probe(values + GIVEBACK,
					   FL_RETAIN_CAN_ORDINARY,
					   FL_RETAIN_NO_POOL, reason,
					   reason_bytes);
}

static int branch_site_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.access = FL_OPEN,
		.record_bytes = sizeof(struct fl_chain_region),
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

FL_STRATEGY(
	.name = "branch_site",
	.summary = "bump_down, the slow path of which preserves every register",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = branch_site_probe,
	.open = branch_site_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_chains_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
	.chunk_take = fl_chains_limited_chunk_take,
	.chunk_grow = fl_loan_grow_down,
	.chunk_give = fl_chains_limited_chunk_give,
	.chunk_rest_serves = true,
);
