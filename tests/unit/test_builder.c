/* SPDX-License-Identifier: MIT */
/*
 * Builders on the strategies that there are: when an array is linked and when it is
 * copied, what becomes of the rest of a chunk, memory that runs out, and misuse.
 * That contents survive is what `faultline conform --check builder` tries.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/builder.h"
#include "harness/module_load.h"
#include "vm/retain.h"

#define BLOCK_BYTES	((uint64_t)64 << 10)

/* A strategy with a heap and a region. */
struct place {
	struct fl_module module;
	const struct fl_strategy *s;
	struct fl_heap *heap;
	struct fl_region *region;
};

/* @giveback: when dead memory goes back, where the strategy has such a tunable. */
static void place_open_giving(struct place *p, const char *name,
			      uint64_t limit_bytes, uint64_t giveback)
{
	struct fl_complaint why;
	uint64_t values[16];
	struct fl_open_args args = {
		.values = values, .region_bytes_max = 64 << 20,
		.object_bytes_max = 64 << 20, .nr_regions_max = 4, .cpu = -1,
		.limit_bytes = limit_bytes,
	};

	assert_int_equal(fl_module_named(FL_MODULE_STRATEGY, name, &p->module,
					 &why), 0);
	p->s = p->module.strategy;
	for (size_t i = 0; i < p->s->nr_tunables; i++)
		values[i] = strcmp(p->s->tunables[i].name, "block") ?
			!strcmp(p->s->tunables[i].name, "giveback") ? giveback :
			p->s->tunables[i].def : BLOCK_BYTES;
	assert_int_equal(p->s->open(&args, &p->heap), 0);
	assert_int_equal(p->s->region_create(p->heap, &p->region), 0);
}

static void place_open(struct place *p, const char *name, uint64_t limit_bytes)
{
	place_open_giving(p, name, limit_bytes, FL_RETAIN_NEVER);
}

static void place_close(struct place *p)
{
	p->s->close(p->heap);
	fl_module_unload(&p->module);
}

static void push_words(struct fl_builder *b, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		*(uint64_t *)fl_builder_push(b, 8) = i;
}

static uint64_t *close_words(struct fl_builder *b, uint64_t nr)
{
	uint64_t bytes, *words;
	void *array;

	assert_int_equal(fl_builder_close(b, &array, &bytes), 0);
	assert_int_equal(bytes, nr * 8);
	words = array;
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(words[i], i);
	return words;
}

/* What is linked is not moved, takes its own size, and leaves the rest. */
static void linked_in_place(void **state)
{
	static const char *const names[] = { "bump_down", "branch_site", "bump_up" };
	struct place p;
	struct fl_builder b;

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		struct fl_cursor before;
		uint64_t *first, *last;

		place_open(&p, names[k], 0);
		before = p.region->cursor;
		fl_builder_open(&b, p.s, p.region, 8);
		first = fl_builder_push(&b, 8);
		*first = 0;
		for (uint64_t i = 1; i < 512; i++) {
			last = fl_builder_push(&b, 8);
			*last = i;
		}
		assert_ptr_equal(close_words(&b, 512), first);
		assert_ptr_equal(last, first + 511);
		assert_true(b.linked);
		assert_int_equal(b.copied_bytes, 0);
		assert_int_equal(b.nr_chunks, 1);
		assert_int_equal((before.limit - before.bump) -
				 (p.region->cursor.limit - p.region->cursor.bump),
				 p.region->cursor.limit > p.region->cursor.bump ?
				 4096 : -4096);
		place_close(&p);
	}
}

/* More than a block: chunks, one copy, and all chunks come back. */
static void copied_from_chunks(void **state)
{
	const uint64_t nr = 100000;
	struct place p;
	struct fl_builder b;

	(void)state;
	place_open(&p, "bump_down", 0);
	fl_builder_open(&b, p.s, p.region, 8);
	push_words(&b, nr);
	close_words(&b, nr);
	assert_false(b.linked);
	/* Whatever it moved before. */
	assert_in_range(b.copied_bytes, nr * 8, 2 * nr * 8);
	assert_true(b.nr_chunks > 1);
	place_close(&p);
}

/* It begins in a rest that is too small, moves, and is linked. */
static void moved_and_linked(void **state)
{
	struct place p;
	struct fl_builder b;

	(void)state;
	place_open(&p, "bump_down", 0);
	p.s->object_new(p.region, BLOCK_BYTES - 8192, 8, 1);
	fl_builder_open(&b, p.s, p.region, 8);
	push_words(&b, 2000);
	close_words(&b, 2000);
	assert_true(b.linked);
	assert_in_range(b.copied_bytes, 512, 8192);
	assert_int_equal(b.nr_chunks, 2);
	place_close(&p);
}

/* Up to 4 KiB, and alone, it never moves: it does not begin where that is not left. */
static void short_arrays_stay(void **state)
{
	static const char *const names[] = { "bump_down", "bump_up", "branch_site" };
	struct place p;
	struct fl_builder b;

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		place_open(&p, names[k], 0);
		for (uint64_t rest = 0; rest < 2 * 4096; rest += 136) {
			p.s->region_reset(p.region);
			p.s->object_new(p.region, BLOCK_BYTES - rest, 8, 1);
			fl_builder_open(&b, p.s, p.region, 8);
			push_words(&b, 512);
			close_words(&b, 512);
			assert_true(b.linked);
			assert_int_equal(b.copied_bytes, 0);
			assert_int_equal(b.nr_chunks, 1);
		}
		place_close(&p);
	}
}

/* Pushed in runs, with more than a block, and without memory. */
static void in_runs(void **state)
{
	static const char *const names[] = { "bump_down", "segv_redirect", "segv_extend" };
	struct fl_builder_run run;
	struct place p;
	struct fl_builder b;
	uint64_t bytes;
	void *array;

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		place_open(&p, names[k], 0);
		fl_builder_open(&b, p.s, p.region, 8);
		for (uint64_t i = 0; i < 20000;) {
			run = fl_builder_run_begin(&b);
			for (uint64_t end = i + 5000; i < end; i++)
				*(uint64_t *)fl_builder_run_push(&b, &run, 8) = i;
			fl_builder_run_end(&b, run);
			assert_int_equal(fl_builder_bytes(&b), i * 8);
		}
		close_words(&b, 20000);
		run = fl_builder_run_begin(&b);
		*(uint64_t *)fl_builder_run_push(&b, &run, 8) = 1;
		fl_builder_run_end(&b, run);
		assert_int_equal(fl_builder_close(&b, &array, &bytes), -EINVAL);
		place_close(&p);
	}
	place_open(&p, "bump_down", 4 * BLOCK_BYTES);
	fl_builder_open(&b, p.s, p.region, 8);
	run = fl_builder_run_begin(&b);
	for (uint64_t i = 0; i < 100000; i++)
		*(uint64_t *)fl_builder_run_push(&b, &run, 8) = i;
	fl_builder_run_end(&b, run);
	push_words(&b, 1000);
	assert_int_equal(fl_builder_close(&b, &array, &bytes), -ENOMEM);
	place_close(&p);
}

/* A chunk that is a block of its own: the region goes on in its rest. */
static void rest_of_a_block(void **state)
{
	struct place p;
	struct fl_builder b;
	char *array, *object;

	(void)state;
	place_open(&p, "bump_down", 0);
	p.s->object_new(p.region, BLOCK_BYTES - 64, 8, 1);
	fl_builder_open(&b, p.s, p.region, 8);
	push_words(&b, 1000);
	array = (char *)close_words(&b, 1000);
	assert_true(b.linked);
	object = p.s->object_new(p.region, 64, 8, 1);
	assert_ptr_equal(object, array + BLOCK_BYTES - 64);
	place_close(&p);
}

/* Inner ones come and go while the outer is open; both are linked. */
static void nested(void **state)
{
	struct place p;
	struct fl_builder outer, inner;

	(void)state;
	place_open(&p, "bump_down", 0);
	fl_builder_open(&outer, p.s, p.region, 8);
	for (uint64_t i = 0; i < 60; i++) {
		*(uint64_t *)fl_builder_push(&outer, 8) = i;
		fl_builder_open(&inner, p.s, p.region, 64);
		push_words(&inner, 100);
		assert_int_equal((uintptr_t)close_words(&inner, 100) % 64, 0);
		assert_true(inner.linked);
	}
	close_words(&outer, 60);
	assert_true(outer.linked);
	place_close(&p);
}

/* Two arrays of half a block take one block, to its last byte, and nothing is copied. */
static void halves_of_a_block(void **state)
{
	static const char *const names[] = { "bump_down", "bump_up", "block_split" };
	const uint64_t nr = BLOCK_BYTES / 2 / 8;
	struct place p;
	struct fl_builder b;

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		char *arrays[6];

		place_open(&p, names[k], 0);
		for (unsigned i = 0; i < 6; i++) {
			fl_builder_open(&b, p.s, p.region, 8);
			push_words(&b, nr);
			arrays[i] = (char *)close_words(&b, nr);
			assert_true(b.linked);
			assert_int_equal(b.copied_bytes, 0);
			if (i % 2)
				assert_ptr_equal(arrays[i], arrays[i - 1] + BLOCK_BYTES / 2);
		}
		/* The last one's end is its block's: what comes now is elsewhere. */
		memset(p.s->object_new(p.region, 4096, 8, 0), 0xff, 4096);
		for (unsigned i = 0; i < 6; i++)
			for (uint64_t j = 0; j < nr; j++)
				assert_int_equal(((uint64_t *)(void *)arrays[i])[j], j);
		place_close(&p);
	}
}

/*
 * A chunk has all of a block, and the region goes on in the next one above it: what the
 * chunk leaves and what is free there are one gap, and an object lies across.  Upwards
 * that takes a second builder, which has the whole next block and drops it.
 */
static void one_gap_of_two_blocks(struct place *p, struct fl_builder *b,
				  uint64_t nr, bool up)
{
	struct fl_builder other;

	fl_builder_open(b, p->s, p->region, 8);
	push_words(b, nr);
	if (!up) {
		memset(p->s->object_new(p->region, 4096, 8, 0), 0xee, 4096);
		return;
	}
	fl_builder_open(&other, p->s, p->region, 8);
	push_words(&other, BLOCK_BYTES / 8);
	fl_builder_drop(&other);
}

#define NR_ACROSS	18u	/* of 5,000 bytes: most of what the two have left */

static void across_two_blocks(void **state)
{
	static const struct {
		const char *name;
		bool up;
	} of[] = {
		{ "bump_down", false }, { "branch_site", false },
		{ "block_split", false }, { "bump_up", true },
	};
	static const uint64_t givebacks[] = { FL_RETAIN_NEVER, FL_RETAIN_DEATH };
	const uint64_t nr = (BLOCK_BYTES / 2 + 1024) / 8, bytes = 5000;

	(void)state;
	for (size_t k = 0; k < 2 * sizeof(of) / sizeof(*of); k++) {
		struct fl_region *neighbour = NULL;
		unsigned char *beside = NULL;
		struct fl_builder b;
		struct place p;

		place_open_giving(&p, of[k / 2].name, 0, givebacks[k % 2]);
		for (unsigned life = 0; life < 3; life++) {
			unsigned char *objects[NR_ACROSS], *border;
			uint64_t refills, *words;
			unsigned across = 0;

			one_gap_of_two_blocks(&p, &b, nr, of[k / 2].up);
			if (!neighbour) {
				assert_int_equal(p.s->region_create(p.heap,
								    &neighbour), 0);
				beside = p.s->object_new(neighbour, BLOCK_BYTES, 8, 0);
				memset(beside, 0xbb, BLOCK_BYTES);
			}
			words = close_words(&b, nr);
			assert_true(b.linked);
			assert_int_equal(b.copied_bytes, 0);
			border = (unsigned char *)words + BLOCK_BYTES;
			refills = p.heap->events.nr_refills;
			for (unsigned i = 0; i < NR_ACROSS; i++) {
				objects[i] = p.s->object_new(p.region, bytes, 8, 0);
				memset(objects[i], (int)i, bytes);
				across += objects[i] < border &&
					  objects[i] + bytes > border;
			}
			assert_int_equal(across, 1);
			assert_int_equal(p.heap->events.nr_refills, refills);
			for (unsigned i = 0; i < NR_ACROSS; i++)
				for (uint64_t j = 0; j < bytes; j++)
					assert_int_equal(objects[i][j], i);
			for (uint64_t i = 0; i < nr; i++)
				assert_int_equal(words[i], i);
			p.s->region_reset(p.region);
			/* What went back is the two blocks' alone. */
			for (uint64_t i = 0; i < BLOCK_BYTES; i++)
				assert_int_equal(beside[i], 0xbb);
		}
		p.s->region_destroy(neighbour);
		p.s->region_destroy(p.region);
		assert_int_equal(p.s->region_create(p.heap, &p.region), 0);
		place_close(&p);
	}
}

/*
 * A tree: each array has objects and another array allocated while it is open.  Where
 * its chunk's rest is lost it is copied, and the chunk serves the next one.
 */
static void tree(void **state)
{
	static const char *const names[] = { "bump_down", "bump_up" };
	const unsigned nr = 1000;

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		static uint64_t *arrays[1000];
		struct place p;

		place_open(&p, names[k], 0);
		for (unsigned life = 0; life < 2; life++) {
			struct fl_builder outer, inner;
			uint64_t bytes, refills = p.heap->events.nr_refills;
			void *array;

			fl_builder_open(&outer, p.s, p.region, 8);
			for (unsigned i = 0; i < nr; i++) {
				*(uint64_t *)fl_builder_push(&outer, 8) = i;
				fl_builder_open(&inner, p.s, p.region, 8);
				push_words(&inner, 2);
				p.s->object_new(p.region, 8, 8, UINT64_MAX);
				push_words(&inner, 2);
				assert_int_equal(fl_builder_close(&inner, &array, &bytes), 0);
				assert_int_equal(bytes, 4 * 8);
				arrays[i] = array;
			}
			close_words(&outer, nr);
			for (unsigned i = 0; i < nr; i++)
				for (unsigned j = 0; j < 4; j++)
					assert_int_equal(arrays[i][j], j % 2);
			/* 512 bytes for each would be eight blocks. */
			assert_true(p.heap->events.nr_refills - refills <= 2);
			p.s->region_reset(p.region);
		}
		place_close(&p);
	}
}

/* Redirecting strategies link what fills half a block, and copy the rest. */
static void without_a_rest(void **state)
{
	struct place p;
	struct fl_builder b;

	(void)state;
	place_open(&p, "segv_redirect", 0);
	fl_builder_open(&b, p.s, p.region, 8);
	push_words(&b, BLOCK_BYTES / 16);
	close_words(&b, BLOCK_BYTES / 16);
	assert_true(b.linked);
	fl_builder_open(&b, p.s, p.region, 8);
	push_words(&b, 100);
	close_words(&b, 100);
	assert_false(b.linked);
	assert_int_equal(b.copied_bytes, 800);
	place_close(&p);
}

static void without_chunks(void **state)
{
	struct place p;
	struct fl_builder b;
	char text[3000];

	(void)state;
	memset(text, 'x', sizeof(text));
	place_open(&p, "segv_extend", 0);
	assert_null(p.s->chunk_take);
	fl_builder_open(&b, p.s, p.region, 8);
	push_words(&b, 20000);
	close_words(&b, 20000);
	assert_int_equal(b.copied_bytes, 160000);
	fl_builder_open(&b, p.s, p.region, 8);
	for (int i = 0; i < 10; i++)
		fl_builder_append(&b, text, sizeof(text));
	assert_int_equal(fl_builder_bytes(&b), 30000);
	fl_builder_drop(&b);
	place_close(&p);
}

/* Elements may be stored by instructions that need the array's alignment. */
static void aligned_without_chunks(void **state)
{
	struct place p;
	struct fl_builder b;
	uint64_t bytes;
	void *array;

	(void)state;
	place_open(&p, "segv_extend", 0);
	fl_builder_open(&b, p.s, p.region, 64);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t *element = fl_builder_push(&b, 64);

		assert_int_equal((uintptr_t)element % 64, 0);
		*element = i;
	}
	assert_int_equal(fl_builder_close(&b, &array, &bytes), 0);
	assert_int_equal((uintptr_t)array % 64, 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(((uint64_t *)array)[i * 8], i);
	place_close(&p);
}

static void empty(void **state)
{
	struct place p;
	struct fl_builder b;
	struct fl_cursor before;
	uint64_t bytes = 1;
	void *array = &b;

	(void)state;
	place_open(&p, "bump_down", 0);
	before = p.region->cursor;
	fl_builder_open(&b, p.s, p.region, 8);
	fl_builder_append(&b, NULL, 0);
	assert_int_equal(fl_builder_close(&b, &array, &bytes), 0);
	assert_null(array);
	assert_int_equal(bytes, 0);
	assert_ptr_equal(p.region->cursor.bump, before.bump);
	assert_ptr_equal(p.region->cursor.limit, before.limit);
	place_close(&p);
}

/* Without memory pushes go on, and close tells; the region lives. */
static void exhausted(void **state)
{
	static const char *const names[] = { "bump_down", "bump_up", "segv_redirect" };
	struct place p;
	struct fl_builder b;
	uint64_t bytes;
	void *array;

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		place_open(&p, names[k], 4 * BLOCK_BYTES);
		fl_builder_open(&b, p.s, p.region, 8);
		push_words(&b, 100000);
		assert_int_equal(fl_builder_close(&b, &array, &bytes), -ENOMEM);
		assert_int_equal(p.region->error, 0);
		fl_builder_open(&b, p.s, p.region, 8);
		push_words(&b, 100);
		close_words(&b, 100);
		p.s->region_reset(p.region);
		fl_builder_open(&b, p.s, p.region, 8);
		push_words(&b, 1000);
		close_words(&b, 1000);
		place_close(&p);
	}
}

#define ENDED	"faultline: builder: its region was reset or destroyed, or its heap closed, " \
		"while it was open\n"

enum misuse { PUSH_AFTER_CLOSE, CLOSE_TWICE, RESET, DESTROY, CLOSE_HEAP, NR_MISUSES };

static int misuse(enum misuse what, bool strict)
{
	struct place p;
	struct fl_builder b;
	uint64_t bytes;
	void *array;
	int err = 0;

	place_open(&p, "bump_down", 0);
	fl_builder_open(&b, p.s, p.region, 8);
	b.strict = strict;
	push_words(&b, 10);
	if (what == RESET)
		p.s->region_reset(p.region);
	else if (what == DESTROY)
		p.s->region_destroy(p.region);
	else if (what == CLOSE_HEAP)
		p.s->close(p.heap);
	else
		err = fl_builder_close(&b, &array, &bytes);
	assert_int_equal(err, 0);
	if (what != CLOSE_TWICE)
		push_words(&b, 10000);
	err = fl_builder_close(&b, &array, &bytes);
	fl_builder_drop(&b);
	if (what == CLOSE_HEAP)
		fl_module_unload(&p.module);
	else
		place_close(&p);
	return err;
}

static void misuse_is_harmless(void **state)
{
	(void)state;
	assert_int_equal(misuse(PUSH_AFTER_CLOSE, false), -EINVAL);
	assert_int_equal(misuse(CLOSE_TWICE, false), -EINVAL);
	assert_int_equal(misuse(RESET, false), -ESTALE);
	assert_int_equal(misuse(DESTROY, false), -ESTALE);
	assert_int_equal(misuse(CLOSE_HEAP, false), -ESTALE);
}

static void misuse_is_caught(void **state)
{
	static const char *const says[] = {
		[PUSH_AFTER_CLOSE] = "faultline: builder: a push after its close\n",
		[CLOSE_TWICE] = "faultline: builder: a close after its close\n",
		[RESET] = ENDED,
		[DESTROY] = ENDED,
		[CLOSE_HEAP] = ENDED,
	};

	(void)state;
	for (enum misuse what = 0; what < NR_MISUSES; what++) {
		char text[200] = "";
		int fds[2], status;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			signal(SIGABRT, SIG_DFL);
			dup2(fds[1], STDERR_FILENO);
			misuse(what, true);
			_exit(0);
		}
		close(fds[1]);
		assert_true(read(fds[0], text, sizeof(text) - 1) >= 0);
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
		assert_string_equal(text, says[what]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linked_in_place),
		cmocka_unit_test(copied_from_chunks),
		cmocka_unit_test(moved_and_linked),
		cmocka_unit_test(short_arrays_stay),
		cmocka_unit_test(in_runs),
		cmocka_unit_test(rest_of_a_block),
		cmocka_unit_test(nested),
		cmocka_unit_test(halves_of_a_block),
		cmocka_unit_test(across_two_blocks),
		cmocka_unit_test(tree),
		cmocka_unit_test(without_a_rest),
		cmocka_unit_test(without_chunks),
		cmocka_unit_test(aligned_without_chunks),
		cmocka_unit_test(empty),
		cmocka_unit_test(exhausted),
		cmocka_unit_test(misuse_is_harmless),
		cmocka_unit_test(misuse_is_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
