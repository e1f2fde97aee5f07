/* SPDX-License-Identifier: MIT */
/*
 * A slow path that takes the cursor by its address: then it cannot live in
 * registers, whatever the residence says.
 */
#include "bad.h"

fl_cold void bad_escape(struct fl_region *region, struct fl_cursor *cursor,
			size_t bytes);

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(cursor->bump - n, align);

	if (fl_unlikely(p < cursor->limit)) {
		bad_escape(region, cursor, n);
		p = fl_align_down(cursor->bump - n, align);
	}
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_escape");
