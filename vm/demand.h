/* SPDX-License-Identifier: MIT */
/*
 * vm/demand.h: contiguous regions whose pages the kernel supplies by itself: what
 * the strategies without a handler for the ordinary case have in common.
 *
 *	base                                     top
 *	| guard |  not touched yet  |  objects ... |
 *	                            ^ bump moves down
 *
 * A "span" is the address range of one region: a block of vm/blocks.h.  The
 * kernel tells nobody when it supplies a page, so there are no events to count;
 * only the end of a span has a guard and a handler, so that exhaustion is an error
 * and not a crash.
 *
 * Context: fl_demand_handle is a fault handler and async-signal-safe; the rest
 * belongs to the heap's thread.
 */
#ifndef FL_VM_DEMAND_H
#define FL_VM_DEMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/blocks.h"

/* First member of the strategy's heap. */
struct fl_demand {
	struct fl_blocks blocks;
	/* Prepare a span that was never used; NULL: it needs nothing. */
	int (*ready_span)(const struct fl_block *span);
	/*
	 * Will the kernel supply the pages from @address up to @from, inside a
	 * span?  NULL: it always does, and a fault there is somebody's bug.  May
	 * write to them.
	 */
	bool (*supplies)(char *from, char *address);
};

/* The region struct of such a strategy: its config's record_bytes. */
struct fl_demand_region {
	struct fl_region pub;
	struct fl_demand *heap;
	struct fl_block *span;
};

/*
 * fl_demand_open: fl_blocks_open for spans of @config's block_bytes; handle and
 * record_bytes are filled in.  args->limit_bytes bounds each span, not their
 * number.  The caller fills in what it wants of struct fl_demand afterwards.
 */
int fl_demand_open(const struct fl_open_args *args,
		   struct fl_blocks_config *config, size_t heap_bytes,
		   struct fl_heap **heap);

/*
 * fl_demand_handle: The handler: a declared site that ran off its span, or that
 * the kernel refused a page, gets an error and the sink.
 */
bool fl_demand_handle(void *heap, const struct fl_fault *fault);

/*
 * fl_demand_large: Allocate an object above the guard's size, which could jump
 * over it.  Takes and returns the cursor; never fails (sink).
 */
struct fl_cursor fl_demand_large(struct fl_region *region,
				 struct fl_cursor cursor, size_t bytes,
				 size_t align, uint64_t first_word);

/* The region hooks of struct fl_strategy. */
int fl_demand_region_create(struct fl_heap *heap, struct fl_region **region);
void fl_demand_region_reset(struct fl_region *region);
void fl_demand_region_destroy(struct fl_region *region);

/* The geometry hook: there is room for all from the beginning. */
void fl_demand_geometry(const struct fl_heap *heap, struct fl_geometry *out);

/*
 * For strategy_slow_seq of module.h: the page that the cursor is in, which is
 * what changes when the kernel was asked for another.
 */
static inline uint64_t fl_demand_seq(const struct fl_cursor *cursor)
{
	return (uintptr_t)cursor->bump >> 12;
}

#endif
