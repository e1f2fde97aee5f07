/* SPDX-License-Identifier: MIT */
/*
 * The shadow model of what is alive, and what /proc says the process holds.
 *
 * Live objects are kept in a search tree whose comparison calls two intervals
 * equal when they overlap: so an insertion that finds something has found an
 * overlap.  Each owner's objects are also a list.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/conform_check.h"

/* Above this size an object is filled and read in samples, not throughout. */
#define DENSE_BYTES	((uint64_t)32 << 10)
#define SPARSE_BYTES	512u
#define SPARSER_BYTES	((uint64_t)64 << 10)

struct object {
	uintptr_t base, end;
	uint64_t word;		/* the first; the others follow from it */
	uint64_t serial, bytes, align;
	uint32_t owner;
	struct object *next;	/* of the owner */
};

struct fl_shadow {
	struct fl_trial *t;
	struct fl_heap *heap;
	void *tree;
	struct object **owners;
	uint32_t nr_owners;
	uint64_t nr_objects;	/* ever */
	uint64_t words;		/* state of the generator of first words */
	struct fl_range *ranges;
	size_t nr_ranges, room_ranges, last_range;
};

static int compare_objects(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	if (x->end <= y->base)
		return -1;
	return x->base >= y->end;
}

struct fl_shadow *fl_shadow_new(struct fl_trial *t, struct fl_heap *heap)
{
	struct fl_shadow *s = fl_trial_alloc(t, 1, sizeof(*s));

	s->t = t;
	s->heap = heap;
	s->words = t->conform->seed;
	return s;
}

static void grow_owners(struct fl_shadow *s, uint32_t owner)
{
	uint32_t nr = s->nr_owners ? s->nr_owners : 16;
	struct object **owners;

	while (nr <= owner)
		nr *= 2;
	owners = fl_trial_alloc(s->t, nr, sizeof(struct object *));
	if (s->nr_owners)
		memcpy(owners, s->owners, s->nr_owners * sizeof(*owners));
	free(s->owners);
	s->owners = owners;
	s->nr_owners = nr;
}

static void ask_ranges(struct fl_shadow *s)
{
	const struct fl_strategy *strategy = s->t->s;

	s->nr_ranges = strategy->ranges(s->heap, s->ranges, s->room_ranges);
	while (s->nr_ranges > s->room_ranges) {
		free(s->ranges);
		s->room_ranges = s->nr_ranges + 16;
		s->ranges = fl_trial_alloc(s->t, s->room_ranges,
					   sizeof(*s->ranges));
		s->nr_ranges = strategy->ranges(s->heap, s->ranges,
						s->room_ranges);
	}
}

static bool in_range(const struct fl_range *r, const struct object *o)
{
	const uintptr_t base = (uintptr_t)r->base;

	return r->kind == FL_RANGE_OBJECTS && o->base >= base &&
	       o->end <= base + r->bytes;
}

/* Ranges rarely change, so the last answer is tried first. */
static bool declared(struct fl_shadow *s, const struct object *o)
{
	if (s->last_range < s->nr_ranges &&
	    in_range(&s->ranges[s->last_range], o))
		return true;
	ask_ranges(s);
	for (size_t i = 0; i < s->nr_ranges; i++) {
		s->last_range = i;
		if (in_range(&s->ranges[i], o))
			return true;
	}
	return false;
}

static uint64_t pattern(const struct object *o, uint64_t offset)
{
	return offset ? (o->word + offset) * 0x9e3779b97f4a7c15u + 1 : o->word;
}

/* The next word to fill or read behind @offset; the last one is always hit. */
static uint64_t next_offset(const struct object *o, uint64_t offset)
{
	const uint64_t bytes = o->end - o->base;
	const uint64_t step = bytes <= DENSE_BYTES ? 8 :
		bytes <= 16 * DENSE_BYTES ? SPARSE_BYTES : SPARSER_BYTES;

	if (offset + 8 >= bytes)
		return bytes;
	return offset + step + 8 < bytes ? offset + step : bytes - 8;
}

static uint64_t read_word(const struct object *o, uint64_t offset)
{
	return *(volatile uint64_t *)(o->base + offset);
}

static void describe(const struct object *o, char *out, size_t out_bytes)
{
	snprintf(out, out_bytes, "object %" PRIu64 " (%" PRIu64 " bytes, align %"
		 PRIu64 ", region %u)", o->serial, o->bytes, o->align, o->owner);
}

static void complain_overlap(struct fl_shadow *s, const struct object *o,
			     const struct object *other)
{
	const uintptr_t low = o->base > other->base ? o->base : other->base;
	const uintptr_t high = o->end < other->end ? o->end : other->end;
	char a[128], b[128];

	describe(o, a, sizeof(a));
	describe(other, b, sizeof(b));
	fl_trial_fail(s->t, "%s overlaps %s, which is alive, by %zu bytes", a, b,
		      (size_t)(high - low));
}

static void fill(const struct object *o)
{
	const uint64_t bytes = o->end - o->base;

	for (uint64_t at = 0; at < bytes; at = next_offset(o, at))
		*(volatile uint64_t *)(o->base + at) = pattern(o, at);
}

static void verify(struct fl_shadow *s, const struct object *o)
{
	const uint64_t bytes = o->end - o->base;
	char what[128];

	for (uint64_t at = 0; at < bytes; at = next_offset(o, at)) {
		if (read_word(o, at) == pattern(o, at))
			continue;
		describe(o, what, sizeof(what));
		fl_trial_fail(s->t, "%s changed at offset %" PRIu64
			      " while its region was alive", what, at);
	}
}

static struct object *new_object(struct fl_shadow *s, uint32_t owner,
				 uint64_t bytes, uint64_t align)
{
	struct object *o = fl_trial_alloc(s->t, 1, sizeof(*o));

	*o = (struct object){
		.word = fl_random(&s->words), .serial = s->nr_objects++,
		.bytes = bytes, .align = align, .owner = owner,
	};
	return o;
}

/* It was put at @p. */
static void check_place(struct fl_shadow *s, struct object *o,
			const struct fl_region *region, char *p)
{
	struct fl_trial *t = s->t;
	char what[128];

	describe(o, what, sizeof(what));
	o->base = (uintptr_t)p;
	o->end = o->base + fl_object_bytes(o->bytes);
	if (!p)
		fl_trial_fail(t, "%s is NULL", what);
	if (region->error)
		fl_trial_fail(t, "%s set error %d (%s), and there is no limit",
			      what, region->error, strerror(-region->error));
	if (o->base & (o->align - 1))
		fl_trial_fail(t, "%s is aligned to %zu", what,
			      (size_t)(o->base & -o->base));
	if (!declared(s, o))
		fl_trial_fail(t, "%s lies in no range that is declared for objects",
			      what);
}

/* Among the living, where it overlaps nobody; and fill it. */
static void enter(struct fl_shadow *s, struct object *o)
{
	struct object **found = tsearch(o, &s->tree, compare_objects);
	const uint32_t owner = o->owner;
	char what[128];

	if (!found)
		fl_trial_fail(s->t, "the suite itself is short of memory");
	if (*found != o)
		complain_overlap(s, o, *found);
	describe(o, what, sizeof(what));
	fl_trial_doing(s->t, "filling %s", what);
	fill(o);
	if (owner >= s->nr_owners)
		grow_owners(s, owner);
	o->next = s->owners[owner];
	s->owners[owner] = o;
}

char *fl_shadow_alloc(struct fl_shadow *s, struct fl_region *region,
		      uint32_t owner, uint64_t bytes, uint64_t align)
{
	struct object *o = new_object(s, owner, bytes, align);
	char what[128];
	char *p;

	describe(o, what, sizeof(what));
	fl_trial_doing(s->t, "allocating %s", what);
	p = s->t->s->object_new(region, bytes, align, o->word);
	check_place(s, o, region, p);
	if (read_word(o, 0) != o->word)
		fl_trial_fail(s->t, "the first word of %s was not stored", what);
	enter(s, o);
	return p;
}

void fl_shadow_adopt(struct fl_shadow *s, const struct fl_region *region,
		     uint32_t owner, char *p, uint64_t bytes, uint64_t align)
{
	struct object *o = new_object(s, owner, bytes, align);

	check_place(s, o, region, p);
	enter(s, o);
}

void fl_shadow_verify(struct fl_shadow *s, uint32_t owner)
{
	if (owner >= s->nr_owners)
		return;
	fl_trial_doing(s->t, "reading the objects of region %u", owner);
	for (const struct object *o = s->owners[owner]; o; o = o->next)
		verify(s, o);
}

void fl_shadow_verify_all(struct fl_shadow *s)
{
	for (uint32_t owner = 0; owner < s->nr_owners; owner++)
		fl_shadow_verify(s, owner);
}

static void forget(struct fl_shadow *s, uint32_t owner)
{
	if (owner >= s->nr_owners)
		return;
	while (s->owners[owner]) {
		struct object *o = s->owners[owner];

		s->owners[owner] = o->next;
		tdelete(o, &s->tree, compare_objects);
		free(o);
	}
}

void fl_shadow_reset(struct fl_shadow *s, struct fl_region *region,
		     uint32_t owner)
{
	fl_shadow_verify(s, owner);
	forget(s, owner);
	fl_trial_doing(s->t, "resetting region %u", owner);
	s->t->s->region_reset(region);
	if (region->error)
		fl_trial_fail(s->t, "region %u has error %d after a reset",
			      owner, region->error);
}

void fl_shadow_destroy(struct fl_shadow *s, struct fl_region *region,
		       uint32_t owner)
{
	fl_shadow_verify(s, owner);
	forget(s, owner);
	fl_trial_doing(s->t, "destroying region %u", owner);
	s->t->s->region_destroy(region);
}

void fl_shadow_free(struct fl_shadow *s)
{
	for (uint32_t owner = 0; owner < s->nr_owners; owner++)
		forget(s, owner);
	free(s->owners);
	free(s->ranges);
	free(s);
}

/*
 * What the process holds.
 */

static uint64_t count_lines(struct fl_trial *t, const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t nr = 0;
	int c;

	if (!f)
		fl_trial_fail(t, "%s: %s", path, strerror(errno));
	while ((c = getc(f)) != EOF)
		nr += c == '\n';
	fclose(f);
	return nr;
}

static uint64_t count_entries(struct fl_trial *t, const char *path)
{
	DIR *dir = opendir(path);
	uint64_t nr = 0;

	if (!dir)
		fl_trial_fail(t, "%s: %s", path, strerror(errno));
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* The kilobytes in the lines "NAME: 12 kB" of a file, in bytes. */
static uint64_t kilobytes(struct fl_trial *t, const char *path,
			  const char *name)
{
	const size_t n = strlen(name);
	FILE *f = fopen(path, "re");
	uint64_t kb = 0, one;
	char line[512];

	if (!f)
		fl_trial_fail(t, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && line[n] == ':' &&
		    sscanf(line + n + 1, "%" SCNu64, &one) == 1)
			kb += one;
	fclose(f);
	return kb * 1024;
}

void fl_footprint_take(struct fl_trial *t, struct fl_footprint *out)
{
	*out = (struct fl_footprint){
		.nr_vmas = count_lines(t, "/proc/self/maps"),
		.mapped_bytes = kilobytes(t, "/proc/self/status", "VmSize"),
		.anonymous_bytes = kilobytes(t, "/proc/self/smaps_rollup",
					     "Anonymous"),
		.nr_files = count_entries(t, "/proc/self/fd"),
		.nr_threads = count_entries(t, "/proc/self/task"),
	};
}
