/* SPDX-License-Identifier: MIT */
/*
 * Says of half of its blocks that they are not its own.
 * Says: are not resident in any range.
 */
#include "vm/blocks.h"

static size_t half(const struct fl_heap *heap, struct fl_range *out, size_t max)
{
	size_t nr = fl_blocks_ranges(heap, out, max);

	out[0].bytes = fl_page_round(out[0].bytes / 2);
	return nr;
}

#define NAME	"broken_short"
#define RANGES	half
#include "tests/conformance/base.h"
