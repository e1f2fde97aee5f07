/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "vm/loans.h"

/* What a chunk that grows can rely on, and so what of a block may be lost. */
#define TAIL_SHARE	16u
#define TAIL_BYTES_MIN	512u
#define TAIL_BYTES_MAX	4096u

void fl_loan_from_gap(struct fl_region *region, const struct fl_blocks *heap,
		      enum fl_gap gap)
{
	const uint64_t share = heap->block_bytes / TAIL_SHARE;

	region->gap = gap;
	region->tail_bytes = share < TAIL_BYTES_MIN ? TAIL_BYTES_MIN :
		share > TAIL_BYTES_MAX ? TAIL_BYTES_MAX : (uint32_t)share;
}

int fl_loan_block(struct fl_region *region, struct fl_blocks *heap,
		  struct fl_block **chain, uint64_t bytes,
		  struct fl_chunk *chunk)
{
	struct fl_block *block;

	if (region->error || bytes > FL_OBJECT_BYTES_MAX)
		return -ENOMEM;
	block = fl_blocks_take(heap, bytes, region);
	if (!block)
		return -ENOMEM;
	heap->pub.events.nr_refills++;
	heap->pub.events.nr_large += block->order > 0;
	block->next = *chain;
	*chain = block;
	*chunk = (struct fl_chunk){
		.base = block->base, .bytes = block->bytes, .loan = block,
	};
	return 0;
}

void fl_loan_return(struct fl_blocks *heap, struct fl_block **chain,
		    const struct fl_chunk *chunk)
{
	struct fl_block *block = chunk->loan;

	while (*chain != block)
		chain = &(*chain)->next;
	*chain = block->next;
	fl_blocks_give(heap, block);
}

static uint64_t whole_grains(uint64_t bytes)
{
	return (bytes + FL_GRAIN_BYTES - 1) & ~(uint64_t)(FL_GRAIN_BYTES - 1);
}

/* Where the object ends, and what is free begins. */
static char *end_of(const struct fl_chunk *chunk, uint64_t used)
{
	return chunk->base + whole_grains(used);
}

/*
 * Cut out of the current block, a chunk does not take the last byte of what is free;
 * but it may grow to it, as arrays of a half or a quarter of a block do.  Its end can
 * then be the base of the block that the region goes on in.  Taken for the low end of
 * the chunk's own, it loses nothing: what is given back of the chunk and what is
 * free in that block lie side by side, and both are the region's.
 */
static bool fits(const char *low, uint64_t bytes, const char *high)
{
	return low < high && bytes < (uint64_t)(high - low);
}

/*
 * What is free in the current block lies between two members of the cursor, of
 * which the chunk's end moves the lower one: the limit of a block that is bumped
 * down, the bump of one that is bumped up.
 */
struct gap {
	char **low, **high;
};

static struct gap gap_down(struct fl_region *region)
{
	return (struct gap){ &region->cursor.limit, &region->cursor.bump };
}

static struct gap gap_up(struct fl_region *region)
{
	return (struct gap){ &region->cursor.bump, &region->cursor.limit };
}

static int take(struct fl_region *region, struct gap gap, struct fl_blocks *heap,
		struct fl_block **chain, uint64_t bytes, size_t align,
		struct fl_chunk *chunk)
{
	char *base = fl_align_up(*gap.low, align);
	int err;

	bytes = whole_grains(bytes);
	if (region->error || !fits(base, bytes, *gap.high)) {
		err = fl_loan_block(region, heap, chain, bytes, chunk);
		if (err || (int64_t)(chunk->bytes - bytes) <= *gap.high - *gap.low)
			return err;
		base = chunk->base;
		*gap.high = base + chunk->bytes;
	}
	*gap.low = base + bytes;
	chunk->base = base;
	chunk->bytes = bytes;
	chunk->loan = NULL;
	return 0;
}

static int grow(struct gap gap, struct fl_chunk *chunk, uint64_t bytes)
{
	bytes = whole_grains(bytes);
	if (chunk->loan || *gap.low != chunk->base + chunk->bytes ||
	    *gap.high < chunk->base || bytes > (uint64_t)(*gap.high - chunk->base))
		return -ENOSPC;
	*gap.low = chunk->base + bytes;
	chunk->bytes = bytes;
	return 0;
}

static void give(struct fl_region *region, struct gap gap, struct fl_blocks *heap,
		 struct fl_block **chain, const struct fl_chunk *chunk,
		 uint64_t used)
{
	char *const end = end_of(chunk, used);
	char *const top = chunk->base + chunk->bytes;

	if (!chunk->loan) {
		if (*gap.low == top)
			*gap.low = end;
	} else if (!used) {
		fl_loan_return(heap, chain, chunk);
	} else if (!region->error && top - end > *gap.high - *gap.low) {
		*gap.low = end;
		*gap.high = top;
	}
}

int fl_loan_take_down(struct fl_region *region, struct fl_blocks *heap,
		      struct fl_block **chain, uint64_t bytes, size_t align,
		      struct fl_chunk *chunk)
{
	return take(region, gap_down(region), heap, chain, bytes, align, chunk);
}

int fl_loan_grow_down(struct fl_region *region, struct fl_chunk *chunk,
		      uint64_t bytes)
{
	return grow(gap_down(region), chunk, bytes);
}

void fl_loan_give_down(struct fl_region *region, struct fl_blocks *heap,
		       struct fl_block **chain, const struct fl_chunk *chunk,
		       uint64_t used)
{
	give(region, gap_down(region), heap, chain, chunk, used);
}

int fl_loan_take_up(struct fl_region *region, struct fl_blocks *heap,
		    struct fl_block **chain, uint64_t bytes, size_t align,
		    struct fl_chunk *chunk)
{
	return take(region, gap_up(region), heap, chain, bytes, align, chunk);
}

int fl_loan_grow_up(struct fl_region *region, struct fl_chunk *chunk,
		    uint64_t bytes)
{
	return grow(gap_up(region), chunk, bytes);
}

void fl_loan_give_up(struct fl_region *region, struct fl_blocks *heap,
		     struct fl_block **chain, const struct fl_chunk *chunk,
		     uint64_t used)
{
	give(region, gap_up(region), heap, chain, chunk, used);
}
