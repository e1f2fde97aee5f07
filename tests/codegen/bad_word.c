/* SPDX-License-Identifier: MIT */
/*
 * Half of the first word is stored.
 */
#include "bad.h"

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(cursor->bump - n, align);

	if (fl_unlikely(p < cursor->limit)) {
		*cursor = bad_refill(region, n);
		p = fl_align_down(cursor->bump - n, align);
	}
	cursor->bump = p;
	*(uint32_t *)(void *)p = (uint32_t)first_word;
	return p;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_word");
