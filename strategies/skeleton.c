/* SPDX-License-Identifier: MIT */
/*
 * skeleton: a strategy to start from.  It works, it passes conformance, and it
 * is as plain as can be: one block after the other, objects bumped downwards, a
 * compare at each allocation.  Copy it, rename it, and replace what is yours:
 *
 *	sed 's/skeleton/mine/g' strategies/skeleton.c > strategies/mine.c
 *	echo 'pkglib_LTLIBRARIES += %D%/mine.la' >> strategies/local.mk
 *
 * That is all: `faultline list`, conformance, the codegen test and campaigns
 * find it.  Outside the tree, compile it with what pkg-config faultline says
 * and pass it with --module (docs/adding-a-strategy.md).
 *
 * The top of a strategy's file says what answers "the block is full", why
 * anybody would want that, and where the idea comes from.
 */

/* libc and kernel headers first, then the contract, then vm/.  Nothing of
 * harness/, and no other strategy. */
#include <errno.h>

#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/loans.h"

/*
 * Tunables: what a user may change with --set.  Declared with unit, default and
 * range; the harness checks values before open() sees them.  Index them with an
 * enum, in the order of the table.  Optional.
 */
enum { BLOCK };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

/*
 * The region.  Its first member is what kernels and harness see of it.  The
 * heap here is struct fl_blocks itself; a strategy with more to remember puts
 * it first in a struct of its own, as uffd_rw does.
 */
struct region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *newest;
};

/*
 * The slow path: cold and out of line (the codegen test allows hot loops no other
 * call).  Takes what it needs by value and returns the cursor by value, so that
 * kernels can keep it in registers.
 *
 * It never fails.  When memory is exhausted it hands out the sink and sets
 * region->error; the kernel reports that after its loop.  Count what you do:
 * nr_refills (or nr_hits, in a fault handler) once for each time memory was
 * supplied; the harness computes how often that must have been.
 */
static fl_cold struct fl_cursor skeleton_refill(struct fl_region *pub,
						size_t bytes)
{
	struct region *region = (struct region *)pub;
	struct fl_blocks *heap = region->heap;
	struct fl_block *block = fl_blocks_take(heap, bytes, pub);

	if (block) {
		heap->pub.events.nr_refills++;
		heap->pub.events.nr_large += block->order > 0;
		block->next = region->newest;
		region->newest = block;
	} else {
		heap->pub.events.nr_sinks++;
		pub->error = -ENOMEM;
		block = heap->sink;
	}
	return (struct fl_cursor){
		.bump = fl_block_top(block), .limit = block->base,
	};
}

/*
 * REQUIRED.  The fast path, inlined into every kernel: allocate @bytes aligned
 * to @align (a constant) and store @first_word as the object's first word.
 *
 * @bytes is what the program asked for, 0 included: round it with
 * fl_object_bytes.  Read and write @cursor, never region->cursor: the kernel may
 * keep it in registers.  A fault-driven strategy calls fl_site_new instead of
 * comparing (faultline/site.h; segv_redirect.c shows how).
 */
fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(fl_below(cursor->bump, n), align);

	if (fl_unlikely(p < cursor->limit)) {
		*cursor = skeleton_refill(region, n);
		p = fl_align_down(fl_below(cursor->bump, n), align);
	}
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

/* A cursor without room; its addresses must still be comparable ones. */
static struct fl_cursor no_block(const struct fl_blocks *heap)
{
	return (struct fl_cursor){
		.bump = heap->sink->base, .limit = heap->sink->base,
	};
}

/*
 * REQUIRED.  An empty region, ready to allocate from.  Called between runs and,
 * by the kernels nest and replay, inside them: cheap, please.  0, or -ENOMEM
 * when nr_regions_max regions are alive or there is no memory.
 * Set pub.events to the heap's events, and pub.cursor.
 */
static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct fl_blocks *heap = (struct fl_blocks *)pub;
	struct region *region = fl_record_take(heap);

	if (!region)
		return -ENOMEM;
	region->heap = heap;
	region->pub.events = &heap->pub.events;
	region->pub.cursor = no_block(heap);
	fl_loan_from_gap(&region->pub, heap, FL_GAP_BELOW_BUMP);
	*out = &region->pub;
	return 0;
}

/*
 * REQUIRED.  Every object of the region dies; it can be allocated from again,
 * its error cleared.
 */
static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	region->newest = NULL;
	pub->cursor = no_block(region->heap);
	pub->error = 0;
}

/* REQUIRED.  Every object dies and the region with them; not NULL. */
static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	fl_record_give(region->heap, region);
}

/* The kernels, compiled around strategy_new.  The last include. */
static int skeleton_chunk_take(struct fl_region *pub, uint64_t bytes,
			size_t align, struct fl_chunk *chunk)
{
	struct region *region = (struct region *)pub;

	return fl_loan_take_down(pub, region->heap, &region->newest, bytes, align,
				 chunk);
}

static void skeleton_chunk_give(struct fl_region *pub,
			const struct fl_chunk *chunk, uint64_t used)
{
	struct region *region = (struct region *)pub;

	fl_loan_give_down(pub, region->heap, &region->newest, chunk, used);
}

#include "faultline/module.h"

/*
 * OPTIONAL.  Before open(): can the running kernel do this, with our privileges
 * and these tunables?  Really try; 0, or -errno with one line that says why not
 * and what would help.  Never fall back to something else instead.
 */
static int skeleton_probe(const uint64_t *values, char *reason,
			  size_t reason_bytes)
{
	(void)values;
	if (fl_page_bytes() > 4096) {
		snprintf(reason, reason_bytes,
			 "pages are %zu bytes here, and blocks may be 4096",
			 fl_page_bytes());
		return -ENOTSUP;
	}
	return 0;
}

/*
 * REQUIRED.  Reserve addresses, install handlers, make the heap.  *heap is
 * written only on success, and everything is undone on failure.  args says what
 * the run is going to need.
 */
static int skeleton_open(const struct fl_open_args *args, struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

/*
 * REQUIRED.  How often the slow path must run (struct fl_geometry); every sample
 * is checked against it.
 */
static void skeleton_geometry(const struct fl_heap *heap,
			      struct fl_geometry *out)
{
	*out = (struct fl_geometry){
		.start_bytes = 0,	/* what a new region holds already */
		.block_bytes = ((const struct fl_blocks *)heap)->block_bytes,
		.rearms = true,		/* and a reset one again */
	};
}

/* One symbol leaves the module: this table.  The name is the file's stem. */
FL_STRATEGY(
	.name = "skeleton",
	.summary = "the commented example: chained blocks and a compare",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = skeleton_probe,
	.open = skeleton_open,
	/* REQUIRED.  Destroy all regions, restore handlers, free the heap. */
	.close = fl_blocks_close,
	/* REQUIRED.  Every range a page of this heap may be in. */
	.ranges = fl_blocks_ranges,
	.geometry = skeleton_geometry,
	/* OPTIONAL.  Give back what holds nothing; returns the bytes. */
	.trim = fl_blocks_trim,
	/* OPTIONAL.  The block an object above block_bytes gets. */
	.large_block_bytes = fl_blocks_usable,
	/* OPTIONAL.  Lend memory to builders and reads. */
	.chunk_take = skeleton_chunk_take,
	.chunk_grow = fl_loan_grow_down,
	.chunk_give = skeleton_chunk_give,
	.chunk_rest_serves = true,
);
