/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd: who is told of a missing page, and what is in it afterwards.
 * All of it is skipped where the kernel or a sandbox forbids userfaultfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/uffd_touch.h"

#include "faultline/compat.h"
#include "vm/census.h"

static void test_open(void **state)
{
	struct fl_uffd uffd = { .fd = -1 };

	(void)state;
	open_or_skip(0, &uffd);
	assert_true(uffd.fd >= 0);
	assert_true(fcntl(uffd.fd, F_GETFD) & FD_CLOEXEC);
	fl_uffd_close(&uffd);
	assert_int_equal(uffd.fd, -1);
	fl_uffd_close(&uffd);

	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	assert_true(uffd.features & UFFD_FEATURE_SIGBUS);
	fl_uffd_close(&uffd);

	/* A feature that no kernel will ever have, and one beside it. */
	uffd.fd = -77;
	assert_int_equal(fl_uffd_open((uint64_t)1 << 63, &uffd), -ENOTSUP);
	assert_int_equal(fl_uffd_open(UFFD_FEATURE_SIGBUS | (uint64_t)1 << 63,
				      &uffd), -ENOTSUP);
	assert_int_equal(uffd.fd, -77);
}

static void test_register(void **state)
{
	char *base = reserve(8, FL_OPEN), *other = reserve(1, FL_OPEN);
	struct fl_uffd first, second;
	char *from = new_supply(1);

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS, &first);
	open_or_skip(UFFD_FEATURE_SIGBUS, &second);
	assert_int_equal(fl_uffd_register(&first, base, 4 * page), 0);
	assert_int_equal(fl_uffd_register(&second, base + 2 * page, 4 * page),
			 -EBUSY);
	assert_int_equal(fl_uffd_register(&second, base + 4 * page, 4 * page),
			 0);
	assert_int_equal(fl_uffd_register(&first, base + 1, page), -EINVAL);
	assert_int_equal(fl_uffd_register(&first, base, 0), -EINVAL);

	assert_int_equal(fl_uffd_copy(&first, other, from, page), -ENOENT);
	assert_int_equal(fl_uffd_zero(&first, other, page), -ENOENT);
	assert_int_equal(fl_uffd_copy(&first, base + 1, from, page), -EINVAL);

	/* What is not registered is ordinary memory; so is all, once closed. */
	assert_int_equal(touch(other), 0);
	assert_int_equal(touch(base + 3 * page), SIGBUS);
	fl_uffd_close(&first);
	assert_int_equal(touch(base + 3 * page), 0);
	assert_int_equal(touch(base + 4 * page), SIGBUS);
	fl_uffd_close(&second);
	fl_release(base, 8 * page);
	fl_release(other, page);
	fl_release(from, page);
}

/* Which pages are there already: bit i for page i. */
static const unsigned patterns[] = {
	0x00, 0x01, 0x80, 0x81, 0x10, 0x18, 0x55, 0xaa, 0x7e, 0xfe, 0x7f, 0xff,
};

/* Missing pages are filled with their own; those that are there are left. */
static void check_fill(bool zero)
{
	const size_t nr = 8;
	char *from = new_supply(nr);
	struct fl_uffd uffd;

	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	for (size_t k = 0; k < sizeof(patterns) / sizeof(*patterns); k++) {
		char *base = reserve(nr + 2, FL_OPEN), *to = base + page;

		for (size_t i = 0; i < nr; i++)
			if (patterns[k] >> i & 1)
				to[i * page] = -1;
		assert_int_equal(fl_uffd_register(&uffd, base, (nr + 2) * page),
				 0);
		assert_int_equal(zero ? fl_uffd_zero(&uffd, to, nr * page) :
				 fl_uffd_copy(&uffd, to, from, nr * page), 0);
		for (size_t i = 0; i < nr; i++) {
			bool there = patterns[k] >> i & 1;
			char want = zero ? 0 : supplied(i);

			assert_int_equal(to[i * page], there ? -1 : want);
			assert_int_equal(to[i * page + page - 1],
					 there ? 0 : want);
			to[i * page] = 3;
		}
		/* No page more on either side. */
		assert_int_equal(touch(base), SIGBUS);
		assert_int_equal(touch(to + nr * page), SIGBUS);

		/* Given back, they are missing again. */
		assert_int_equal(madvise(to, page, MADV_DONTNEED), 0);
		assert_int_equal(touch(to), SIGBUS);
		fl_release(base, (nr + 2) * page);
	}
	fl_uffd_close(&uffd);
	fl_release(from, nr * page);
}

static void test_copy(void **state)
{
	(void)state;
	check_fill(false);
}

static void test_zero(void **state)
{
	(void)state;
	check_fill(true);
}

static void test_copy_from_nowhere(void **state)
{
	char *base = reserve(4, FL_OPEN), *from = reserve(4, FL_OPEN);
	struct fl_uffd uffd;

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	assert_int_equal(fl_uffd_register(&uffd, base, 4 * page), 0);
	memset(from, 5, 2 * page);
	assert_int_equal(fl_protect(from + 2 * page, 2 * page, FL_CLOSED), 0);
	assert_int_equal(fl_uffd_copy(&uffd, base, from, 4 * page), -EFAULT);
	/* As far as it went. */
	assert_int_equal(base[page], 5);
	assert_int_equal(touch(base + 2 * page), SIGBUS);
	fl_uffd_close(&uffd);
	fl_release(base, 4 * page);
	fl_release(from, 4 * page);
}

static void test_sigbus(void **state)
{
	char *base = reserve(4, FL_OPEN);
	struct fl_uffd uffd;
	int zeros, status;
	pid_t child;

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	assert_int_equal(fl_uffd_register(&uffd, base, 4 * page), 0);
	assert_int_equal(touch(base + 2 * page + 123), SIGBUS);
	assert_ptr_equal(caught.address, base + 2 * page + 123);
	assert_int_equal(caught.code, BUS_ADRERR);

	/* A system call is refused. */
	zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_true(zeros >= 0);
	assert_int_equal(read(zeros, base + page, 16), -1);
	assert_int_equal(errno, EFAULT);
	close(zeros);

	/* A fork child's pages are zero-filled, and nobody is told. */
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(base[page]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(touch(base + page), SIGBUS);
	fl_uffd_close(&uffd);
	fl_release(base, 4 * page);
}

static void test_move(void **state)
{
	char *base = reserve(8, FL_OPEN), *from, *closed = reserve(2, FL_CLOSED);
	struct fl_uffd uffd;
	size_t moved = 77;

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MOVE, &uffd);
	from = new_supply(4);
	assert_int_equal(fl_uffd_register(&uffd, base, 8 * page), 0);
	assert_int_equal(fl_uffd_move(&uffd, base + page, from, 2 * page,
				      &moved), 0);
	assert_int_equal(moved, 2 * page);
	assert_int_equal(base[page + 9], supplied(0));
	assert_int_equal(base[2 * page + 9], supplied(1));
	assert_int_equal(touch(base), SIGBUS);
	assert_int_equal(touch(base + 3 * page), SIGBUS);
	/* They are gone from where they were; it was not registered. */
	assert_int_equal(from[9], 0);
	assert_int_equal(from[2 * page + 9], supplied(2));

	/* A page in the way, behind one that was not; and a page that is none. */
	assert_int_equal(fl_uffd_move(&uffd, base, from + 2 * page, 2 * page,
				      &moved), -EEXIST);
	assert_int_equal(moved, page);
	assert_int_equal(base[9], supplied(2));
	assert_int_equal(from[3 * page + 9], supplied(3));
	assert_int_equal(madvise(from, page, MADV_DONTNEED), 0);
	assert_int_equal(fl_uffd_move(&uffd, base + 4 * page, from, page,
				      &moved), -ENOENT);
	assert_int_equal(moved, 0);

	/* Where nobody watches, and out of memory that is closed. */
	assert_true(fl_uffd_move(&uffd, from, base, page, &moved) < 0);
	assert_int_equal(moved, 0);
	assert_int_equal(base[9], supplied(2));
	assert_true(fl_uffd_move(&uffd, base + 4 * page, closed, page, &moved) <
		    0);
	assert_int_equal(moved, 0);
	fl_uffd_close(&uffd);
	fl_release(base, 8 * page);
	fl_release(from, 4 * page);
	fl_release(closed, 2 * page);
}

/* Stores to protected pages are faults and leave no page; the rest is free. */
static void test_protect(void **state)
{
	char *base = reserve(20, FL_OPEN);
	struct fl_census census;
	struct fl_uffd uffd;
	uint64_t pages;
	int status;
	pid_t child;

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
		     &uffd);
	assert_int_equal(fl_census_open(&census), 0);
	assert_int_equal(fl_uffd_protect(&uffd, base, page), -ENOENT);
	assert_int_equal(fl_uffd_register_wp(&uffd, base, 20 * page), 0);
	assert_int_equal(fl_uffd_protect(&uffd, base + page, 17 * page), 0);
	assert_int_equal(store(base), 0);
	assert_int_equal(store(base + 18 * page), 0);
	for (size_t i = 1; i < 18; i++) {
		assert_int_equal(touch(base + i * page), 0);
		assert_int_equal(store(base + i * page + 5), SIGBUS);
		assert_ptr_equal(caught.address, base + i * page + 5);
		assert_int_equal(caught.code, BUS_ADRERR);
		assert_int_equal(base[i * page + 5], 0);
	}
	if (census.best == FL_CENSUS_SCAN) {
		assert_int_equal(fl_census_pages(&census, census.best,
						 base + page, 17 * page,
						 &pages), 0);
		assert_int_equal(pages, 0);
	}
	/* Giving back a neighbour changes nothing; the pages themselves, all. */
	assert_int_equal(madvise(base + 18 * page, page, MADV_DONTNEED), 0);
	assert_int_equal(store(base + 18 * page), 0);
	assert_int_equal(store(base + 17 * page), SIGBUS);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(store(base + 17 * page) != 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(store(base + 17 * page), SIGBUS);
	assert_int_equal(madvise(base + 17 * page, page, MADV_DONTNEED), 0);
	assert_int_equal(store(base + 17 * page), 0);
	fl_uffd_close(&uffd);
	fl_census_close(&census);
	fl_release(base, 20 * page);
}

static void test_probe(void **state)
{
	char reason[256] = "";
	struct fl_uffd uffd;

	(void)state;
	open_or_skip(0, &uffd);
	fl_uffd_close(&uffd);
	assert_int_equal(fl_uffd_probe(0, reason, sizeof(reason)), 0);
	assert_string_equal(reason, "");
	assert_int_equal(fl_uffd_probe((uint64_t)1 << 63, reason,
				       sizeof(reason)), -ENOTSUP);
	assert_non_null(strstr(reason, "lacks a feature"));
	assert_int_equal(fl_uffd_probe((uint64_t)1 << 63, reason, 5), -ENOTSUP);
	assert_int_equal(strlen(reason), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_register),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_copy_from_nowhere),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_protect),
		cmocka_unit_test(test_sigbus),
	};

	page = fl_page_bytes();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("uffd", tests, NULL, NULL);
}
