/* SPDX-License-Identifier: MIT */
/*
 * The ranges end one page before the newest block does.
 * Caught by: ranges, overlap.
 */
#include "vm/blocks.h"

static size_t short_ranges(const struct fl_heap *heap, struct fl_range *out,
			   size_t max)
{
	size_t nr = fl_blocks_ranges(heap, out, max);

	if (max)
		out[0].bytes -= 4096;
	return nr;
}

#define NAME	"broken_forgets_page"
#define RANGES	short_ranges
#include "tests/conformance/base.h"
