/* SPDX-License-Identifier: MIT */
/*
 * Which pages were written, by the kernel: against stores made here, in memory of
 * every kind that strategies use.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "faultline/compat.h"
#include "vm/growdown.h"
#include "vm/reserve.h"
#include "vm/written.h"

#define NR_PAGES	64u
#define GAP_PAGES	512u

static struct fl_written written;
static char reason[256];
static int refused;

/* Pages of @base as 0 and 1. */
struct seen {
	const char *base;
	char pages[NR_PAGES + 1];
};

static void note(void *arg, char *base, uint64_t pages, bool is_written)
{
	struct seen *seen = arg;
	uint64_t first = (uint64_t)(base - seen->base) / fl_page_bytes();

	assert_true(first + pages <= NR_PAGES);
	if (is_written)
		memset(seen->pages + first, '1', pages);
}

/* The pages that are written now are those of @want, and no others. */
static void assert_written(char *base, const char *want)
{
	struct seen seen = { .base = base };

	memset(seen.pages, '0', NR_PAGES);
	assert_int_equal(fl_written_take(&written, base,
					 NR_PAGES * fl_page_bytes(), note,
					 &seen), 0);
	seen.pages[strlen(want)] = '\0';
	assert_string_equal(seen.pages, want);
}

static void store(char *base, uint64_t page)
{
	*(volatile char *)(base + page * fl_page_bytes()) = 1;
}

static char *reserve(void)
{
	char *base;

	if (refused) {
		print_message("skip: %s\n", reason);
		skip();
	}
	assert_int_equal(fl_reserve(NR_PAGES * fl_page_bytes(), FL_OPEN, &base),
			 0);
	return base;
}

static void release(char *base)
{
	fl_release(base, NR_PAGES * fl_page_bytes());
}

static void test_stores(void **state)
{
	char *base = reserve();

	(void)state;
	store(base, 3);			/* before it is watched */
	assert_int_equal(fl_written_watch(&written, base,
					  NR_PAGES * fl_page_bytes()), 0);
	store(base, 1);
	assert_written(base, "0101");
	assert_written(base, "0000");
	store(base, 3);
	(void)*(volatile char *)base;	/* loads do not count */
	(void)*(volatile char *)(base + fl_page_bytes());
	assert_written(base, "0001");
	store(base, 2);
	store(base, 2);
	assert_int_equal(fl_written_watch(&written, base,
					  NR_PAGES * fl_page_bytes()), 0);
	assert_written(base, "0010");
	release(base);
}

/* Given back and used again is written, given back alone is not. */
static void test_given_back(void **state)
{
	char *base = reserve();

	(void)state;
	assert_int_equal(fl_written_watch(&written, base,
					  NR_PAGES * fl_page_bytes()), 0);
	for (uint64_t i = 0; i < 4; i++)
		store(base, i);
	assert_written(base, "1111");
	assert_int_equal(madvise(base, 2 * fl_page_bytes(), MADV_DONTNEED), 0);
	store(base, 1);
	assert_written(base, "0100");
	release(base);
}

/* Protection that comes and goes changes nothing. */
static void test_protected(void **state)
{
	const size_t page = fl_page_bytes();
	char *base = reserve();

	(void)state;
	assert_int_equal(fl_written_watch(&written, base, NR_PAGES * page), 0);
	for (uint64_t i = 0; i < 4; i++)
		store(base, i);
	assert_written(base, "1111");
	assert_int_equal(fl_protect(base + page, 2 * page, FL_CLOSED), 0);
	store(base, 3);
	assert_written(base, "0001");
	assert_int_equal(fl_protect(base + page, 2 * page, FL_OPEN), 0);
	store(base, 2);
	assert_written(base, "0010");
	release(base);
}

/* A mapping that the kernel extends: what it grows by is watched, too. */
static void test_grows_down(void **state)
{
	const size_t page = fl_page_bytes();
	char *gap, *base;

	(void)state;
	release(reserve());
	/* What grows stays away from what is below it (stack_guard_gap). */
	assert_int_equal(fl_reserve((GAP_PAGES + NR_PAGES) * page, FL_CLOSED,
				    &gap), 0);
	base = gap + GAP_PAGES * page;
	assert_int_equal(munmap(gap, (GAP_PAGES + NR_PAGES) * page), 0);
	assert_ptr_equal(mmap(base + 63 * page, page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN |
			      MAP_FIXED_NOREPLACE, -1, 0), base + 63 * page);
	assert_int_equal(fl_written_watch(&written, base + 63 * page, page), 0);
	store(base, 62);
	store(base, 61);
	{
		struct seen seen = { .base = base };

		memset(seen.pages, '0', NR_PAGES);
		assert_int_equal(fl_written_take(&written, base + 61 * page,
						 3 * page, note, &seen), 0);
		assert_string_equal(seen.pages + 61, "110");
	}
	munmap(base, NR_PAGES * page);
}

/* Not watched is an error, and not "all of it". */
static void test_unwatched(void **state)
{
	char *base = reserve();
	struct seen seen = { .base = base };

	(void)state;
	store(base, 0);
	assert_int_equal(fl_written_take(&written, base, fl_page_bytes(), note,
					 &seen), -EPERM);
	release(base);
}

/* The program break: what it grows by is another mapping, and is watched when asked. */
static void test_break(void **state)
{
	const size_t page = fl_page_bytes();
	char *start;

	(void)state;
	release(reserve());
	start = sbrk(0);
	start += -(uintptr_t)start & (page - 1);
	assert_int_equal(brk(start + 4 * page), 0);
	store(start, 0);
	assert_int_equal(fl_written_watch(&written, start, 4 * page), 0);
	{
		struct seen seen = { .base = start };

		memset(seen.pages, '0', NR_PAGES);
		assert_int_equal(brk(start + 8 * page), 0);
		store(start, 5);
		assert_int_equal(fl_written_watch(&written, start, 8 * page), 0);
		assert_int_equal(fl_written_take(&written, start, 8 * page,
						 note, &seen), 0);
		seen.pages[8] = '\0';
		assert_string_equal(seen.pages, "10000100");
	}
	assert_int_equal(brk(start), 0);
}

/*
 * malloc of the C library: mappings that it makes, extends and moves, and the break.
 * What is where is watched anew each time; the pages are those that are an object's
 * alone, as malloc's own words are beside it.
 */
struct object_pages {
	uintptr_t first, end;
	uint64_t nr, nr_written;
};

static void note_object(void *arg, char *base, uint64_t pages, bool is_written)
{
	struct object_pages *o = arg;
	const uintptr_t start = (uintptr_t)base / fl_page_bytes();

	for (uintptr_t page = start; page < start + pages; page++)
		if (page >= o->first && page < o->end) {
			o->nr++;
			o->nr_written += is_written;
		}
}

/* Returns how many pages of @object were written. */
static uint64_t take_object(const char *object, size_t bytes)
{
	const uintptr_t page = fl_page_bytes();
	struct object_pages o = {
		.first = ((uintptr_t)object + page - 1) / page,
		.end = ((uintptr_t)object + bytes) / page,
	};
	/* With both ends: mremap wants all of a mapping to be alike. */
	char *base = (char *)((uintptr_t)object / page * page);
	const size_t nr_bytes = ((size_t)(object - base) + bytes + page - 1) /
				page * page;

	assert_int_equal(fl_written_watch(&written, base, nr_bytes), 0);
	assert_int_equal(fl_written_take(&written, base, nr_bytes, note_object,
					 &o), 0);
	assert_int_equal(o.nr, o.end - o.first);
	return o.nr_written;
}

static void test_of_c_library(void **state)
{
	/* In the break, or what a sanitizer has instead; mappings. */
	static const size_t sizes[] = { 64 << 10, 100 << 10, 4 << 20 };
	const size_t bytes = 16 << 20;
	char *object, *end;

	(void)state;
	release(reserve());
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		object = malloc(sizes[i]);
		assert_non_null(object);
		memset(object, 1, sizes[i]);
		assert_true(take_object(object, sizes[i]) > 0);
		assert_int_equal(take_object(object, sizes[i]), 0);
		object[sizes[i] / 2] = 2;
		assert_int_equal(take_object(object, sizes[i]), 1);
		free(object);
	}

	/* The mapping grows and moves: what is new is written, and then is told of. */
	object = malloc(bytes / 2);
	assert_non_null(object);
	memset(object, 1, bytes / 2);
	take_object(object, bytes / 2);
	object = realloc(object, bytes);
	assert_non_null(object);
	memset(object, 1, bytes);
	end = object + bytes / 4 * 3;
	assert_int_equal(take_object(end, bytes / 4),
			 ((uintptr_t)(end + bytes / 4)) / fl_page_bytes() -
			 ((uintptr_t)end + fl_page_bytes() - 1) /
			 fl_page_bytes());
	assert_int_equal(take_object(end, bytes / 4), 0);
	end[bytes / 8] = 2;
	assert_int_equal(take_object(end, bytes / 4), 1);
	free(object);
}

/* Memory with a userfaultfd of its own: asked through that one. */
static void test_other_descriptor(void **state)
{
	const size_t bytes = NR_PAGES * fl_page_bytes();
	struct fl_uffd before, after;
	char *base = reserve(), *other = reserve(), *from;

	(void)state;
	assert_int_equal(fl_uffd_open(UFFD_FEATURE_SIGBUS, &before), 0);
	fl_uffd_track();
	assert_int_equal(fl_uffd_open(UFFD_FEATURE_SIGBUS, &after), 0);
	assert_int_equal(fl_uffd_register(&before, base, bytes), 0);
	assert_int_equal(fl_uffd_register(&after, other, bytes), 0);
	assert_int_equal(fl_written_watch(&written, base, bytes), -EBUSY);
	assert_int_equal(fl_written_watch(&written, other, bytes), -EBUSY);
	{
		struct seen seen = { .base = base };

		assert_int_equal(fl_written_take(&written, base, bytes, note,
						 &seen), -EPERM);
	}
	/* Missing pages are still faults: a page is supplied, then written. */
	from = reserve();
	assert_int_equal(fl_uffd_copy(&after, other, from, fl_page_bytes()), 0);
	assert_written(other, "10");
	assert_written(other, "00");
	store(other, 0);
	assert_written(other, "10");
	fl_uffd_close(&after);
	fl_uffd_close(&before);
	release(from);
	release(other);
	release(base);
}

static int open_it(void **state)
{
	(void)state;
	refused = fl_written_open(&written, reason, sizeof(reason));
	return 0;
}

static int close_it(void **state)
{
	(void)state;
	if (!refused)
		fl_written_close(&written);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_protected),
		cmocka_unit_test(test_grows_down),
		cmocka_unit_test(test_unwatched),
		cmocka_unit_test(test_break),
		cmocka_unit_test(test_of_c_library),
		cmocka_unit_test(test_other_descriptor),
	};

	return cmocka_run_group_tests_name("written", tests, open_it, close_it);
}
