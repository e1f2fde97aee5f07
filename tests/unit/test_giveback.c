/* SPDX-License-Identifier: MIT */
/*
 * Giving pages back: every method really drops what it is told to and nothing
 * beside it, and says which range it could not.  mincore(2) is the witness.
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
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/giveback.h"
#include "vm/reserve.h"

/* More than two calls of process_madvise or 64 rounds of the ring take. */
#define NR_MANY		3000u

#define GIB		((size_t)1 << 30)

static const char *const names[] = {
	[FL_GIVE_LOOP] = "madvise", [FL_GIVE_BATCH] = "process_madvise",
	[FL_GIVE_RING] = "io_uring",
};

static char *reserve(size_t bytes)
{
	char *base = NULL;

	assert_int_equal(fl_reserve(bytes, FL_OPEN, &base), 0);
	return base;
}

/* Pages [from, from + nr) of @base. */
static struct iovec pages(char *base, size_t from, size_t nr)
{
	return (struct iovec){
		.iov_base = base + from * fl_page_bytes(),
		.iov_len = nr * fl_page_bytes(),
	};
}

static void fill(char *base, size_t nr_pages)
{
	for (size_t i = 0; i < nr_pages; i++)
		base[i * fl_page_bytes()] = 1;
}

static bool is_resident(char *base, size_t i)
{
	unsigned char in;

	assert_int_equal(mincore(base + i * fl_page_bytes(), fl_page_bytes(),
				 &in), 0);
	return in & 1;
}

/* Given back means gone, and zero when it is looked at again. */
static void assert_gone(char *base, size_t i)
{
	assert_false(is_resident(base, i));
	assert_int_equal(base[i * fl_page_bytes()], 0);
}

static void assert_kept(char *base, size_t i)
{
	assert_true(is_resident(base, i));
	assert_int_equal(base[i * fl_page_bytes()], 1);
}

/* Not every kernel, sandbox or build has every method. */
static void skip_without(enum fl_giveback_method method,
			 enum fl_giveback_advice advice)
{
	char *base = reserve(1);
	struct iovec one = pages(base, 0, 1);
	int err = fl_giveback(&one, 1, advice, method);

	fl_release(base, 1);
	if (!err)
		return;
	print_message("no %s here: %s\n", names[method], strerror(-err));
	skip();
}

static void check_few(enum fl_giveback_method method)
{
	char *base = reserve(16 * fl_page_bytes());
	struct iovec ranges[] = {
		pages(base, 1, 2), pages(base, 8, 1), pages(base, 12, 4),
	};

	fill(base, 16);
	assert_int_equal(fl_giveback(NULL, 0, FL_GIVE_DONTNEED, method), 0);
	for (size_t i = 0; i < 16; i++)
		assert_kept(base, i);
	assert_int_equal(fl_giveback(ranges, 3, FL_GIVE_DONTNEED, method), 0);
	for (size_t i = 0; i < 16; i++) {
		if (i == 1 || i == 2 || i == 8 || i >= 12)
			assert_gone(base, i);
		else
			assert_kept(base, i);
	}
	/* Pages that are not there are no error. */
	assert_int_equal(fl_giveback(ranges, 3, FL_GIVE_DONTNEED, method), 0);
	fl_release(base, 16 * fl_page_bytes());
}

/* Every other page, last to first, in more ranges than one call takes. */
static void check_many(enum fl_giveback_method method)
{
	const size_t bytes = 2 * NR_MANY * fl_page_bytes();
	struct iovec *ranges = calloc(NR_MANY, sizeof(*ranges));
	char *base = reserve(bytes);

	assert_non_null(ranges);
	for (size_t i = 0; i < NR_MANY; i++)
		ranges[i] = pages(base, 2 * (NR_MANY - 1 - i), 1);
	fill(base, 2 * NR_MANY);
	assert_int_equal(fl_giveback(ranges, NR_MANY, FL_GIVE_DONTNEED, method),
			 0);
	for (size_t i = 0; i < 2 * NR_MANY; i++) {
		if (i % 2)
			assert_kept(base, i);
		else
			assert_gone(base, i);
	}
	/* The caller's array is the caller's. */
	for (size_t i = 0; i < NR_MANY; i++) {
		assert_int_equal(ranges[i].iov_len, fl_page_bytes());
		assert_ptr_equal(ranges[i].iov_base, base + 2 *
				 (NR_MANY - 1 - i) * fl_page_bytes());
	}
	free(ranges);
	fl_release(base, bytes);
}

/* One that cannot be, in the middle: its errno, and what came before is done. */
static void check_refused(enum fl_giveback_method method)
{
	char *base = reserve(9 * fl_page_bytes());
	struct iovec ranges[] = {
		pages(base, 0, 1), pages(base, 4, 1), pages(base, 8, 1),
	};

	fill(base, 9);
	ranges[1].iov_base = base + 4 * fl_page_bytes() + 1;
	assert_int_equal(fl_giveback(ranges, 3, FL_GIVE_DONTNEED, method),
			 -EINVAL);
	assert_gone(base, 0);
	for (size_t i = 1; i < 8; i++)
		assert_kept(base, i);
	fl_release(base, 9 * fl_page_bytes());
}

/* process_madvise takes 2 GiB less a page at a time, io_uring less than 4 GiB. */
static void check_large(enum fl_giveback_method method)
{
	const size_t page = fl_page_bytes(), nr = 5 * GIB / page;
	const size_t at[] = {
		0, 1, 2 * GIB / page - 1, 2 * GIB / page, 4 * GIB / page - 1,
		4 * GIB / page, nr - 2,
	};
	struct iovec range;
	char *base;

	if (fl_reserve(5 * GIB, FL_OPEN, &base)) {
		print_message("5 GiB of addresses are not to be had here\n");
		skip();
	}
	range = pages(base, 1, nr - 2);
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++)
		base[at[i] * page] = 1;
	base[(nr - 1) * page] = 1;
	assert_int_equal(fl_giveback(&range, 1, FL_GIVE_DONTNEED, method), 0);
	assert_kept(base, 0);
	for (size_t i = 1; i < sizeof(at) / sizeof(*at); i++)
		assert_gone(base, at[i]);
	assert_kept(base, nr - 1);
	fl_release(base, 5 * GIB);
}

static size_t lazy_free_bytes(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	size_t kilobytes = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "LazyFree: %zu", &kilobytes) == 1)
			break;
	fclose(f);
	return kilobytes << 10;
}

/*
 * FREE marks; the kernel takes the pages when it wants them, and until then
 * they are resident.  It marks them in batches, and the last is still to come.
 */
static void check_free(enum fl_giveback_method method)
{
	const size_t nr = 2048, page = fl_page_bytes();
	char *base = reserve(nr * page);
	struct iovec ranges[] = {
		pages(base, 0, nr / 2), pages(base, nr / 2, nr / 2),
	};
	size_t before = lazy_free_bytes(), lazy;

	fill(base, nr);
	assert_int_equal(fl_giveback(ranges, 2, FL_GIVE_FREE, method), 0);
	lazy = lazy_free_bytes() - before;
	assert_in_range(lazy, nr * page / 2, nr * page);

	/* Written to again, they are ordinary pages again. */
	fill(base, nr);
	assert_true(lazy_free_bytes() <= before);
	for (size_t i = 0; i < nr; i++)
		assert_kept(base, i);
	fl_release(base, nr * page);
}

static void test_loop(void **state)
{
	(void)state;
	check_few(FL_GIVE_LOOP);
	check_many(FL_GIVE_LOOP);
	check_refused(FL_GIVE_LOOP);
	check_large(FL_GIVE_LOOP);
}

static void test_batch(void **state)
{
	(void)state;
	skip_without(FL_GIVE_BATCH, FL_GIVE_DONTNEED);
	check_few(FL_GIVE_BATCH);
	check_many(FL_GIVE_BATCH);
	check_refused(FL_GIVE_BATCH);
	check_large(FL_GIVE_BATCH);
}

static void test_ring(void **state)
{
	(void)state;
	skip_without(FL_GIVE_RING, FL_GIVE_DONTNEED);
	check_few(FL_GIVE_RING);
	check_many(FL_GIVE_RING);
	check_refused(FL_GIVE_RING);
	check_large(FL_GIVE_RING);
}

static volatile sig_atomic_t nr_alarms;

static void count_alarm(int sig)
{
	(void)sig;
	nr_alarms++;
}

/* Signals arrive while the ring's worker is at it. */
static void test_ring_interrupted(void **state)
{
	const struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { 0 };
	const struct sigaction action = { .sa_handler = count_alarm };
	const size_t nr = 4096;
	char *base;
	struct iovec range;

	(void)state;
	skip_without(FL_GIVE_RING, FL_GIVE_DONTNEED);
	base = reserve(nr * fl_page_bytes());
	range = pages(base, 0, nr);
	sigaction(SIGALRM, &action, NULL);
	for (int i = 0; i < 30 || (nr_alarms < 30 && i < 300); i++) {
		int err;

		fill(base, nr);
		setitimer(ITIMER_REAL, &often, NULL);
		err = fl_giveback(&range, 1, FL_GIVE_DONTNEED, FL_GIVE_RING);
		setitimer(ITIMER_REAL, &never, NULL);
		assert_int_equal(err, 0);
		for (size_t k = 0; k < nr; k += 64)
			assert_gone(base, k);
	}
	signal(SIGALRM, SIG_DFL);
	fl_release(base, nr * fl_page_bytes());
}

static void test_loop_free(void **state)
{
	(void)state;
	skip_without(FL_GIVE_LOOP, FL_GIVE_FREE);
	check_free(FL_GIVE_LOOP);
}

static void test_batch_free(void **state)
{
	(void)state;
	skip_without(FL_GIVE_BATCH, FL_GIVE_FREE);
	check_free(FL_GIVE_BATCH);
}

static void test_ring_free(void **state)
{
	(void)state;
	skip_without(FL_GIVE_RING, FL_GIVE_FREE);
	check_free(FL_GIVE_RING);
}

static void test_one(void **state)
{
	char *base = reserve(3 * fl_page_bytes());

	(void)state;
	fill(base, 3);
	assert_int_equal(fl_giveback_one(base + fl_page_bytes(), fl_page_bytes(),
					 FL_GIVE_DONTNEED), 0);
	assert_kept(base, 0);
	assert_gone(base, 1);
	assert_kept(base, 2);
	assert_int_equal(fl_giveback_one(base + 1, fl_page_bytes(),
					 FL_GIVE_DONTNEED), -EINVAL);
	assert_kept(base, 0);
	fl_release(base, 3 * fl_page_bytes());
	assert_int_equal(fl_giveback_one(base, fl_page_bytes(),
					 FL_GIVE_DONTNEED), -ENOMEM);
}

/* One giver, many calls, a refused one among them. */
static void check_again(enum fl_giveback_method method)
{
	const size_t page = fl_page_bytes();
	char *base = reserve(400 * page);
	struct iovec ranges[200], wrong = pages(base, 1, 1);
	struct fl_giver giver;

	skip_without(method, FL_GIVE_DONTNEED);
	wrong.iov_base = base + 1;
	for (size_t i = 0; i < 200; i++)
		ranges[i] = pages(base, 2 * i, 1);
	assert_int_equal(fl_giver_open(method, &giver), 0);
	for (int round = 0; round < 5; round++) {
		fill(base, 400);
		assert_int_equal(fl_giver_give(&giver, ranges, 200,
					       FL_GIVE_DONTNEED), 0);
		for (size_t i = 0; i < 400; i++) {
			if (i % 2)
				assert_kept(base, i);
			else
				assert_gone(base, i);
		}
		assert_int_equal(fl_giver_give(&giver, &wrong, 1,
					       FL_GIVE_DONTNEED), -EINVAL);
	}
	fl_giver_close(&giver);
	fl_giver_close(&giver);
	fl_release(base, 400 * page);
}

/* Is there anything that the kernel could read? */
static bool is_open(char *base, size_t i)
{
	return !madvise(base + i * fl_page_bytes(), fl_page_bytes(),
			MADV_POPULATE_READ);
}

static void check_guards(enum fl_giveback_method method)
{
	char *base = reserve(16 * fl_page_bytes());
	struct iovec ranges[] = { pages(base, 1, 2), pages(base, 8, 1) };

	skip_without(method, FL_GIVE_GUARD);
	fill(base, 16);
	assert_int_equal(fl_giveback(ranges, 2, FL_GIVE_GUARD, method), 0);
	for (size_t i = 0; i < 16; i++) {
		if (i == 1 || i == 2 || i == 8) {
			assert_false(is_resident(base, i));
			assert_false(is_open(base, i));
		} else {
			assert_kept(base, i);
		}
	}
	assert_int_equal(fl_giveback(ranges, 1, FL_GIVE_UNGUARD, method), 0);
	assert_gone(base, 1);
	assert_gone(base, 2);
	assert_false(is_open(base, 8));
	fl_release(base, 16 * fl_page_bytes());
}

static void test_loop_again(void **state)
{
	(void)state;
	check_again(FL_GIVE_LOOP);
	check_guards(FL_GIVE_LOOP);
}

static void test_batch_again(void **state)
{
	(void)state;
	check_again(FL_GIVE_BATCH);
	check_guards(FL_GIVE_BATCH);
}

static void test_ring_again(void **state)
{
	(void)state;
	check_again(FL_GIVE_RING);
	check_guards(FL_GIVE_RING);
}

static void test_method_unknown(void **state)
{
	struct fl_giver giver;

	(void)state;
	assert_int_equal(fl_giver_open((enum fl_giveback_method)99, &giver),
			 -EINVAL);
	assert_int_equal(fl_giveback(NULL, 0, FL_GIVE_DONTNEED,
				     (enum fl_giveback_method)99), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_ring_interrupted),
		cmocka_unit_test(test_loop_free),
		cmocka_unit_test(test_batch_free),
		cmocka_unit_test(test_ring_free),
		cmocka_unit_test(test_loop_again),
		cmocka_unit_test(test_batch_again),
		cmocka_unit_test(test_ring_again),
		cmocka_unit_test(test_method_unknown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("giveback", tests, NULL, NULL);
}
