/* SPDX-License-Identifier: MIT */
/*
 * Gives its first block away when it is reset, and goes on using it.
 * Caught by: reset, random, random-program.
 */
#define NAME	"broken_reset"
#define AT_RESET(region)						\
	do {								\
		if ((region)->first->owner)				\
			fl_blocks_give((region)->heap, (region)->first); \
	} while (0)
#include "tests/conformance/base.h"
