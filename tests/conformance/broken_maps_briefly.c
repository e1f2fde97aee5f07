/* SPDX-License-Identifier: MIT */
/*
 * Maps the page that stopped a store and unmaps it again before it redirects:
 * afterwards there is nothing to be seen.  Caught by: guards.
 */
#define NAME	"broken_maps_briefly"
#define FAULTS
#define AT_FAULT(heap, fault)						\
	do {								\
		char *page = (fault)->address -				\
			((uintptr_t)(fault)->address & 4095);		\
									\
		if (fl_sites_find(&(heap)->sites, fl_fault_pc(fault))) {	\
			fl_protect(page, 4096, FL_OPEN);		\
			*(volatile char *)page = 1;			\
			fl_giveback_one(page, 4096, FL_GIVE_DONTNEED);	\
			fl_protect(page, 4096, FL_CLOSED);		\
		}							\
	} while (0)
#include "tests/conformance/base.h"
