/* SPDX-License-Identifier: MIT */
/*
 * The ways.  Each has a start, a run of pushes and a finish, which are inlined into one
 * driver, so that all of them are called alike.  What is pushed comes out of an empty
 * asm statement, so that loops without a check are no memset.  While a run lasts, the
 * next place and the end of the room are in registers, but for obstack, whose macros
 * keep them in memory.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "benches/builder.h"
#include "vm/reserve.h"

#define obstack_chunk_alloc	malloc
#define obstack_chunk_free	free

/* The first room of what doubles, in elements. */
#define FIRST		4u

/* The most that mallopt takes where a long has 64 bits. */
#define MMAP_THRESHOLD_MAX	(32 << 20)

/* Round robin in runs of so many. */
#define RUN		8u

/* An inner builder is opened when its outer one has half of its elements. */
#define HALF(length)	((length) / 2)

typedef void (*start_fn)(struct work *w, struct array *a, unsigned slot);
typedef void (*run_fn)(struct work *w, struct array *a, unsigned slot, uint64_t from,
		       uint64_t to);

/* @i, of which the compiler knows nothing. */
fl_hot uint64_t element(uint64_t i)
{
	__asm__ volatile("" : "+r"(i));
	return i;
}

fl_hot void drive(struct work *w, uint64_t nr, uint64_t length, start_fn start,
		  run_fn run, start_fn finish)
{
	struct array *a = &w->arrays[w->nr_arrays];
	const bool nested = w->args->values[SHAPE] == SHAPE_NESTED;

	w->nr_arrays += nr;
	if (nr == 1) {
		start(w, a, 0);
		run(w, a, 0, 0, length);
		finish(w, a, 0);
	} else if (nested) {
		for (unsigned k = 0; k < nr; k++) {
			start(w, &a[k], k);
			run(w, &a[k], k, 0, HALF(length));
		}
		for (unsigned k = (unsigned)nr; k-- > 0;) {
			run(w, &a[k], k, HALF(length), length);
			finish(w, &a[k], k);
		}
	} else {
		for (unsigned k = 0; k < nr; k++)
			start(w, &a[k], k);
		for (uint64_t i = 0; i < length; i += RUN)
			for (unsigned k = 0; k < nr; k++)
				run(w, &a[k], k, i, i + RUN < length ?
				    i + RUN : length);
		for (unsigned k = 0; k < nr; k++)
			finish(w, &a[k], k);
	}
}

#define BUILD(name)							\
	static void name##_build(struct work *w, uint64_t nr, uint64_t length) \
	{								\
		drive(w, nr, length, name##_start, name##_run, name##_finish); \
	}

static int nothing_to_begin(struct work *w)
{
	(void)w;
	return 0;
}

static void nothing_to_do(struct work *w)
{
	(void)w;
}

static void region_over(struct work *w)
{
	w->on.strategy->region_reset(w->on.region);
}

static void note(struct work *w, struct array *a, const struct fl_builder *b,
		 int err, void *array)
{
	if (err && !w->error)
		w->error = err;
	a->base = array;
	w->nr_linked += b->linked;
	w->copied_bytes += b->copied_bytes;
	w->nr_moves += b->nr_chunks;
}

/* link: fl_builder in the region. */

fl_hot void link_start(struct work *w, struct array *a, unsigned slot)
{
	(void)a;
	fl_builder_open(&w->builders[slot], w->on.strategy, w->on.region, 8);
}

fl_hot void link_run(struct work *w, struct array *a, unsigned slot, uint64_t from,
		     uint64_t to)
{
	struct fl_builder *b = &w->builders[slot];
	struct fl_builder_run run = fl_builder_run_begin(b);

	(void)a;
	for (uint64_t i = from; i < to; i++)
		*(uint64_t *)fl_builder_run_push(b, &run, sizeof(i)) = element(i);
	fl_builder_run_end(b, run);
}

fl_hot void link_finish(struct work *w, struct array *a, unsigned slot)
{
	struct fl_builder *b = &w->builders[slot];
	uint64_t bytes;
	void *array = NULL;
	int err = fl_builder_close(b, &array, &bytes);

	note(w, a, b, err, array);
}

BUILD(link)

/* region: the same, each in a region of its own. */

fl_hot void region_start(struct work *w, struct array *a, unsigned slot)
{
	if (w->on.strategy->region_create(w->on.heap, &a->region)) {
		w->error = -ENOMEM;
		a->region = w->on.region;
	}
	fl_builder_open(&w->builders[slot], w->on.strategy, a->region, 8);
}

static void region_build(struct work *w, uint64_t nr, uint64_t length)
{
	drive(w, nr, length, region_start, link_run, link_finish);
}

static void regions_over(struct work *w)
{
	for (uint64_t i = 0; i < w->nr_arrays; i++)
		if (w->arrays[i].region != w->on.region)
			w->on.strategy->region_destroy(w->arrays[i].region);
	region_over(w);
}

/* bound: an object as large as the array can get, never checked. */

fl_hot void bound_start(struct work *w, struct array *a, unsigned slot)
{
	(void)slot;
	a->base = a->next = w->on.strategy->object_new(w->on.region, w->bound * 8, 8, 0);
}

fl_hot void bound_run(struct work *w, struct array *a, unsigned slot, uint64_t from,
		      uint64_t to)
{
	uint64_t *next = a->next;

	(void)w;
	(void)slot;
	for (uint64_t i = from; i < to; i++)
		*next++ = element(i);
	a->next = next;
}

fl_hot void bound_finish(struct work *w, struct array *a, unsigned slot)
{
	(void)a;
	(void)slot;
	if (w->on.region->error)
		w->error = w->on.region->error;
}

BUILD(bound)

/* realloc: doubled, and freed one by one. */

fl_hot void realloc_start(struct work *w, struct array *a, unsigned slot)
{
	(void)w;
	(void)slot;
	a->base = a->next = a->end = NULL;
}

static fl_cold void realloc_more(struct work *w, struct array *a)
{
	const size_t used = (size_t)(a->next - a->base);
	const size_t room = used ? 2 * used : FIRST;
	const uintptr_t old = (uintptr_t)a->base;
	uint64_t *base = realloc(a->base, room * sizeof(*base));

	if (!base)
		abort();	/* There is no way on, and no way back. */
	w->nr_moves += (uintptr_t)base != old;
	w->copied_bytes += (uintptr_t)base != old ? used * sizeof(*base) : 0;
	a->base = base;
	a->next = base + used;
	a->end = base + room;
}

/* @more: doubles the room. */
fl_hot void doubling_run(struct work *w, struct array *a, uint64_t from, uint64_t to,
			 void (*more)(struct work *w, struct array *a))
{
	uint64_t *next = a->next, *end = a->end;

	for (uint64_t i = from; i < to; i++) {
		if (fl_unlikely(next == end)) {
			a->next = next;
			more(w, a);
			next = a->next;
			end = a->end;
		}
		/* As fl_builder_run_push has it. */
		next++;
		__asm__("" : "+r"(next));
		next[-1] = element(i);
	}
	a->next = next;
}

fl_hot void realloc_run(struct work *w, struct array *a, unsigned slot, uint64_t from,
			uint64_t to)
{
	(void)slot;
	doubling_run(w, a, from, to, realloc_more);
}

fl_hot void realloc_finish(struct work *w, struct array *a, unsigned slot)
{
	(void)w;
	(void)a;
	(void)slot;
}

BUILD(realloc)

static void realloc_over(struct work *w)
{
	for (uint64_t i = 0; i < w->nr_arrays; i++)
		free(w->arrays[i].base);
}

/*
 * realloc_keep: by default free gives the top of the heap back to the kernel, as soon as
 * there are 128 KiB of it, and the next lifetime pays for the page faults.  Not here: regions keep
 * their blocks, too.  A sample is a process of its own.
 */
static int keep_all(struct work *w)
{
	(void)w;
	return mallopt(M_TRIM_THRESHOLD, INT_MAX) &&
	       mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_MAX) ? 0 : -EINVAL;
}

/* obstack: glibc's growing object, one obstack for each that is open. */

static int obstacks_begin(struct work *w)
{
	for (unsigned k = 0; k < w->args->values[OPEN]; k++)
		obstack_init(&w->obstacks[k]);
	return 0;
}

fl_hot void obstack_start(struct work *w, struct array *a, unsigned slot)
{
	(void)w;
	(void)a;
	(void)slot;
}

fl_hot void obstack_run(struct work *w, struct array *a, unsigned slot, uint64_t from,
			uint64_t to)
{
	struct obstack *o = &w->obstacks[slot];

	(void)a;
	for (uint64_t i = from; i < to; i++) {
		if (fl_unlikely(obstack_room(o) < sizeof(i)))
			obstack_make_room(o, sizeof(i));
		*(uint64_t *)obstack_next_free(o) = element(i);
		obstack_blank_fast(o, sizeof(i));
	}
}

fl_hot void obstack_finish_it(struct work *w, struct array *a, unsigned slot)
{
	a->base = obstack_finish(&w->obstacks[slot]);
}

static void obstack_build(struct work *w, uint64_t nr, uint64_t length)
{
	drive(w, nr, length, obstack_start, obstack_run, obstack_finish_it);
}

static void obstacks_over(struct work *w)
{
	for (unsigned k = 0; k < w->args->values[OPEN]; k++) {
		obstack_free(&w->obstacks[k], NULL);
		obstack_init(&w->obstacks[k]);
	}
}

static void obstacks_end(struct work *w)
{
	for (unsigned k = 0; k < w->args->values[OPEN]; k++)
		obstack_free(&w->obstacks[k], NULL);
}

/*
 * reserve: one array behind the other in a reservation, never checked; the kernel's
 * fault supplies the next page.  One reservation for each that is open.
 */

static int reserves_begin(struct work *w)
{
	int err = 0;

	for (unsigned k = 0; k < w->args->values[OPEN] && !err; k++) {
		err = fl_reserve(w->reserve_bytes, FL_OPEN, &w->reserves[k]);
		w->reserved[k] = w->reserves[k];
	}
	return err;
}

fl_hot void reserve_start(struct work *w, struct array *a, unsigned slot)
{
	a->base = a->next = (uint64_t *)(void *)w->reserved[slot];
}

fl_hot void reserve_finish(struct work *w, struct array *a, unsigned slot)
{
	w->reserved[slot] = (char *)a->next;
}

static void reserve_build(struct work *w, uint64_t nr, uint64_t length)
{
	drive(w, nr, length, reserve_start, bound_run, reserve_finish);
}

static void reserves_over(struct work *w)
{
	for (unsigned k = 0; k < w->args->values[OPEN]; k++)
		w->reserved[k] = w->reserves[k];
}

static void reserves_end(struct work *w)
{
	for (unsigned k = 0; k < w->args->values[OPEN]; k++)
		fl_release(w->reserves[k], w->reserve_bytes);
}

/* mremap: a mapping of its own, doubled by moving its pages. */

static fl_cold void mremap_more(struct work *w, struct array *a)
{
	const size_t used = (size_t)((char *)a->next - (char *)a->base);
	const size_t room = used ? 2 * used : fl_page_bytes();
	void *base = used ? mremap(a->base, used, room, MREMAP_MAYMOVE) :
		mmap(NULL, room, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		abort();	/* As realloc. */
	w->nr_moves += base != (void *)a->base;
	a->base = base;
	a->next = (uint64_t *)(void *)((char *)base + used);
	a->end = (uint64_t *)(void *)((char *)base + room);
}

fl_hot void mremap_run(struct work *w, struct array *a, unsigned slot, uint64_t from,
		       uint64_t to)
{
	(void)slot;
	doubling_run(w, a, from, to, mremap_more);
}

static void mremap_build(struct work *w, uint64_t nr, uint64_t length)
{
	drive(w, nr, length, realloc_start, mremap_run, realloc_finish);
}

static void mremap_over(struct work *w)
{
	for (uint64_t i = 0; i < w->nr_arrays; i++)
		munmap(w->arrays[i].base, (size_t)((char *)w->arrays[i].end -
						   (char *)w->arrays[i].base));
}

const struct way builder_ways[] = {
	{ true, nothing_to_begin, link_build, region_over, nothing_to_do },
	{ true, nothing_to_begin, region_build, regions_over, nothing_to_do },
	{ true, nothing_to_begin, bound_build, region_over, nothing_to_do },
	{ false, nothing_to_begin, realloc_build, realloc_over, nothing_to_do },
	{ false, keep_all, realloc_build, realloc_over, nothing_to_do },
	{ false, obstacks_begin, obstack_build, obstacks_over, obstacks_end },
	{ false, reserves_begin, reserve_build, reserves_over, reserves_end },
	{ false, nothing_to_begin, mremap_build, mremap_over, nothing_to_do },
};
