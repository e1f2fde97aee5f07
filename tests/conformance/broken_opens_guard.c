/* SPDX-License-Identifier: MIT */
/*
 * Redirects its own sites as it should, and opens the guard to anybody else's
 * store.  Caught by: foreign-faults, default-faults.
 */
#define NAME	"broken_opens_guard"
#define FAULTS
#define AT_FAULT(heap, fault)						\
	do {								\
		char *page = (fault)->address -				\
			((uintptr_t)(fault)->address & 4095);		\
									\
		if (!fl_sites_find(&(heap)->sites, fl_fault_pc(fault)))	\
			return !fl_protect(page, 4096, FL_OPEN);	\
	} while (0)
#include "tests/conformance/base.h"
