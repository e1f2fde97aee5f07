/* SPDX-License-Identifier: MIT */
/*
 * Goes on writing to pages of dead regions, which stay resident: only who watches
 * stores can see that.
 * Says: the witnesses differ.
 */
#define NAME	"broken_scribbles"
#define NR_DEAD	4096u

static char *dead[NR_DEAD];
static unsigned nr_dead;

/* The block that a region leaves: its highest page has held an object. */
#define AT_REFILL(region, block)					\
	do {								\
		dead[nr_dead++ % NR_DEAD] = fl_block_top(block) - 4096;	\
	} while (0)
#define AT_CREATE(heap, out)						\
	do {								\
		for (unsigned i = 0; i < NR_DEAD && i + 1 < nr_dead; i++) \
			*(volatile char *)dead[i] = 0;			\
	} while (0)
#include "tests/conformance/base.h"
