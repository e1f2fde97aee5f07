/* SPDX-License-Identifier: MIT */
/*
 * Gives back the pages of all blocks, not of the free ones alone.
 * Caught by: trim.
 */
#include "vm/blocks.h"
#include "vm/giveback.h"

static uint64_t trim_all(struct fl_heap *heap)
{
	struct fl_blocks *b = (struct fl_blocks *)heap;

	fl_giveback_one(b->base, b->next_slot * b->stride_bytes,
			FL_GIVE_DONTNEED);
	return b->next_slot * b->stride_bytes;
}

#define NAME	"broken_trim"
#define TRIM	trim_all
#include "tests/conformance/base.h"
