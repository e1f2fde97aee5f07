/* SPDX-License-Identifier: MIT */
/*
 * faultline/large.h: arrays too large for a region's blocks, in mappings of their own.
 *
 * Vocabulary: an "area" serves the "arrays", objects of more than FL_LARGE_BYTES, of any
 * number of regions of one heap.  An array is a mapping of its own; it belongs to its
 * region and dies with it.  The "size branch" is the test that sends an object here.
 * "Kept" are mappings of dead arrays that wait for another array.
 *
 *	fl_larges_open(&config, &area);
 *	...
 *	p = fl_large_or(area, region, bytes, word,
 *			strategy_new(region, cursor, bytes, 8, word));
 *	...
 *	strategy->region_reset(region);		every array of the region is gone
 *	...
 *	strategy->close(heap);
 *	fl_larges_close(area);
 *
 * It works beside any strategy: an array takes nothing of a block, and the region's
 * cursor is neither read nor moved.  Beside a strategy that redirects, the size branch
 * is the one that its site needs anyway, because larger objects would jump over the
 * guard: the compiler makes one of the two.
 *
 * At the death of a region (enum fl_larges_then) its arrays are
 *
 *	unmapped	at once: pages, page tables and addresses go back
 *	kept warm	up to a budget of bytes; above that the oldest are unmapped
 *	kept empty	MADV_DONTNEED: the pages go back, the mapping stays
 *
 * A kept mapping serves an array that fits, the smallest first; what it is too long
 * for stays kept.  Mappings are neither joined nor made longer for it.
 *
 * Beginning: page aligned, which is any alignment up to FL_ALIGN_MAX.  Contents:
 * undefined but for the first word.  Fork: the child has copies, and its area works.
 *
 * Pages: no heap declares them, unless its strategy carries the area: opens it in
 * open(), buries in its own reset and destroy (fl_larges_bury), closes it in close()
 * and has fl_larges_ranges add to its ranges hook.  Then the ledger sees arrays and
 * kept mappings as FL_RANGE_OBJECTS and the records as FL_RANGE_METADATA.
 *
 * Context: cold but for the size branch; belongs to the heap's thread; not
 * signal-safe: no fault handler may come here.
 *
 * Origin: the huge objects of jemalloc and the mapped chunks of glibc's malloc, with the
 * lifetime of a region; the size branch of every generational collector.
 */
#ifndef FL_LARGE_H
#define FL_LARGE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "faultline/cursor.h"
#include "faultline/strategy.h"

/*
 * Most bytes of an object that is no array.  Who wants another limit defines it before
 * this is included; above FL_SITE_BYTES_MAX a redirecting site tests once more.
 */
#ifndef FL_LARGE_BYTES
#define FL_LARGE_BYTES	FL_SITE_BYTES_MAX
#endif

/* Most arrays alive at once, and most mappings kept. */
#define FL_LARGES_MAX		65536u
#define FL_LARGES_KEPT_MAX	64u

enum fl_larges_then { FL_LARGES_UNMAP, FL_LARGES_WARM, FL_LARGES_EMPTY };

struct fl_larges_config {
	enum fl_larges_then then;
	uint64_t keep_bytes;		/* most that is kept; of EMPTY: addresses */
	uint64_t object_bytes_max;	/* largest array ever asked for; 1 to
					   FL_OBJECT_BYTES_MAX */
	uint64_t limit_bytes;		/* most alive at once; 0: no limit */
};

/* What happened since the area was opened. */
struct fl_larges_counts {
	uint64_t nr_new;		/* arrays made */
	uint64_t nr_reused;		/* of those, in a kept mapping */
	uint64_t nr_live, live_bytes;	/* now; whole pages */
	uint64_t kept_bytes;		/* now */
	uint64_t nr_moves;		/* times a resize changed the address */
	uint64_t nr_sinks;		/* arrays that there was no memory for */
	uint64_t nr_calls;		/* system calls */
	uint64_t nr_failures;		/* mappings that the kernel would not take
					   back; their pages went */
};

struct fl_larges;

/*
 * fl_larges_open: An area without arrays.  Costs addresses, and no pages before the
 * first array: those of the records, and object_bytes_max for the sink.
 * Returns 0, -EINVAL (object_bytes_max), or -errno of mmap.
 */
int fl_larges_open(const struct fl_larges_config *config, struct fl_larges **area);

/*
 * fl_larges_close: Everything goes back, arrays that live included: the regions must
 * be gone, reset, or never used again.  NULL is allowed.
 */
void fl_larges_close(struct fl_larges *area);

/*
 * fl_large_new: An array of @region.  @bytes: 1 to object_bytes_max.
 * Never NULL: without memory it is where anything fits and nothing is kept, and
 * fl_large_error tells; so are all others of the region, until its reset.
 * Cost: two system calls, and the kernel's fault for each page; kept: none, and warm
 * pages do not fault.
 */
void *fl_large_new(struct fl_larges *area, struct fl_region *region, size_t bytes,
		   uint64_t first_word);

/*
 * fl_large_resize: Make an array longer or shorter; pages are moved, not copied, and
 * what it is shorter by goes back at once.
 * @array: in: as fl_large_new or the last resize said.  out: it may have moved.
 * @bytes: 1 to object_bytes_max.
 * Returns 0; -ENOMEM: it is as it was; -EINVAL: no array of this region.
 * Cost: one system call, or none within its last page.
 */
int fl_large_resize(struct fl_larges *area, struct fl_region *region,
		    void **array, size_t bytes);

/*
 * fl_large_error: 0, or -ENOMEM: since its last reset @region asked for an array that
 * there was no memory for.  The region's own error is about other objects.
 */
static inline int fl_large_error(const struct fl_region *region)
{
	return region->large_error;
}

/*
 * fl_large_or: The size branch: an array if @bytes is above FL_LARGE_BYTES, else
 * @small, an expression that is evaluated only then.  Of a constant size nothing
 * remains but the one or the other, at every level of optimisation.
 */
#define fl_large_or(area, region, bytes, first_word, small)		\
	(fl_unlikely((bytes) > FL_LARGE_BYTES) ?			\
	 fl_large_new(area, region, bytes, first_word) : (small))

/*
 * fl_array_resize: As fl_large_resize for an object of any size: one that is or becomes
 * small is copied into another object, aligned to 8.
 * @strategy, @region: its; the cursor is valid (memory residence).
 * @old_bytes: as was asked for.
 * Returns as fl_large_resize; -ENOMEM, too, where the region's error says so.
 */
static inline int fl_array_resize(struct fl_larges *area,
				  const struct fl_strategy *strategy,
				  struct fl_region *region, void **array,
				  size_t old_bytes, size_t bytes)
{
	uint64_t word;
	void *p;

	if (old_bytes > FL_LARGE_BYTES && bytes > FL_LARGE_BYTES)
		return fl_large_resize(area, region, array, bytes);
	memcpy(&word, *array, sizeof(word));
	p = fl_large_or(area, region, bytes, word,
			strategy->object_new(region, bytes, FL_GRAIN_BYTES, word));
	if (bytes > FL_LARGE_BYTES ? region->large_error : region->error)
		return -ENOMEM;
	memcpy(p, *array, old_bytes < bytes ? old_bytes : bytes);
	*array = p;
	return 0;
}

/*
 * fl_larges_bury: Every array of @region dies.  What the table's reset and destroy
 * (module.h) call; a strategy that carries an area calls it in its own.
 */
void fl_larges_bury(struct fl_region *region);

/* fl_larges_trim: Unmap what is kept.  Returns how many bytes that was. */
uint64_t fl_larges_trim(struct fl_larges *area);

/*
 * fl_larges_ranges: As the ranges hook of struct fl_strategy, of the area alone:
 * neighbours are one range.
 */
size_t fl_larges_ranges(const struct fl_larges *area, struct fl_range *out,
			size_t max);

const struct fl_larges_counts *fl_larges_counts(const struct fl_larges *area);

#endif
