/* SPDX-License-Identifier: MIT */
/*
 * Lends the low end of its block and goes on allocating there.
 * Caught by: builder, read.
 */
#include <errno.h>

#include "faultline/strategy.h"

static int lend(struct fl_region *region, uint64_t bytes, size_t align,
		struct fl_chunk *chunk)
{
	char *base = fl_align_up(region->cursor.limit, align);

	if (base + bytes > region->cursor.bump)
		return -ENOMEM;
	chunk->base = base;
	chunk->bytes = bytes;
	return 0;
}

static int lend_more(struct fl_region *region, struct fl_chunk *chunk,
		     uint64_t bytes)
{
	if (chunk->base + bytes > region->cursor.bump)
		return -ENOSPC;
	chunk->bytes = bytes;
	return 0;
}

static void take_back(struct fl_region *region, const struct fl_chunk *chunk,
		      uint64_t used)
{
	(void)region;
	(void)chunk;
	(void)used;
}

#define NAME	"broken_chunk"
#define MORE_OF_THE_TABLE						\
	.chunk_take = lend, .chunk_grow = lend_more,			\
	.chunk_give = take_back, .chunk_rest_serves = true,
#include "tests/conformance/base.h"
