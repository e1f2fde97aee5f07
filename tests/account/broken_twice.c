/* SPDX-License-Identifier: MIT */
/*
 * Declares its blocks a second time, as its bookkeeping.
 * Says: two ranges that the strategy declares overlap.
 */
#include "vm/blocks.h"

static size_t twice(const struct fl_heap *heap, struct fl_range *out, size_t max)
{
	size_t nr = fl_blocks_ranges(heap, out, max);

	if (nr && nr < max) {
		out[nr] = out[0];
		out[nr].kind = FL_RANGE_METADATA;
	}
	return nr + 1;
}

#define NAME	"broken_twice"
#define RANGES	twice
#include "tests/conformance/base.h"
