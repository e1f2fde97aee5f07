/* SPDX-License-Identifier: MIT */
/*
 * A call now and then that has nothing to do with the end of the block.
 */
#include "bad.h"

void bad_statistics(uint64_t word);

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(cursor->bump - n, align);

	if (fl_unlikely(p < cursor->limit)) {
		*cursor = bad_refill(region, n);
		p = fl_align_down(cursor->bump - n, align);
	}
	if (fl_unlikely((first_word & 1023) == 0))
		bad_statistics(first_word);
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_sometimes");
