/* SPDX-License-Identifier: MIT */
/*
 * Opens the page that stopped a store, writes to it and closes it again, before
 * it redirects the store as it should.  Caught by: guards.
 */
#define NAME	"broken_maps_guard"
#define FAULTS
#define AT_FAULT(heap, fault)						\
	do {								\
		char *page = (fault)->address -				\
			((uintptr_t)(fault)->address & 4095);		\
									\
		if (fl_sites_find(&(heap)->sites, fl_fault_pc(fault))) {	\
			fl_protect(page, 4096, FL_OPEN);		\
			*(volatile char *)page = 1;			\
			fl_protect(page, 4096, FL_CLOSED);		\
		}							\
	} while (0)
#include "tests/conformance/base.h"
