/* SPDX-License-Identifier: MIT */
/*
 * Says that it redirects, and opens the guard for the object instead, which
 * stays where it is.  Caught by: guards.
 */
#define NAME	"broken_stays"
#define FAULTS
#define AT_FAULT(heap, fault)						\
	do {								\
		const struct fl_block *block = fl_blocks_find(heap, (fault)->address); \
									\
		if (block && fl_sites_find(&(heap)->sites, fl_fault_pc(fault)) && \
		    !fl_protect(block->base - FL_GUARD_BYTES, FL_GUARD_BYTES, FL_OPEN)) { \
			(heap)->pub.events.nr_hits++;			\
			return true;					\
		}							\
	} while (0)
#include "tests/conformance/base.h"
