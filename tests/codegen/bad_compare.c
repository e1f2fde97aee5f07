/* SPDX-License-Identifier: MIT */
/*
 * A fault site with a compare of the bump before it.
 */
#include "bad.h"

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(cursor->bump - n < cursor->limit))
		*cursor = bad_refill(region, n);
	return fl_site_new(&cursor->bump, n, align, first_word);
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_compare");
