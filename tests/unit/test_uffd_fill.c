/* SPDX-License-Identifier: MIT */
/*
 * Where pages come from and where they go: what is in them, how many the pool
 * has, and that none is lost on the way, whoever shares it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/uffd_touch.h"

#include "faultline/compat.h"
#include "vm/census.h"
#include "vm/uffd_fill.h"

#define NR_PAGES	64u

static struct {
	struct fl_uffd uffd;
	struct fl_uffd_fill fill;
	struct fl_census census;
	char *base;		/* registered, missing */
} it;

static void open_fill(enum fl_uffd_source source, size_t pool_pages)
{
	open_or_skip(UFFD_FEATURE_SIGBUS | fl_uffd_fill_features(source),
		     &it.uffd);
	assert_int_equal(fl_census_open(&it.census), 0);
	it.base = reserve(NR_PAGES, FL_OPEN);
	assert_int_equal(fl_uffd_register(&it.uffd, it.base, NR_PAGES * page),
			 0);
	assert_int_equal(fl_uffd_fill_open(&it.fill, &it.uffd, source,
					   pool_pages * page), 0);
}

static void close_fill(void)
{
	fl_uffd_fill_close(&it.fill);
	fl_uffd_fill_close(&it.fill);
	fl_uffd_close(&it.uffd);
	fl_census_close(&it.census);
	fl_release(it.base, NR_PAGES * page);
}

static uint64_t resident(char *base, size_t bytes)
{
	uint64_t pages = 0;

	if (bytes)
		assert_int_equal(fl_census_pages(&it.census, it.census.best,
						 base, bytes, &pages), 0);
	return pages;
}

/* The pool says that it has @pages, and the kernel that there are no others. */
static void assert_pool(uint64_t pages)
{
	const struct fl_range pool = fl_uffd_fill_range(&it.fill);

	assert_int_equal(pool.bytes, pages * page);
	if (!pages)
		return;
	assert_int_equal(pool.kind, FL_RANGE_POOL);
	assert_int_equal(resident(pool.base, pool.bytes), pages);
	assert_int_equal(resident(it.fill.pool, it.fill.pool_bytes), pages);
}

static void fill(size_t first, size_t pages)
{
	assert_int_equal(fl_uffd_fill_pages(&it.fill, it.base + first * page,
					    pages * page), 0);
}

static void give_back(size_t first, size_t pages)
{
	assert_int_equal(fl_uffd_fill_return(&it.fill, it.base + first * page,
					     pages * page), 0);
}

static void test_copy(void **state)
{
	(void)state;
	open_fill(FL_FILL_COPY, 8);
	assert_pool(0);
	fill(3, 40);
	assert_int_equal(touch(it.base + 2 * page), SIGBUS);
	assert_int_equal(touch(it.base + 43 * page), SIGBUS);
	assert_int_equal(resident(it.base, NR_PAGES * page), 40);
	assert_int_equal(it.base[3 * page] | it.base[43 * page - 1], 0);
	give_back(3, 40);
	assert_int_equal(resident(it.base, NR_PAGES * page), 0);
	assert_int_equal(fl_uffd_fill_trim(&it.fill), 0);
	close_fill();
}

/* Nothing resident until it is written to. */
static void test_zeropage(void **state)
{
	(void)state;
	open_fill(FL_FILL_ZEROPAGE, 0);
	fill(0, 8);
	assert_int_equal(touch(it.base), 0);
	if (it.census.best == FL_CENSUS_SCAN)
		assert_int_equal(resident(it.base, NR_PAGES * page), 0);
	it.base[page] = 1;
	if (it.census.best == FL_CENSUS_SCAN)
		assert_int_equal(resident(it.base, NR_PAGES * page), 1);
	close_fill();
}

/* Larger than what one call copies. */
static void test_many(void **state)
{
	const size_t nr = 2000;
	char *base;

	(void)state;
	for (int source = FL_FILL_COPY; source <= FL_FILL_MOVE; source++) {
		open_fill((enum fl_uffd_source)source, 700);
		base = reserve(nr, FL_OPEN);
		assert_int_equal(fl_uffd_register(&it.uffd, base, nr * page), 0);
		assert_int_equal(fl_uffd_fill_pages(&it.fill, base, nr * page),
				 0);
		for (size_t i = 0; i < nr; i++)
			base[i * page] = 1;
		assert_int_equal(resident(base, nr * page), nr);
		assert_int_equal(fl_uffd_fill_return(&it.fill, base, nr * page),
				 0);
		assert_int_equal(resident(base, nr * page), 0);
		assert_pool(source == FL_FILL_MOVE ? nr : 0);
		fl_release(base, nr * page);
		close_fill();
	}
}

static void test_move(void **state)
{
	(void)state;
	open_fill(FL_FILL_MOVE, 10);
	assert_pool(10);
	fill(0, 4);
	assert_pool(6);
	assert_int_equal(resident(it.base, NR_PAGES * page), 4);
	assert_int_equal(touch(it.base + 4 * page), SIGBUS);

	/* More than there is: the rest is supplied, and comes in later on. */
	fill(20, 10);
	assert_pool(0);
	assert_int_equal(resident(it.base, NR_PAGES * page), 14);
	for (size_t i = 20; i < 30; i++)
		memset(it.base + i * page, supplied(i), page);
	give_back(20, 10);
	assert_pool(10);
	assert_int_equal(touch(it.base + 20 * page), SIGBUS);
	assert_int_equal(touch(it.base + 29 * page), SIGBUS);

	/* The same pages, with what is in them. */
	fill(40, 10);
	assert_pool(0);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(it.base[(40 + i) * page + 17], supplied(20 + i));
	give_back(40, 3);
	give_back(43, 7);
	give_back(0, 4);
	assert_pool(14);
	assert_int_equal(resident(it.base, NR_PAGES * page), 0);

	assert_int_equal(fl_uffd_fill_trim(&it.fill), 14 * page);
	assert_pool(0);
	assert_int_equal(fl_uffd_fill_trim(&it.fill), 0);
	fill(0, 2);
	assert_int_equal(it.base[0] | it.base[2 * page - 1], 0);
	close_fill();
}

/* What is there already stays, and costs no page of the pool. */
static void test_move_around(void **state)
{
	(void)state;
	open_fill(FL_FILL_MOVE, 20);
	fill(2, 1);
	fill(5, 2);
	it.base[2 * page] = it.base[5 * page] = it.base[6 * page] = 7;
	assert_pool(17);
	fill(0, 10);
	assert_pool(10);
	assert_int_equal(resident(it.base, NR_PAGES * page), 10);
	assert_int_equal(it.base[2 * page], 7);
	assert_int_equal(it.base[5 * page], 7);
	assert_int_equal(it.base[6 * page], 7);
	assert_int_equal(it.base[4 * page], 0);
	close_fill();
}

/* With a hole it does not move, and the kernel gets all of it. */
static void test_return_with_hole(void **state)
{
	(void)state;
	open_fill(FL_FILL_MOVE, 0);
	fill(0, 4);
	fill(5, 4);
	give_back(0, 9);
	assert_pool(0);
	assert_int_equal(resident(it.base, NR_PAGES * page), 0);
	assert_int_equal(touch(it.base), SIGBUS);
	assert_int_equal(touch(it.base + 8 * page), SIGBUS);
	fill(0, 9);
	give_back(0, 9);
	assert_pool(9);
	close_fill();
}

/*
 * While a child has a share in every page, the pool's are still to be had, with
 * what is in them; what is given back then is the kernel's.
 */
static void test_shared_with_child(void **state)
{
	int go[2], status;
	pid_t child;
	char byte = 0;

	(void)state;
	open_fill(FL_FILL_MOVE, 0);
	fill(0, 20);
	for (size_t i = 0; i < 20; i++)
		memset(it.base + i * page, supplied(i), page);
	give_back(0, 12);
	assert_pool(12);
	assert_int_equal(pipe(go), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		fl_uffd_close(&it.uffd);
		close(go[1]);
		_exit(read(go[0], &byte, 1) != 1 ||
		      it.base[12 * page] != supplied(12) ||
		      it.fill.first[3 * page] != supplied(3));
	}
	fill(30, 15);
	assert_pool(0);
	for (size_t i = 0; i < 12; i++) {
		assert_int_equal(it.base[(30 + i) * page], supplied(i));
		memset(it.base + (30 + i) * page, 99, page);
	}
	assert_int_equal(it.base[42 * page], 0);
	memset(it.base + 12 * page, 98, page);
	give_back(12, 8);
	assert_pool(0);
	assert_int_equal(touch(it.base + 15 * page), SIGBUS);
	/* Nobody shares these any more. */
	give_back(30, 15);
	assert_pool(15);
	assert_int_equal(write(go[1], &byte, 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(go[0]);
	close(go[1]);
	close_fill();
}

#define NR_PIPES	5
#define PIPE_PAGES	256

/*
 * Have the kernel hold so many references to a page that it takes it for pinned
 * (GUP_PIN_COUNTING_BIAS, 1024).  False where pipes may not be so large.
 */
static bool pin(char *p, int pipes[NR_PIPES][2])
{
	struct iovec many[PIPE_PAGES];

	for (size_t i = 0; i < PIPE_PAGES; i++)
		many[i] = (struct iovec){ .iov_base = p, .iov_len = page };
	for (int i = 0; i < NR_PIPES; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		if (fcntl(pipes[i][1], F_SETPIPE_SZ, PIPE_PAGES * page) < 0 ||
		    vmsplice(pipes[i][1], many, PIPE_PAGES, 0) !=
		    (ssize_t)(PIPE_PAGES * page))
			return false;
	}
	return true;
}

/* Pinned pages are left to who pinned them; others come in their place. */
static void test_pinned(void **state)
{
	int pipes[NR_PIPES][2];
	char byte;

	(void)state;
	open_fill(FL_FILL_MOVE, 0);
	fill(0, 8);
	for (size_t i = 0; i < 8; i++)
		memset(it.base + i * page, supplied(i), page);
	give_back(0, 8);
	assert_pool(8);
	if (!pin(it.fill.first + 3 * page, pipes)) {
		print_message("pipes of %d pages are not to be had\n",
			      PIPE_PAGES);
		close_fill();
		skip();
	}
	fill(10, 8);
	assert_pool(0);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(it.base[(10 + i) * page],
				 i == 3 ? 0 : supplied(i));
	assert_int_equal(read(pipes[0][0], &byte, 1), 1);
	assert_int_equal(byte, supplied(3));
	for (int i = 0; i < NR_PIPES; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	give_back(10, 8);
	assert_pool(8);
	close_fill();
}

static void test_refusals(void **state)
{
	struct fl_uffd_fill fill;
	struct fl_uffd uffd;

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS | fl_uffd_fill_features(FL_FILL_MOVE),
		     &uffd);
	assert_int_equal(fl_uffd_fill_open(&fill, &uffd, FL_FILL_MOVE,
					   (size_t)1 << 40), -EINVAL);
	assert_int_equal(fl_uffd_fill_open(&fill, &uffd, FL_FILL_COPY, 0), 0);
	assert_int_equal(fl_uffd_fill_pages(&fill, fill.zeros, page), -ENOENT);
	fl_uffd_fill_close(&fill);
	fl_uffd_close(&uffd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_zeropage),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_around),
		cmocka_unit_test(test_return_with_hole),
		cmocka_unit_test(test_shared_with_child),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_refusals),
	};

	page = fl_page_bytes();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("uffd_fill", tests, NULL, NULL);
}
