/* SPDX-License-Identifier: MIT */
/*
 * demand_zero: one contiguous read-write range per region, reserved and not
 * backed; the kernel's own demand-zero fault maps the next page.  No check, no
 * handler, one VMA: the contiguous baseline, and the notes' leak (claim N1):
 * pages that a long lifetime touched stay with the range unless it is told to
 * give them back.
 *
 * Only the far end has a guard and a handler, so that exhaustion is an error
 * and not a crash.
 */
#include <errno.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/giveback.h"

enum { SPAN, RESET };
enum { RESET_KEEP, RESET_RETURN };

static const char *const resets[] = { "keep", "return", NULL };

static const struct fl_tunable tunables[] = {
	[SPAN] = {
		.name = "span", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "address space of a region",
		.def = 1 << 30, .min = 4 << 10, .max = (uint64_t)4 << 40,
	},
	[RESET] = {
		.name = "reset", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "pages at reset and destroy: keep them, or return them",
		.choices = resets,
	},
};

struct heap {
	struct fl_blocks blocks;
	bool returns;
};

struct region {
	struct fl_region pub;
	struct heap *heap;
	struct fl_block *span;
};

static fl_cold char *exhausted(struct region *region)
{
	struct fl_blocks *blocks = &region->heap->blocks;

	blocks->pub.events.nr_sinks++;
	region->pub.error = -ENOMEM;
	return fl_block_top(blocks->sink);
}

/* An object above the guard's size, which could jump over it. */
static fl_cold struct fl_cursor demand_zero_large(struct fl_region *pub,
						  struct fl_cursor cursor,
						  size_t bytes, size_t align,
						  uint64_t first_word)
{
	struct region *region = (struct region *)pub;
	const struct fl_block *block = pub->error ?
		region->heap->blocks.sink : region->span;

	region->heap->blocks.pub.events.nr_large++;
	if (fl_align_down(cursor.bump - bytes, align) < block->base)
		cursor.bump = exhausted(region);
	cursor.bump = fl_align_down(cursor.bump - bytes, align);
	*(uint64_t *)(void *)cursor.bump = first_word;
	return cursor;
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = demand_zero_large(region, *cursor, n, align,
					    first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

static bool demand_zero_handle(void *owner, const struct fl_fault *fault)
{
	struct fl_blocks *blocks = owner;
	struct fl_overrun over;
	char *bump = fl_block_top(blocks->sink);

	if (!fl_blocks_overrun(blocks, fault, &over) ||
	    fault->address >= over.block->base)
		return false;
	if (over.block != blocks->sink)
		bump = exhausted((struct region *)over.block->owner);
	fl_fault_redirect(fault, over.site, bump);
	return true;
}

static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct heap *heap = (struct heap *)pub;
	struct region *region = fl_record_take(&heap->blocks);

	if (!region)
		return -ENOMEM;
	region->span = fl_blocks_take(&heap->blocks, 1, &region->pub);
	if (!region->span) {
		fl_record_give(&heap->blocks, region);
		return -ENOMEM;
	}
	region->heap = heap;
	region->pub.events = &pub->events;
	region->pub.cursor.bump = fl_block_top(region->span);
	*out = &region->pub;
	return 0;
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;
	char *top = fl_block_top(region->span), *lowest;

	if (region->heap->returns) {
		/* After exhaustion the cursor is elsewhere: all was used. */
		lowest = pub->error ? region->span->base : pub->cursor.bump;
		lowest -= (uintptr_t)lowest & (fl_page_bytes() - 1);
		if (lowest < top)
			fl_giveback_one(lowest, (size_t)(top - lowest),
					FL_GIVE_DONTNEED);
	}
	pub->cursor.bump = top;
	pub->error = 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	strategy_region_reset(pub);
	fl_blocks_give(&region->heap->blocks, region->span);
	fl_record_give(&region->heap->blocks, region);
}

/* The kernel serves the fault and tells nobody: count pages entered. */
#define strategy_slow_seq(region, cursor) \
	((void)(region), (uintptr_t)(cursor)->bump >> 12)

#include "faultline/module.h"

static int demand_zero_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	const uint64_t span = args->values[SPAN];
	const struct fl_blocks_config config = {
		.block_bytes = args->limit_bytes && args->limit_bytes < span ?
			       args->limit_bytes : span,
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE,
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
		.handle = demand_zero_handle,
		FL_MODULE_SITES,
	};
	struct fl_open_args unlimited = *args;
	int err;

	/* The limit is each span's size, not a number of spans. */
	unlimited.limit_bytes = 0;
	err = fl_blocks_open(&unlimited, &config, sizeof(struct heap), heap);
	if (!err)
		((struct heap *)*heap)->returns =
			args->values[RESET] == RESET_RETURN;
	return err;
}

static void demand_zero_geometry(const struct fl_heap *heap,
				 struct fl_geometry *out)
{
	uint64_t span = ((const struct heap *)heap)->blocks.block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = span, .block_bytes = span, .rearms = true,
	};
}

FL_STRATEGY(
	.name = "demand_zero",
	.summary = "one contiguous range per region; the kernel maps the next page",
	.trigger = "kernel fault",
	.answer = FL_ANSWER_EXTEND,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.open = demand_zero_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = demand_zero_geometry,
	.trim = fl_blocks_trim,
);
