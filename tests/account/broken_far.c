/* SPDX-License-Identifier: MIT */
/*
 * Writes to a page far from all objects at each refill: the range is declared, and
 * much of it was never looked at.
 * Says: that no object touched.
 */
#include <sys/mman.h>

#include "vm/blocks.h"

#define FAR_BYTES	((size_t)1 << 36)

static char *far_away;
static size_t next;

static size_t with_far(const struct fl_heap *heap, struct fl_range *out,
		       size_t max)
{
	size_t nr = fl_blocks_ranges(heap, out, max);

	if (!far_away || nr == max)
		return nr;
	out[nr] = (struct fl_range){
		.base = far_away, .bytes = FAR_BYTES, .kind = FL_RANGE_OBJECTS,
	};
	return nr + 1;
}

#define NAME	"broken_far"
#define RANGES	with_far
#define AT_OPEN()							\
	(far_away = mmap(NULL, FAR_BYTES, PROT_READ | PROT_WRITE,	\
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
#define AT_REFILL(region, block)					\
	(far_away[(next += (size_t)16 << 20) % FAR_BYTES] = 1)
#include "tests/conformance/base.h"
