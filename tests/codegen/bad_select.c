/* SPDX-License-Identifier: MIT */
/*
 * A ring: what does not fit goes to the top, by a conditional move, which every
 * bump then waits for.  In asm, because compilers do this when it suits them.
 */
#include "bad.h"

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	char *p = fl_align_down(cursor->bump - fl_object_bytes(bytes), align);
	char *top = (char *)region;

	__asm__("cmp %[limit], %[p]\n\tcmovb %[top], %[p]"
		: [p] "+r"(p) : [limit] "r"(cursor->limit), [top] "r"(top) : "cc");
	cursor->bump = p;
	*(uint64_t *)(void *)p = first_word;
	return p;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_select");
