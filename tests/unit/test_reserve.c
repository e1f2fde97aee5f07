/* SPDX-License-Identifier: MIT */
/*
 * Reservations and guards: how large, how cheap, and which fault a touch of
 * each kind raises.  What must fault is touched in a child, whose first fault
 * comes back as signal, code and address.
 */
#include <errno.h>
#include <inttypes.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/guard.h"
#include "vm/reserve.h"
#include "vm/sanitized.h"

#define MIB	((size_t)1 << 20)
#define TIB	((size_t)1 << 40)

/* More mappings than this take too long to use up. */
#define VMAS_MAX	100000u

/* ThreadSanitizer leaves the program 1.5 TiB of address space. */
#define LARGEST_BYTES	(FL_HAVE_TSAN ? TIB / 2 : FL_RESERVE_BYTES_MAX)

/* What a touch did: no signal, or the first one. */
struct seen {
	int signal, code;
	char *address;
};

static struct seen *seen;	/* shared with the children */

static void note(int sig, siginfo_t *info, void *context)
{
	(void)context;
	*seen = (struct seen){
		.signal = sig, .code = info->si_code, .address = info->si_addr,
	};
	_exit(0);
}

static void touch_or_note(volatile char *p, bool write)
{
	struct sigaction action = {
		.sa_sigaction = note, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	if (write)
		*p = 1;
	else
		(void)*p;
	_exit(0);
}

static struct seen touch(char *p, bool write)
{
	pid_t child;
	int status;

	*seen = (struct seen){ 0 };
	child = fork();
	assert_true(child >= 0);
	if (!child)
		touch_or_note(p, write);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	return *seen;
}

static void assert_faults(char *p, int code)
{
	for (int write = 0; write < 2; write++) {
		struct seen s = touch(p, write);

		assert_int_equal(s.signal, SIGSEGV);
		assert_int_equal(s.code, code);
		assert_ptr_equal(s.address, p);
	}
}

static void assert_open(char *p)
{
	for (int write = 0; write < 2; write++)
		assert_int_equal(touch(p, write).signal, 0);
}

static bool is_mapped(char *page)
{
	unsigned char in;

	return !mincore(page, fl_page_bytes(), &in);
}

static bool is_resident(char *page)
{
	unsigned char in;

	assert_int_equal(mincore(page, fl_page_bytes(), &in), 0);
	return in & 1;
}

static unsigned nr_vmas(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned lines = 0;
	int c;

	assert_non_null(f);
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static char *reserve(size_t bytes, enum fl_access access)
{
	char *base = NULL;
	int err = fl_reserve(bytes, access, &base);

	if (err == -ENOMEM) {
		print_message("%zu GiB of addresses are not to be had here\n",
			      bytes >> 30);
		skip();
	}
	assert_int_equal(err, 0);
	assert_non_null(base);
	return base;
}

static void test_page(void **state)
{
	const size_t page = fl_page_bytes();

	(void)state;
	assert_int_equal(page, sysconf(_SC_PAGESIZE));
	assert_int_equal(page & (page - 1), 0);
	assert_int_equal(fl_page_bytes(), page);
	assert_int_equal(fl_page_round(0), 0);
	assert_int_equal(fl_page_round(1), page);
	assert_int_equal(fl_page_round(page - 1), page);
	assert_int_equal(fl_page_round(page), page);
	assert_int_equal(fl_page_round(page + 1), 2 * page);
	assert_int_equal(fl_page_round(16 * TIB - 1), 16 * TIB);
}

static void test_sizes_refused(void **state)
{
	static const size_t sizes[] = {
		0, FL_RESERVE_BYTES_MAX + 1, 2 * FL_RESERVE_BYTES_MAX,
		SIZE_MAX - 4095, SIZE_MAX,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *const untouched = (char *)&seen;
		char *base = untouched;

		assert_int_equal(fl_reserve(sizes[i], FL_OPEN, &base), -EINVAL);
		assert_int_equal(fl_reserve(sizes[i], FL_CLOSED, &base), -EINVAL);
		assert_ptr_equal(base, untouched);
	}
	fl_release(NULL, 4096);
}

/* From a byte to 16 TiB: whole pages, usable to the last, and gone afterwards. */
static void test_sizes(void **state)
{
	const size_t page = fl_page_bytes();
	const size_t sizes[] = {
		1, page, page + 1, 16 * page, 1024 * MIB, TIB / 2, TIB, 16 * TIB,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t bytes = sizes[i];
		char *base, *last;

		if (bytes > LARGEST_BYTES)
			continue;
		base = reserve(bytes, FL_OPEN);
		last = base + fl_page_round(bytes) - 1;
		assert_int_equal((uintptr_t)base & (page - 1), 0);
		assert_int_equal(*base, 0);
		assert_int_equal(*last, 0);
		*base = 1;
		*last = 2;
		assert_int_equal(*last, 2);
		fl_release(base, bytes);
		assert_false(is_mapped(base));
		assert_false(is_mapped(last - page + 1));

		base = reserve(bytes, FL_CLOSED);
		last = base + fl_page_round(bytes) - 1;
		assert_int_equal((uintptr_t)base & (page - 1), 0);
		assert_faults(base, SEGV_ACCERR);
		assert_faults(last, SEGV_ACCERR);
		fl_release(base, bytes);
		assert_false(is_mapped(base));
		assert_false(is_mapped(last - page + 1));
	}
}

/* Addresses cost no pages; a touch costs the page it is in. */
static void test_pages_on_demand(void **state)
{
	const size_t page = fl_page_bytes(), nr = 64;
	char *base = reserve(nr * page, FL_OPEN);

	(void)state;
	for (size_t i = 0; i < nr; i++)
		assert_false(is_resident(base + i * page));
	base[40 * page + 123] = 1;
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(is_resident(base + i * page), i == 40);
	fl_release(base, nr * page);
}

static void test_protect(void **state)
{
	const size_t page = fl_page_bytes();
	char *base = reserve(16 * page, FL_CLOSED);

	(void)state;
	assert_int_equal(fl_protect(base + 4 * page, 4 * page, FL_OPEN), 0);
	assert_faults(base + 4 * page - 1, SEGV_ACCERR);
	assert_open(base + 4 * page);
	assert_open(base + 8 * page - 1);
	assert_faults(base + 8 * page, SEGV_ACCERR);

	/* Contents outlive being closed. */
	for (size_t i = 4; i < 8; i++)
		base[i * page] = (char)i;
	assert_int_equal(fl_protect(base + 5 * page, 2 * page, FL_CLOSED), 0);
	assert_faults(base + 5 * page, SEGV_ACCERR);
	assert_faults(base + 7 * page - 1, SEGV_ACCERR);
	assert_open(base + 7 * page);
	assert_int_equal(fl_protect(base, 16 * page, FL_OPEN), 0);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(base[i * page], i >= 4 && i < 8 ? i : 0);

	assert_int_equal(fl_protect(base + 1, page, FL_CLOSED), -EINVAL);
	fl_release(base, 16 * page);
	assert_int_equal(fl_protect(base, page, FL_OPEN), -ENOMEM);
}

static unsigned max_map_count(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned n = 0;

	if (f) {
		if (fscanf(f, "%u", &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

/*
 * Split mappings until the kernel refuses.  Exit status: 0 if that was -ENOMEM
 * and what had been done before still holds.
 */
static int use_up_vmas(char *base, size_t nr)
{
	const size_t page = fl_page_bytes();

	for (size_t i = 0; i < nr; i += 2) {
		int err = fl_guard_install(base + i * page, page,
					   FL_GUARD_PROT_NONE);

		if (!err)
			continue;
		if (err != -ENOMEM || i < 2)
			return 1;
		/* The page that was refused is as it was. */
		*(volatile char *)(base + i * page) = 1;
		*(volatile char *)(base + (i - 1) * page) = 1;
		/* Joining two mappings frees one. */
		if (fl_guard_remove(base + (i - 2) * page, page,
				    FL_GUARD_PROT_NONE))
			return 2;
		return fl_guard_install(base + i * page, page,
					FL_GUARD_PROT_NONE) ? 3 : 0;
	}
	return 4;
}

static void test_vma_limit(void **state)
{
	const unsigned limit = max_map_count();
	const size_t nr = 2 * (size_t)limit;
	char *base;
	pid_t child;
	int status;

	(void)state;
	if (!limit || limit > VMAS_MAX) {
		print_message("vm.max_map_count is %u: too many to use up\n",
			      limit);
		skip();
	}
	base = reserve(nr * fl_page_bytes(), FL_OPEN);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(use_up_vmas(base, nr));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fl_release(base, nr * fl_page_bytes());
}

/* The value of a line of smaps for the mapping that @p lies in. */
static bool smaps_value(const char *p, const char *name, char *value,
			size_t value_bytes)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false, found = false;
	char line[512];

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		uintptr_t from, to;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (inside && !strncmp(line, name, strlen(name))) {
			snprintf(value, value_bytes, "%s", line + strlen(name));
			found = true;
		}
	}
	fclose(f);
	return found;
}

static void test_huge_pages_refused(void **state)
{
	const size_t bytes = 8 * MIB;
	char value[512];

	(void)state;
	if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK)) {
		print_message("this kernel has no huge pages\n");
		skip();
	}
	for (int kind = FL_CLOSED; kind <= FL_OPEN; kind++) {
		char *base = reserve(bytes, kind);

		assert_true(smaps_value(base, "VmFlags:", value, sizeof(value)));
		assert_non_null(strstr(value, " nh"));
		assert_int_equal(fl_protect(base, bytes, FL_OPEN), 0);
		memset(base, 1, bytes);
		assert_true(smaps_value(base, "VmFlags:", value, sizeof(value)));
		assert_non_null(strstr(value, " nh"));
		assert_true(smaps_value(base, "AnonHugePages:", value,
					sizeof(value)));
		assert_int_equal(strtoul(value, NULL, 10), 0);
		fl_release(base, bytes);
	}
}

static void skip_without(enum fl_guard_kind kind)
{
	int err = fl_guard_probe(kind);

	if (!err)
		return;
	print_message("this kernel refuses guards of this kind: %s\n",
		      strerror(-err));
	skip();
}

/* What both kinds have in common: what faults, and what does not stop it. */
static void check_guard(enum fl_guard_kind kind, int code)
{
	const size_t page = fl_page_bytes();
	char *base = reserve(8 * page, FL_OPEN);
	char *guard = base + 3 * page;

	base[2 * page] = 2;
	base[5 * page] = 5;
	assert_int_equal(fl_guard_install(guard, 2 * page, kind), 0);
	assert_open(guard - 1);
	assert_faults(guard, code);
	assert_faults(guard + page, code);
	assert_faults(guard + 2 * page - 1, code);
	assert_open(guard + 2 * page);
	/* A second time changes nothing. */
	assert_int_equal(fl_guard_install(guard, 2 * page, kind), 0);
	assert_faults(guard, code);

	/* Those were fork children's; now below a zap, and in this process. */
	assert_int_equal(madvise(base, 8 * page, MADV_DONTNEED), 0);
	assert_faults(guard, code);
	assert_faults(guard + 2 * page - 1, code);
	assert_int_equal(base[2 * page], 0);
	assert_int_equal(base[5 * page], 0);

	/* A guard costs no page. */
	assert_false(is_resident(guard));
	assert_false(is_resident(guard + page));

	assert_int_equal(fl_guard_remove(guard, 2 * page, kind), 0);
	assert_open(guard);
	memset(base, 1, 8 * page);
	assert_int_equal(fl_guard_install(guard + 1, page, kind), -EINVAL);
	assert_open(guard);
	fl_release(base, 8 * page);
	assert_int_equal(fl_guard_install(base, page, kind), -ENOMEM);
}

static void test_guard_prot_none(void **state)
{
	const size_t page = fl_page_bytes();
	unsigned before;
	char *base;

	(void)state;
	skip_without(FL_GUARD_PROT_NONE);
	check_guard(FL_GUARD_PROT_NONE, SEGV_ACCERR);

	/* It splits a mapping in three, and keeps the page's contents. */
	base = reserve(3 * page, FL_OPEN);
	base[page] = 7;
	before = nr_vmas();
	assert_int_equal(fl_guard_install(base + page, page,
					  FL_GUARD_PROT_NONE), 0);
	assert_int_equal(nr_vmas(), before + 2);
	assert_true(is_resident(base + page));
	assert_int_equal(fl_guard_remove(base + page, page,
					 FL_GUARD_PROT_NONE), 0);
	assert_int_equal(nr_vmas(), before);
	assert_int_equal(base[page], 7);
	fl_release(base, 3 * page);
}

static void test_guard_madvise(void **state)
{
	const size_t page = fl_page_bytes();
	unsigned before;
	char *base;

	(void)state;
	skip_without(FL_GUARD_MADVISE);
	check_guard(FL_GUARD_MADVISE, SEGV_MAPERR);

	/* It splits nothing, and drops the page. */
	base = reserve(3 * page, FL_OPEN);
	base[page] = 7;
	before = nr_vmas();
	assert_int_equal(fl_guard_install(base + page, page,
					  FL_GUARD_MADVISE), 0);
	assert_int_equal(nr_vmas(), before);
	assert_false(is_resident(base + page));
	assert_int_equal(fl_guard_remove(base + page, page,
					 FL_GUARD_MADVISE), 0);
	assert_int_equal(base[page], 0);
	fl_release(base, 3 * page);
}

static void test_guard_none(void **state)
{
	const size_t page = fl_page_bytes();
	char *base = reserve(page, FL_OPEN);

	(void)state;
	assert_int_equal(fl_guard_probe(FL_GUARD_NONE), 0);
	*base = 1;
	assert_int_equal(fl_guard_install(base, page, FL_GUARD_NONE), 0);
	assert_open(base);
	assert_int_equal(fl_guard_remove(base, page, FL_GUARD_NONE), 0);
	assert_int_equal(*base, 1);
	fl_release(base, page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_sizes_refused),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_pages_on_demand),
		cmocka_unit_test(test_protect),
		cmocka_unit_test(test_vma_limit),
		cmocka_unit_test(test_huge_pages_refused),
		cmocka_unit_test(test_guard_prot_none),
		cmocka_unit_test(test_guard_madvise),
		cmocka_unit_test(test_guard_none),
	};

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 99;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reserve", tests, NULL, NULL);
}
