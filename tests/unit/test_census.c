/* SPDX-License-Identifier: MIT */
/*
 * The census: three witnesses on ranges whose resident pages are known, because
 * this test made them so.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/census.h"
#include "vm/guard.h"
#include "vm/reserve.h"

#define NR_SOURCES	3
#define GIB		((size_t)1 << 30)
#define MIB		((size_t)1 << 20)

/* More runs than the kernel is given room for at a time, and some long ones. */
#define NR_RUNS		1500u

static struct fl_census census;
static bool have_scan;
static uint64_t rng;

static uint64_t next(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static char *reserve(size_t bytes)
{
	char *base = NULL;

	assert_int_equal(fl_reserve(bytes, FL_OPEN, &base), 0);
	return base;
}

static uint64_t count(enum fl_census_source source, const char *base,
		      size_t bytes)
{
	uint64_t pages = UINT64_MAX;

	assert_int_equal(fl_census_pages(&census, source, base, bytes, &pages),
			 0);
	return pages;
}

static void assert_pages(const char *base, size_t bytes, uint64_t pages)
{
	if (have_scan)
		assert_int_equal(count(FL_CENSUS_SCAN, base, bytes), pages);
	assert_int_equal(count(FL_CENSUS_PAGEMAP, base, bytes), pages);
	assert_int_equal(count(FL_CENSUS_MINCORE, base, bytes), pages);
}

static void skip_without_scan(void)
{
	if (have_scan)
		return;
	print_message("this kernel has no PAGEMAP_SCAN (Linux 6.7)\n");
	skip();
}

static void test_open(void **state)
{
	struct fl_census mine = { .pagemap = 12345 };
	uint64_t pages = 77;
	int local = 0;

	(void)state;
	assert_int_equal(fl_census_open(&mine), 0);
	assert_true(mine.pagemap >= 0);
	assert_true(mine.best == FL_CENSUS_SCAN ||
		    mine.best == FL_CENSUS_PAGEMAP);
	fl_census_close(&mine);
	assert_int_equal(mine.pagemap, -1);
	fl_census_close(&mine);

	/* A closed one fails, and says so. */
	for (int source = have_scan ? FL_CENSUS_SCAN : FL_CENSUS_PAGEMAP;
	     source <= FL_CENSUS_PAGEMAP; source++)
		assert_int_equal(fl_census_pages(&mine,
			(enum fl_census_source)source,
			(char *)((uintptr_t)&local & ~(fl_page_bytes() - 1)),
			fl_page_bytes(), &pages), -EBADF);
	assert_int_equal(fl_census_pages(&mine, (enum fl_census_source)99, NULL,
					 fl_page_bytes(), &pages), -EINVAL);
	assert_int_equal(pages, 77);
}

/* A few thousand pages, scattered over 1 GiB. */
static void test_sparse(void **state)
{
	const size_t page = fl_page_bytes(), nr = GIB / page;
	char *base = reserve(GIB);
	uint64_t made = 0, upper = 0;
	char *touched = calloc(nr, 1);

	(void)state;
	assert_non_null(touched);
	assert_pages(base, GIB, 0);
	for (unsigned i = 0; i < 3000; i++) {
		size_t at = next() % nr;

		made += !touched[at];
		upper += !touched[at] && at >= nr / 2;
		touched[at] = 1;
		base[at * page + next() % page] = 1;
	}
	assert_pages(base, GIB, made);
	assert_pages(base + GIB / 2, GIB / 2, upper);
	assert_pages(base, GIB / 2, made - upper);
	assert_pages(base, 0, 0);

	/* Page by page, around what is there. */
	for (size_t i = 0; i < 64; i++)
		assert_pages(base + i * page, page, (uint64_t)touched[i]);

	assert_int_equal(madvise(base, GIB / 2, MADV_DONTNEED), 0);
	assert_pages(base, GIB, upper);
	free(touched);
	fl_release(base, GIB);
	assert_pages(base, 64 * page, 0);
}

/* Pages that were read and never written are all the same page. */
static void test_zero_page(void **state)
{
	const size_t page = fl_page_bytes(), nr = 100;
	char *base = reserve(nr * page);
	int sum = 0;

	(void)state;
	for (size_t i = 0; i < nr; i++)
		sum += *(volatile char *)(base + i * page);
	assert_int_equal(sum, 0);
	for (size_t i = 0; i < nr; i += 4)
		base[i * page] = 1;

	/* These two cannot tell; the header says so. */
	assert_int_equal(count(FL_CENSUS_PAGEMAP, base, nr * page), nr);
	assert_int_equal(count(FL_CENSUS_MINCORE, base, nr * page), nr);
	if (have_scan)
		assert_int_equal(count(FL_CENSUS_SCAN, base, nr * page), nr / 4);
	fl_release(base, nr * page);
	skip_without_scan();
}

/* Holes, larger and smaller than what is looked at in one go. */
static void test_holes(void **state)
{
	const size_t page = fl_page_bytes(), nr = 20000;
	char *base = reserve(nr * page);

	(void)state;
	for (size_t i = 0; i < nr; i += 2)
		base[i * page] = 1;
	assert_int_equal(munmap(base + 10 * page, 4 * page), 0);
	assert_pages(base, nr * page, nr / 2 - 2);
	assert_int_equal(munmap(base + 1000 * page, 10000 * page), 0);
	assert_pages(base, nr * page, nr / 2 - 2 - 5000);
	assert_pages(base + 1000 * page, 10000 * page, 0);
	/* The range may begin and end in one. */
	assert_pages(base + 12 * page, 4 * page, 1);
	assert_pages(base + 8 * page, 4 * page, 1);
	munmap(base, nr * page);
	assert_pages(base, nr * page, 0);
}

/* Closed pages still cost memory; guards do not. */
static void test_closed(void **state)
{
	const size_t page = fl_page_bytes();
	char *base = reserve(16 * page);

	(void)state;
	for (size_t i = 0; i < 8; i++)
		base[i * page] = 1;
	assert_int_equal(fl_protect(base + 4 * page, 8 * page, FL_CLOSED), 0);
	assert_pages(base, 16 * page, 8);
	assert_pages(base + 4 * page, 8 * page, 4);
	if (!fl_guard_probe(FL_GUARD_MADVISE)) {
		assert_int_equal(fl_guard_install(base, 2 * page,
						  FL_GUARD_MADVISE), 0);
		assert_pages(base, 16 * page, 6);
	}
	fl_release(base, 16 * page);
}

struct runs {
	char *base;
	size_t nr;
	struct {
		size_t from, pages;
	} run[NR_RUNS + 1];
};

static void add_run(void *arg, char *base, uint64_t pages)
{
	struct runs *runs = arg;

	assert_true(runs->nr <= NR_RUNS);
	runs->run[runs->nr].from = (size_t)(base - runs->base) / fl_page_bytes();
	runs->run[runs->nr++].pages = pages;
}

/* Each run once, whole, in ascending order. */
static void check_runs(enum fl_census_source source)
{
	const size_t page = fl_page_bytes();
	const struct fl_census mine = {
		.pagemap = census.pagemap, .best = source,
	};
	struct runs *made = calloc(1, sizeof(*made));
	struct runs *found = calloc(1, sizeof(*found));
	size_t nr = 0;
	char *base;

	assert_non_null(made);
	assert_non_null(found);
	for (size_t i = 0; i < NR_RUNS; i++) {
		nr += 1 + next() % 9;
		made->run[i].from = nr;
		/* One in 500 is longer than a window of the pagemap. */
		made->run[i].pages = i % 500 == 250 ? 9000 : 1 + next() % 5;
		nr += made->run[i].pages;
	}
	base = reserve(nr * page);
	found->base = base;
	for (size_t i = 0; i < NR_RUNS; i++)
		for (size_t k = 0; k < made->run[i].pages; k++)
			base[(made->run[i].from + k) * page] = 1;

	assert_int_equal(fl_census_runs(&mine, base, nr * page, add_run, found),
			 0);
	assert_int_equal(found->nr, NR_RUNS);
	assert_memory_equal(found->run, made->run,
			    NR_RUNS * sizeof(made->run[0]));

	/* Cut at both ends. */
	found->nr = 0;
	assert_int_equal(fl_census_runs(&mine, base +
		(made->run[250].from + 100) * page, 5000 * page, add_run, found),
		0);
	assert_int_equal(found->nr, 1);
	assert_int_equal(found->run[0].from, made->run[250].from + 100);
	assert_int_equal(found->run[0].pages, 5000);

	found->nr = 0;
	assert_int_equal(fl_census_runs(&mine, base, page, add_run, found), 0);
	assert_int_equal(found->nr, 0);
	fl_release(base, nr * page);
	free(made);
	free(found);
}

static void test_runs_pagemap(void **state)
{
	(void)state;
	check_runs(FL_CENSUS_PAGEMAP);
}

static void test_runs_scan(void **state)
{
	(void)state;
	skip_without_scan();
	check_runs(FL_CENSUS_SCAN);
}

static uint64_t lines_of_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint64_t lines = 0;
	int c;

	assert_non_null(f);
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static uint64_t statm_resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*u %" SCNu64, &pages), 1);
	fclose(f);
	return pages * fl_page_bytes();
}

/*
 * statm adds up three counters that each CPU may hold back a batch of (Linux
 * 6.2: lib/percpu_counter.c); and pages come and go between the two readings.
 */
static uint64_t statm_slack_bytes(void)
{
	uint64_t cpus = (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
	uint64_t batch = cpus > 16 ? 2 * cpus : 32;

	return 3 * cpus * batch * fl_page_bytes() + 4 * MIB;
}

static void ask_process(struct fl_process_pages *out)
{
	int err = fl_census_process(out);

	if (err) {
		print_message("/proc/self/smaps_rollup: %s\n", strerror(-err));
		skip();
	}
}

/* What counters tell of private pages, and of shared ones. */
static void test_private(void **state)
{
	const size_t bytes = 16 * MIB;
	struct fl_process_pages start, end;
	uint64_t before, after;
	char *private, *shared;

	(void)state;
	ask_process(&start);
	assert_int_equal(fl_census_private(&before), 0);
	shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	private = reserve(bytes);
	memset(shared, 1, bytes);
	assert_int_equal(fl_census_private(&after), 0);
	assert_true(after * fl_page_bytes() <
		    before * fl_page_bytes() + statm_slack_bytes());
	memset(private, 1, bytes);
	assert_int_equal(fl_census_private(&after), 0);
	assert_true(after * fl_page_bytes() + statm_slack_bytes() >
		    before * fl_page_bytes() + bytes);
	ask_process(&end);
	assert_true(end.shared_bytes + statm_slack_bytes() >=
		    start.shared_bytes + bytes);
	fl_release(private, bytes);
	munmap(shared, bytes);
}

static void test_process(void **state)
{
	const size_t page = fl_page_bytes(), bytes = 16 * MIB;
	struct fl_process_pages before, after;
	char *base, *sparse;
	uint64_t quick;

	(void)state;
	ask_process(&before);
	assert_int_equal(before.nr_vmas, lines_of_maps());
	assert_true(before.resident_bytes > 0);
	assert_int_equal(before.resident_bytes % 1024, 0);
	assert_true(before.page_table_bytes > 0);

	/* 16 MiB resident; a page table for each of 64 pages 2 MiB apart. */
	base = reserve(bytes);
	sparse = reserve(64 * 2 * MIB);
	memset(base, 1, bytes);
	for (size_t i = 0; i < 64; i++)
		sparse[i * 2 * MIB] = 1;
	ask_process(&after);
	assert_true(after.resident_bytes - before.resident_bytes >= bytes);
	quick = statm_resident_bytes();
	assert_true(after.resident_bytes + statm_slack_bytes() >= quick &&
		    quick + statm_slack_bytes() >= after.resident_bytes);
	assert_true(after.page_table_bytes - before.page_table_bytes >=
		    63 * page);

	/* Every other page closed: a mapping each. */
	before = after;
	for (size_t i = 0; i < 20; i += 2)
		assert_int_equal(fl_protect(base + (i + 1) * page, page,
					    FL_CLOSED), 0);
	ask_process(&after);
	assert_int_equal(after.nr_vmas, before.nr_vmas + 20);
	assert_int_equal(after.nr_vmas, lines_of_maps());

	/* The last batch of marks may still be under way. */
	assert_int_equal(madvise(base + MIB, bytes - MIB, MADV_FREE), 0);
	ask_process(&after);
	assert_in_range(after.lazy_free_bytes - before.lazy_free_bytes,
			bytes / 2, bytes);
	fl_release(base, bytes);
	fl_release(sparse, 64 * 2 * MIB);
}

/* A page in a place of its own takes a table; its neighbour finds it there. */
static void test_tables(void **state)
{
	const size_t far = (size_t)64 << 20;
	uint64_t before, first, second;
	char *base = reserve(far);

	(void)state;
	assert_int_equal(fl_census_tables(&before), 0);
	*(volatile char *)(base + far / 2) = 1;
	assert_int_equal(fl_census_tables(&first), 0);
	assert_true(first > before);
	*(volatile char *)(base + far / 2 + fl_page_bytes()) = 1;
	assert_int_equal(fl_census_tables(&second), 0);
	assert_int_equal(second, first);
	fl_release(base, far);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_zero_page),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_runs_pagemap),
		cmocka_unit_test(test_runs_scan),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_tables),
	};

	rng = 88172645463325252u;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (fl_census_open(&census)) {
		printf("1..0 # SKIP no /proc/self/pagemap\n");
		return 0;
	}
	have_scan = census.best == FL_CENSUS_SCAN;
	return cmocka_run_group_tests_name("census", tests, NULL, NULL);
}
