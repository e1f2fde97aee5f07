/* SPDX-License-Identifier: MIT */
/*
 * vm/spans.h: contiguous regions that are extended downwards page by page: what
 * the strategies that extend at a fault have in common.
 *
 *	base                 frontier                top
 *	| guard | not yet usable | usable, objects ... |
 *	                         ^ bump moves down towards the frontier
 *
 * A "span" is the address range of one region: a block of vm/blocks.h.  Its
 * "frontier" is the lowest usable address.  How pages become usable, and how
 * they stop being so at a reset, is the strategy's: open_pages and close_pages.
 *
 * A dead region's span keeps its frontier (unless close_pages moved it back)
 * and goes, last in first out, to the next region created.  Whether its pages stay
 * is vm/retain.h's: at each reset, too, because a span that was large once is a
 * leak as long as its region lives.  A page that was given back and is usable is
 * a fault of the kernel's, or, of memory that a userfaultfd fills, a fault without
 * an event.
 *
 * Context: fl_spans_extend and fl_spans_redirect are made for fault handlers
 * and async-signal-safe; the rest belongs to the heap's thread.
 */
#ifndef FL_VM_SPANS_H
#define FL_VM_SPANS_H

#include <stdbool.h>

#include "vm/blocks.h"

/* First member of the strategy's heap. */
struct fl_spans {
	struct fl_blocks blocks;
	/* Prepare a span that was never used; NULL: it needs nothing. */
	int (*ready_span)(struct fl_spans *spans, const struct fl_block *span);
	/* Make whole pages usable.  0 or -errno; async-signal-safe. */
	int (*open_pages)(struct fl_spans *spans, char *base, size_t bytes);
	/*
	 * Undo it at reset and destroy, from the frontier to the top of the
	 * span, after the policy had its say; NULL: pages stay usable.  What fails has changed nothing.
	 */
	int (*close_pages)(struct fl_spans *spans, char *base, size_t bytes);
	/*
	 * For trim, and for all of a dead region's span: undo it and give the
	 * pages back to the kernel.
	 */
	int (*return_pages)(struct fl_spans *spans, char *base, size_t bytes);
	uint64_t step_bytes, step_bytes_max;
	bool doubling;
	bool populates;		/* what is opened is resident, touched or not */
	uint64_t limit_bytes, open_bytes;
	int refusal;		/* -errno since fl_spans_freeze, or 0 */
};

/* The region struct of such a strategy. */
struct fl_span_region {
	struct fl_region pub;
	struct fl_spans *heap;
	struct fl_block *span;
	char *frontier;
	uint64_t step_bytes;	/* of the next extension */
};

/*
 * fl_spans_open: fl_blocks_open for spans: @config's block_bytes is a span's
 * size; record_bytes is filled in.  args->limit_bytes bounds the pages that are
 * usable, not the address space.  The caller fills in what it wants of struct
 * fl_spans afterwards.
 */
int fl_spans_open(const struct fl_open_args *args,
		  struct fl_blocks_config *config, size_t heap_bytes,
		  struct fl_heap **heap);

/*
 * fl_spans_extend: Make @address usable, if it lies between the frontier of a
 * live region and what the largest object of a site can reach below it.  Opens
 * a step at least.  False: not ours to extend, or no more memory.
 */
bool fl_spans_extend(struct fl_spans *spans, char *address);

/*
 * fl_spans_usable: Is @address at or above the frontier of a live region, inside
 * its span?
 */
bool fl_spans_usable(const struct fl_spans *spans, const char *address);

/*
 * fl_spans_redirect: The fault could not be resolved.  If it is a declared site
 * running off its span, memory is exhausted: set the region's error and send
 * the site to the sink.  False: somebody's bug.
 */
bool fl_spans_redirect(struct fl_spans *spans, const struct fl_fault *fault);

/*
 * fl_spans_large: Allocate an object too large for a fault site: extends by
 * call.  Takes and returns the cursor; never fails (sink).
 * fl_spans_make_room: All of it but the store of the first word, which is for
 * those whose store may fault.
 */
struct fl_cursor fl_spans_large(struct fl_region *region,
				struct fl_cursor cursor, size_t bytes,
				size_t align, uint64_t first_word);
struct fl_cursor fl_spans_make_room(struct fl_region *region,
				    struct fl_cursor cursor, size_t bytes,
				    size_t align);

/* The region hooks of struct fl_strategy. */
int fl_spans_region_create(struct fl_heap *heap, struct fl_region **region);
void fl_spans_region_reset(struct fl_region *region);
void fl_spans_region_destroy(struct fl_region *region);

/*
 * fl_spans_freeze: Nothing is opened any more, because what opened it is gone:
 * for a child whose mechanism is not inherited (vm/fork.h).  Objects stay as
 * they are, and so do the pages above the frontiers, to be allocated from.  A
 * region that needs more gets the sink and @err, a new region is refused with
 * it, and what a reset or trim takes stays closed.
 *
 * Should the kernel refuse to close so many ranges apart, all of the spans are
 * closed, and who touches an object dies of it.
 * Cost: one mprotect for each span that was ever used.  Async-signal-safe.
 */
void fl_spans_freeze(struct fl_spans *spans, int err);

/*
 * fl_spans_frontier: The frontier of a span, whether its region lives or what it
 * left behind when it died.
 */
char *fl_spans_frontier(const struct fl_block *span);

/* The trim hook: the spans of dead regions are as if never used. */
uint64_t fl_spans_trim(struct fl_heap *heap);

/* The geometry hook. */
void fl_spans_geometry(const struct fl_heap *heap, struct fl_geometry *out);

#endif
