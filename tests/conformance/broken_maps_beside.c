/* SPDX-License-Identifier: MIT */
/*
 * Maps and closes not the page that stopped a store but another of that guard.
 * Caught by: guards.
 */
#define NAME	"broken_maps_beside"
#define FAULTS
#define AT_FAULT(heap, fault)						\
	do {								\
		const struct fl_block *block = fl_blocks_find(heap, (fault)->address); \
		char *page = block ? block->base - FL_GUARD_BYTES : NULL;	\
									\
		if (page && fl_sites_find(&(heap)->sites, fl_fault_pc(fault))) { \
			fl_protect(page, 4096, FL_OPEN);		\
			*(volatile char *)page = 1;			\
			fl_protect(page, 4096, FL_CLOSED);		\
		}							\
	} while (0)
#include "tests/conformance/base.h"
