/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "vm/chains.h"
#include "vm/loans.h"

/*
 * Another block for @region, with room for @bytes; the sink when there is
 * none, and from then on until the reset, so that where the cursor is can be
 * told from the error.  Runs in the handler, too.
 */
static fl_cold struct fl_block *next_block(struct fl_chain_region *region,
					   uint64_t bytes)
{
	struct fl_blocks *heap = region->heap;
	struct fl_block *block = NULL;

	if (!region->pub.error)
		block = fl_blocks_take(heap, bytes, &region->pub);
	if (!block) {
		heap->pub.events.nr_sinks++;
		region->pub.error = -ENOMEM;
		return heap->sink;
	}
	heap->pub.events.nr_large += block->order > 0;
	block->next = region->newest;
	region->newest = block;
	return block;
}

bool fl_chains_redirect(struct fl_blocks *heap, const struct fl_fault *fault,
			const struct fl_site_address *site)
{
	struct fl_block *next = heap->sink;
	struct fl_overrun over;

	if (!fl_blocks_overrun_at(heap, fault, site, &over) ||
	    fault->address >= over.block->base)
		return false;
	if (over.block != heap->sink)
		next = next_block((struct fl_chain_region *)over.block->owner,
				  over.bytes);
	heap->pub.events.nr_hits += next != heap->sink;
	fl_fault_redirect(fault, over.site, fl_block_top(next));
	return true;
}

bool fl_chains_handle(void *owner, const struct fl_fault *fault)
{
	struct fl_blocks *heap = owner;

	return fl_chains_redirect(heap, fault,
				  fl_sites_find(&heap->sites,
						fl_fault_pc(fault)));
}

struct fl_cursor fl_chains_large(struct fl_region *pub, struct fl_cursor cursor,
				 size_t bytes, size_t align,
				 uint64_t first_word)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;
	const struct fl_block *block = pub->error ?
		region->heap->sink : region->newest;

	if (fl_align_down(cursor.bump - bytes, align) < block->base) {
		block = next_block(region, bytes);
		cursor.bump = fl_block_top(block);
		region->heap->pub.events.nr_refills += !pub->error;
	}
	cursor.bump = fl_align_down(cursor.bump - bytes, align);
	*(uint64_t *)(void *)cursor.bump = first_word;
	return cursor;
}

int fl_chains_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct fl_blocks *heap = (struct fl_blocks *)pub;
	struct fl_chain_region *region = fl_record_take(heap);

	if (!region)
		return -ENOMEM;
	region->first = fl_blocks_take(heap, 1, &region->pub);
	if (!region->first) {
		fl_record_give(heap, region);
		return -ENOMEM;
	}
	region->newest = region->first;
	region->heap = heap;
	region->pub.events = &pub->events;
	region->pub.cursor.bump = fl_block_top(region->first);
	*out = &region->pub;
	return 0;
}

void fl_chains_region_reset(struct fl_region *pub)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	while (region->newest != region->first) {
		struct fl_block *block = region->newest;

		region->newest = block->next;
		fl_blocks_give(region->heap, block);
	}
	fl_blocks_give_chain(region->heap, region->lent);
	region->lent = NULL;
	pub->cursor.bump = fl_block_top(region->first);
	pub->error = 0;
	fl_blocks_death(region->heap);
}

void fl_chains_region_destroy(struct fl_region *pub)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	fl_blocks_give_chain(region->heap, region->lent);
	fl_blocks_death(region->heap);
	fl_record_give(region->heap, region);
}

int fl_chains_chunk_take(struct fl_region *pub, uint64_t bytes, size_t align,
			 struct fl_chunk *chunk)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	(void)align;
	return fl_loan_block(pub, region->heap, &region->lent, bytes, chunk);
}

int fl_chains_chunk_grow(struct fl_region *pub, struct fl_chunk *chunk,
			 uint64_t bytes)
{
	(void)pub;
	(void)chunk;
	(void)bytes;
	return -ENOSPC;
}

void fl_chains_chunk_give(struct fl_region *pub, const struct fl_chunk *chunk,
			  uint64_t used)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	if (!used)
		fl_loan_return(region->heap, &region->lent, chunk);
}

struct fl_cursor fl_chains_limited_refill(struct fl_region *pub, size_t bytes)
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

int fl_chains_limited_create(struct fl_heap *heap, struct fl_region **out)
{
	int err = fl_chains_region_create(heap, out);

	if (err)
		return err;
	(*out)->cursor.limit = ((struct fl_chain_region *)*out)->first->base;
	fl_loan_from_gap(*out, (struct fl_blocks *)heap, FL_GAP_BELOW_BUMP);
	return 0;
}

void fl_chains_limited_reset(struct fl_region *pub)
{
	fl_chains_region_reset(pub);
	pub->cursor.limit = ((struct fl_chain_region *)pub)->first->base;
}

int fl_chains_limited_chunk_take(struct fl_region *pub, uint64_t bytes,
				 size_t align, struct fl_chunk *chunk)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	return fl_loan_take_down(pub, region->heap, &region->newest, bytes, align,
				 chunk);
}

void fl_chains_limited_chunk_give(struct fl_region *pub,
				  const struct fl_chunk *chunk, uint64_t used)
{
	struct fl_chain_region *region = (struct fl_chain_region *)pub;

	fl_loan_give_down(pub, region->heap, &region->newest, chunk, used);
}

void fl_chains_geometry(const struct fl_heap *heap, struct fl_geometry *out)
{
	uint64_t block = ((const struct fl_blocks *)heap)->block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = block, .block_bytes = block, .rearms = true,
	};
}
