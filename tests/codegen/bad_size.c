/* SPDX-License-Identifier: MIT */
/*
 * A fault site that tests sizes which are proven to be small: against a variable,
 * so that no compiler can see it.
 */
#include "bad.h"

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(n > (size_t)cursor->limit)) {
		*cursor = bad_refill(region, n);
		*(uint64_t *)(void *)cursor->bump = first_word;
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_size");
