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

/* By a symbol of the module's own, so that a site's cold part is a plain call. */
static fl_cold struct fl_cursor reserve_run_refill(struct fl_region *pub,
						   size_t bytes)
{
	return fl_chains_limited_refill(pub, bytes);
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

#define strategy_region_create	fl_chains_limited_create
#define strategy_region_reset	fl_chains_limited_reset
#define strategy_region_destroy	fl_chains_region_destroy

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
	.chunk_take = fl_chains_limited_chunk_take,
	.chunk_grow = fl_loan_grow_down,
	.chunk_give = fl_chains_limited_chunk_give,
	.chunk_rest_serves = true,
);
