/* SPDX-License-Identifier: MIT */
/*
 * Crashes when an object is larger than a block.  Caught by: alignment, random.
 */
#define NAME	"broken_crashes"
#define AT_REFILL(region, block)					\
	do {								\
		if ((block)->order > 0)					\
			*(volatile char *)(uintptr_t)(block)->order = 0; \
	} while (0)
#include "tests/conformance/base.h"
