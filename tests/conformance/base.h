/* SPDX-License-Identifier: MIT */
/*
 * base.h: a sound strategy, and the places where it can be broken.
 *
 * sound.c compiles it as it is.  Each broken_*.c defines NAME and one or two of
 * the macros below before it includes this, and says in its head which checks
 * of `faultline conform` must catch it; broken.test holds them to that.
 *
 * It bumps chained blocks downwards.  With FAULTS defined there is no compare:
 * blocks have guards, and a handler redirects.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/giveback.h"

#define BLOCK_BYTES	((size_t)64 << 10)

/* Where an object goes, and where the block is free after it. */
#ifndef PLACE
#define PLACE(bump, n, align)	fl_align_down((bump) - (n), align)
#endif
#ifndef NEXT
#define NEXT(p, n)		(p)
#endif

#ifndef STORE
#define STORE(p, word)		(*(uint64_t *)(void *)(p) = (word))
#endif

/* The cursor that is used: the kernel's copy. */
#ifndef CURSOR
#define CURSOR(region, copy)	(copy)
#endif

/* The heap that serves a region. */
#ifndef HEAP_OF
#define HEAP_OF(region)		((region)->heap)
#endif

/* What is done when memory is exhausted, and when it is supplied. */
#ifndef EXHAUSTED
#define EXHAUSTED(pub)		((pub)->error = -ENOMEM)
#endif
#ifndef COUNT
#define COUNT(heap, block)	((heap)->pub.events.nr_refills++)
#endif
#ifndef AT_REFILL
#define AT_REFILL(region, block)
#endif

/* What else is done at these occasions; statements. */
#ifndef AT_OPEN
#define AT_OPEN()
#endif
#ifndef AT_CLOSE
#define AT_CLOSE()
#endif
#ifndef AT_CREATE
#define AT_CREATE(heap, out)
#endif
#ifndef AT_RESET
#define AT_RESET(region)
#endif
#ifndef AT_FAULT
#define AT_FAULT(heap, fault)
#endif

#ifndef GIVE_RECORD
#define GIVE_RECORD(heap, region) fl_record_give(heap, region)
#endif

/* Hooks. */
#ifndef RANGES
#define RANGES			fl_blocks_ranges
#endif
#ifndef TRIM
#define TRIM			fl_blocks_trim
#endif

struct region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *newest;	/* the chain, newest block first */
	struct fl_block *first;		/* its end, which is kept */
};

static struct fl_cursor whole_block(const struct fl_block *block)
{
	return (struct fl_cursor){
		.bump = fl_block_top(block), .limit = block->base,
	};
}

static struct fl_block *take(struct fl_region *pub, size_t bytes)
{
	struct region *region = (struct region *)pub;
	struct fl_blocks *heap = HEAP_OF(region);
	struct fl_block *block = fl_blocks_take(heap, bytes, pub);

	if (!block) {
		heap->pub.events.nr_sinks++;
		EXHAUSTED(pub);
		return heap->sink;
	}
	AT_REFILL(region, block);
	heap->pub.events.nr_large += block->order > 0;
	block->next = region->newest;
	region->newest = block;
	return block;
}

static fl_cold struct fl_cursor refill(struct fl_region *pub, size_t bytes)
{
	struct fl_blocks *heap = HEAP_OF((struct region *)pub);
	struct fl_block *block = take(pub, bytes);

	if (block != heap->sink)
		COUNT(heap, block);
	return whole_block(block);
}

#ifdef FAULTS

static fl_cold struct fl_cursor new_large(struct fl_region *pub,
					  struct fl_cursor cursor, size_t bytes,
					  size_t align, uint64_t first_word)
{
	struct region *region = (struct region *)pub;
	const struct fl_block *block = pub->error ?
		region->heap->sink : region->newest;

	/* An exhausted region stays in the sink, or block would be wrong. */
	if (fl_align_down(cursor.bump - bytes, align) < block->base)
		cursor = pub->error ? whole_block(block) : refill(pub, bytes);
	cursor.bump = fl_align_down(cursor.bump - bytes, align);
	STORE(cursor.bump, first_word);
	return cursor;
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = new_large(region, *cursor, n, align, first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

static bool handle(void *owner, const struct fl_fault *fault)
{
	struct fl_blocks *heap = owner;
	struct fl_overrun over;
	struct fl_block *next = heap->sink;

	AT_FAULT(heap, fault);
	if (!fl_blocks_overrun(heap, fault, &over) ||
	    fault->address >= over.block->base)
		return false;
	if (over.block != heap->sink)
		next = take(over.block->owner, over.bytes);
	heap->pub.events.nr_hits += next != heap->sink;
	fl_fault_redirect(fault, over.site, fl_block_top(next));
	return true;
}

#else

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *copy,
			  size_t bytes, size_t align, uint64_t first_word)
{
	struct fl_cursor *cursor = CURSOR(region, copy);
	const size_t n = fl_object_bytes(bytes);
	char *p = PLACE(cursor->bump, n, align);

	(void)copy;
	if (fl_unlikely(p < cursor->limit)) {
		*cursor = refill(region, n);
		p = PLACE(cursor->bump, n, align);
	}
	cursor->bump = NEXT(p, n);
	STORE(p, first_word);
	return p;
}

#endif

static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct fl_blocks *heap = (struct fl_blocks *)pub;
	struct region *region = fl_record_take(heap);

	AT_CREATE(heap, out);
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
	region->pub.cursor = whole_block(region->first);
	*out = &region->pub;
	return 0;
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	while (region->newest != region->first) {
		struct fl_block *block = region->newest;

		region->newest = block->next;
		fl_blocks_give(region->heap, block);
	}
	AT_RESET(region);
	pub->cursor = whole_block(region->first);
	pub->error = 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	GIVE_RECORD(region->heap, region);
}

#include "faultline/module.h"

static int base_open(const struct fl_open_args *args, struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = BLOCK_BYTES,
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
#ifdef FAULTS
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE,
		.handle = handle,
		FL_MODULE_SITES,
#endif
	};
	int err = fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);

	if (err)
		return err;
	AT_OPEN();
	return 0;
}

static void base_close(struct fl_heap *heap)
{
	AT_CLOSE();
	fl_blocks_close(heap);
}

static void base_geometry(const struct fl_heap *heap, struct fl_geometry *out)
{
	(void)heap;
	*out = (struct fl_geometry){
		.start_bytes = BLOCK_BYTES, .block_bytes = BLOCK_BYTES,
		.rearms = true,
	};
}

FL_STRATEGY(
	.name = NAME,
	.summary = "for the tests of the conformance suite",
#ifdef FAULTS
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_REDIRECT,
#else
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
#endif
	.open = base_open,
	.close = base_close,
	.ranges = RANGES,
	.geometry = base_geometry,
	.trim = TRIM,
	.large_block_bytes = fl_blocks_usable,
#ifdef MORE_OF_THE_TABLE
	MORE_OF_THE_TABLE
#endif
);
