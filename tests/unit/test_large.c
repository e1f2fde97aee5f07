/* SPDX-License-Identifier: MIT */
/*
 * Areas of large arrays beside the strategies that there are: that contents stay, what a
 * death gives back, what is kept and used again, memory that runs out, and forks.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/large.h"
#include "harness/module_load.h"
#include "vm/census.h"
#include "vm/reserve.h"

#define KIB	((size_t)1 << 10)
#define MIB	((size_t)1 << 20)

/* A strategy with a heap, two regions, and an area. */
struct place {
	struct fl_module module;
	const struct fl_strategy *s;
	struct fl_heap *heap;
	struct fl_region *region, *other;
	struct fl_larges *area;
};

static void place_open(struct place *p, const char *name,
		       struct fl_larges_config config)
{
	struct fl_complaint why;
	uint64_t values[16];
	struct fl_open_args args = {
		.values = values, .region_bytes_max = 64 << 20,
		.object_bytes_max = 64 << 10, .nr_regions_max = 4, .cpu = -1,
	};

	if (!config.object_bytes_max)
		config.object_bytes_max = 64 * MIB;
	assert_int_equal(fl_module_named(FL_MODULE_STRATEGY, name, &p->module,
					 &why), 0);
	p->s = p->module.strategy;
	for (size_t i = 0; i < p->s->nr_tunables; i++)
		values[i] = p->s->tunables[i].def;
	assert_int_equal(p->s->open(&args, &p->heap), 0);
	assert_int_equal(p->s->region_create(p->heap, &p->region), 0);
	assert_int_equal(p->s->region_create(p->heap, &p->other), 0);
	assert_int_equal(fl_larges_open(&config, &p->area), 0);
}

static void place_close(struct place *p)
{
	p->s->close(p->heap);
	fl_larges_close(p->area);
	fl_module_unload(&p->module);
}

static void *object(struct place *p, struct fl_region *region, size_t bytes,
		    uint64_t word)
{
	return fl_large_or(p->area, region, bytes, word,
			   p->s->object_new(region, bytes, 8, word));
}

static uint64_t word_of(const void *array, size_t at)
{
	return ((const uint64_t *)array)[at / 8];
}

static void put(void *array, size_t at, uint64_t word)
{
	((uint64_t *)array)[at / 8] = word;
}

static size_t resident(char *base, size_t bytes)
{
	struct fl_census census;
	uint64_t pages;

	assert_int_equal(fl_census_open(&census), 0);
	assert_int_equal(fl_census_pages(&census, census.best, base, bytes,
					 &pages), 0);
	fl_census_close(&census);
	return pages;
}

static const struct fl_larges_counts *counts(const struct place *p)
{
	return fl_larges_counts(p->area);
}

/* Small objects and arrays of two regions, which die at different times. */
static void beside_any_strategy(void **state)
{
	static const char *const names[] = {
		"no_check", "bump_down", "bump_up", "block_split", "segv_redirect",
		"demand_zero", "segv_extend",
	};
	enum { NR = 64 };

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		struct place p;
		void *mine[NR];

		place_open(&p, names[k], (struct fl_larges_config){
			.then = FL_LARGES_WARM, .keep_bytes = 4 * MIB,
		});
		for (unsigned life = 0; life < 3; life++) {
			for (size_t i = 0; i < NR; i++) {
				const size_t bytes = i % 4 ? 24 : (64 + i) * KIB;

				mine[i] = object(&p, p.region, bytes, i);
				object(&p, p.other, bytes, ~i);
				put(mine[i], 8, i + 1);
				put(mine[i], (bytes - 8) & ~7ul, i + 2);
			}
			assert_int_equal(counts(&p)->nr_live, 2 * NR / 4);
			p.s->region_reset(p.other);
			assert_int_equal(counts(&p)->nr_live, NR / 4);
			for (size_t i = 0; i < NR; i++) {
				const size_t bytes = i % 4 ? 24 : (64 + i) * KIB;

				assert_int_equal(word_of(mine[i], 0), i);
				assert_int_equal(word_of(mine[i], 8), i + 1);
				assert_int_equal(word_of(mine[i], (bytes - 8) & ~7ul),
						 i + 2);
			}
			p.s->region_reset(p.region);
			assert_int_equal(counts(&p)->nr_live, 0);
			assert_int_equal(fl_large_error(p.region), 0);
		}
		assert_in_range(counts(&p)->nr_reused, 1, 3 * 2 * NR / 4);
		p.s->region_destroy(p.other);
		place_close(&p);
	}
}

/* The branch: the limit itself is small. */
static void on_the_limit(void **state)
{
	struct place p;

	(void)state;
	place_open(&p, "bump_down", (struct fl_larges_config){ .keep_bytes = 0 });
	object(&p, p.region, FL_LARGE_BYTES, 1);
	assert_int_equal(counts(&p)->nr_new, 0);
	object(&p, p.region, FL_LARGE_BYTES + 1, 1);
	assert_int_equal(counts(&p)->nr_new, 1);
	assert_int_equal(counts(&p)->live_bytes, 64 * KIB);
	p.s->region_destroy(p.region);
	assert_int_equal(counts(&p)->live_bytes, 0);
	place_close(&p);
}

/* Pages move: nothing is copied, and nothing is lost. */
static void resized(void **state)
{
	struct place p;
	void *array, *small, *wall;

	(void)state;
	place_open(&p, "segv_redirect", (struct fl_larges_config){ .keep_bytes = 0 });
	array = object(&p, p.region, 100 * KIB, 7);
	put(array, 96 * KIB, 9);
	for (size_t bytes = 128 * KIB; bytes <= 32 * MIB; bytes *= 2) {
		/* So that it cannot always grow where it is. */
		wall = object(&p, p.region, 68 * KIB, 1);
		assert_non_null(wall);
		assert_int_equal(fl_large_resize(p.area, p.region, &array, bytes), 0);
		put(array, bytes - 8, bytes);
		assert_int_equal(word_of(array, 0), 7);
		assert_int_equal(word_of(array, 96 * KIB), 9);
	}
	assert_int_equal(resident(array, 32 * MIB), 2 + 9);
	assert_int_equal(fl_large_resize(p.area, p.region, &array, 128 * KIB), 0);
	assert_int_equal(word_of(array, 128 * KIB - 8), 128 * KIB);
	assert_int_equal(counts(&p)->live_bytes, (128 + 9 * 68) * KIB);

	/* Across the size branch, both ways; and what is no array of this region. */
	small = object(&p, p.region, 40, 3);
	put(small, 32, 5);
	assert_int_equal(fl_array_resize(p.area, p.s, p.region, &small, 40, MIB), 0);
	assert_int_equal(word_of(small, 0), 3);
	assert_int_equal(word_of(small, 32), 5);
	assert_int_equal(fl_array_resize(p.area, p.s, p.region, &small, MIB, 2 * MIB), 0);
	assert_int_equal(fl_array_resize(p.area, p.s, p.region, &small, 2 * MIB, 16), 0);
	assert_int_equal(word_of(small, 0), 3);
	assert_int_equal(fl_large_resize(p.area, p.region, &small, MIB), -EINVAL);
	assert_int_equal(fl_large_resize(p.area, p.other, &array, MIB), -EINVAL);
	place_close(&p);
}

/* What each policy leaves resident, and what comes back. */
static void after_death(void **state)
{
	static const size_t left[] = {
		[FL_LARGES_UNMAP] = 0, [FL_LARGES_WARM] = 256, [FL_LARGES_EMPTY] = 0,
	};

	(void)state;
	for (unsigned then = FL_LARGES_UNMAP; then <= FL_LARGES_EMPTY; then++) {
		struct fl_range ranges[8];
		struct place p;
		size_t pages = 0, nr;
		char *array;

		place_open(&p, "bump_down", (struct fl_larges_config){
			.then = then, .keep_bytes = 2 * MIB,
		});
		array = object(&p, p.region, MIB, 1);
		memset(array, 1, MIB);
		memset(object(&p, p.region, 3 * MIB, 1), 1, 3 * MIB);
		p.s->region_reset(p.region);
		nr = fl_larges_ranges(p.area, ranges, 8);
		assert_in_range(nr, 2, 8);
		for (size_t i = 0; i < nr; i++)
			if (ranges[i].kind == FL_RANGE_OBJECTS)
				pages += resident(ranges[i].base, ranges[i].bytes);
		assert_int_equal(pages, left[then]);
		assert_int_equal(counts(&p)->kept_bytes, then ? MIB : 0);
		/* Half of it, then the other half. */
		if (then) {
			assert_ptr_equal(object(&p, p.region, 512 * KIB, 2), array);
			assert_ptr_equal(object(&p, p.region, 512 * KIB, 2),
					 array + 512 * KIB);
			assert_int_equal(counts(&p)->kept_bytes, 0);
			assert_int_equal(counts(&p)->nr_reused, 2);
		}
		p.s->region_reset(p.region);
		assert_int_equal(fl_larges_trim(p.area), then ? MIB : 0);
		place_close(&p);
	}
}

/* Never more than the budget; the oldest go. */
static void budget(void **state)
{
	struct place p;

	(void)state;
	place_open(&p, "bump_down", (struct fl_larges_config){
		.then = FL_LARGES_WARM, .keep_bytes = MIB,
	});
	for (unsigned i = 1; i <= 40; i++) {
		for (unsigned k = 0; k < i; k++)
			object(&p, p.region, (65 + k) * KIB, k);
		p.s->region_reset(p.region);
		assert_in_range(counts(&p)->kept_bytes, 64 * KIB, MIB);
	}
	place_close(&p);
}

/* An error, and a place that takes anything; after the reset all is well. */
static void exhausted(void **state)
{
	struct place p;
	void *array, *sink;

	(void)state;
	place_open(&p, "segv_redirect", (struct fl_larges_config){
		.then = FL_LARGES_WARM, .keep_bytes = MIB, .limit_bytes = MIB,
	});
	array = object(&p, p.region, 512 * KIB, 1);
	sink = object(&p, p.region, MIB, 2);
	memset(sink, 3, MIB);
	assert_int_equal(fl_large_error(p.region), -ENOMEM);
	assert_int_equal(fl_large_error(p.other), 0);
	assert_int_equal(p.region->error, 0);
	assert_int_equal(word_of(array, 0), 1);
	assert_ptr_equal(object(&p, p.region, 68 * KIB, 2), sink);
	assert_int_equal(fl_large_resize(p.area, p.region, &sink, MIB), -ENOMEM);
	assert_int_equal(fl_large_resize(p.area, p.region, &array, 2 * MIB), -ENOMEM);
	assert_int_equal(word_of(array, 0), 1);
	assert_int_equal(counts(&p)->nr_sinks, 2);
	assert_int_equal(word_of(object(&p, p.region, 24, 4), 0), 4);
	p.s->region_reset(p.region);
	assert_int_equal(fl_large_error(p.region), 0);
	assert_ptr_equal(object(&p, p.region, 512 * KIB, 1), array);
	place_close(&p);
}

/*
 * Thousands, of two regions in turn: every other one goes first, others come, and all
 * that live are found when they grow.
 */
static void many(void **state)
{
	enum { NR = 5000 };
	static void *arrays[NR];
	struct place p;

	(void)state;
	place_open(&p, "bump_down", (struct fl_larges_config){ .keep_bytes = 0 });
	for (unsigned life = 0; life < 2; life++) {
		for (size_t i = 0; i < NR; i++)
			if (i % 2 == 0 || !life)
				arrays[i] = object(&p, i % 2 ? p.region : p.other,
						   68 * KIB, i);
		assert_int_equal(counts(&p)->nr_live, NR);
		for (size_t i = life; i < NR; i += 2 - life) {
			assert_int_equal(fl_large_resize(p.area, i % 2 ? p.region :
				p.other, &arrays[i], (72 + 4 * life) * KIB), 0);
			assert_int_equal(word_of(arrays[i], 0), i);
		}
		p.s->region_reset(p.other);
	}
	p.s->region_reset(p.region);
	assert_int_equal(counts(&p)->nr_live, 0);
	assert_int_equal(counts(&p)->nr_failures, 0);
	place_close(&p);
}

/* Its own copies, and an area that works on them. */
static void forked(void **state)
{
	struct place p;
	void *array;
	int status;
	pid_t child;

	(void)state;
	place_open(&p, "segv_redirect", (struct fl_larges_config){ .keep_bytes = 0 });
	array = object(&p, p.region, MIB, 1);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		bool right = word_of(array, 0) == 1 &&
			!fl_large_resize(p.area, p.region, &array, 2 * MIB);

		put(array, 0, 2);
		right = right && word_of(object(&p, p.region, MIB, 3), 0) == 3;
		p.s->region_reset(p.region);
		right = right && !counts(&p)->nr_live;
		place_close(&p);
		_exit(!right);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(word_of(array, 0), 1);
	assert_int_equal(counts(&p)->nr_live, 1);
	place_close(&p);
}

static void refused(void **state)
{
	struct fl_larges *area;
	struct fl_larges_config none = { .keep_bytes = 0 };
	struct fl_larges_config much = { .object_bytes_max = FL_OBJECT_BYTES_MAX + 1 };

	(void)state;
	assert_int_equal(fl_larges_open(&none, &area), -EINVAL);
	assert_int_equal(fl_larges_open(&much, &area), -EINVAL);
	fl_larges_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beside_any_strategy),
		cmocka_unit_test(on_the_limit),
		cmocka_unit_test(resized),
		cmocka_unit_test(after_death),
		cmocka_unit_test(budget),
		cmocka_unit_test(exhausted),
		cmocka_unit_test(many),
		cmocka_unit_test(forked),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
