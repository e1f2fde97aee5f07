/* SPDX-License-Identifier: MIT */
/*
 * What is kept of dead memory: each policy's decisions on sequences of deaths
 * that are made up, and what the kernel's page tables say of real ones.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/blocks.h"
#include "vm/census.h"
#include "vm/retain.h"

#define NR_ITEMS	600u
#define ITEM_PAGES	16u

/* What a policy gave back last, instead of the kernel. */
struct record {
	struct iovec ranges[NR_ITEMS];
	size_t nr;
	unsigned nr_calls;
	int err;
};

struct scene {
	struct fl_retain *retain;
	struct fl_events events;
	struct record given;
	char *base;
};

static int take_down(void *owner, const struct iovec *ranges, size_t nr)
{
	struct record *given = owner;

	if (given->err)
		return given->err;
	memcpy(given->ranges + given->nr, ranges, nr * sizeof(*ranges));
	given->nr += nr;
	given->nr_calls++;
	return 0;
}

static void scene_open(struct scene *s, struct fl_retain_config config)
{
	*s = (struct scene){ .base = (char *)((uintptr_t)1 << 40) };
	config.give = take_down;
	config.owner = &s->given;
	assert_int_equal(fl_retain_open(&config, NR_ITEMS, &s->events,
					&s->retain), 0);
}

static uint64_t pages(uint64_t n)
{
	return n * fl_page_bytes();
}

static char *item_top(const struct scene *s, unsigned i)
{
	return s->base + pages(ITEM_PAGES) * (i + 1);
}

static void dies(struct scene *s, unsigned i, uint64_t nr_pages)
{
	fl_retain_dead(s->retain, &s->retain->items[i], item_top(s, i),
		       pages(nr_pages));
}

static void used(struct scene *s, unsigned i)
{
	assert_int_equal(fl_retain_use(s->retain, &s->retain->items[i]), 0);
}

/* A lifetime of an item: used, dead, and its region's death. */
static void lifetime(struct scene *s, unsigned i, uint64_t nr_pages)
{
	used(s, i);
	dies(s, i, nr_pages);
	fl_retain_death(s->retain);
}

static uint64_t given_pages(struct scene *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->given.nr; i++)
		bytes += s->given.ranges[i].iov_len;
	s->given.nr = 0;
	return bytes / fl_page_bytes();
}

static void at_death_neighbours_are_one(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){ .when = FL_RETAIN_DEATH });
	for (unsigned i = 0; i < 4; i++)
		used(&s, i);
	dies(&s, 2, ITEM_PAGES);
	dies(&s, 0, ITEM_PAGES);
	dies(&s, 1, ITEM_PAGES);
	dies(&s, 3, 1);		/* its top page: not a neighbour */
	assert_int_equal(s.given.nr, 0);
	fl_retain_death(s.retain);
	assert_int_equal(s.given.nr_calls, 1);
	assert_int_equal(s.given.nr, 2);
	assert_ptr_equal(s.given.ranges[0].iov_base, s.base);
	assert_int_equal(s.given.ranges[0].iov_len, pages(3 * ITEM_PAGES));
	assert_ptr_equal(s.given.ranges[1].iov_base, item_top(&s, 3) - pages(1));
	assert_int_equal(s.events.nr_given_pages, 3 * ITEM_PAGES + 1);
	assert_int_equal(s.events.nr_give_calls, 2);
	/* Nothing is given back twice. */
	given_pages(&s);
	fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 0);
	fl_retain_close(s.retain);
}

static void more_than_a_batch_holds(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){ .when = FL_RETAIN_DEATH });
	for (unsigned i = 0; i < NR_ITEMS; i++) {
		used(&s, i);
		dies(&s, i, 1);
	}
	fl_retain_death(s.retain);
	assert_int_equal(s.given.nr_calls, 3);
	assert_int_equal(given_pages(&s), NR_ITEMS);
	assert_int_equal(s.retain->warm_bytes, 0);
	fl_retain_close(s.retain);
}

static void every_third_death(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_EVERY, .deaths = 3 });
	for (unsigned i = 0; i < 12; i++) {
		lifetime(&s, i, 2);
		assert_int_equal(given_pages(&s), i % 3 == 2 ? 6 : 0);
	}
	fl_retain_close(s.retain);
}

static void a_budget_takes_the_oldest(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_BUDGET, .keep_bytes = pages(8),
		.whole = true });
	for (unsigned i = 0; i < 4; i++) {
		lifetime(&s, 2 * i, 2);
		assert_int_equal(given_pages(&s), 0);
	}
	used(&s, 0);		/* no longer the oldest: not dead */
	lifetime(&s, 9, 3);
	assert_int_equal(s.given.nr, 3);
	assert_ptr_equal(s.given.ranges[0].iov_base, item_top(&s, 2) - pages(2));
	/* Down to half, whole items only: 2, 4 and 6 are gone. */
	assert_int_equal(given_pages(&s), 6);
	assert_int_equal(s.retain->warm_bytes, pages(3));
	fl_retain_close(s.retain);
}

static void a_budget_of_spans_keeps_their_tops(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_BUDGET, .keep_bytes = pages(4) });
	lifetime(&s, 0, 10);
	assert_int_equal(s.given.nr, 1);
	assert_ptr_equal(s.given.ranges[0].iov_base, item_top(&s, 0) - pages(10));
	assert_int_equal(given_pages(&s), 8);
	/* Two pages are warm still; a life that uses one leaves two. */
	lifetime(&s, 0, 1);
	assert_int_equal(s.retain->warm_bytes, pages(2));
	fl_retain_close(s.retain);
}

static void age_is_in_deaths(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_AGE, .deaths = 5 });
	lifetime(&s, 0, 4);
	for (unsigned i = 1; i <= 5; i++) {
		lifetime(&s, 1, 1);
		assert_int_equal(given_pages(&s), 0);
	}
	lifetime(&s, 1, 1);
	assert_int_equal(given_pages(&s), 4);
	fl_retain_close(s.retain);
}

/* One long lifetime, then short ones in the same span: the notes' leak. */
/* What is decided later is decided at the same death as if each had been asked. */
static void deaths_without_items_count(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_AGE, .deaths = 5, .whole = true });
	lifetime(&s, 0, 2);
	fl_retain_death(s.retain);
	lifetime(&s, 1, 2);
	for (int i = 0; i < 3; i++)
		fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 0);
	fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 2);
	fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 0);
	fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 2);
	fl_retain_close(s.retain);
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_EVERY, .deaths = 4 });
	lifetime(&s, 0, 2);
	fl_retain_death(s.retain);
	fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 0);
	fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 2);
	fl_retain_close(s.retain);
}

static void age_takes_what_a_span_no_longer_uses(void **state)
{
	uint64_t given = 0;
	unsigned i;
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_AGE, .deaths = 8 });
	lifetime(&s, 0, 12);
	for (i = 1; i < 40 && !given; i++) {
		lifetime(&s, 0, 3);
		given = given_pages(&s);
	}
	assert_in_range(i, 8, 2 * (8 + 1) + 1);
	assert_int_equal(given, 9);
	for (i = 0; i < 40; i++)
		lifetime(&s, 0, 3);
	assert_int_equal(given_pages(&s), 0);
	fl_retain_close(s.retain);
}

static void warm_keeps_a_percentile_of_recent_use(void **state)
{
	struct scene s;
	uint64_t given;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_WARM, .deaths = 4, .percentile = 50 });
	/* Two blocks at a time. */
	for (unsigned i = 0; i < 40; i++) {
		used(&s, 0);
		used(&s, 1);
		dies(&s, 0, 4);
		dies(&s, 1, 4);
		fl_retain_death(s.retain);
	}
	assert_int_equal(given_pages(&s), 0);
	/* One huge phase: not worth keeping. */
	for (unsigned i = 0; i < 20; i++)
		used(&s, i);
	for (unsigned i = 0; i < 20; i++)
		dies(&s, i, 4);
	fl_retain_death(s.retain);
	assert_int_equal(given_pages(&s), 20 * 4 - 8);
	/* A new habit is learnt. */
	for (unsigned n = 0; n < 4 * FL_RETAIN_WINDOWS; n++) {
		for (unsigned i = 0; i < 5; i++)
			used(&s, i);
		for (unsigned i = 0; i < 5; i++)
			dies(&s, i, 4);
		fl_retain_death(s.retain);
	}
	given_pages(&s);
	for (unsigned i = 0; i < 5; i++)
		used(&s, i);
	for (unsigned i = 0; i < 5; i++)
		dies(&s, i, 4);
	fl_retain_death(s.retain);
	given = given_pages(&s);
	assert_int_equal(given, 0);
	assert_int_equal(s.retain->warm_bytes, pages(20));
	fl_retain_close(s.retain);
}

static void refusals_are_counted(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){ .when = FL_RETAIN_DEATH });
	s.given.err = -EAGAIN;
	lifetime(&s, 0, 2);
	assert_int_equal(s.events.nr_give_failures, 1);
	assert_int_equal(s.events.nr_given_pages, 0);
	fl_retain_close(s.retain);
}

static void forgotten_is_not_given(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, (struct fl_retain_config){
		.when = FL_RETAIN_EVERY, .deaths = 2 });
	lifetime(&s, 0, 2);
	fl_retain_forget(s.retain);
	lifetime(&s, 1, 3);
	assert_int_equal(given_pages(&s), 3);
	fl_retain_close(s.retain);
}

/* Real pages. */

static uint64_t resident(const struct fl_block *block)
{
	struct fl_census census;
	uint64_t nr = 0;

	assert_int_equal(fl_census_open(&census), 0);
	assert_int_equal(fl_census_pages(&census, census.best, block->base,
					 block->bytes, &nr), 0);
	fl_census_close(&census);
	return nr;
}

static void touch(const struct fl_block *block)
{
	for (uint64_t i = 0; i < block->bytes; i += fl_page_bytes())
		*(volatile char *)(block->base + i) = 1;
}

static void real_pages(enum fl_retain_when when, enum fl_retain_with with,
		       enum fl_giveback_method by)
{
	const uint64_t values[FL_RETAIN_NR_VALUES] = {
		[FL_RETAIN_VALUE_WHEN] = when,
		[FL_RETAIN_VALUE_DEATHS] = FL_RETAIN_DEATHS,
		[FL_RETAIN_VALUE_KEEP] = when == FL_RETAIN_BUDGET ?
			pages(6) : FL_RETAIN_KEEP_BYTES,
		[FL_RETAIN_VALUE_PERCENTILE] = FL_RETAIN_PERCENTILE,
		[FL_RETAIN_VALUE_WITH] = with, [FL_RETAIN_VALUE_BY] = by,
	};
	const struct fl_blocks_config config = {
		.block_bytes = pages(4), .guard_bytes = pages(17),
		.guard = FL_GUARD_PROT_NONE, .access = FL_OPEN, .record_bytes = 64,
		.retain = fl_retain_config_of(values),
	};
	const struct fl_open_args args = { .nr_regions_max = 1, .cpu = -1,
					   .object_bytes_max = 64 };
	struct fl_region owner = { .error = 0 };
	struct fl_block *block[3];
	char reason[128];
	struct fl_blocks *b;
	struct fl_heap *heap;
	pid_t child;
	int status;

	if (fl_retain_probe(values, FL_RETAIN_CAN_ORDINARY, "", reason,
			    sizeof(reason))) {
		print_message("# %s\n", reason);
		return;
	}
	assert_int_equal(fl_blocks_open(&args, &config, sizeof(*b), &heap), 0);
	b = (struct fl_blocks *)heap;
	for (int life = 0; life < 3; life++) {
		for (int i = 0; i < 3; i++) {
			block[i] = fl_blocks_take(b, 1, &owner);
			assert_non_null(block[i]);
			touch(block[i]);
			assert_int_equal(resident(block[i]), 4);
		}
		for (int i = 0; i < 3; i++)
			fl_blocks_give(b, block[i]);
		fl_blocks_death(b);
		/* A budget of six pages: a whole block fits the half of it not. */
		for (int i = 0; i < 3; i++)
			assert_int_equal(resident(block[i]),
					 with == FL_RETAIN_FREE ? 4 : 0);
	}
	assert_int_equal(heap->events.nr_give_failures, 0);
	assert_true(heap->events.nr_given_pages == 3 * 12);

	/* A child that gives back leaves its parent's pages alone. */
	for (int i = 0; i < 3; i++) {
		block[i] = fl_blocks_take(b, 1, &owner);
		touch(block[i]);
	}
	child = fork();
	if (!child) {
		for (int i = 0; i < 3; i++)
			fl_blocks_give(b, block[i]);
		fl_blocks_death(b);
		_exit(heap->events.nr_give_failures ||
		      (with != FL_RETAIN_FREE && resident(block[0])));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(resident(block[i]), 4);
	fl_blocks_close(heap);
}

static void real_pages_are_gone(void **state)
{
	(void)state;
	for (int by = FL_GIVE_LOOP; by <= FL_GIVE_RING; by++)
		for (int with = FL_RETAIN_DONTNEED; with <= FL_RETAIN_GUARD; with++)
			real_pages(FL_RETAIN_DEATH, (enum fl_retain_with)with,
				   (enum fl_giveback_method)by);
	real_pages(FL_RETAIN_BUDGET, FL_RETAIN_DONTNEED, FL_GIVE_LOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_death_neighbours_are_one),
		cmocka_unit_test(more_than_a_batch_holds),
		cmocka_unit_test(every_third_death),
		cmocka_unit_test(a_budget_takes_the_oldest),
		cmocka_unit_test(a_budget_of_spans_keeps_their_tops),
		cmocka_unit_test(age_is_in_deaths),
		cmocka_unit_test(deaths_without_items_count),
		cmocka_unit_test(age_takes_what_a_span_no_longer_uses),
		cmocka_unit_test(warm_keeps_a_percentile_of_recent_use),
		cmocka_unit_test(refusals_are_counted),
		cmocka_unit_test(forgotten_is_not_given),
		cmocka_unit_test(real_pages_are_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
