/* SPDX-License-Identifier: MIT */
/*
 * A cursor of its own, beside the one it is given, in thread-local storage.
 */
#include "bad.h"

static __thread struct fl_cursor own __attribute__((tls_model("initial-exec")));

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = fl_align_down(own.bump - n, align);

	(void)cursor;
	if (fl_unlikely(p < own.limit)) {
		own = bad_refill(region, n);
		p = fl_align_down(own.bump - n, align);
	}
	own.bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_private");
