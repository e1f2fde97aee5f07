/* SPDX-License-Identifier: MIT */
/*
 * Redirects a store, and leaves the page that stopped it open, untouched.
 * Caught by: guards.
 */
#define NAME	"broken_leaves_open"
#define FAULTS
#define AT_FAULT(heap, fault)						\
	do {								\
		char *page = (fault)->address -				\
			((uintptr_t)(fault)->address & 4095);		\
									\
		if (fl_sites_find(&(heap)->sites, fl_fault_pc(fault)))	\
			fl_protect(page, 4096, FL_OPEN);		\
	} while (0)
#include "tests/conformance/base.h"
