/* SPDX-License-Identifier: MIT */
/*
 * A restartable sequence whose abort code leads past the arming store: the kernel
 * disarms at each abort, so that the next one would not be noticed.
 */
#include "bad.h"
#include "faultline/rseq_site.h"

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	char *p, *bump = cursor->bump;

	(void)region;
	(void)align;
	__asm__ volatile(FL_RSEQ_DESCRIPTOR FL_RSEQ_TEXT("")
			 ".pushsection fl_rseq_aborts, \"ax\", @progbits\n\t"
			 ".balign 8\n\t"
			 "ud1 %c[signature](%%rip), %q[bump]\n\t"
			 "775: jmp 772b\n\t"
			 ".popsection\n\t"
			 : [p] "=&r"(p), [bump] "+&r"(bump)
			 : [armed] "r"(cursor->limit),
			   [bytes] "er"(fl_object_bytes(bytes)),
			   [word] "r"(first_word),
			   [signature] "i"(FL_RSEQ_SIGNATURE)
			 : "memory", "cc");
	cursor->bump = p;
	return p;
}

#include "faultline/module.h"

FL_STRATEGY(.name = "bad_rseq");
