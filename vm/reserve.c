/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "vm/reserve.h"
#include "vm/sanitized.h"

/* How many places fl_reserve_aside tries. */
#define ASIDE_TRIES	64u

/* ThreadSanitizer ends the process that maps where it has no shadow. */
#define HAVE_ASIDE	(!FL_HAVE_TSAN)

size_t fl_page_bytes(void)
{
	static size_t page_bytes;
	size_t bytes = __atomic_load_n(&page_bytes, __ATOMIC_RELAXED);

	if (!bytes) {
		bytes = (size_t)sysconf(_SC_PAGESIZE);
		__atomic_store_n(&page_bytes, bytes, __ATOMIC_RELAXED);
	}
	return bytes;
}

size_t fl_page_round(size_t bytes)
{
	size_t mask = fl_page_bytes() - 1;

	return (bytes + mask) & ~mask;
}

static int protection(enum fl_access access)
{
	return access == FL_OPEN ? PROT_READ | PROT_WRITE : PROT_NONE;
}

static int reserve_at(char *at, size_t bytes, enum fl_access access, char **base)
{
	void *p;

	if (!bytes || bytes > FL_RESERVE_BYTES_MAX)
		return -EINVAL;
	bytes = fl_page_round(bytes);
	p = mmap(at, bytes, protection(access), MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	/* Before Linux 4.17, @at is but a hint. */
	if (at && p != at) {
		munmap(p, bytes);
		return -EEXIST;
	}
	/* Refused only by kernels built without huge pages, which is as good. */
	(void)madvise(p, bytes, MADV_NOHUGEPAGE);
	*base = p;
	return 0;
}

int fl_reserve(size_t bytes, enum fl_access access, char **base)
{
	return reserve_at(NULL, bytes, access, base);
}

/* The first place free from @at on, by @stride. */
static int reserve_from(uintptr_t at, intptr_t stride, size_t bytes,
			enum fl_access access, char **base)
{
	int err = -EEXIST;

	at -= at & (fl_page_bytes() - 1);
	for (unsigned i = 0; i < ASIDE_TRIES && err == -EEXIST && at > bytes; i++) {
		err = reserve_at((char *)at, bytes, access, base);
		at += (uintptr_t)stride;
	}
	return err == -EEXIST ? -ENOMEM : err;
}

/*
 * The kernel fills the address space from one end: from below the room for the
 * stack downwards, which is nearly all of it with a stack without limit; or, in
 * its legacy layout, from a third of it upwards.  A quarter of the address that it
 * chooses is far from there, and as random.  If that is taken (by
 * AddressSanitizer, say), or too near 0, there is room at twice the address.
 */
int fl_reserve_aside(size_t bytes, enum fl_access access, char **base)
{
	char *near;
	int err = fl_reserve(bytes, FL_CLOSED, &near);

	if (err)
		return err;
	fl_release(near, bytes);
	if (!HAVE_ASIDE)
		return -ENOMEM;
	bytes = fl_page_round(bytes);
	err = reserve_from((uintptr_t)near / 4, -(intptr_t)bytes, bytes, access,
			   base);
	if (err == -ENOMEM)
		err = reserve_from((uintptr_t)near * 2, (intptr_t)bytes, bytes,
				   access, base);
	return err;
}

void fl_release(char *base, size_t bytes)
{
	if (base)
		munmap(base, fl_page_round(bytes));
}

int fl_protect(char *base, size_t bytes, enum fl_access access)
{
	return mprotect(base, bytes, protection(access)) ? -errno : 0;
}
