/* SPDX-License-Identifier: MIT */
/*
 * An allocator behind a call: what every strategy must not be.
 */
#include "bad.h"

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	(void)align;
	*cursor = bad_refill(region, fl_object_bytes(bytes));
	*(uint64_t *)(void *)cursor->bump = first_word;
	return cursor->bump;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_call");
