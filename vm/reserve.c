/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/reserve.h"

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

int fl_reserve(size_t bytes, enum fl_access access, char **base)
{
	void *p;

	if (!bytes || bytes > FL_RESERVE_BYTES_MAX)
		return -EINVAL;
	bytes = fl_page_round(bytes);
	p = mmap(NULL, bytes, protection(access),
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	/* Refused only by kernels built without huge pages, which is as good. */
	(void)madvise(p, bytes, MADV_NOHUGEPAGE);
	*base = p;
	return 0;
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
