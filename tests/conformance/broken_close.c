/* SPDX-License-Identifier: MIT */
/*
 * Reserves memory when it opens that close knows nothing of.
 * Caught by: open-close.
 */
#define NAME	"broken_close"
#define AT_OPEN()							\
	do {								\
		char *memory;						\
									\
		err = fl_reserve(1 << 20, FL_OPEN, &memory);		\
	} while (0)
#include "tests/conformance/base.h"
