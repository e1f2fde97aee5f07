/* SPDX-License-Identifier: MIT */
/*
 * segv_extend: one contiguous range per region, closed below a frontier.  The
 * store below the frontier raises SIGSEGV; the handler opens the next pages
 * with mprotect and the store goes on: the object stays where it is.
 *
 * The handler extends at any pc, because library calls may fill an object, but
 * only from the frontier down to what the largest object of a site can reach.
 * At the end of the range a declared site is sent to the sink; anything else is
 * a bug of the program and is passed on.
 */
#include <errno.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/giveback.h"

enum { SPAN, STEP, GROWTH, RESET };
enum { RESET_KEEP, RESET_REWIND, RESET_RETURN };

static const char *const growths[] = { "constant", "doubling", NULL };
static const char *const resets[] = { "keep", "rewind", "return", NULL };

static const struct fl_tunable tunables[] = {
	[SPAN] = {
		.name = "span", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "address space of a region",
		.def = 1 << 30, .min = 4 << 10, .max = (uint64_t)8 << 40,
	},
	[STEP] = {
		.name = "step", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages opened per fault, at least",
		.def = 16, .min = 1, .max = 1 << 18,
	},
	[GROWTH] = {
		.name = "growth", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "each step as large as the first, or twice the one before",
		.choices = growths,
	},
	[RESET] = {
		.name = "reset", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "at reset and destroy: keep what is open, close it with "
			"its pages kept (rewind), or close it and return them",
		.choices = resets,
	},
};

struct heap {
	struct fl_blocks blocks;
	uint64_t step_bytes;
	uint64_t limit_bytes, open_bytes;
	bool doubling;
	unsigned reset;
};

struct region {
	struct fl_region pub;
	struct heap *heap;
	struct fl_block *span;
	char *frontier;		/* lowest open address */
	uint64_t step_bytes;	/* of the next fault */
};

static fl_cold char *exhausted(struct region *region)
{
	struct fl_blocks *blocks = &region->heap->blocks;

	blocks->pub.events.nr_sinks++;
	region->pub.error = -ENOMEM;
	return fl_block_top(blocks->sink);
}

/* Open pages from the frontier down to @lowest at least.  Runs in the handler. */
static fl_cold int extend(struct region *region, char *lowest)
{
	struct heap *heap = region->heap;
	uint64_t room = (uint64_t)(region->frontier - region->span->base);
	uint64_t need, step = region->step_bytes;
	int err;

	if (lowest < region->span->base)
		return -ENOMEM;
	lowest -= (uintptr_t)lowest & (fl_page_bytes() - 1);
	need = (uint64_t)(region->frontier - lowest);
	step = step < need ? need : step;
	step = step < room ? step : room;
	if (heap->limit_bytes && step > heap->limit_bytes - heap->open_bytes)
		return -ENOMEM;
	err = fl_protect(region->frontier - step, step, FL_OPEN);
	if (err)
		return err;
	region->frontier -= step;
	heap->open_bytes += step;
	if (heap->doubling && region->step_bytes < ((uint64_t)1 << 30))
		region->step_bytes *= 2;
	return 0;
}

/* An object above the guard's size, which the handler would not extend to. */
static fl_cold struct fl_cursor segv_extend_large(struct fl_region *pub,
						  struct fl_cursor cursor,
						  size_t bytes, size_t align,
						  uint64_t first_word)
{
	struct region *region = (struct region *)pub;
	struct heap *heap = region->heap;
	char *p = fl_align_down(cursor.bump - bytes, align);

	heap->blocks.pub.events.nr_large++;
	if (pub->error ? p < heap->blocks.sink->base : p < region->frontier) {
		if (!pub->error && !extend(region, p)) {
			heap->blocks.pub.events.nr_refills++;
		} else {
			cursor.bump = exhausted(region);
			p = fl_align_down(cursor.bump - bytes, align);
		}
	}
	cursor.bump = p;
	*(uint64_t *)(void *)p = first_word;
	return cursor;
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = segv_extend_large(region, *cursor, n, align,
					    first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

static bool segv_extend_handle(void *owner, const struct fl_fault *fault)
{
	struct fl_blocks *blocks = owner;
	const struct fl_block *block = fl_blocks_find(blocks, fault->address);
	char *bump = fl_block_top(blocks->sink);
	struct fl_overrun over;

	if (block && block->owner) {
		struct region *region = (struct region *)block->owner;

		if (fault->address < region->frontier &&
		    region->frontier - fault->address <= FL_GUARD_BYTES &&
		    !extend(region, fault->address)) {
			blocks->pub.events.nr_hits++;
			return true;
		}
	}
	if (!fl_blocks_overrun(blocks, fault, &over))
		return false;
	if (over.block != blocks->sink)
		bump = exhausted((struct region *)over.block->owner);
	fl_fault_redirect(fault, over.site, bump);
	return true;
}

/* A span remembers, in pages, how far the region before it had opened it. */
static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct heap *heap = (struct heap *)pub;
	struct region *region = fl_record_take(&heap->blocks);
	char *top;

	if (!region)
		return -ENOMEM;
	region->span = fl_blocks_take(&heap->blocks, 1, &region->pub);
	if (!region->span) {
		fl_record_give(&heap->blocks, region);
		return -ENOMEM;
	}
	top = fl_block_top(region->span);
	region->heap = heap;
	region->step_bytes = heap->step_bytes;
	region->frontier = top - region->span->state * fl_page_bytes();
	region->pub.events = &pub->events;
	region->pub.cursor.bump = top;
	*out = &region->pub;
	return 0;
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;
	struct heap *heap = region->heap;
	char *top = fl_block_top(region->span), *frontier = region->frontier;
	const size_t bytes = (size_t)(top - frontier);

	if (heap->reset != RESET_KEEP && bytes) {
		if (heap->reset == RESET_RETURN)
			fl_giveback_one(frontier, bytes, FL_GIVE_DONTNEED);
		if (!fl_protect(frontier, bytes, FL_CLOSED)) {
			region->frontier = top;
			heap->open_bytes -= bytes;
		}
		region->step_bytes = heap->step_bytes;
	}
	pub->cursor.bump = top;
	pub->error = 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	strategy_region_reset(pub);
	region->span->state = (uint32_t)((size_t)(fl_block_top(region->span) -
				region->frontier) / fl_page_bytes());
	fl_blocks_give(&region->heap->blocks, region->span);
	fl_record_give(&region->heap->blocks, region);
}

#include "faultline/module.h"

static int segv_extend_open(const struct fl_open_args *args,
			    struct fl_heap **out)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[SPAN],
		.guard_bytes = FL_GUARD_BYTES,
		.access = FL_CLOSED,
		.record_bytes = sizeof(struct region),
		.handle = segv_extend_handle,
		FL_MODULE_SITES,
	};
	struct fl_open_args unlimited = *args;
	struct fl_heap *pub;
	struct heap *heap;
	int err;

	/* The limit is on what is open, not on the address space of spans. */
	unlimited.limit_bytes = 0;
	err = fl_blocks_open(&unlimited, &config, sizeof(*heap), &pub);
	if (err)
		return err;
	heap = (struct heap *)pub;
	heap->step_bytes = args->values[STEP] * fl_page_bytes();
	heap->limit_bytes = args->limit_bytes;
	heap->doubling = args->values[GROWTH];
	heap->reset = (unsigned)args->values[RESET];
	*out = pub;
	return 0;
}

static void segv_extend_geometry(const struct fl_heap *pub,
				 struct fl_geometry *out)
{
	const struct heap *heap = (const struct heap *)pub;

	*out = (struct fl_geometry){
		.block_bytes = heap->blocks.block_bytes,
		.step_bytes = heap->step_bytes,
		.step_bytes_max = (uint64_t)1 << 30,
		.doubling = heap->doubling,
		.rearms = heap->reset != RESET_KEEP,
	};
}

FL_STRATEGY(
	.name = "segv_extend",
	.summary = "one contiguous range per region; SIGSEGV moves an mprotect frontier",
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_EXTEND,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.open = segv_extend_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = segv_extend_geometry,
	.trim = fl_blocks_trim,
);
