/* SPDX-License-Identifier: MIT */
/*
 * Gives pages of the newest block back while objects are in them: those of the
 * block before it, each time one is taken.
 * Says: are not resident in any range.
 */
#include <sys/mman.h>

#define NAME	"broken_takes_live"
#define AT_REFILL(region, block)					\
	madvise((region)->newest->base + 4096,				\
		(region)->newest->bytes - 8192, MADV_DONTNEED)
#include "tests/conformance/base.h"
