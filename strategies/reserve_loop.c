/* SPDX-License-Identifier: MIT */
/*
 * reserve_loop: one check for each turn of a loop, and below each block a red zone
 * that absorbs what the turn takes beyond the block (faultline/run.h).
 *
 * reserve_run asks before a run whether all of it fits, which costs a subtraction and
 * wants the sum.  Here the limit lies FL_SLOP_BYTES above the block's lowest address,
 * and a turn asks only whether the last one has passed it.  If not, it may take
 * whatever it likes up to the slop: the end of it lies in the red zone at worst, which
 * is memory of the block like any other.  An allocation by itself is compared with the
 * limit, as bump_down's is, and never reaches the zone.
 *
 * Chunks are not lent, nor cut off the gap: one at the low end of a block would lie
 * where the red zone has to be.
 */
#include <errno.h>

#include "faultline/run.h"
#include "faultline/strategy.h"
#include "vm/chains.h"

enum { BLOCK };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block, without the red zone",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

static fl_cold struct fl_cursor reserve_loop_refill(struct fl_region *pub,
						    size_t bytes)
{
	struct fl_cursor cursor = fl_chains_limited_refill(pub,
							   bytes + FL_SLOP_BYTES);

	cursor.limit += FL_SLOP_BYTES;
	return cursor;
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(fl_below(cursor->bump, n), align);

	if (fl_unlikely(p < cursor->limit)) {
		*cursor = reserve_loop_refill(region, n);
		p = fl_align_down(fl_below(cursor->bump, n), align);
	}
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

#define FL_HAS_RUNS
#define FL_HAS_TURNS

fl_hot void strategy_claim(struct fl_region *region, struct fl_cursor *cursor,
			   size_t bytes)
{
	if (fl_unlikely(!fl_run_fits(cursor, bytes)))
		*cursor = reserve_loop_refill(region, bytes);
}

fl_hot void strategy_turn(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes)
{
	(void)bytes;
	if (fl_unlikely(!fl_turn_fits(cursor)))
		*cursor = reserve_loop_refill(region, FL_SLOP_BYTES);
}

fl_hot void *strategy_carve(struct fl_region *region, struct fl_cursor *cursor,
			    size_t bytes, uint64_t first_word)
{
	(void)region;
	return fl_carve(cursor, bytes, first_word);
}

static int strategy_region_create(struct fl_heap *heap, struct fl_region **out)
{
	int err = fl_chains_limited_create(heap, out);

	if (!err) {
		(*out)->cursor.limit += FL_SLOP_BYTES;
		(*out)->gap = FL_GAP_NONE;
	}
	return err;
}

static void strategy_region_reset(struct fl_region *region)
{
	fl_chains_limited_reset(region);
	region->cursor.limit += FL_SLOP_BYTES;
}

#define strategy_region_destroy	fl_chains_region_destroy

#include "faultline/module.h"

/* The sink has a red zone, too: what is largest is so much larger. */
static int reserve_loop_open(const struct fl_open_args *args,
			     struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK] + FL_SLOP_BYTES,
		.access = FL_OPEN,
		.record_bytes = sizeof(struct fl_chain_region),
	};
	struct fl_open_args with_slop = *args;

	if (args->object_bytes_max > FL_OBJECT_BYTES_MAX - FL_SLOP_BYTES)
		return -EINVAL;
	with_slop.object_bytes_max += FL_SLOP_BYTES;
	return fl_blocks_open(&with_slop, &config, sizeof(struct fl_blocks), heap);
}

static void reserve_loop_geometry(const struct fl_heap *heap,
				  struct fl_geometry *out)
{
	const uint64_t block = ((const struct fl_blocks *)heap)->block_bytes -
			       FL_SLOP_BYTES;

	*out = (struct fl_geometry){
		.start_bytes = block, .block_bytes = block, .rearms = true,
	};
}

static uint64_t reserve_loop_large(const struct fl_heap *heap, uint64_t bytes)
{
	const uint64_t usable = fl_blocks_usable(heap, bytes + FL_SLOP_BYTES);

	return usable ? usable - FL_SLOP_BYTES : 0;
}

FL_STRATEGY(
	.name = "reserve_loop",
	.summary = "chained blocks, bumped down, one compare for a turn of a loop; a red zone takes the rest",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.open = reserve_loop_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = reserve_loop_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = reserve_loop_large,
);
