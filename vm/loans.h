/* SPDX-License-Identifier: MIT */
/*
 * vm/loans.h: chunks (struct fl_chunk) out of blocks that are bumped with a limit:
 * what the chunk hooks of such strategies are made of.
 *
 *	| chunk, grows ->   |      free      |  objects ... |	a block, bumped down
 *	base                limit            bump        top
 *
 * Down: a chunk that fits is cut off the low end of the current block, by moving the
 * limit; at its return the limit goes back to the end of its object, and what is
 * left serves later objects from above.  Nothing is lost.
 *
 * Up: it is cut off at bump, and what is left serves again only if nothing was
 * allocated meanwhile.
 *
 * For a chunk that does not fit the region goes on in another block, if that leaves
 * it more room than it has, and the chunk is cut off there.  Else the chunk is a block
 * of its own, at whose return the region goes on in what is left of that block or in
 * its own, whichever has more room.  The other's room is lost.
 *
 * A "chain" is a list of the region's blocks, by next, that its reset and its
 * destruction give back; a chunk's block is on it from the first.
 *
 * Context: cold; belongs to the heap's thread.
 */
#ifndef FL_VM_LOANS_H
#define FL_VM_LOANS_H

#include "vm/blocks.h"

/*
 * fl_loan_from_gap: Of a region just made: chunks may be cut off its gap, and those
 * that grow begin where a sixteenth of a block, and at most 4 KiB, is left for them.
 */
void fl_loan_from_gap(struct fl_region *region, const struct fl_blocks *heap,
		      enum fl_gap gap);

/* The hooks, but for the region's @heap and @chain. */
int fl_loan_take_down(struct fl_region *region, struct fl_blocks *heap,
		      struct fl_block **chain, uint64_t bytes, size_t align,
		      struct fl_chunk *chunk);
int fl_loan_grow_down(struct fl_region *region, struct fl_chunk *chunk,
		      uint64_t bytes);
void fl_loan_give_down(struct fl_region *region, struct fl_blocks *heap,
		       struct fl_block **chain, const struct fl_chunk *chunk,
		       uint64_t used);
int fl_loan_take_up(struct fl_region *region, struct fl_blocks *heap,
		    struct fl_block **chain, uint64_t bytes, size_t align,
		    struct fl_chunk *chunk);
int fl_loan_grow_up(struct fl_region *region, struct fl_chunk *chunk,
		    uint64_t bytes);
void fl_loan_give_up(struct fl_region *region, struct fl_blocks *heap,
		     struct fl_block **chain, const struct fl_chunk *chunk,
		     uint64_t used);

/*
 * fl_loan_block: A chunk that is a block of its own, whole pages and page aligned.
 * Returns 0, or -ENOMEM: also while the region has an error, for then its cursor
 * is in the sink.
 */
int fl_loan_block(struct fl_region *region, struct fl_blocks *heap,
		  struct fl_block **chain, uint64_t bytes,
		  struct fl_chunk *chunk);

/* fl_loan_return: Take such a chunk off the chain and give its block back. */
void fl_loan_return(struct fl_blocks *heap, struct fl_block **chain,
		    const struct fl_chunk *chunk);

#endif
