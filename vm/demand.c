/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "vm/demand.h"

int fl_demand_open(const struct fl_open_args *args,
		   struct fl_blocks_config *config, size_t heap_bytes,
		   struct fl_heap **heap)
{
	struct fl_open_args unlimited = *args;

	if (args->limit_bytes && args->limit_bytes < config->block_bytes)
		config->block_bytes = args->limit_bytes;
	unlimited.limit_bytes = 0;
	config->handle = fl_demand_handle;
	config->record_bytes = sizeof(struct fl_demand_region);
	config->retain_spans = true;
	return fl_blocks_open(&unlimited, config, heap_bytes, heap);
}

static char *exhausted(struct fl_demand_region *region)
{
	struct fl_blocks *blocks = &region->heap->blocks;

	blocks->pub.events.nr_sinks++;
	region->pub.error = -ENOMEM;
	return fl_block_top(blocks->sink);
}

bool fl_demand_handle(void *owner, const struct fl_fault *fault)
{
	struct fl_demand *heap = owner;
	struct fl_blocks *blocks = &heap->blocks;
	char *bump = fl_block_top(blocks->sink);
	struct fl_overrun over;

	if (!fl_blocks_overrun(blocks, fault, &over))
		return false;
	if (fault->address >= over.block->base &&
	    (!heap->supplies || over.block == blocks->sink))
		return false;
	if (over.block != blocks->sink)
		bump = exhausted((struct fl_demand_region *)over.block->owner);
	fl_fault_redirect(fault, over.site, bump);
	return true;
}

struct fl_cursor fl_demand_large(struct fl_region *pub, struct fl_cursor cursor,
				 size_t bytes, size_t align, uint64_t first_word)
{
	struct fl_demand_region *region = (struct fl_demand_region *)pub;
	struct fl_demand *heap = region->heap;
	char *p = fl_align_down(cursor.bump - bytes, align);
	const bool fits = pub->error ? p >= heap->blocks.sink->base :
		p >= region->span->base &&
		(!heap->supplies || heap->supplies(cursor.bump, p));

	heap->blocks.pub.events.nr_large++;
	if (!fits)
		p = fl_align_down(exhausted(region) - bytes, align);
	cursor.bump = p;
	*(uint64_t *)(void *)p = first_word;
	return cursor;
}

int fl_demand_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct fl_demand *heap = (struct fl_demand *)pub;
	struct fl_demand_region *region = fl_record_take(&heap->blocks);
	int err = -ENOMEM;

	if (!region)
		return err;
	region->span = fl_blocks_take(&heap->blocks, 1, &region->pub);
	if (!region->span)
		goto give_record;
	/* The span's state says whether it was used before. */
	if (heap->ready_span && !region->span->state) {
		err = heap->ready_span(region->span);
		if (err)
			goto give_span;
		region->span->state = 1;
	}
	region->heap = heap;
	region->pub.events = &pub->events;
	region->pub.cursor.bump = fl_block_top(region->span);
	*out = &region->pub;
	return 0;

give_span:
	fl_blocks_give(&heap->blocks, region->span);
give_record:
	fl_record_give(&heap->blocks, region);
	return err;
}

/* After exhaustion the cursor is elsewhere: all was used. */
static void die(struct fl_demand_region *region)
{
	struct fl_blocks *b = &region->heap->blocks;
	char *const top = fl_block_top(region->span);
	const char *low = region->pub.error ? region->span->base :
					      region->pub.cursor.bump;

	fl_retain_dead(b->retain, fl_blocks_item(b, region->span), top,
		       (uint64_t)(top - low));
	fl_retain_death(b->retain);
}

/* A span that cannot be opened again is closed: the sink is what there is. */
static void use_again(struct fl_demand_region *region)
{
	struct fl_blocks *b = &region->heap->blocks;
	const int err = fl_retain_use(b->retain,
				      fl_blocks_item(b, region->span));

	if (err) {
		region->pub.cursor.bump = exhausted(region);
		region->pub.error = err;
	}
}

void fl_demand_region_reset(struct fl_region *pub)
{
	struct fl_demand_region *region = (struct fl_demand_region *)pub;

	if (region->heap->blocks.retain)
		die(region);
	pub->cursor.bump = fl_block_top(region->span);
	pub->error = 0;
	if (region->heap->blocks.retain)
		use_again(region);
}

void fl_demand_region_destroy(struct fl_region *pub)
{
	struct fl_demand_region *region = (struct fl_demand_region *)pub;

	if (region->heap->blocks.retain)
		die(region);
	fl_blocks_give(&region->heap->blocks, region->span);
	fl_record_give(&region->heap->blocks, region);
}

void fl_demand_geometry(const struct fl_heap *heap, struct fl_geometry *out)
{
	uint64_t span = ((const struct fl_demand *)heap)->blocks.block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = span, .block_bytes = span, .rearms = true,
	};
}
