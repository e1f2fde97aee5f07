/* SPDX-License-Identifier: MIT */
/*
 * Gives pages back when it is asked where they are, and at no other time.
 * Says: while the strategy was asked for its ranges.
 */
#include "vm/blocks.h"

static size_t tidied(const struct fl_heap *heap, struct fl_range *out, size_t max)
{
	fl_blocks_trim((struct fl_heap *)heap);
	return fl_blocks_ranges(heap, out, max);
}

#define NAME	"broken_tidies"
#define RANGES	tidied
#include "tests/conformance/base.h"
