/* SPDX-License-Identifier: MIT */
/*
 * Checks of the table and of heaps, regions and objects, as a program that
 * makes no mistakes sees them.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/conform_check.h"
#include "harness/module_load.h"
#include "harness/oracle.h"
#include "vm/census.h"
#include "vm/reserve.h"

#define KIB			((uint64_t)1 << 10)
#define MIB			((uint64_t)1 << 20)

#define MANY_REGIONS		4096u

/* Blocks and steps above this are not walked to their end. */
#define UNIT_BYTES_MAX		(8 * MIB)

/* What a lifetime of the checks that only churn allocates, at most. */
#define CHURN_BYTES		(2 * MIB)
#define CHURN_OBJECT_BYTES	70000u
#define CHURN_NEED(nr)	{						\
		.region_bytes = CHURN_BYTES + 2 * CHURN_OBJECT_BYTES,	\
		.object_bytes = CHURN_OBJECT_BYTES, .nr_regions = (nr),	\
	}

/*
 * The table.
 */

static bool one_line(const char *text)
{
	return text && *text && !strchr(text, '\n');
}

static void try_number(struct fl_trial *t, const struct fl_tunable *k)
{
	if (k->min > k->max || k->def < k->min || k->def > k->max)
		fl_trial_fail(t, "tunable %s: min <= default <= max does not hold",
			      k->name);
	if (k->kind == FL_TUNABLE_BYTES &&
	    (k->def | k->min | k->max) % fl_page_bytes())
		fl_trial_fail(t, "tunable %s: default, min and max must be multiples of the page size, %zu",
			      k->name, fl_page_bytes());
}

static void try_choices(struct fl_trial *t, const struct fl_tunable *k)
{
	uint64_t nr = 0;

	if (!k->choices)
		fl_trial_fail(t, "tunable %s: a choice without choices", k->name);
	while (k->choices[nr]) {
		if (!*k->choices[nr] || strpbrk(k->choices[nr], "=, \n"))
			fl_trial_fail(t, "tunable %s: choice \"%s\" cannot be written as a setting",
				      k->name, k->choices[nr]);
		nr++;
	}
	if (k->def >= nr)
		fl_trial_fail(t, "tunable %s: the default is choice %" PRIu64
			      " of %" PRIu64, k->name, k->def, nr);
}

static void try_tunable(struct fl_trial *t, size_t i)
{
	const struct fl_tunables all = fl_strategy_tunables(t->s);
	const struct fl_tunable *k = &all.table[i];

	if (!k->name || !*k->name || strpbrk(k->name, "=, \n"))
		fl_trial_fail(t, "tunable %zu has no name that can be written as a setting",
			      i);
	if (fl_tunable_index(&all, k->name) != (int)i)
		fl_trial_fail(t, "tunable %s is declared twice", k->name);
	if (!k->unit || !one_line(k->help))
		fl_trial_fail(t, "tunable %s lacks its unit or one line of help",
			      k->name);
	switch (k->kind) {
	case FL_TUNABLE_BYTES:
	case FL_TUNABLE_COUNT:
		try_number(t, k);
		break;
	case FL_TUNABLE_CHOICE:
		try_choices(t, k);
		break;
	default:
		fl_trial_fail(t, "tunable %s is of no known kind", k->name);
	}
}

void fl_try_table(struct fl_trial *t)
{
	const struct fl_strategy *s = t->s;

	if (!one_line(s->summary) || !one_line(s->trigger))
		fl_trial_fail(t, "summary and trigger must be one line each");
	if (s->answer > FL_ANSWER_ELASTIC)
		fl_trial_fail(t, "answer %d is none of enum fl_answer",
			      (int)s->answer);
	if (!s->chunk_take != !s->chunk_grow || !s->chunk_take != !s->chunk_give)
		fl_trial_fail(t, "chunk_take, chunk_grow and chunk_give go together: all three or none");
	for (size_t i = 0; i < s->nr_tunables; i++)
		try_tunable(t, i);
	for (size_t i = 0; i < s->nr_kernels; i++)
		if (!s->kernels[i].name || !s->kernels[i].run)
			fl_trial_fail(t, "kernel %zu has no name or no code", i);
	for (size_t i = 0; i < fl_oracle.nr_kernels; i++) {
		const struct fl_kernel *k = &fl_oracle.kernels[i];

		if (!fl_kernel_find(s, k->name, k->object_bytes, k->residence,
				    k->mode))
			fl_trial_fail(t, "kernel %s of %u bytes, %s, %s is missing: include faultline/module.h and use FL_STRATEGY()",
				      k->name, k->object_bytes,
				      fl_residence_name(k->residence),
				      fl_mode_name(k->mode));
	}
}

static void probe_into(struct fl_trial *t, size_t bytes)
{
	char reason[64];
	int err;

	memset(reason, 0x5a, sizeof(reason));
	fl_trial_doing(t, "asking the probe for a reason of %zu bytes", bytes);
	err = t->s->probe(t->conform->values, reason, bytes);
	for (size_t i = bytes; i < sizeof(reason); i++)
		if (reason[i] != 0x5a)
			fl_trial_fail(t, "the probe wrote %zu bytes behind a reason of %zu",
				      i + 1 - bytes, bytes);
	if (err)
		fl_trial_fail(t, "the probe said yes first and %s now",
			      strerror(err < 0 ? -err : err));
}

/* Threads that were joined may be seen in /proc for a moment. */
static void settle(struct fl_trial *t, const struct fl_footprint *before,
		   struct fl_footprint *after)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < 500; i++) {
		fl_footprint_take(t, after);
		if (after->nr_threads <= before->nr_threads)
			return;
		nanosleep(&moment, NULL);
	}
}

/*
 * Nothing may be left.  @nr times something was done; the memory of malloc and
 * of the C library's stacks is kept by them, so that only what grows with each
 * time counts: less than one page each is forgiven.
 */
static void compare_footprints(struct fl_trial *t, const char *what, unsigned nr,
			       const struct fl_footprint *before)
{
	const uint64_t slack = nr * (uint64_t)fl_page_bytes() *
			       (fl_trial_slowness() > 1 ? 16 : 1);
	struct fl_footprint after;

	settle(t, before, &after);
	if (after.nr_files != before->nr_files)
		fl_trial_fail(t, "%s %u times left %lld descriptors open", what,
			      nr, (long long)(after.nr_files - before->nr_files));
	/* Fewer: the kernel's worker of an io_uring that is long closed has ended. */
	if (after.nr_threads > before->nr_threads)
		fl_trial_fail(t, "%s %u times left %lld threads running", what,
			      nr, (long long)(after.nr_threads -
					      before->nr_threads));
	if (after.mapped_bytes >= before->mapped_bytes + slack)
		fl_trial_fail(t, "%s %u times left %" PRIu64 " KiB mapped",
			      what, nr,
			      (after.mapped_bytes - before->mapped_bytes) / KIB);
	if (after.anonymous_bytes >= before->anonymous_bytes + slack)
		fl_trial_fail(t, "%s %u times left %" PRIu64 " KiB resident",
			      what, nr, (after.anonymous_bytes -
					 before->anonymous_bytes) / KIB);
	/* Sanitizers map as they see fit. */
	if (after.nr_vmas > before->nr_vmas + nr / 2 &&
	    fl_trial_build() == FL_BUILD_PLAIN)
		fl_trial_fail(t, "%s %u times left %" PRIu64 " mappings more",
			      what, nr, after.nr_vmas - before->nr_vmas);
}

void fl_try_probe(struct fl_trial *t)
{
	struct fl_footprint before;

	/* Without a probe it claims to run everywhere. */
	if (!t->s->probe)
		return;
	probe_into(t, 64);
	fl_footprint_take(t, &before);
	fl_footprint_take(t, &before);
	for (int i = 0; i < 8; i++) {
		probe_into(t, 64);
		probe_into(t, 1);
	}
	compare_footprints(t, "probing", 16, &before);
}

/*
 * Heaps.
 */

/* One whole life of a heap, closed while regions live. */
static void live(struct fl_trial *t, uint64_t bytes)
{
	const struct fl_need need = {
		.region_bytes = bytes + 32 * KIB, .object_bytes = 32 * KIB,
		.nr_regions = 3,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_region *regions[3];

	for (int i = 0; i < 3; i++) {
		regions[i] = fl_trial_region(t, heap);
		for (uint64_t done = 0; done < bytes; done += 32 * KIB)
			t->s->object_new(regions[i], 32 * KIB, 8, done);
	}
	t->s->region_reset(regions[0]);
	t->s->region_destroy(regions[1]);
	fl_trial_doing(t, "closing a heap with two regions alive");
	t->s->close(heap);
}

void fl_try_open_close(struct fl_trial *t)
{
	const unsigned nr_times = 64;
	const uint64_t bytes = fl_trial_stretch(t, 128 * KIB, 1 * MIB);
	struct fl_footprint before;

	fl_footprint_take(t, &before);
	for (unsigned i = 0; i < 4; i++)
		live(t, bytes);
	fl_footprint_take(t, &before);
	for (unsigned i = 0; i < nr_times; i++)
		live(t, bytes);
	compare_footprints(t, "opening and closing a heap", nr_times, &before);
}

/*
 * Objects.
 */

/* Objects of one size until a lifetime is over; then all words are read. */
static void try_words(struct fl_trial *t, struct fl_region *region,
		      uint64_t size, uint64_t nr)
{
	static const uint64_t special[] = {
		0, UINT64_MAX, (uint64_t)1 << 63, 1, 0x5a5a5a5a5a5a5a5au,
	};
	const size_t nr_special = sizeof(special) / sizeof(special[0]);
	volatile uint64_t **objects = fl_trial_alloc(t, nr, sizeof(*objects));

	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t word = i % 2 ? special[i / 2 % nr_special] :
					      i * 0x9e3779b97f4a7c15u;

		fl_trial_doing(t, "allocating object %" PRIu64 " of %" PRIu64
			       " bytes", i, size);
		objects[i] = t->s->object_new(region, size, 8, word);
		if (!objects[i])
			fl_trial_fail(t, "object %" PRIu64 " of %" PRIu64
				      " bytes is NULL", i, size);
		if (*objects[i] != word)
			fl_trial_fail(t, "object %" PRIu64 " of %" PRIu64
				      " bytes has first word %" PRIx64
				      " where %" PRIx64 " was to be stored", i,
				      size, *objects[i], word);
	}
	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t word = i % 2 ? special[i / 2 % nr_special] :
					      i * 0x9e3779b97f4a7c15u;

		if (*objects[i] != word)
			fl_trial_fail(t, "object %" PRIu64 " of %" PRIu64
				      " bytes lost its first word to a later one",
				      i, size);
	}
	free(objects);
	t->s->region_reset(region);
}

void fl_try_first_word(struct fl_trial *t)
{
	static const uint64_t sizes[] = { 8, 24, 4096, 65528, 65535, 65536, 65537 };
	const uint64_t stretch = fl_trial_stretch(t, 256 * KIB, 3 * MIB);
	const struct fl_need need = {
		.region_bytes = stretch + 20 * (65537 + 8), .nr_regions = 1,
		.object_bytes = 65537,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_region *region = fl_trial_region(t, heap);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		try_words(t, region, sizes[i],
			  16 + stretch / fl_object_bytes(sizes[i]));
	if (region->error)
		fl_trial_fail(t, "error %d, and there is no limit", region->error);
}

/* The sizes of fl_try_alignment: where rounding, guard and block begin. */
static size_t list_sizes(struct fl_trial *t, uint64_t *sizes)
{
	static const uint64_t fixed[] = {
		0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100,
		127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 1025, 2047,
		2048, 2049, 4088, 4095, 4096, 4097, 4104, 8191, 8192, 8193,
		32767, 32768, 32769, 61440, 65520, 65527, 65528, 65529, 65534,
		65535, 65536, 65537, 65544, 69631, 69632, 69633, 131071, 131072,
		131073, MIB - 8, MIB, MIB + 8, 3 * MIB + 1, 5 * MIB,
	};
	const struct fl_geometry g = fl_trial_geometry(t);
	const uint64_t units[] = { g.block_bytes, g.step_bytes };
	size_t nr = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		sizes[nr++] = fixed[i];
	for (size_t i = 0; i < 2; i++)
		if (units[i] > 16 && units[i] <= UNIT_BYTES_MAX &&
		    t->s->answer != FL_ANSWER_NEVER)
			for (uint64_t k = 0; k < 5; k++)
				sizes[nr++] = units[i] - 16 + 8 * k;
	return nr;
}

void fl_try_alignment(struct fl_trial *t)
{
	uint64_t sizes[128], region_bytes = 0, object_bytes = 0;
	const size_t nr = list_sizes(t, sizes);
	struct fl_region *region;
	struct fl_shadow *shadow;
	struct fl_need need;
	struct fl_heap *heap;

	for (size_t i = 0; i < nr; i++) {
		region_bytes += fl_object_room(sizes[i], FL_ALIGN_MAX);
		if (sizes[i] > object_bytes)
			object_bytes = sizes[i];
	}
	need = (struct fl_need){
		.region_bytes = region_bytes, .object_bytes = object_bytes,
		.nr_regions = 1,
	};
	heap = fl_trial_open(t, &need);
	region = fl_trial_region(t, heap);
	shadow = fl_shadow_new(t, heap);
	for (uint64_t align = FL_GRAIN_BYTES; align <= FL_ALIGN_MAX; align *= 2) {
		for (size_t i = 0; i < nr; i++)
			fl_shadow_alloc(shadow, region, 0, sizes[i], align);
		fl_shadow_reset(shadow, region, 0);
	}
}

/*
 * Fill a region until @left bytes of @unit are left, in objects of at most
 * @chunk, and then allocate @last.
 */
static void try_end(struct fl_shadow *shadow, struct fl_region *region,
		    uint64_t unit, uint64_t chunk, uint64_t left, uint64_t last)
{
	uint64_t fill = unit - left;

	while (fill) {
		const uint64_t bytes = fill < chunk ? fill : chunk;

		fl_shadow_alloc(shadow, region, 0, bytes, 8);
		fill -= bytes;
	}
	fl_shadow_alloc(shadow, region, 0, last, 8);
	fl_shadow_alloc(shadow, region, 0, 8, 8);
	fl_shadow_alloc(shadow, region, 0, 24, 8);
	fl_shadow_reset(shadow, region, 0);
}

void fl_try_overlap(struct fl_trial *t)
{
	static const uint64_t chunks[] = { 32 * KIB, UINT64_MAX };
	const struct fl_geometry g = fl_trial_geometry(t);
	uint64_t unit = g.step_bytes ? g.step_bytes : g.block_bytes;
	struct fl_need need;
	struct fl_region *region, *other;
	struct fl_shadow *shadow;
	struct fl_heap *heap;

	if (unit > UNIT_BYTES_MAX || t->s->answer == FL_ANSWER_NEVER)
		unit = 64 * KIB;
	need = (struct fl_need){
		.region_bytes = unit + 256 * KIB, .object_bytes = unit + 32,
		.nr_regions = 2,
	};
	heap = fl_trial_open(t, &need);
	region = fl_trial_region(t, heap);
	other = fl_trial_region(t, heap);
	shadow = fl_shadow_new(t, heap);
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		for (uint64_t left = 0; left <= 64; left += 8)
			for (uint64_t last = left < 8 ? 8 : left - 8;
			     last <= left + 8; last += 8)
				try_end(shadow, region, unit, chunks[i], left,
					last);
	/* Neighbours, with objects of both between each other's. */
	for (uint64_t i = 0; i < 4000; i++) {
		fl_shadow_alloc(shadow, region, 0, i % 48, 8);
		fl_shadow_alloc(shadow, other, 1, i % 40, 8);
	}
	fl_shadow_verify_all(shadow);
}

/*
 * Churn: objects of many sizes in a few regions, each reset when its lifetime
 * has allocated CHURN_BYTES.
 */
struct churn {
	struct fl_shadow *shadow;
	struct fl_region **regions;
	uint64_t *used;		/* of each region's lifetime */
	uint32_t nr;
	uint64_t random;
};

static uint64_t churn_size(uint64_t *random)
{
	const uint64_t r = fl_random(random), v = fl_random(random);

	switch (r % 16) {
	case 0:
		return v % CHURN_OBJECT_BYTES;
	case 1:
	case 2:
		return v % 16384;
	case 3:
	case 4:
	case 5:
		return v % 2048;
	default:
		return v % 128;
	}
}

static void churn_open(struct fl_trial *t, struct churn *c,
		       struct fl_shadow *shadow, struct fl_heap *heap,
		       uint32_t nr, uint64_t seed)
{
	*c = (struct churn){ .shadow = shadow, .nr = nr, .random = seed };
	c->regions = fl_trial_alloc(t, nr, sizeof(*c->regions));
	c->used = fl_trial_alloc(t, nr, sizeof(*c->used));
	for (uint32_t i = 0; i < nr; i++)
		c->regions[i] = fl_trial_region(t, heap);
}

static void churn(struct churn *c, uint64_t nr_objects)
{
	for (uint64_t i = 0; i < nr_objects; i++) {
		const uint32_t k = (uint32_t)(fl_random(&c->random) % c->nr);
		const uint64_t bytes = churn_size(&c->random);
		const uint64_t align = fl_random(&c->random) % 8 ? 8 :
			(uint64_t)8 << fl_random(&c->random) % 10;

		if (c->used[k] + fl_object_room(bytes, align) > CHURN_BYTES) {
			fl_shadow_reset(c->shadow, c->regions[k], k);
			c->used[k] = 0;
		}
		c->used[k] += fl_object_room(bytes, align);
		fl_shadow_alloc(c->shadow, c->regions[k], k, bytes, align);
	}
}

void fl_try_contents(struct fl_trial *t)
{
	const struct fl_need need = CHURN_NEED(6);
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_shadow *shadow = fl_shadow_new(t, heap);
	struct churn c;

	churn_open(t, &c, shadow, heap, 6, t->conform->seed);
	for (int i = 0; i < 20; i++) {
		churn(&c, 150);
		fl_shadow_verify_all(shadow);
	}
	for (uint32_t i = 0; i < c.nr; i++) {
		fl_shadow_destroy(shadow, c.regions[i], i);
		fl_shadow_verify_all(shadow);
	}
}

void fl_try_reset(struct fl_trial *t)
{
	const uint64_t stretch = fl_trial_stretch(t, 128 * KIB, 3 * MIB);
	const struct fl_need need = {
		.region_bytes = stretch + 2 * MIB, .object_bytes = 256 * KIB,
		.nr_regions = 3,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_shadow *shadow = fl_shadow_new(t, heap);
	struct fl_region *a = fl_trial_region(t, heap);
	struct fl_region *b = fl_trial_region(t, heap);
	struct fl_region *c;

	fl_shadow_reset(shadow, a, 0);
	fl_shadow_reset(shadow, a, 0);
	fl_shadow_alloc(shadow, b, 1, 100, 8);
	for (int i = 0; i < 12; i++) {
		const uint64_t size = i % 3 == 0 ? 16 * KIB :
				      i % 3 == 1 ? 1000 : 70000;

		for (uint64_t done = 0; done < stretch; done += size)
			fl_shadow_alloc(shadow, a, 0, size, 8);
		fl_shadow_alloc(shadow, a, 0, 256 * KIB, 8);
		fl_shadow_alloc(shadow, b, 1, 5000, 8);
		fl_shadow_reset(shadow, a, 0);
		/* What the reset gave up may be somebody's by now. */
		c = fl_trial_region(t, heap);
		fl_shadow_alloc(shadow, c, 2, 64, 8);
		fl_shadow_alloc(shadow, a, 0, 64, 8);
		fl_shadow_alloc(shadow, b, 1, 64, 8);
		fl_shadow_alloc(shadow, c, 2, 30000, 8);
		fl_shadow_alloc(shadow, a, 0, 30000, 8);
		fl_shadow_verify_all(shadow);
		fl_shadow_destroy(shadow, c, 2);
		fl_shadow_reset(shadow, a, 0);
		fl_shadow_verify_all(shadow);
	}
}

void fl_try_destroy(struct fl_trial *t)
{
	enum { NR = 8 };
	const struct fl_need need = CHURN_NEED(NR);
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_shadow *shadow = fl_shadow_new(t, heap);
	uint64_t random = t->conform->seed;
	struct fl_region *regions[NR] = { NULL };

	/* Never more than NR alive, so there must always be room for one. */
	for (int i = 0; i < 1500; i++) {
		const uint32_t k = (uint32_t)(fl_random(&random) % NR);

		if (regions[k]) {
			fl_shadow_destroy(shadow, regions[k], k);
			regions[k] = NULL;
			continue;
		}
		regions[k] = fl_trial_region(t, heap);
		for (uint64_t n = fl_random(&random) % 8; n; n--)
			fl_shadow_alloc(shadow, regions[k], k,
					churn_size(&random), 8);
	}
	fl_shadow_verify_all(shadow);
	fl_trial_doing(t, "closing a heap with regions alive");
	t->s->close(heap);
}

/*
 * Many regions.
 */

static uint64_t read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t value = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%" SCNu64, &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

/* Is it the host that has no room for region @nr, rather than the strategy? */
static void excuse(struct fl_trial *t, struct fl_heap *heap, uint32_t nr,
		   uint32_t announced, int err)
{
	const uint64_t most = read_number("/proc/sys/vm/max_map_count");
	struct fl_footprint now;
	struct fl_geometry g;

	fl_footprint_take(t, &now);
	t->s->geometry(heap, &g);
	if (most && now.nr_vmas + 64 >= most)
		fl_trial_skip(t, "%u regions are all this host can hold: it allows a process %" PRIu64
			      " mappings (vm.max_map_count)", nr, most);
	if (g.block_bytes > FL_RESERVE_BYTES_MAX / (nr + 1))
		fl_trial_skip(t, "%u regions of %" PRIu64
			      " MiB are all the addresses a heap may take", nr,
			      g.block_bytes / MIB);
	fl_trial_fail(t, "region_create: %s, with %u regions alive of the %u that were announced",
		      strerror(err < 0 ? -err : err), nr, announced);
}

/*
 * How many regions to have, @most or fewer: an extending strategy may make a
 * whole step resident in each, and all of them together @bytes at most.
 */
static uint32_t affordable_regions(struct fl_trial *t, uint32_t most,
				   uint64_t bytes)
{
	const uint64_t step = fl_trial_geometry(t).step_bytes;

	return step * most > bytes ? (uint32_t)(bytes / step) + 8 : most;
}

void fl_try_many_regions(struct fl_trial *t)
{
	const uint32_t nr = affordable_regions(t, MANY_REGIONS, 512 * MIB);
	const struct fl_need need = {
		.region_bytes = 64 * KIB, .object_bytes = 8 * KIB,
		.nr_regions = nr,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_shadow *shadow = fl_shadow_new(t, heap);
	struct fl_region **regions = fl_trial_alloc(t, nr, sizeof(*regions));
	uint64_t random = t->conform->seed;

	for (uint32_t i = 0; i < nr; i++) {
		int err;

		fl_trial_doing(t, "creating region %u", i);
		err = t->s->region_create(heap, &regions[i]);
		if (err)
			excuse(t, heap, i, nr, err);
	}
	/* Interleaved, at a stride that is prime and so visits all. */
	for (uint32_t i = 0; i < 3 * nr; i++) {
		const uint32_t k = i * 1597 % nr;

		fl_shadow_alloc(shadow, regions[k], k, fl_random(&random) % 200,
				8);
	}
	for (uint32_t i = 0; i < nr; i += 3)
		fl_shadow_destroy(shadow, regions[i * 1597 % nr], i * 1597 % nr);
	for (uint32_t i = 0; i < nr; i += 3) {
		const uint32_t k = i * 1597 % nr;

		regions[k] = fl_trial_region(t, heap);
		fl_shadow_alloc(shadow, regions[k], k, 24, 8);
	}
	for (uint32_t k = 0; k < nr; k += 2)
		fl_shadow_reset(shadow, regions[k], k);
	for (uint32_t k = 0; k < nr; k += 5)
		fl_shadow_alloc(shadow, regions[k], k, 5000, 64);
	fl_shadow_verify_all(shadow);
	fl_trial_doing(t, "closing a heap with %u regions alive", nr);
	t->s->close(heap);
}

void fl_try_region_limit(struct fl_trial *t)
{
	enum { ANNOUNCED = 4, MOST = 2048 };
	const uint32_t most = affordable_regions(t, MOST, 128 * MIB);
	const struct fl_need need = {
		.region_bytes = 64 * KIB, .object_bytes = 8 * KIB,
		.nr_regions = ANNOUNCED,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_shadow *shadow = fl_shadow_new(t, heap);
	struct fl_region *regions[MOST], *const untouched = (void *)shadow;
	uint32_t nr = 0;
	int err = 0;

	while (nr < most) {
		struct fl_region *region = untouched;

		fl_trial_doing(t, "creating region %u where %u were announced",
			       nr, ANNOUNCED);
		err = t->s->region_create(heap, &region);
		if (err && region != untouched)
			fl_trial_fail(t, "region_create failed and wrote a region");
		if (err > 0)
			fl_trial_fail(t, "region_create returned %d, which is neither 0 nor -errno",
				      err);
		if (err)
			break;
		regions[nr] = region;
		fl_shadow_alloc(shadow, region, nr, 100, 8);
		nr++;
	}
	if (nr < ANNOUNCED)
		fl_trial_fail(t, "region_create: %s, with %u regions alive of the %u that were announced",
			      strerror(-err), nr, ANNOUNCED);
	fl_shadow_verify_all(shadow);
	/* A strategy may know no limit; one that does must come back from it. */
	for (uint32_t i = 0; i < nr; i += 2)
		fl_shadow_destroy(shadow, regions[i], i);
	for (uint32_t i = 0; i < nr; i += 2) {
		regions[i] = fl_trial_region(t, heap);
		fl_shadow_alloc(shadow, regions[i], i, 3000, 8);
	}
	fl_shadow_verify_all(shadow);
}

/*
 * Pages.
 */

/* Fresh pages outside every range that a heap is forgiven: a lock, a stack. */
#define FORGIVEN_PAGES	16u

struct range_list {
	struct fl_range at[4096];
	size_t nr;
};

static int compare_ranges(const void *a, const void *b)
{
	const struct fl_range *x = a, *y = b;

	return (x->base > y->base) - (x->base < y->base);
}

/* Ask for the ranges, and look at what comes. */
static void list_ranges(struct fl_trial *t, const struct fl_heap *heap,
			struct range_list *list)
{
	const size_t most = sizeof(list->at) / sizeof(list->at[0]) - 1;
	const struct fl_range canary = { .bytes = 0x5a5a };
	size_t nr;

	fl_trial_doing(t, "asking for the ranges");
	list->at[1] = canary;
	nr = t->s->ranges(heap, list->at, 1);
	if (list->at[1].bytes != canary.bytes)
		fl_trial_fail(t, "ranges wrote more than it was allowed to");
	list->nr = t->s->ranges(heap, list->at, most);
	if (list->nr > most)
		fl_trial_skip(t, "more than %zu ranges", most);
	if (nr != list->nr)
		fl_trial_fail(t, "ranges counts %zu when it may write one and %zu when it may write all",
			      nr, list->nr);
	qsort(list->at, list->nr, sizeof(list->at[0]), compare_ranges);
	for (size_t i = 0; i < list->nr; i++) {
		const struct fl_range *r = &list->at[i];

		if (((uintptr_t)r->base | r->bytes) % fl_page_bytes() ||
		    !r->bytes)
			fl_trial_fail(t, "a range of %zu bytes is not whole pages",
				      r->bytes);
		if (r->kind != FL_RANGE_OBJECTS &&
		    r->kind != FL_RANGE_METADATA && r->kind != FL_RANGE_POOL)
			fl_trial_fail(t, "a range is of no known kind");
		if (i && r[-1].base + r[-1].bytes > r->base)
			fl_trial_fail(t, "two ranges share %zu bytes",
				      (size_t)(r[-1].base + r[-1].bytes - r->base));
	}
}

/* How many of an object's bytes lie in declared ranges for objects? */
static uint64_t covered(const struct range_list *list, const char *base,
			uint64_t bytes)
{
	const char *const end = base + bytes;
	uint64_t sum = 0;

	for (size_t i = 0; i < list->nr; i++) {
		const char *low = list->at[i].base;
		const char *high = low + list->at[i].bytes;

		low = low > base ? low : base;
		high = high < end ? high : end;
		if (list->at[i].kind == FL_RANGE_OBJECTS && low < high)
			sum += (uint64_t)(high - low);
	}
	return sum;
}

static uint64_t resident_pages(struct fl_trial *t, const struct range_list *list)
{
	struct fl_census census;
	uint64_t sum = 0, pages;

	if (fl_census_open(&census))
		fl_trial_skip(t, "this host has no /proc/self/pagemap");
	for (size_t i = 0; i < list->nr; i++) {
		int err = fl_census_pages(&census, census.best,
					  list->at[i].base, list->at[i].bytes,
					  &pages);

		if (err)
			fl_trial_fail(t, "a declared range cannot be counted: %s",
				      strerror(-err));
		sum += pages;
	}
	fl_census_close(&census);
	return sum;
}

/* What try_ranges allocates; made before anything is counted. */
enum { RANGE_REGIONS = 24, RANGE_OBJECTS = 64 };

struct range_scene {
	struct fl_region *regions[RANGE_REGIONS];
	struct {
		char *base;
		uint64_t bytes;
	} objects[RANGE_REGIONS][RANGE_OBJECTS];
	struct range_list ranges;
};

/* Allocate, and write to every page of every object. */
static void range_fill(struct fl_trial *t, struct range_scene *scene,
		       uint32_t k, uint64_t *random)
{
	for (uint32_t i = 0; i < RANGE_OBJECTS; i++) {
		const uint64_t bytes = i + 1 == RANGE_OBJECTS && k % 8 == 0 ?
			1 * MIB : 8 + fl_random(random) % 16384;
		char *p = t->s->object_new(scene->regions[k], bytes, 8, 1);

		for (uint64_t at = 0; at < bytes; at += 4096)
			*(volatile char *)(p + at) = 1;
		*(volatile char *)(p + bytes - 1) = 1;
		scene->objects[k][i].base = p;
		scene->objects[k][i].bytes = fl_object_bytes(bytes);
	}
}

/* One life of a heap; counts only when @before is given. */
static void range_life(struct fl_trial *t, struct range_scene *scene,
		       const struct fl_footprint *before)
{
	const struct fl_need need = {
		.region_bytes = RANGE_OBJECTS * 16400 + MIB,
		.object_bytes = MIB, .nr_regions = RANGE_REGIONS,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	uint64_t random = t->conform->seed, declared, grown, missing;
	struct fl_footprint after;

	fl_trial_doing(t, "allocating in %u regions", RANGE_REGIONS);
	for (uint32_t k = 0; k < RANGE_REGIONS; k++) {
		scene->regions[k] = fl_trial_region(t, heap);
		range_fill(t, scene, k, &random);
	}
	for (uint32_t k = 0; k < RANGE_REGIONS; k += 2)
		t->s->region_reset(scene->regions[k]);
	for (uint32_t k = 0; k < RANGE_REGIONS; k += 2)
		range_fill(t, scene, k, &random);
	list_ranges(t, heap, &scene->ranges);
	for (uint32_t k = 0; k < RANGE_REGIONS; k++)
		for (uint32_t i = 0; i < RANGE_OBJECTS; i++) {
			const uint64_t bytes = scene->objects[k][i].bytes;

			missing = bytes - covered(&scene->ranges,
				scene->objects[k][i].base, bytes);
			if (missing)
				fl_trial_fail(t, "%" PRIu64 " bytes of a live object of %" PRIu64
					      " lie in no range that is declared for objects",
					      missing, bytes);
		}
	/* ThreadSanitizer notes what it sees in memory of its own. */
	if (before && fl_trial_build() != FL_BUILD_TSAN) {
		fl_footprint_take(t, &after);
		declared = resident_pages(t, &scene->ranges);
		grown = (after.anonymous_bytes - before->anonymous_bytes) /
			fl_page_bytes();
		if (after.anonymous_bytes > before->anonymous_bytes &&
		    grown > declared + FORGIVEN_PAGES * fl_trial_slowness())
			fl_trial_fail(t, "%" PRIu64 " pages became resident, and the declared ranges hold %" PRIu64
				      " of them", grown, declared);
	}
	for (uint32_t k = 0; k < RANGE_REGIONS; k++)
		t->s->region_destroy(scene->regions[k]);
	t->s->close(heap);
}

void fl_try_ranges(struct fl_trial *t)
{
	struct range_scene *scene = fl_trial_alloc(t, 1, sizeof(*scene));
	struct fl_footprint before;

	/* The first life also makes resident what is used for the first time. */
	range_life(t, scene, NULL);
	fl_footprint_take(t, &before);
	fl_footprint_take(t, &before);
	range_life(t, scene, &before);
}

void fl_try_trim(struct fl_trial *t)
{
	const struct fl_need need = CHURN_NEED(6);
	struct fl_shadow *shadow;
	struct fl_heap *heap;
	struct churn c;

	if (!t->s->trim)
		fl_trial_skip(t, "there is no trim");
	heap = fl_trial_open(t, &need);
	shadow = fl_shadow_new(t, heap);
	churn_open(t, &c, shadow, heap, 6, t->conform->seed);
	for (int i = 0; i < 8; i++) {
		uint64_t bytes;

		churn(&c, 200);
		fl_shadow_reset(shadow, c.regions[i % 3], (uint32_t)(i % 3));
		c.used[i % 3] = 0;
		fl_shadow_destroy(shadow, c.regions[3], 3);
		fl_trial_doing(t, "trimming");
		bytes = t->s->trim(heap);
		if (bytes % fl_page_bytes())
			fl_trial_fail(t, "trim gave back %" PRIu64
				      " bytes, which are not whole pages", bytes);
		fl_shadow_verify_all(shadow);
		c.regions[3] = fl_trial_region(t, heap);
		c.used[3] = 0;
	}
}

/* The second finds everything as the first left it. */
static void trim_twice(struct fl_trial *t, struct fl_heap *heap,
		       struct fl_shadow *shadow, const char *state)
{
	for (int i = 0; i < 2; i++) {
		fl_trial_doing(t, "trimming with %s, %s", state,
			       i ? "again" : "once");
		if (t->s->trim(heap) % fl_page_bytes())
			fl_trial_fail(t, "trim gave back something that is not whole pages");
		fl_shadow_verify_all(shadow);
	}
}

static void trim_fill(struct fl_shadow *shadow, struct fl_region *region,
		      uint32_t owner)
{
	fl_shadow_alloc(shadow, region, owner, 100, 8);
	fl_shadow_alloc(shadow, region, owner, CHURN_OBJECT_BYTES, 64);
	fl_shadow_alloc(shadow, region, owner, 5000, 8);
}

void fl_try_trim_idle(struct fl_trial *t)
{
	const struct fl_need need = CHURN_NEED(2);
	struct fl_region *one, *other;
	struct fl_shadow *shadow;
	struct fl_heap *heap;

	if (!t->s->trim)
		fl_trial_skip(t, "there is no trim");
	heap = fl_trial_open(t, &need);
	shadow = fl_shadow_new(t, heap);
	trim_twice(t, heap, shadow, "no region ever made");
	one = fl_trial_region(t, heap);
	trim_twice(t, heap, shadow, "one region, untouched");
	fl_shadow_destroy(shadow, one, 0);
	trim_twice(t, heap, shadow, "one region dead, untouched");
	one = fl_trial_region(t, heap);
	trim_fill(shadow, one, 0);
	trim_twice(t, heap, shadow, "one region in use");
	fl_shadow_reset(shadow, one, 0);
	trim_twice(t, heap, shadow, "one region reset");
	trim_fill(shadow, one, 0);
	fl_shadow_destroy(shadow, one, 0);
	trim_twice(t, heap, shadow, "the only region dead");
	one = fl_trial_region(t, heap);
	other = fl_trial_region(t, heap);
	trim_fill(shadow, one, 0);
	fl_shadow_destroy(shadow, other, 1);
	trim_twice(t, heap, shadow, "one region in use, another dead, untouched");
	other = fl_trial_region(t, heap);
	trim_fill(shadow, other, 1);
	fl_shadow_destroy(shadow, one, 0);
	trim_twice(t, heap, shadow, "the first region dead, the second in use");
	one = fl_trial_region(t, heap);
	trim_fill(shadow, one, 0);
	fl_shadow_verify_all(shadow);
	fl_trial_doing(t, "closing the heap");
	t->s->close(heap);
}

/*
 * Two of them.
 */

void fl_try_two_heaps(struct fl_trial *t)
{
	const struct fl_need need = CHURN_NEED(3);
	struct fl_heap *heaps[2];
	struct fl_shadow *shadows[2];
	struct churn c[2];

	for (int keep = 0; keep < 2; keep++) {
		for (int i = 0; i < 2; i++) {
			heaps[i] = fl_trial_open(t, &need);
			shadows[i] = fl_shadow_new(t, heaps[i]);
			churn_open(t, &c[i], shadows[i], heaps[i], 3,
				   t->conform->seed + (uint64_t)i);
		}
		for (int i = 0; i < 10; i++) {
			churn(&c[0], 40);
			churn(&c[1], 40);
		}
		fl_shadow_verify_all(shadows[0]);
		fl_shadow_verify_all(shadows[1]);
		fl_trial_doing(t, "closing one of two heaps");
		t->s->close(heaps[!keep]);
		fl_shadow_free(shadows[!keep]);
		churn(&c[keep], 400);
		fl_shadow_verify_all(shadows[keep]);
		fl_trial_doing(t, "closing the other heap");
		t->s->close(heaps[keep]);
		fl_shadow_free(shadows[keep]);
	}
}

static void *thread(void *arg)
{
	const struct fl_need need = CHURN_NEED(3);
	struct fl_trial *t = arg;

	for (uint64_t i = 0; i < 4; i++) {
		struct fl_heap *heap = fl_trial_open(t, &need);
		struct fl_shadow *shadow = fl_shadow_new(t, heap);
		struct churn c;

		churn_open(t, &c, shadow, heap, 3, t->conform->seed + i);
		churn(&c, 400);
		fl_shadow_verify_all(shadow);
		t->s->close(heap);
		fl_shadow_free(shadow);
	}
	return NULL;
}

void fl_try_two_threads(struct fl_trial *t)
{
	const struct fl_need need = CHURN_NEED(3);
	struct fl_trial second = *t;
	struct fl_heap *heaps[2];
	pthread_t other;

	/* If there cannot be two, say so while there is one thread. */
	heaps[0] = fl_trial_open(t, &need);
	heaps[1] = fl_trial_open(t, &need);
	t->s->close(heaps[1]);
	t->s->close(heaps[0]);
	second.shared = NULL;
	if (pthread_create(&other, NULL, thread, &second))
		fl_trial_skip(t, "this host starts no second thread");
	thread(t);
	fl_trial_doing(t, "waiting for the second thread");
	pthread_join(other, NULL);
}
