/* SPDX-License-Identifier: MIT */
/*
 * touches_last.c: a strategy that touches 300 pages for the first time when its heap is
 * closed: faults that only who counts closing can see.
 */
#include <stddef.h>
#include <sys/mman.h>

#define LAST_BYTES	((size_t)300 << 12)

static void touch_last(void)
{
	char *pages = mmap(NULL, LAST_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return;
	madvise(pages, LAST_BYTES, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < LAST_BYTES; i += 4096)
		*(volatile char *)(pages + i) = 1;
	munmap(pages, LAST_BYTES);
}

#define NAME	"touches_last"
#define AT_CLOSE()	touch_last()
#include "tests/conformance/base.h"
