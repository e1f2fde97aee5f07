/* SPDX-License-Identifier: MIT */
/*
 * Gives the pages of its first block back at each reset and destroy, and writes a
 * word to each of them afterwards.
 * Says: the strategy writes to pages it said it gave back.
 */
#include <sys/mman.h>

#define NAME	"broken_writes_after"
#define AFTER_DEATH(block)						\
	do {								\
		madvise((block)->base, (block)->bytes, MADV_DONTNEED);	\
		for (size_t i = 0; i < (block)->bytes; i += 4096)	\
			*(volatile char *)((block)->base + i) = 1;	\
	} while (0)
#define AT_RESET(region)	AFTER_DEATH((region)->first)
#define GIVE_RECORD(heap, region)					\
	do {								\
		AFTER_DEATH((region)->first);				\
		fl_record_give(heap, region);				\
	} while (0)
#include "tests/conformance/base.h"
