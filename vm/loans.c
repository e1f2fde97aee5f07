/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "vm/loans.h"

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
 * Cut out of the current block, a chunk never takes the last byte of what is free.
 * So its end is no other block's base, and a limit or a bump that equals it is
 * that of the same block.
 */
static bool fits(const char *low, uint64_t bytes, const char *high)
{
	return low < high && bytes < (uint64_t)(high - low);
}

int fl_loan_take_down(struct fl_region *region, struct fl_blocks *heap,
		      struct fl_block **chain, uint64_t bytes, size_t align,
		      struct fl_chunk *chunk)
{
	struct fl_cursor *c = &region->cursor;
	char *base = fl_align_up(c->limit, align);

	bytes = whole_grains(bytes);
	if (region->error || !fits(base, bytes, c->bump))
		return fl_loan_block(region, heap, chain, bytes, chunk);
	c->limit = base + bytes;
	chunk->base = base;
	chunk->bytes = bytes;
	chunk->loan = NULL;
	return 0;
}

int fl_loan_grow_down(struct fl_region *region, struct fl_chunk *chunk,
		      uint64_t bytes)
{
	struct fl_cursor *c = &region->cursor;

	bytes = whole_grains(bytes);
	if (chunk->loan || c->limit != chunk->base + chunk->bytes ||
	    !fits(chunk->base, bytes, c->bump))
		return -ENOSPC;
	c->limit = chunk->base + bytes;
	chunk->bytes = bytes;
	return 0;
}

void fl_loan_give_down(struct fl_region *region, struct fl_blocks *heap,
		       struct fl_block **chain, const struct fl_chunk *chunk,
		       uint64_t used)
{
	struct fl_cursor *c = &region->cursor;
	char *const end = end_of(chunk, used);
	char *const top = chunk->base + chunk->bytes;

	if (!chunk->loan) {
		if (c->limit == top)
			c->limit = end;
	} else if (!used) {
		fl_loan_return(heap, chain, chunk);
	} else if (!region->error && top - end > c->bump - c->limit) {
		c->bump = top;
		c->limit = end;
	}
}

int fl_loan_take_up(struct fl_region *region, struct fl_blocks *heap,
		    struct fl_block **chain, uint64_t bytes, size_t align,
		    struct fl_chunk *chunk)
{
	struct fl_cursor *c = &region->cursor;
	char *base = fl_align_up(c->bump, align);

	bytes = whole_grains(bytes);
	if (region->error || !fits(base, bytes, c->limit))
		return fl_loan_block(region, heap, chain, bytes, chunk);
	c->bump = base + bytes;
	chunk->base = base;
	chunk->bytes = bytes;
	chunk->loan = NULL;
	return 0;
}

int fl_loan_grow_up(struct fl_region *region, struct fl_chunk *chunk,
		    uint64_t bytes)
{
	struct fl_cursor *c = &region->cursor;

	bytes = whole_grains(bytes);
	if (chunk->loan || c->bump != chunk->base + chunk->bytes ||
	    !fits(chunk->base, bytes, c->limit))
		return -ENOSPC;
	c->bump = chunk->base + bytes;
	chunk->bytes = bytes;
	return 0;
}

void fl_loan_give_up(struct fl_region *region, struct fl_blocks *heap,
		     struct fl_block **chain, const struct fl_chunk *chunk,
		     uint64_t used)
{
	struct fl_cursor *c = &region->cursor;
	char *const end = end_of(chunk, used);
	char *const top = chunk->base + chunk->bytes;

	if (!chunk->loan) {
		if (c->bump == top)
			c->bump = end;
	} else if (!used) {
		fl_loan_return(heap, chain, chunk);
	} else if (!region->error && top - end > c->limit - c->bump) {
		c->bump = end;
		c->limit = top;
	}
}
