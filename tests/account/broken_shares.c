/* SPDX-License-Identifier: MIT */
/*
 * Keeps pages of notes on each block, in memory that is shared with nobody, but
 * might be.
 * Says: are shared memory.
 */
#include <string.h>
#include <sys/mman.h>

#define NAME	"broken_shares"
#define AT_REFILL(region, block)					\
	do {								\
		void *notes = mmap(NULL, 32768, PROT_READ | PROT_WRITE,	\
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);	\
									\
		if (notes != MAP_FAILED)				\
			memset(notes, 1, 32768);			\
	} while (0)
#include "tests/conformance/base.h"
