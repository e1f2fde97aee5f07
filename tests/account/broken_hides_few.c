/* SPDX-License-Identifier: MIT */
/*
 * Hides as few pages as are noticed: three, in all of the run.
 * Says: 3 resident pages more than there were.
 */
#include <sys/mman.h>

static char *notes;

#define NAME	"broken_hides_few"
#define AT_REFILL(region, block)					\
	do {								\
		if (!notes)						\
			notes = mmap(NULL, 3 << 12, PROT_READ | PROT_WRITE, \
				     MAP_PRIVATE | MAP_ANONYMOUS |	\
				     MAP_POPULATE, -1, 0);		\
	} while (0)
#include "tests/conformance/base.h"
