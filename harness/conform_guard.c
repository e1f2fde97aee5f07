/* SPDX-License-Identifier: MIT */
/*
 * The check of what redirecting promises: the object that does not fit goes to
 * another block, and of the guard that it ran into no page is ever mapped.
 *
 * Where the guards are is not asked but found: an allocation that was redirected
 * had tried to store right below the cursor, so that place is in a guard.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/conform_check.h"
#include "harness/tunables.h"
#include "vm/census.h"
#include "vm/reserve.h"

#define KIB	((uint64_t)1 << 10)
#define MIB	((uint64_t)1 << 20)

#define MAX_OBJECTS	((size_t)200000)
#define MAX_RANGES	((size_t)256)
#define NR_REGIONS	2u

/* Redirects of a region's lifetime: fewer where blocks are large. */
#define HITS_FEW	3u
#define HITS_MANY	10u
#define LARGE_BLOCK	(4 * MIB)

#define TRY_SECONDS	30u

struct span {
	uintptr_t low, high;
};

struct scene {
	struct fl_trial *t;
	struct fl_heap *heap;
	struct fl_region *regions[NR_REGIONS];
	uint64_t room[NR_REGIONS];	/* about what is left of a block */
	uint64_t block_bytes, nr_hits_wanted;
	struct fl_census census;
	int pipe[2];
	struct span *objects;		/* all that ever were */
	size_t nr_objects;
	char **stopped;			/* pages where a store was redirected */
	size_t nr_stopped;
	uint64_t random;
};

static char *page_of(const char *p)
{
	return (char *)((uintptr_t)p & ~(fl_page_bytes() - 1));
}

/*
 * A system call that cannot reach a page says so, raises nothing, and maps
 * nothing; the one that stores is for pages that belong to nobody.
 */
static bool refuses_store(const struct scene *s, char *page)
{
	char byte = 0;

	if (write(s->pipe[1], &byte, 1) != 1)
		fl_trial_fail(s->t, "write to a pipe: %s", strerror(errno));
	if (read(s->pipe[0], page, 1) == 1)
		return false;
	return read(s->pipe[0], &byte, 1) == 1;
}

static bool refuses_load(const struct scene *s, const char *page)
{
	char byte;

	if (write(s->pipe[1], page, 1) != 1)
		return true;
	return read(s->pipe[0], &byte, 1) != 1;
}

static uint64_t resident(const struct scene *s, const char *base, size_t bytes)
{
	uint64_t pages;
	int err = fl_census_pages(&s->census, s->census.best, base, bytes,
				  &pages);

	if (err)
		fl_trial_fail(s->t, "a census of the heap's addresses: %s",
			      strerror(-err));
	return pages;
}

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->low > y->low) - (x->low < y->low);
}

/* Sort the objects and make one span of those that touch. */
static void merge_objects(struct scene *s)
{
	size_t nr = 0;

	qsort(s->objects, s->nr_objects, sizeof(*s->objects), compare_spans);
	for (size_t i = 0; i < s->nr_objects; i++) {
		const struct span *o = &s->objects[i];

		if (nr && o->low <= s->objects[nr - 1].high) {
			if (o->high > s->objects[nr - 1].high)
				s->objects[nr - 1].high = o->high;
		} else {
			s->objects[nr++] = *o;
		}
	}
	s->nr_objects = nr;
}

/* Did any object ever reach into the page?  Objects are merged. */
static bool was_used(const struct scene *s, const char *page)
{
	const uintptr_t low = (uintptr_t)page, high = low + fl_page_bytes();
	size_t from = 0, to = s->nr_objects;

	while (from < to) {
		const size_t middle = from + (to - from) / 2;

		if (s->objects[middle].high <= low)
			from = middle + 1;
		else
			to = middle;
	}
	return from < s->nr_objects && s->objects[from].low < high;
}

/* Allocate; if the object was redirected, look at what it ran into. */
static void allocate(struct scene *s, unsigned i, uint64_t bytes, uint64_t align)
{
	struct fl_trial *t = s->t;
	struct fl_region *region = s->regions[i];
	const uint64_t hits = s->heap->events.nr_hits;
	const uint64_t room = fl_object_room(bytes, align);
	const uint64_t n = fl_object_bytes(bytes);
	char *tried = fl_align_down(region->cursor.bump - n, align), *p, *page;

	fl_trial_doing(t, "allocating %" PRIu64 " bytes, align %" PRIu64, bytes,
		       align);
	p = t->s->object_new(region, bytes, align, s->random);
	if (region->error)
		fl_trial_fail(t, "error %d, and there is no limit", region->error);
	if (*(volatile uint64_t *)(void *)p != s->random)
		fl_trial_fail(t, "the first word of an object of %" PRIu64
			      " bytes was not stored", bytes);
	if (s->nr_objects == MAX_OBJECTS)
		fl_trial_fail(t, "%zu objects were not enough for %" PRIu64
			      " redirects in each lifetime", MAX_OBJECTS,
			      s->nr_hits_wanted);
	s->objects[s->nr_objects++] = (struct span){
		(uintptr_t)p, (uintptr_t)p + n,
	};
	s->room[i] = s->room[i] > room ? s->room[i] - room : 0;
	if (s->heap->events.nr_hits == hits)
		return;

	s->room[i] = s->block_bytes > room ? s->block_bytes - room : 0;
	if (p < tried + n && tried < p + n)
		fl_trial_fail(t, "an object of %" PRIu64
			      " bytes that was redirected is where it would have been without",
			      bytes);
	page = page_of(tried);
	if (resident(s, page, fl_page_bytes()))
		fl_trial_fail(t, "a page of the guard is resident after an object of %" PRIu64
			      " bytes was redirected from it", bytes);
	if (!refuses_store(s, page))
		fl_trial_fail(t, "a page of the guard can be written to after an object of %" PRIu64
			      " bytes was redirected from it", bytes);
	s->stopped[s->nr_stopped++] = page;
}

/*
 * Sizes that reach every depth of the guard.  A block is filled quickly, as few
 * of its pages as possible are touched, and only near its end are sizes random.
 */
static void allocate_some(struct scene *s, unsigned i)
{
	static const uint64_t sizes[] = {
		0, 8, 24, 100, 1000, 4096, 5000, 16384, 40000, 65528, 65535,
	};
	static const uint64_t aligns[] = { 8, 8, 8, 64, FL_ALIGN_MAX };
	const uint64_t r = fl_random(&s->random);

	if (s->room[i] > 4 * 64 * KIB)
		allocate(s, i, 65535, 8);
	else
		allocate(s, i, sizes[r % (sizeof(sizes) / sizeof(sizes[0]))],
			 aligns[(r >> 32) % (sizeof(aligns) / sizeof(aligns[0]))]);
}

static void lifetime(struct scene *s)
{
	uint64_t nr_left = s->nr_hits_wanted * NR_REGIONS;

	for (unsigned i = 0; nr_left; i = (i + 1) % NR_REGIONS) {
		const size_t before = s->nr_stopped;

		for (int k = 0; k < 8 && s->nr_stopped == before; k++)
			allocate_some(s, i);
		nr_left -= s->nr_stopped - before;
	}
}

struct look {
	struct scene *s;
	uint64_t nr_closed;
};

static void look_at_run(void *arg, char *base, uint64_t pages)
{
	struct look *look = arg;

	for (uint64_t i = 0; i < pages; i++, base += fl_page_bytes())
		if (!was_used(look->s, base) && refuses_load(look->s, base))
			look->nr_closed++;
}

/* The guards of the whole heap, after all that was done. */
static void look_at_guards(struct scene *s)
{
	static struct fl_range ranges[MAX_RANGES];
	struct fl_trial *t = s->t;
	struct look look = { .s = s };
	size_t nr;

	merge_objects(s);
	for (size_t i = 0; i < s->nr_stopped; i++) {
		/* In other company it may have become part of a block. */
		if (was_used(s, s->stopped[i]))
			continue;
		if (resident(s, s->stopped[i], fl_page_bytes()))
			fl_trial_fail(t, "a page of a guard became resident after it was left alone");
		if (!refuses_store(s, s->stopped[i]))
			fl_trial_fail(t, "a page of a guard was opened after it was left alone");
	}
	nr = t->s->ranges(s->heap, ranges, MAX_RANGES);
	for (size_t i = 0; i < nr && i < MAX_RANGES; i++) {
		if (ranges[i].kind != FL_RANGE_OBJECTS)
			continue;
		fl_census_runs(&s->census, ranges[i].base, ranges[i].bytes,
			       look_at_run, &look);
	}
	if (look.nr_closed)
		fl_trial_fail(t, "%" PRIu64 " closed pages are resident in which there never was an object",
			      look.nr_closed);
}

static uint64_t resident_objects(struct scene *s)
{
	static struct fl_range ranges[MAX_RANGES];
	const size_t nr = s->t->s->ranges(s->heap, ranges, MAX_RANGES);
	uint64_t pages = 0;

	for (size_t i = 0; i < nr && i < MAX_RANGES; i++)
		if (ranges[i].kind == FL_RANGE_OBJECTS)
			pages += resident(s, ranges[i].base, ranges[i].bytes);
	return pages;
}

/* One region through as many blocks; the same addresses in each. */
static uint64_t run_through(struct scene *s, struct fl_region *region)
{
	const uint64_t bytes = s->block_bytes >= MIB ? 65528 : 4096;
	const uint64_t before = s->heap->events.nr_hits;

	while (s->heap->events.nr_hits - before < s->nr_hits_wanted)
		s->t->s->object_new(region, bytes, 8, 1);
	return s->heap->events.nr_hits - before;
}

static uint64_t minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt;
}

/*
 * A page that is mapped, and taken away again before anybody looks, costs the
 * kernel a page fault.  In blocks that are warm there is no other.
 */
static void count_faults(struct scene *s)
{
	struct fl_region *region = s->regions[0];
	uint64_t faults, hits, kept;

	for (int i = 0; i < 3; i++) {
		run_through(s, region);
		kept = resident_objects(s);
		s->t->s->region_reset(region);
	}
	if (resident_objects(s) != kept)
		return;		/* given back: it is never warm */
	fl_trial_doing(s->t, "counting the page faults of warm redirects");
	faults = minor_faults();
	hits = run_through(s, region);
	faults = minor_faults() - faults;
	if (faults >= hits)
		fl_trial_fail(s->t, "%" PRIu64 " redirects in warm blocks took %" PRIu64
			      " page faults: something is mapped each time",
			      hits, faults);
	s->t->s->region_reset(region);
}

static void try_settings(struct fl_trial *t, void *arg)
{
	const struct fl_geometry g = fl_trial_geometry(t);
	struct scene s = {
		.t = t, .block_bytes = g.block_bytes, .random = t->conform->seed,
		.nr_hits_wanted = g.block_bytes > LARGE_BLOCK ? HITS_FEW :
								HITS_MANY,
	};
	const struct fl_need need = {
		.region_bytes = (s.nr_hits_wanted + 2) *
				(g.block_bytes + 128 * KIB),
		.object_bytes = 65535, .nr_regions = NR_REGIONS,
	};

	(void)arg;
	s.objects = fl_trial_alloc(t, MAX_OBJECTS, sizeof(*s.objects));
	s.stopped = fl_trial_alloc(t, MAX_OBJECTS, sizeof(*s.stopped));
	if (pipe(s.pipe))
		fl_trial_fail(t, "pipe: %s", strerror(errno));
	if (fl_census_open(&s.census))
		fl_trial_skip(t, "this host has no /proc/self/pagemap");
	s.heap = fl_trial_open(t, &need);
	for (unsigned i = 0; i < NR_REGIONS; i++)
		s.regions[i] = fl_trial_region(t, s.heap);
	/* Fresh blocks first, then those that dead lifetimes left. */
	for (int life = 0; life < 4; life++) {
		for (unsigned i = 0; i < NR_REGIONS; i++)
			s.room[i] = s.block_bytes;
		lifetime(&s);
		look_at_guards(&s);
		for (unsigned i = 0; i < NR_REGIONS; i++)
			t->s->region_reset(s.regions[i]);
		if (life == 1) {
			t->s->region_destroy(s.regions[1]);
			s.regions[1] = fl_trial_region(t, s.heap);
		}
	}
	count_faults(&s);
	look_at_guards(&s);
	t->s->close(s.heap);
}

static void try_block(struct fl_trial *t, size_t block, uint64_t bytes)
{
	uint64_t values[FL_TUNABLES_MAX];
	struct fl_conform conform = *t->conform;
	struct fl_outcome out;

	memcpy(values, t->conform->values,
	       t->s->nr_tunables * sizeof(values[0]));
	values[block] = bytes;
	conform.values = values;
	fl_trial_run(&conform, try_settings, NULL, TRY_SECONDS, &out);
	if (out.verdict == FL_CHECK_FAIL)
		fl_trial_fail(t, "block=%" PRIu64 "K: %s", bytes / KIB, out.text);
}

void fl_try_guards(struct fl_trial *t)
{
	static const uint64_t sizes[] = {
		16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB,
	};
	const struct fl_tunables tunables = fl_strategy_tunables(t->s);
	struct fl_outcome out;
	int block;

	if (t->s->answer != FL_ANSWER_REDIRECT)
		fl_trial_skip(t, "it does not redirect");
	fl_trial_run(t->conform, try_settings, NULL, TRY_SECONDS, &out);
	if (out.verdict == FL_CHECK_FAIL)
		fl_trial_fail(t, "%s", out.text);
	if (out.verdict == FL_CHECK_SKIP)
		fl_trial_skip(t, "%s", out.text);
	/* By convention (docs/adding-a-strategy.md). */
	block = fl_tunable_index(&tunables, "block");
	if (block < 0 || t->s->tunables[block].kind != FL_TUNABLE_BYTES)
		return;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i] >= t->s->tunables[block].min &&
		    sizes[i] <= t->s->tunables[block].max)
			try_block(t, (size_t)block, sizes[i]);
}
