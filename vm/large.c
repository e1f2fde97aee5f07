/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "faultline/large.h"
#include "vm/reserve.h"

/* Lists of records by address: how an array is found that is to be resized. */
#define BUCKETS		1024u

struct fl_large {
	char *base;
	uint64_t bytes;			/* whole pages */
	struct fl_larges *area;
	struct fl_region *region;
	struct fl_large *older;		/* of the region; or the next free record */
	struct fl_large *beside;	/* in its bucket */
};

struct kept {
	char *base;
	uint64_t bytes;
};

struct fl_larges {
	struct fl_larges_config config;
	struct fl_larges_counts counts;
	struct fl_large *free;
	uint32_t nr_used;		/* records ever handed out */
	unsigned nr_kept;
	char *sink;
	struct kept kept[FL_LARGES_KEPT_MAX];	/* oldest first */
	struct fl_large *buckets[BUCKETS];
	struct fl_large records[];	/* lazily resident */
};

static size_t area_bytes(void)
{
	return sizeof(struct fl_larges) + FL_LARGES_MAX * sizeof(struct fl_large);
}

int fl_larges_open(const struct fl_larges_config *config, struct fl_larges **out)
{
	struct fl_larges *area;
	char *pages;
	int err;

	if (!config->object_bytes_max ||
	    config->object_bytes_max > FL_OBJECT_BYTES_MAX)
		return -EINVAL;
	err = fl_reserve(area_bytes(), FL_OPEN, &pages);
	if (err)
		return err;
	area = (struct fl_larges *)(void *)pages;
	err = fl_reserve(config->object_bytes_max, FL_OPEN, &area->sink);
	if (err) {
		fl_release(pages, area_bytes());
		return err;
	}
	area->config = *config;
	*out = area;
	return 0;
}

void fl_larges_close(struct fl_larges *area)
{
	if (!area)
		return;
	fl_larges_trim(area);
	for (uint32_t i = 0; i < area->nr_used; i++)
		fl_release(area->records[i].base, area->records[i].bytes);
	fl_release(area->sink, area->config.object_bytes_max);
	fl_release((char *)area, area_bytes());
}

static struct fl_large **bucket_of(struct fl_larges *area, const void *base)
{
	return &area->buckets[(uintptr_t)base / fl_page_bytes() *
			      0x9e3779b97f4a7c15u >> 54];
}

static void hash(struct fl_larges *area, struct fl_large *large)
{
	struct fl_large **bucket = bucket_of(area, large->base);

	large->beside = *bucket;
	*bucket = large;
}

static void unhash(struct fl_larges *area, const struct fl_large *large)
{
	struct fl_large **at = bucket_of(area, large->base);

	while (*at != large)
		at = &(*at)->beside;
	*at = large->beside;
}

static struct fl_large *find(struct fl_larges *area, const void *base)
{
	struct fl_large *large = *bucket_of(area, base);

	while (large && large->base != base)
		large = large->beside;
	return large;
}

static struct fl_large *take_record(struct fl_larges *area)
{
	struct fl_large *large = area->free;

	if (large)
		area->free = large->older;
	else if (area->nr_used < FL_LARGES_MAX)
		large = &area->records[area->nr_used++];
	return large;
}

static void give_record(struct fl_larges *area, struct fl_large *large)
{
	large->base = NULL;
	large->bytes = 0;
	large->older = area->free;
	area->free = large;
}

/*
 * Unmapping the middle of what the kernel sees as one mapping makes two, and there may
 * be as many as there may be (vm.max_map_count).  The pages go in any case.
 */
static void unmap(struct fl_larges *area, char *base, uint64_t bytes)
{
	area->counts.nr_calls++;
	if (!munmap(base, bytes))
		return;
	area->counts.nr_failures++;
	area->counts.nr_calls++;
	(void)madvise(base, bytes, MADV_DONTNEED);
}

static struct kept take_kept(struct fl_larges *area, unsigned i)
{
	const struct kept kept = area->kept[i];

	area->nr_kept--;
	area->counts.kept_bytes -= kept.bytes;
	memmove(&area->kept[i], &area->kept[i + 1],
		(area->nr_kept - i) * sizeof(kept));
	return kept;
}

static void unmap_oldest(struct fl_larges *area)
{
	const struct kept kept = take_kept(area, 0);

	unmap(area, kept.base, kept.bytes);
}

uint64_t fl_larges_trim(struct fl_larges *area)
{
	const uint64_t bytes = area->counts.kept_bytes;

	while (area->nr_kept)
		unmap_oldest(area);
	return bytes;
}

/* The smallest that fits, the newest of those; what it is too long for stays. */
static char *from_kept(struct fl_larges *area, uint64_t bytes)
{
	struct kept *best = NULL;
	char *base;

	for (unsigned i = area->nr_kept; i-- > 0;) {
		if (area->kept[i].bytes < bytes ||
		    (best && area->kept[i].bytes >= best->bytes))
			continue;
		best = &area->kept[i];
		if (best->bytes == bytes)
			break;
	}
	if (!best)
		return NULL;
	base = best->base;
	if (best->bytes == bytes) {
		take_kept(area, (unsigned)(best - area->kept));
	} else {
		best->base += bytes;
		best->bytes -= bytes;
		area->counts.kept_bytes -= bytes;
	}
	return base;
}

static void keep(struct fl_larges *area, char *base, uint64_t bytes)
{
	while (area->nr_kept && (area->nr_kept == FL_LARGES_KEPT_MAX ||
				 area->counts.kept_bytes + bytes >
				 area->config.keep_bytes))
		unmap_oldest(area);
	area->kept[area->nr_kept++] = (struct kept){ base, bytes };
	area->counts.kept_bytes += bytes;
}

static void die(struct fl_larges *area, char *base, uint64_t bytes)
{
	if (area->config.then == FL_LARGES_UNMAP ||
	    bytes > area->config.keep_bytes) {
		unmap(area, base, bytes);
		return;
	}
	if (area->config.then == FL_LARGES_EMPTY) {
		area->counts.nr_calls++;
		if (madvise(base, bytes, MADV_DONTNEED)) {
			area->counts.nr_failures++;
			unmap(area, base, bytes);
			return;
		}
	}
	keep(area, base, bytes);
}

void fl_larges_bury(struct fl_region *region)
{
	while (region->larges) {
		struct fl_large *large = region->larges;
		struct fl_larges *area = large->area;

		region->larges = large->older;
		unhash(area, large);
		area->counts.nr_live--;
		area->counts.live_bytes -= large->bytes;
		die(area, large->base, large->bytes);
		give_record(area, large);
	}
	region->large_error = 0;
}

static bool over_limit(const struct fl_larges *area, uint64_t more)
{
	const uint64_t limit = area->config.limit_bytes;

	return limit && (area->counts.live_bytes > limit ||
			 more > limit - area->counts.live_bytes);
}

/* What is kept goes before anybody is refused. */
static int map(struct fl_larges *area, uint64_t bytes, char **base)
{
	int err = fl_reserve(bytes, FL_OPEN, base);

	area->counts.nr_calls += 2;
	if (err && area->nr_kept) {
		fl_larges_trim(area);
		err = fl_reserve(bytes, FL_OPEN, base);
		area->counts.nr_calls += 2;
	}
	return err;
}

static struct fl_large *make(struct fl_larges *area, uint64_t bytes)
{
	struct fl_large *large;
	char *base;

	if (over_limit(area, bytes))
		return NULL;
	large = take_record(area);
	if (!large)
		return NULL;
	base = from_kept(area, bytes);
	area->counts.nr_reused += base != NULL;
	if (!base && map(area, bytes, &base)) {
		give_record(area, large);
		return NULL;
	}
	large->base = base;
	large->bytes = bytes;
	return large;
}

void *fl_large_new(struct fl_larges *area, struct fl_region *region, size_t bytes,
		   uint64_t first_word)
{
	struct fl_large *large = NULL;
	char *base = area->sink;

	if (!region->large_error)
		large = make(area, fl_page_round(bytes));
	if (large) {
		base = large->base;
		large->area = area;
		large->region = region;
		large->older = region->larges;
		region->larges = large;
		hash(area, large);
		area->counts.nr_new++;
		area->counts.nr_live++;
		area->counts.live_bytes += large->bytes;
	} else {
		region->large_error = -ENOMEM;
		area->counts.nr_sinks++;
	}
	*(uint64_t *)(void *)base = first_word;
	return base;
}

static char *move(struct fl_larges *area, const struct fl_large *large,
		  uint64_t bytes)
{
	char *base = mremap(large->base, large->bytes, bytes, MREMAP_MAYMOVE);

	area->counts.nr_calls++;
	if (base == MAP_FAILED && area->nr_kept) {
		fl_larges_trim(area);
		base = mremap(large->base, large->bytes, bytes, MREMAP_MAYMOVE);
		area->counts.nr_calls++;
	}
	return base;
}

int fl_large_resize(struct fl_larges *area, struct fl_region *region,
		    void **array, size_t bytes)
{
	struct fl_large *large = find(area, *array);
	const uint64_t want = fl_page_round(bytes);
	char *base;

	if (*array == area->sink && region->large_error)
		return -ENOMEM;
	if (!large || large->region != region)
		return -EINVAL;
	if (want == large->bytes)
		return 0;
	if (want > large->bytes && over_limit(area, want - large->bytes))
		return -ENOMEM;
	base = move(area, large, want);
	if (base == MAP_FAILED)
		return -ENOMEM;
	area->counts.live_bytes += want - large->bytes;
	if (base != large->base) {
		area->counts.nr_moves++;
		unhash(area, large);
		large->base = base;
		hash(area, large);
	}
	large->bytes = want;
	*array = base;
	return 0;
}

/* Shell's: qsort may ask malloc for pages, and who asks for ranges is counting pages. */
static void sort(struct fl_range *r, size_t nr)
{
	for (size_t gap = nr / 2; gap; gap /= 2)
		for (size_t i = gap; i < nr; i++) {
			const struct fl_range range = r[i];
			size_t k = i;

			for (; k >= gap && r[k - gap].base > range.base; k -= gap)
				r[k] = r[k - gap];
			r[k] = range;
		}
}

/* Sorted ranges, neighbours made one; how many are left. */
static size_t join(struct fl_range *r, size_t nr)
{
	size_t joined = 0;

	for (size_t i = 0; i < nr; i++)
		if (joined && r[joined - 1].base + r[joined - 1].bytes == r[i].base)
			r[joined - 1].bytes += r[i].bytes;
		else
			r[joined++] = r[i];
	return joined;
}

size_t fl_larges_ranges(const struct fl_larges *area, struct fl_range *out,
			size_t max)
{
	const size_t bytes = (area->nr_kept + area->counts.nr_live + 2) *
			     sizeof(struct fl_range);
	struct fl_range *all;
	size_t nr = 0;
	char *pages;

	if (fl_reserve(bytes, FL_OPEN, &pages))
		return 0;
	all = (struct fl_range *)(void *)pages;
	all[nr++] = (struct fl_range){
		area->sink, fl_page_round(area->config.object_bytes_max),
		FL_RANGE_OBJECTS,
	};
	for (unsigned i = 0; i < area->nr_kept; i++)
		all[nr++] = (struct fl_range){
			area->kept[i].base, area->kept[i].bytes, FL_RANGE_OBJECTS,
		};
	for (uint32_t i = 0; i < area->nr_used; i++)
		if (area->records[i].base)
			all[nr++] = (struct fl_range){
				area->records[i].base, area->records[i].bytes,
				FL_RANGE_OBJECTS,
			};
	sort(all, nr);
	nr = join(all, nr);
	all[nr++] = (struct fl_range){
		(char *)(uintptr_t)area, fl_page_round(area_bytes()),
		FL_RANGE_METADATA,
	};
	memcpy(out, all, (nr < max ? nr : max) * sizeof(*out));
	fl_release(pages, bytes);
	return nr;
}

const struct fl_larges_counts *fl_larges_counts(const struct fl_larges *area)
{
	return &area->counts;
}
