/* SPDX-License-Identifier: MIT */
/*
 * vm/chains.h: regions that are chains of blocks, one guard below each: what
 * the strategies that redirect at a fault have in common.
 *
 *	| guard |  newest block  |      ...      | guard |  first block  |
 *	        ^ base     ^ bump moves down
 *
 * The object that does not fit stores its first word into the guard; the fault
 * chains another block, and the site starts again with that block's top as its
 * bump.  What a guard is made of, and so which signal comes, is the strategy's.
 *
 * A chain keeps its first block over a reset; the others go back to the heap.
 * Strategies that compare have the same chains, without guards.
 *
 * Context: fl_chains_handle is a fault handler, and it and fl_chains_redirect are
 * async-signal-safe; the rest belongs to the heap's thread.
 */
#ifndef FL_VM_CHAINS_H
#define FL_VM_CHAINS_H

#include <stdbool.h>

#include "vm/blocks.h"

/* The region struct of such a strategy: its config's record_bytes. */
struct fl_chain_region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *newest;	/* the chain, newest block first */
	struct fl_block *first;		/* its end: the block that is kept */
	struct fl_block *lent;		/* blocks of chunks, beside the chain */
};

/*
 * fl_chains_handle: The handler (struct fl_blocks_config): send a declared site
 * that ran off its block to another, or, without memory, to the sink.  Acts only
 * on a guard of its own heap, below the block whose region is alive, at a
 * declared site; anything else is somebody's bug.
 * @heap: whose first member is a struct fl_blocks.
 */
bool fl_chains_handle(void *heap, const struct fl_fault *fault);

/*
 * fl_chains_redirect: The same for a handler that knows by other means than the
 * heap's table which @site was interrupted; NULL: none, and false.
 */
bool fl_chains_redirect(struct fl_blocks *heap, const struct fl_fault *fault,
			const struct fl_site_address *site);

/*
 * fl_chains_large: Allocate an object that would jump over the guard.  If it
 * fits what is left of its block it goes there; otherwise it gets a block, which
 * is its region's block from then on.  Takes and returns the cursor; never fails
 * (sink).
 */
struct fl_cursor fl_chains_large(struct fl_region *region,
				 struct fl_cursor cursor, size_t bytes,
				 size_t align, uint64_t first_word);

/* The region hooks of struct fl_strategy. */
int fl_chains_region_create(struct fl_heap *heap, struct fl_region **region);
void fl_chains_region_reset(struct fl_region *region);
void fl_chains_region_destroy(struct fl_region *region);

/*
 * The chunk hooks, for regions without a limit: a chunk is a block of its own, and
 * what its object leaves is not used, because no guard could lie between the two.
 */
int fl_chains_chunk_take(struct fl_region *region, uint64_t bytes, size_t align,
			 struct fl_chunk *chunk);
int fl_chains_chunk_grow(struct fl_region *region, struct fl_chunk *chunk,
			 uint64_t bytes);
void fl_chains_chunk_give(struct fl_region *region,
			  const struct fl_chunk *chunk, uint64_t used);

/*
 * The same chains for strategies that compare instead of faulting: the cursor has a
 * limit, the block's lowest address, and blocks need no guard.
 *
 * fl_chains_limited_refill: Another block, with room for @bytes, as the region's
 * cursor; the sink when there is none.
 * The others: region and chunk hooks; destroy as above, and fl_loan_grow_down.
 */
struct fl_cursor fl_chains_limited_refill(struct fl_region *region, size_t bytes);
int fl_chains_limited_create(struct fl_heap *heap, struct fl_region **region);
void fl_chains_limited_reset(struct fl_region *region);
int fl_chains_limited_chunk_take(struct fl_region *region, uint64_t bytes,
				 size_t align, struct fl_chunk *chunk);
void fl_chains_limited_chunk_give(struct fl_region *region,
				  const struct fl_chunk *chunk, uint64_t used);

/* The geometry hook. */
void fl_chains_geometry(const struct fl_heap *heap, struct fl_geometry *out);

#endif
