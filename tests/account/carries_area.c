/* SPDX-License-Identifier: MIT */
/*
 * carries_area.c: a strategy that carries an area of large arrays (faultline/large.h), and
 * declares it; with FORGETS it does not.  A block holds all small objects of the trace.
 */
#include <errno.h>
#include <stdio.h>

#define FL_LARGE_BYTES	4095u
#include "faultline/large.h"
#include "faultline/strategy.h"
#include "vm/chains.h"

#define BLOCK_BYTES	((size_t)64 << 20)

struct heap {
	struct fl_blocks blocks;
	struct fl_larges *area;
};

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p;

	if (fl_unlikely(bytes > FL_LARGE_BYTES)) {
		struct fl_chain_region *r = (struct fl_chain_region *)region;

		return fl_large_new(((struct heap *)r->heap)->area, region, n,
				    first_word);
	}
	p = fl_align_down(fl_below(cursor->bump, n), align);
	if (fl_unlikely(p < cursor->limit)) {
		*cursor = fl_chains_limited_refill(region, n);
		p = fl_align_down(fl_below(cursor->bump, n), align);
	}
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

static void strategy_region_reset(struct fl_region *region)
{
	fl_larges_bury(region);
	fl_chains_limited_reset(region);
}

static void strategy_region_destroy(struct fl_region *region)
{
	fl_larges_bury(region);
	fl_chains_region_destroy(region);
}

#define strategy_region_create	fl_chains_limited_create

#include "faultline/module.h"

static int carries_open(const struct fl_open_args *args, struct fl_heap **out)
{
	const struct fl_blocks_config config = {
		.block_bytes = BLOCK_BYTES, .access = FL_OPEN,
		.record_bytes = sizeof(struct fl_chain_region),
	};
	const struct fl_larges_config area = {
		.then = FL_LARGES_WARM, .keep_bytes = 1 << 20,
		.object_bytes_max = args->object_bytes_max,
	};
	int err = fl_blocks_open(args, &config, sizeof(struct heap), out);

	if (err)
		return err;
	err = fl_larges_open(&area, &((struct heap *)*out)->area);
	if (err)
		fl_blocks_close(*out);
	return err;
}

static void carries_close(struct fl_heap *heap)
{
	struct fl_larges *area = ((struct heap *)heap)->area;

	fl_blocks_close(heap);
	fl_larges_close(area);
}

static size_t carries_ranges(const struct fl_heap *heap, struct fl_range *out,
			     size_t max)
{
	size_t nr = fl_blocks_ranges(heap, out, max);

#ifndef FORGETS
	nr += fl_larges_ranges(((const struct heap *)heap)->area,
			       nr < max ? out + nr : NULL, nr < max ? max - nr : 0);
#endif
	return nr;
}

FL_STRATEGY(
	.name = "carries_area",
	.summary = "chained blocks, and an area for large arrays",
	.trigger = "branch",
	.answer = FL_ANSWER_BRANCH,
	.open = carries_open,
	.close = carries_close,
	.ranges = carries_ranges,
	.geometry = fl_chains_geometry,
);
