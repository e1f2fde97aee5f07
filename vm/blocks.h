/* SPDX-License-Identifier: MIT */
/*
 * vm/blocks.h: blocks of equal size cut out of one reservation, each with an
 * optional guard below it, and the regions that use them.
 *
 *	base                                                     higher
 *	| guard |    block 0    | guard |    block 1    | guard | ...
 *	 <------ stride ------->
 *
 * Blocks are described out of line, in a directory indexed by slot, so that a
 * fault address leads to its block by one division and no byte of a block is
 * spent.  An object that exceeds a block gets a run of 2^order slots, whose
 * inner guards are left open.  Free blocks are kept in one LIFO list per order,
 * newest (warmest) first.  Without guards, a larger free run is split before a
 * fresh one is cut (docs/decisions/0032); runs are never joined.
 *
 * Nothing here is policy: what is given back to the kernel, and when, is
 * vm/retain.h's, if the strategy asks for it; else it is never.
 *
 * Context: fl_blocks_take, _give and _find are async-signal-safe, so that a
 * fault handler can refill; they are not MT-safe: a heap belongs to one thread.
 */
#ifndef FL_VM_BLOCKS_H
#define FL_VM_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faultline/strategy.h"
#include "vm/fault.h"
#include "vm/guard.h"
#include "vm/reserve.h"
#include "vm/retain.h"

#define FL_BLOCK_ORDERS		40u

struct fl_block {
	char *base;		/* lowest usable address, page aligned */
	uint64_t bytes;		/* usable, whole pages */
	struct fl_region *owner;	/* NULL while free */
	struct fl_block *next;	/* of the owner's chain, or of the free list */
	struct fl_block *newer;	/* of the free list; with a policy for blocks */
	uint32_t order;
	uint32_t state;		/* the strategy's own; 0 when first taken */
	uint32_t died;		/* fl_retain_whole_dead's */
	uint32_t given;		/* after how many others, modulo 2^32 */
	bool cold;		/* free, and its pages have gone back */
	bool closed;		/* and it has to be opened */
} __attribute__((aligned(64)));	/* one line: what a refill touches */

/*
 * First member of the heap of a strategy that uses blocks, so that the
 * functions below that take a struct fl_heap serve as its hooks directly.
 */
struct fl_blocks {
	struct fl_heap pub;
	char *base;
	size_t bytes;		/* of the reservation */
	size_t block_bytes, guard_bytes, stride_bytes;
	enum fl_guard_kind guard;
	/*
	 * Instead, if not NULL: make whole pages a guard.  0 or -errno;
	 * async-signal-safe.  The strategy sets it after fl_blocks_open, and
	 * sees to the sink's guard itself.
	 */
	int (*install_guard)(struct fl_blocks *blocks, char *base, size_t bytes);
	enum fl_access access;	/* of a block when it is first taken */
	uint64_t nr_slots, next_slot;
	uint64_t limit_bytes, out_bytes;
	struct fl_block *directory;	/* nr_slots entries, lazily resident */
	struct fl_block *free[FL_BLOCK_ORDERS];
	struct fl_block *sink;	/* serves when nothing else can */
	struct fl_retain *retain;	/* NULL: everything is kept */
	bool retain_spans;	/* of struct fl_blocks_config: an item a slot */
	/*
	 * Else, with a policy: free blocks go whole.  A free list is a stack, so what
	 * is below has been dead for longer: warm ones on top, the lowest of them
	 * here, cold ones below.
	 */
	bool retain_blocks;
	unsigned nr_orders;	/* that ever had a free block, or fewer */
	uint32_t nr_given;
	struct fl_block *oldest[FL_BLOCK_ORDERS];
	char *records;		/* region structs, lazily resident */
	size_t record_bytes;
	uint32_t nr_records_max, nr_records;
	void *free_records;
	size_t heap_bytes;	/* of the strategy's heap struct, this included */
	struct fl_sites sites;	/* with a handler only */
	struct fl_fault_range range;
};

struct fl_blocks_config {
	size_t block_bytes;	/* rounded up to whole pages */
	size_t guard_bytes;	/* whole pages */
	enum fl_guard_kind guard;
	enum fl_access access;	/* FL_CLOSED: the strategy opens pages itself */
	bool aside;		/* reserved by fl_reserve_aside: blocks may
				   become holes */
	size_t record_bytes;	/* sizeof the strategy's region struct */
	fl_fault_fn handle;	/* faults in the reservation, or NULL; its owner
				   is the heap */
	bool user_return;	/* of struct fl_fault_range */
	const struct fl_site *sites, *sites_end;	/* FL_MODULE_SITES */
	struct fl_retain_config retain;		/* zero: never */
	bool retain_spans;	/* the caller says what is dead of a block, and
				   when; else fl_blocks_give does */
};

#define FL_MODULE_SITES	.sites = __start_fl_sites, .sites_end = __stop_fl_sites

/*
 * fl_blocks_open: Reserve and describe.  Allocates the strategy's whole heap
 * struct, @heap_bytes, zeroed, in pages of its own, so that every page of a
 * heap is inside a declared range, and fills in its struct fl_blocks.  With a
 * handler, it is watching when this returns.
 * @heap: out; fl_blocks_close frees it.
 * Returns 0, -EINVAL (block_bytes 0 or above FL_RESERVE_BYTES_MAX,
 * object_bytes_max above FL_OBJECT_BYTES_MAX, nr_regions_max all but 2^32),
 * -ENOMEM, or what fl_fault_watch or fl_retain_open says.
 */
int fl_blocks_open(const struct fl_open_args *args,
		   const struct fl_blocks_config *config, size_t heap_bytes,
		   struct fl_heap **heap);

/* The close hook of struct fl_strategy: releases everything. */
void fl_blocks_close(struct fl_heap *heap);

/*
 * fl_blocks_take: A block of at least @bytes for @owner, from the free list or
 * fresh.  NULL when the limit, the address space or the VMAs are exhausted.
 */
struct fl_block *fl_blocks_take(struct fl_blocks *blocks, uint64_t bytes,
				struct fl_region *owner);

/*
 * fl_blocks_take_warm: The same, but only an ordinary block that was used
 * before; else NULL, and nothing has happened: so where there is a policy.  Touches no vector register, so
 * that a slow path that saves only the general ones may call it
 * (faultline/slowpath.h).
 */
struct fl_block *fl_blocks_take_warm(struct fl_blocks *blocks, uint64_t bytes,
				     struct fl_region *owner);

/*
 * fl_blocks_give: Back to the free list.  The pages stay until the next
 * fl_blocks_death.
 */
void fl_blocks_give(struct fl_blocks *blocks, struct fl_block *block);

/* fl_blocks_give_chain: Every block from @block on, by next. */
void fl_blocks_give_chain(struct fl_blocks *blocks, struct fl_block *block);

/*
 * fl_blocks_death: A region died, by reset or destruction, and its blocks have
 * been given.
 */
static inline void fl_blocks_death(struct fl_blocks *blocks)
{
	if (blocks->retain)
		fl_retain_death(blocks->retain);
}

/* fl_blocks_item: Of a block, if there is a policy and the caller's is what is dead. */
static inline struct fl_retain_item *fl_blocks_item(const struct fl_blocks *blocks,
						    const struct fl_block *block)
{
	return &blocks->retain->items[block - blocks->directory];
}

/*
 * fl_blocks_find: The block in whose slot @address lies, guard included, or
 * NULL.  For a run, only its first slot is found: that is where the guard is.
 */
struct fl_block *fl_blocks_find(const struct fl_blocks *blocks,
				const char *address);

/*
 * A declared site that ran off its block: what a redirecting handler needs.
 * For the sink, owner is NULL: whoever is in it has been told already.
 */
struct fl_overrun {
	const struct fl_site_address *site;
	struct fl_block *block;		/* in use, or the sink */
	uint64_t bytes;			/* of the object, alignment included */
};

/*
 * fl_blocks_overrun: Is @fault the probe of a declared site whose bump lies in
 * a block in use, touching below that bump in the block's own slot?  Fills
 * @out and returns true if so; false is somebody else's fault.  Signal-safe.
 */
bool fl_blocks_overrun(const struct fl_blocks *blocks,
		       const struct fl_fault *fault, struct fl_overrun *out);

/*
 * fl_blocks_overrun_at: The same for a handler that knows by other means than
 * the heap's table which @site was interrupted; NULL: none, and false.
 */
bool fl_blocks_overrun_at(const struct fl_blocks *blocks,
			  const struct fl_fault *fault,
			  const struct fl_site_address *site,
			  struct fl_overrun *out);

/* The end of a block: where bump starts in a bump-down strategy. */
static inline char *fl_block_top(const struct fl_block *block)
{
	return block->base + block->bytes;
}

/*
 * The large_block_bytes hook: usable bytes of the block that fl_blocks_take
 * would give for @bytes; 0 when it would give none.
 */
uint64_t fl_blocks_usable(const struct fl_heap *heap, uint64_t bytes);

/* The trim hook: give the pages of all free blocks back to the kernel. */
uint64_t fl_blocks_trim(struct fl_heap *heap);

/* The ranges hook: slots in use, directory, regions, sites, the heap itself. */
size_t fl_blocks_ranges(const struct fl_heap *heap, struct fl_range *out,
			size_t max);

/*
 * fl_record_take: A zeroed region struct, or NULL when nr_regions_max are
 * alive.  fl_record_give takes it back.
 */
void *fl_record_take(struct fl_blocks *blocks);
void fl_record_give(struct fl_blocks *blocks, void *record);

#endif
