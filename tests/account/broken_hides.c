/* SPDX-License-Identifier: MIT */
/*
 * Keeps pages of notes on each block, in memory that no range declares.
 * Says: hides them.
 */
#include <stdlib.h>
#include <string.h>

#define NAME	"broken_hides"
#define AT_REFILL(region, block)					\
	do {								\
		void *notes = malloc(32768);				\
									\
		if (notes)						\
			memset(notes, 1, 32768);			\
		__asm__ volatile("" :: "r"(notes) : "memory");		\
	} while (0)
#include "tests/conformance/base.h"
