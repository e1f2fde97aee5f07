/* SPDX-License-Identifier: MIT */
/*
 * A fault site with an instruction between restart and probe that does not
 * belong there: restarted, it would count twice.
 */
#include "bad.h"

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	char *p, *bump = cursor->bump;

	(void)region;
	(void)align;
	__asm__ volatile(FL_SITE_TEXT("incq 8(%[bump])\n\t") FL_SITE_ENTRY
			 : [p] "=&r"(p), [bump] "+&r"(bump)
			 : [bytes] "er"(fl_object_bytes(bytes)),
			   [word] "r"(first_word) : "memory", "cc");
	cursor->bump = p;
	return p;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_site");
