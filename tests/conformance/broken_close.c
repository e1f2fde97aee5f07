/* SPDX-License-Identifier: MIT */
/*
 * Reserves a page when it opens that close knows nothing of.
 * Caught by: open-close.
 */
#define NAME	"broken_close"
#define AT_OPEN()							\
	do {								\
		char *page;						\
									\
		err = fl_reserve(4096, FL_OPEN, &page);			\
	} while (0)
#include "tests/conformance/base.h"
