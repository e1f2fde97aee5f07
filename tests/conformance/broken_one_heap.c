/* SPDX-License-Identifier: MIT */
/*
 * Serves every region from the heap that was used last.  Caught by: two-heaps.
 */
#include "vm/blocks.h"

static struct fl_blocks *the_heap;

#define NAME			"broken_one_heap"
#define AT_CREATE(heap, out)	(the_heap = (heap))
#define HEAP_OF(region)		((void)(region), the_heap)
#include "tests/conformance/base.h"
