/* SPDX-License-Identifier: MIT */
/*
 * Has eight pages of notes, and declares them every other time it is asked.
 * Says: 8 resident pages more than there were.
 */
#include <sys/mman.h>

#include "vm/blocks.h"

static char *notes;
static unsigned asked;

static size_t sometimes(const struct fl_heap *heap, struct fl_range *out,
			size_t max)
{
	size_t nr = fl_blocks_ranges(heap, out, max);

	if (!notes || asked++ % 2 || nr == max)
		return nr;
	out[nr] = (struct fl_range){
		.base = notes, .bytes = 8 << 12, .kind = FL_RANGE_METADATA,
	};
	return nr + 1;
}

#define NAME	"broken_flickers"
#define RANGES	sometimes
#define AT_OPEN()							\
	(notes = mmap(NULL, 8 << 12, PROT_READ | PROT_WRITE,		\
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))
#include "tests/conformance/base.h"
