/* SPDX-License-Identifier: MIT */
/*
 * Turns and runs (faultline/run.h) of the strategies that have a check of their own for
 * them: the source is compiled in here, because both are inlined where they are used.
 * That no object lies in another or outside of its block, whatever a turn takes up to
 * its bound; and that the red zone is what a turn may fill, to the last byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define FL_WITHOUT_UNROLLED
#include "strategies/reserve_loop.c"

#define BLOCK_BYTES	(16u << 10)
#define OBJECTS		20000u

struct object {
	char *at;
	size_t bytes;
	uint64_t word;
};

static struct fl_heap *heap;
static struct fl_region *region;
static struct object objects[OBJECTS];

static int set_up(void **state)
{
	const uint64_t values[] = { [BLOCK] = BLOCK_BYTES };
	const struct fl_open_args args = {
		.values = values, .region_bytes_max = 64 << 20,
		.object_bytes_max = 64 << 10, .nr_regions_max = 1, .cpu = -1,
	};

	(void)state;
	return faultline_strategy.open(&args, &heap) ||
	       strategy_region_create(heap, &region);
}

static int tear_down(void **state)
{
	(void)state;
	faultline_strategy.close(heap);
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* All of @nr objects are in ranges of the heap, apart, and hold their word. */
static void are_sound(size_t nr)
{
	struct fl_range ranges[16];
	const size_t nr_ranges = faultline_strategy.ranges(heap, ranges, 16);

	qsort(objects, nr, sizeof(*objects), by_address);
	for (size_t i = 0; i < nr; i++) {
		bool inside = false;

		for (size_t r = 0; r < nr_ranges; r++)
			inside |= ranges[r].kind == FL_RANGE_OBJECTS &&
				  objects[i].at >= ranges[r].base &&
				  objects[i].at + objects[i].bytes <=
				  ranges[r].base + ranges[r].bytes;
		assert_true(inside);
		assert_int_equal(*(uint64_t *)(void *)objects[i].at, objects[i].word);
		if (i)
			assert_true(objects[i - 1].at + objects[i - 1].bytes <=
				    objects[i].at);
	}
}

static size_t keep(size_t nr, char *p, size_t bytes)
{
	objects[nr] = (struct object){ .at = p, .bytes = bytes, .word = nr };
	/* All of it is the object's. */
	for (size_t i = 8; i < bytes; i += 8)
		((uint64_t *)(void *)p)[i / 8] = ~(uint64_t)nr;
	return nr + 1;
}

/* Every turn takes something else, up to all of the slop, by one check. */
static void turns_take_what_they_like(void **state)
{
	uint64_t random = 7;
	size_t nr = 0;

	(void)state;
	while (nr + 64 < OBJECTS) {
		size_t left = FL_SLOP_BYTES;

		strategy_turn(region, &region->cursor, FL_TURN_BYTES(FL_SLOP_BYTES));
		for (unsigned i = 0; i < 60 && left; i++) {
			size_t bytes;

			random = random * 6364136223846793005u + 1442695040888963407u;
			bytes = 8 + (random >> 33) % (random >> 60 ? 64 : 2048) / 8 * 8;
			if (bytes > left)
				bytes = left;
			left -= bytes;
			nr = keep(nr, strategy_carve(region, &region->cursor, bytes, nr),
				  bytes);
		}
	}
	are_sound(nr);
}

/* A turn that begins with a grain above the limit may fill all of the zone. */
static void red_zone_is_filled_to_the_last_byte(void **state)
{
	const uint64_t refills = region->events->nr_refills;
	char *limit = region->cursor.limit;
	size_t nr = 0, bytes = (size_t)(region->cursor.bump - limit) - 8;

	(void)state;
	nr = keep(nr, strategy_new(region, &region->cursor, bytes, 8, nr), bytes);
	strategy_turn(region, &region->cursor, FL_TURN_BYTES(FL_SLOP_BYTES));
	nr = keep(nr, strategy_carve(region, &region->cursor, FL_SLOP_BYTES, nr),
		  FL_SLOP_BYTES);
	assert_int_equal(region->events->nr_refills, refills);
	assert_ptr_equal(objects[1].at, limit + 8 - FL_SLOP_BYTES);

	strategy_turn(region, &region->cursor, FL_TURN_BYTES(8));
	assert_int_equal(region->events->nr_refills, refills + 1);
	nr = keep(nr, strategy_carve(region, &region->cursor, 8, nr), 8);
	are_sound(nr);
}

/* Behind a turn that went into the zone, an allocation by itself takes another block. */
static void allocations_stay_above_the_limit(void **state)
{
	size_t nr = 0;

	(void)state;
	while (nr + 2 < OBJECTS) {
		strategy_turn(region, &region->cursor, FL_TURN_BYTES(2000));
		nr = keep(nr, strategy_carve(region, &region->cursor, 2000, nr), 2000);
		nr = keep(nr, strategy_new(region, &region->cursor, 40, 8, nr), 40);
		assert_true(objects[nr - 1].at >= region->cursor.limit);
	}
	are_sound(nr);
}

/* A claim is of the block without its zone. */
static void claims_stay_above_the_limit(void **state)
{
	size_t nr = 0;

	(void)state;
	while (nr + 2 < OBJECTS) {
		strategy_claim(region, &region->cursor, FL_RUN_BYTES(100, 24));
		nr = keep(nr, strategy_carve(region, &region->cursor, 104, nr), 104);
		nr = keep(nr, strategy_carve(region, &region->cursor, 24, nr), 24);
		assert_true(region->cursor.bump >= region->cursor.limit);
	}
	are_sound(nr);
}

static void large_objects_have_a_zone_too(void **state)
{
	const size_t bytes = 3 * BLOCK_BYTES;
	size_t nr = 0;

	(void)state;
	nr = keep(nr, strategy_new(region, &region->cursor, bytes, 8, nr), bytes);
	strategy_turn(region, &region->cursor, FL_TURN_BYTES(FL_SLOP_BYTES));
	nr = keep(nr, strategy_carve(region, &region->cursor, FL_SLOP_BYTES, nr),
		  FL_SLOP_BYTES);
	are_sound(nr);
}

int main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(turns_take_what_they_like),
		TEST(red_zone_is_filled_to_the_last_byte),
		TEST(allocations_stay_above_the_limit),
		TEST(claims_stay_above_the_limit),
		TEST(large_objects_have_a_zone_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
