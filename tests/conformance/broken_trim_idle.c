/* SPDX-License-Identifier: MIT */
/*
 * Looks for a free block by the address where it ends, which is another's.
 * Caught by: trim-idle.
 */
#include "vm/blocks.h"
#include "vm/giveback.h"

static uint64_t trim_by_end(struct fl_heap *heap)
{
	struct fl_blocks *b = (struct fl_blocks *)heap;
	uint64_t bytes = 0;

	for (struct fl_block *free = b->free[0]; free; free = free->next) {
		const struct fl_block *block =
			fl_blocks_find(b, fl_block_top(free));

		fl_giveback_one(block->base, block->bytes, FL_GIVE_DONTNEED);
		bytes += block->bytes;
	}
	return bytes;
}

#define NAME	"broken_trim_idle"
#define TRIM	trim_by_end
#include "tests/conformance/base.h"
