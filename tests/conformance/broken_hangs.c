/* SPDX-License-Identifier: MIT */
/*
 * Never ends when an object is larger than a block.  Caught by: alignment.
 */
#define NAME	"broken_hangs"
#define AT_REFILL(region, block)					\
	do {								\
		while ((block)->order > 0)				\
			pause();					\
	} while (0)
#include "tests/conformance/base.h"
