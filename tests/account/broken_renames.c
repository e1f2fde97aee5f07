/* SPDX-License-Identifier: MIT */
/*
 * Calls its blocks a pool, where pages may come and go without an object.
 * Says: are declared as bookkeeping or as a pool.
 */
#include "vm/blocks.h"

static size_t renamed(const struct fl_heap *heap, struct fl_range *out, size_t max)
{
	size_t nr = fl_blocks_ranges(heap, out, max);

	for (size_t i = 0; i < nr; i++)
		if (out[i].kind == FL_RANGE_OBJECTS)
			out[i].kind = FL_RANGE_POOL;
	return nr;
}

#define NAME	"broken_renames"
#define RANGES	renamed
#include "tests/conformance/base.h"
