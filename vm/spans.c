/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "vm/giveback.h"
#include "vm/spans.h"

int fl_spans_open(const struct fl_open_args *args,
		  struct fl_blocks_config *config, size_t heap_bytes,
		  struct fl_heap **heap)
{
	struct fl_open_args unlimited = *args;
	int err;

	unlimited.limit_bytes = 0;
	config->record_bytes = sizeof(struct fl_span_region);
	config->retain_spans = true;
	err = fl_blocks_open(&unlimited, config, heap_bytes, heap);
	if (!err)
		((struct fl_spans *)*heap)->limit_bytes = args->limit_bytes;
	return err;
}

/*
 * A signal handler that interrupted us may have forked, and the child is frozen
 * (fl_spans_freeze) when we go on in it.  Asked after the frontier has moved:
 * before, it was frozen by the old frontier; after, by the new one.
 */
fl_behind_fault
static bool is_frozen(const struct fl_spans *spans)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&spans->refusal, __ATOMIC_RELAXED);
}

/* Open from the frontier down to @lowest at least. */
fl_behind_fault
static int extend(struct fl_span_region *region, char *lowest)
{
	struct fl_spans *spans = region->heap;
	uint64_t room = (uint64_t)(region->frontier - region->span->base);
	uint64_t need, step = region->step_bytes;
	int err;

	if (lowest < region->span->base)
		return -ENOMEM;
	lowest -= (uintptr_t)lowest & (fl_page_bytes() - 1);
	need = (uint64_t)(region->frontier - lowest);
	step = step < need ? need : step;
	step = step < room ? step : room;
	if (spans->limit_bytes && step > spans->limit_bytes - spans->open_bytes)
		return -ENOMEM;
	err = spans->open_pages(spans, region->frontier - step, step);
	if (err)
		return err;
	region->frontier -= step;
	if (is_frozen(spans)) {
		/* A signal handler forked, and this is the child. */
		region->frontier += step;
		fl_protect(region->frontier - step, step, FL_CLOSED);
		return spans->refusal;
	}
	spans->open_bytes += step;
	if (spans->doubling && region->step_bytes < spans->step_bytes_max)
		region->step_bytes *= 2;
	return 0;
}

fl_behind_fault
bool fl_spans_extend(struct fl_spans *spans, char *address)
{
	const struct fl_block *block = fl_blocks_find(&spans->blocks, address);
	struct fl_span_region *region;

	if (!block || !block->owner)
		return false;
	region = (struct fl_span_region *)block->owner;
	if (address >= region->frontier ||
	    region->frontier - address > (ptrdiff_t)FL_GUARD_BYTES ||
	    extend(region, address))
		return false;
	spans->blocks.pub.events.nr_hits++;
	return true;
}

fl_behind_fault
bool fl_spans_usable(const struct fl_spans *spans, const char *address)
{
	const struct fl_block *block = fl_blocks_find(&spans->blocks, address);

	return block && block->owner && address < fl_block_top(block) &&
	       address >= ((const struct fl_span_region *)block->owner)->frontier;
}

static char *exhausted(struct fl_span_region *region)
{
	struct fl_blocks *blocks = &region->heap->blocks;
	const int refusal = region->heap->refusal;

	blocks->pub.events.nr_sinks++;
	region->pub.error = refusal ? refusal : -ENOMEM;
	return fl_block_top(blocks->sink);
}

bool fl_spans_redirect(struct fl_spans *spans, const struct fl_fault *fault)
{
	char *bump = fl_block_top(spans->blocks.sink);
	struct fl_overrun over;

	if (!fl_blocks_overrun(&spans->blocks, fault, &over))
		return false;
	if (over.block != spans->blocks.sink)
		bump = exhausted((struct fl_span_region *)over.block->owner);
	fl_fault_redirect(fault, over.site, bump);
	return true;
}

struct fl_cursor fl_spans_make_room(struct fl_region *pub,
				    struct fl_cursor cursor, size_t bytes,
				    size_t align)
{
	struct fl_span_region *region = (struct fl_span_region *)pub;
	struct fl_blocks *blocks = &region->heap->blocks;
	char *p = fl_align_down(cursor.bump - bytes, align);

	blocks->pub.events.nr_large++;
	if (pub->error ? p < blocks->sink->base : p < region->frontier) {
		if (!pub->error && !extend(region, p)) {
			blocks->pub.events.nr_refills++;
		} else {
			cursor.bump = exhausted(region);
			p = fl_align_down(cursor.bump - bytes, align);
		}
	}
	cursor.bump = p;
	return cursor;
}

struct fl_cursor fl_spans_large(struct fl_region *region,
				struct fl_cursor cursor, size_t bytes,
				size_t align, uint64_t first_word)
{
	cursor = fl_spans_make_room(region, cursor, bytes, align);
	*(uint64_t *)(void *)cursor.bump = first_word;
	return cursor;
}

/*
 * A span's state is 0 if it was never used; else how many pages its last region
 * left usable, and one.
 */
static uint64_t left_bytes(const struct fl_block *span)
{
	return span->state ? (span->state - 1) * fl_page_bytes() : 0;
}

char *fl_spans_frontier(const struct fl_block *span)
{
	if (span->owner)
		return ((const struct fl_span_region *)span->owner)->frontier;
	return fl_block_top(span) - left_bytes(span);
}

int fl_spans_region_create(struct fl_heap *heap, struct fl_region **out)
{
	struct fl_spans *spans = (struct fl_spans *)heap;
	struct fl_span_region *region;
	char *top;
	int err = -ENOMEM;

	if (spans->refusal)
		return spans->refusal;
	region = fl_record_take(&spans->blocks);
	if (!region)
		return err;
	region->span = fl_blocks_take(&spans->blocks, 1, &region->pub);
	if (!region->span)
		goto give_record;
	if (spans->ready_span && !region->span->state) {
		err = spans->ready_span(spans, region->span);
		if (err)
			goto give_span;
	}
	top = fl_block_top(region->span);
	region->heap = spans;
	region->step_bytes = spans->step_bytes;
	region->frontier = top - left_bytes(region->span);
	region->pub.events = &heap->events;
	region->pub.cursor.bump = top;
	*out = &region->pub;
	return 0;

give_span:
	fl_blocks_give(&spans->blocks, region->span);
give_record:
	fl_record_give(&spans->blocks, region);
	return err;
}

/* After exhaustion the cursor is elsewhere: all that is open was used. */
static void die(struct fl_span_region *region)
{
	struct fl_spans *spans = region->heap;
	struct fl_blocks *b = &spans->blocks;
	char *const top = fl_block_top(region->span);
	const char *low = spans->populates || region->pub.error ?
		region->frontier : region->pub.cursor.bump;

	fl_retain_dead(b->retain, fl_blocks_item(b, region->span), top,
		       (uint64_t)(top - low));
	fl_retain_death(b->retain);
}

static void rearm(struct fl_region *pub)
{
	struct fl_span_region *region = (struct fl_span_region *)pub;
	struct fl_spans *spans = region->heap;
	char *top = fl_block_top(region->span);
	const size_t bytes = (size_t)(top - region->frontier);

	if (spans->close_pages) {
		if (bytes &&
		    !spans->close_pages(spans, region->frontier, bytes)) {
			region->frontier = top;
			spans->open_bytes -= bytes;
			if (is_frozen(spans))
				fl_protect(top - bytes, bytes, FL_CLOSED);
		}
		region->step_bytes = spans->step_bytes;
	}
	pub->cursor.bump = top;
	pub->error = 0;
}

void fl_spans_region_reset(struct fl_region *pub)
{
	struct fl_span_region *region = (struct fl_span_region *)pub;
	struct fl_blocks *b = &region->heap->blocks;

	if (b->retain) {
		die(region);
		/* Spans allow no advice that would need opening: it works. */
		fl_retain_use(b->retain, fl_blocks_item(b, region->span));
	}
	rearm(pub);
}

void fl_spans_region_destroy(struct fl_region *pub)
{
	struct fl_span_region *region = (struct fl_span_region *)pub;
	struct fl_blocks *blocks = &region->heap->blocks;
	size_t bytes;

	if (blocks->retain)
		die(region);
	rearm(pub);
	bytes = (size_t)(fl_block_top(region->span) - region->frontier);
	region->span->state = (uint32_t)(bytes / fl_page_bytes()) + 1;
	fl_blocks_give(blocks, region->span);
	fl_record_give(blocks, region);
}

/* What a frozen heap opens, and how it closes. */
static int refuse_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	(void)base;
	(void)bytes;
	return spans->refusal;
}

static int drop_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	(void)spans;
	fl_giveback_one(base, bytes, FL_GIVE_DONTNEED);
	return fl_protect(base, bytes, FL_CLOSED);
}

void fl_spans_freeze(struct fl_spans *spans, int err)
{
	const struct fl_blocks *b = &spans->blocks;
	char *const first = fl_block_top(b->sink);
	char *const fresh = b->base + b->next_slot * b->stride_bytes;
	char *const end = b->base + b->bytes;
	int failed = 0;

	spans->refusal = err;
	spans->open_pages = refuse_pages;
	spans->return_pages = drop_pages;
	if (spans->close_pages)
		spans->close_pages = drop_pages;
	if (fresh < end)
		failed = fl_protect(fresh, (size_t)(end - fresh), FL_CLOSED);
	for (uint64_t i = 0; i < b->next_slot && !failed; i++) {
		const struct fl_block *span = &b->directory[i];

		if (!span->base || span == b->sink)
			continue;
		if (fl_spans_frontier(span) > span->base)
			failed = fl_protect(span->base, (size_t)
					    (fl_spans_frontier(span) - span->base),
					    FL_CLOSED);
	}
	if (failed)
		fl_protect(first, (size_t)(end - first), FL_CLOSED);
}

uint64_t fl_spans_trim(struct fl_heap *heap)
{
	struct fl_spans *spans = (struct fl_spans *)heap;
	uint64_t bytes = 0;

	/* Even a closed span may have kept its pages: all of it is returned. */
	for (struct fl_block *b = spans->blocks.free[0]; b; b = b->next) {
		if (spans->return_pages(spans, b->base, b->bytes))
			continue;
		spans->open_bytes -= left_bytes(b);
		bytes += b->bytes;
		b->state = 1;
	}
	if (spans->blocks.retain)
		fl_retain_forget(spans->blocks.retain);
	return bytes;
}

void fl_spans_geometry(const struct fl_heap *heap, struct fl_geometry *out)
{
	const struct fl_spans *spans = (const struct fl_spans *)heap;

	*out = (struct fl_geometry){
		.block_bytes = spans->blocks.block_bytes,
		.step_bytes = spans->step_bytes,
		.step_bytes_max = spans->step_bytes_max,
		.doubling = spans->doubling,
		.rearms = spans->close_pages != NULL,
	};
}
