/* SPDX-License-Identifier: MIT */
/*
 * segv_redirect: blocks with a guard below each; no compare at the site.  The
 * object that does not fit stores its first word into the guard, SIGSEGV is
 * delivered, and the handler gives the interrupted site another block's top as
 * its bump and restarts it: the object lands in the other block.  The kernel
 * maps nothing, and no page of a guard ever becomes resident.
 *
 * The handler acts only on a guard of its own heap, below the block whose
 * region is alive, at a declared site; anything else is somebody's bug and goes
 * on to be reported as one.
 */
#include <errno.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"

enum { BLOCK, GUARD };

static const char *const guards[] = { "prot_none", "madvise", NULL };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 1 << 20, .min = 4 << 10, .max = 1 << 30,
	},
	[GUARD] = {
		.name = "guard", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what a guard is made of (madvise: Linux 6.13)",
		.choices = guards,
	},
};

struct region {
	struct fl_region pub;
	struct fl_blocks *heap;
	struct fl_block *newest;	/* the chain, newest block first */
	struct fl_block *first;		/* its end: the block that is kept */
};

/*
 * Another block for @region, with room for @bytes; the sink when there is
 * none, and from then on until the reset, so that where the cursor is can be
 * told from the error.  Runs in the handler, too.
 */
static fl_cold struct fl_block *next_block(struct region *region, uint64_t bytes)
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

/*
 * An object above the guard would jump over it, so it comes here by the size
 * test of its site.  If it fits what is left it goes there; otherwise it gets a
 * block, which is its region's block from then on.
 */
static fl_cold struct fl_cursor segv_redirect_large(struct fl_region *pub,
						    struct fl_cursor cursor,
						    size_t bytes, size_t align,
						    uint64_t first_word)
{
	struct region *region = (struct region *)pub;
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

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = segv_redirect_large(region, *cursor, n, align,
					      first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

static bool segv_redirect_handle(void *owner, const struct fl_fault *fault)
{
	struct fl_blocks *heap = owner;
	struct fl_overrun over;
	struct fl_block *next = heap->sink;

	if (!fl_blocks_overrun(heap, fault, &over) ||
	    fault->address >= over.block->base)
		return false;
	if (over.block != heap->sink)
		next = next_block((struct region *)over.block->owner,
				  over.bytes);
	heap->pub.events.nr_hits += next != heap->sink;
	fl_fault_redirect(fault, over.site, fl_block_top(next));
	return true;
}

static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct fl_blocks *heap = (struct fl_blocks *)pub;
	struct region *region = fl_record_take(heap);

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

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	while (region->newest != region->first) {
		struct fl_block *block = region->newest;

		region->newest = block->next;
		fl_blocks_give(region->heap, block);
	}
	pub->cursor.bump = fl_block_top(region->first);
	pub->error = 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	fl_blocks_give_chain(region->heap, region->newest);
	fl_record_give(region->heap, region);
}

#include "faultline/module.h"

static enum fl_guard_kind guard_kind(const uint64_t *values)
{
	return values[GUARD] ? FL_GUARD_MADVISE : FL_GUARD_PROT_NONE;
}

static int segv_redirect_probe(const uint64_t *values, char *reason,
			       size_t reason_bytes)
{
	int err = fl_guard_probe(guard_kind(values));

	if (err)
		snprintf(reason, reason_bytes,
			 "this kernel refuses guard=%s pages: %s",
			 guards[values[GUARD]], strerror(-err));
	return err;
}

static int segv_redirect_open(const struct fl_open_args *args,
			      struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = guard_kind(args->values),
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
		.handle = segv_redirect_handle,
		FL_MODULE_SITES,
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

static void segv_redirect_geometry(const struct fl_heap *heap,
				   struct fl_geometry *out)
{
	uint64_t block = ((const struct fl_blocks *)heap)->block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = block, .block_bytes = block, .rearms = true,
	};
}

FL_STRATEGY(
	.name = "segv_redirect",
	.summary = "guarded blocks; the fault sends the object to another block",
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_REDIRECT,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = segv_redirect_probe,
	.open = segv_redirect_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = segv_redirect_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
);
