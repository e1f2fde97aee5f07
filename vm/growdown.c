/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm/growdown.h"
#include "vm/reserve.h"

int fl_growdown_make(char *base, size_t bytes)
{
	const size_t page = fl_page_bytes();
	char *last = base + bytes - page;

	/*
	 * The page first: at no time is all of it a hole.  Not MAP_NORESERVE: the
	 * kernel charges growth to Committed_AS all the same, and takes back only
	 * what was charged to begin with (mm/vma.c: VM_ACCOUNT), so each region
	 * would leave its growth charged until the next boot.
	 */
	if (mmap(last, page, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		return -errno;
	/* It is inherited by what the mapping grows to. */
	(void)madvise(last, page, MADV_NOHUGEPAGE);
	return bytes > page && munmap(base, bytes - page) ? -errno : 0;
}

/*
 * A system call that writes a word wherever it is told, and says so instead of
 * raising a signal when it cannot.
 */
bool fl_growdown_reaches(char *address)
{
	const int saved_errno = errno;
	const long err = syscall(SYS_getcpu, address, NULL, NULL);

	errno = saved_errno;
	return !err;
}

bool fl_growdown_descends(char *from, char *address)
{
	while (from > address &&
	       (size_t)(from - address) > FL_GROWDOWN_STEP_BYTES) {
		from -= FL_GROWDOWN_STEP_BYTES;
		if (!fl_growdown_reaches(from))
			return false;
	}
	return fl_growdown_reaches(address);
}

int fl_growdown_probe(size_t bytes, char *reason, size_t reason_bytes)
{
	struct rlimit stack;
	char *base;
	int err;

	if (!getrlimit(RLIMIT_STACK, &stack) && stack.rlim_cur < bytes) {
		snprintf(reason, reason_bytes,
			 "the kernel lets no mapping grow beyond the stack limit, %llu KiB, and the span is %zu: set a smaller span, or ulimit -s %zu",
			 (unsigned long long)stack.rlim_cur / 1024,
			 bytes / 1024, bytes / 1024);
		return -ENOMEM;
	}
	err = fl_reserve_aside(bytes, FL_CLOSED, &base);
	if (err) {
		snprintf(reason, reason_bytes,
			 "no room for a mapping that grows, away from all others: %s",
			 strerror(-err));
		return err;
	}
	err = fl_growdown_make(base, bytes);
	if (err)
		snprintf(reason, reason_bytes,
			 "no mapping that grows (MAP_GROWSDOWN) can be made: %s",
			 strerror(-err));
	if (!err && !fl_growdown_descends(base + bytes, base)) {
		err = -ENOMEM;
		snprintf(reason, reason_bytes,
			 "the kernel does not let a mapping (MAP_GROWSDOWN) grow to %zu KiB, %zu at once: set a smaller span, or look at ulimit -v and vm.overcommit_memory",
			 bytes / 1024, bytes < FL_GROWDOWN_STEP_BYTES ?
			 bytes / 1024 : FL_GROWDOWN_STEP_BYTES / 1024);
	}
	fl_release(base, bytes);
	return err;
}
