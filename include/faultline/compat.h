/* SPDX-License-Identifier: MIT */
/*
 * faultline/compat.h: what kernel headers older than the running kernel lack.
 *
 * Debian 12 ships the headers of Linux 6.1.  Each definition below is guarded,
 * says which kernel brought it, and repeats the kernel's ABI, which never
 * changes.  Having a constant here says nothing about the running kernel: ask
 * it (probe, never the headers).
 */
#ifndef FL_COMPAT_H
#define FL_COMPAT_H

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/userfaultfd.h>

/* Linux 4.17: an address or nothing. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

/* Linux 6.13: guard pages without a VMA split. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

/* Linux 5.14: map pages without touching them. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif

/* Linux 6.1: make a huge page of small ones now. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* Linux 5.11: userfaultfd that serves user-mode faults only, unprivileged. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

/* Linux 5.18: faulting addresses to the byte. */
#ifndef UFFD_FEATURE_EXACT_ADDRESS
#define UFFD_FEATURE_EXACT_ADDRESS	(1 << 11)
#endif

/* Linux 6.6: poison markers. */
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON	(1 << 14)
#define _UFFDIO_POISON		0x08
struct uffdio_poison {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define UFFDIO_POISON		_IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif

/* Linux 6.7: write protection that the kernel resolves by itself. */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif

/* Linux 6.4: write protection of pages that are not there yet. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif

/* Linux 6.8: move pages inside a process. */
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	(1 << 16)
#define _UFFDIO_MOVE		0x05
#define UFFDIO_MOVE_MODE_DONTWAKE	((uint64_t)1 << 0)
struct uffdio_move {
	uint64_t dst;
	uint64_t src;
	uint64_t len;
	uint64_t mode;
	int64_t move;
};
#define UFFDIO_MOVE		_IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
#endif
#ifndef UFFDIO_MOVE_MODE_DONTWAKE
#define UFFDIO_MOVE_MODE_DONTWAKE	((uint64_t)1 << 0)
#endif

/* Linux 6.1 has /dev/userfaultfd, but its header not everywhere the ioctl. */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW	_IO(0xAA, 0x00)
#endif

/* Linux 6.6: shadow stacks of programs; arch_prctl(2). */
#ifndef ARCH_SHSTK_STATUS
#define ARCH_SHSTK_STATUS	0x5005
#define ARCH_SHSTK_SHSTK	(1ULL << 0)
#endif

/* Linux 4.7: an alternate stack that is disarmed while it is in use. */
#ifndef SS_AUTODISARM
#define SS_AUTODISARM		(1U << 31)
#endif

/* Linux 6.7: ask the page tables which pages of a range are what. */
#ifndef PAGEMAP_SCAN
#define PAGE_IS_WPALLOWED	(1 << 0)
#define PAGE_IS_WRITTEN		(1 << 1)
#define PAGE_IS_FILE		(1 << 2)
#define PAGE_IS_PRESENT		(1 << 3)
#define PAGE_IS_SWAPPED		(1 << 4)
#define PAGE_IS_PFNZERO		(1 << 5)
#define PAGE_IS_HUGE		(1 << 6)
struct page_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};
#define PM_SCAN_WP_MATCHING	(1 << 0)
#define PM_SCAN_CHECK_WPASYNC	(1 << 1)
struct pm_scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};
#define PAGEMAP_SCAN		_IOWR('f', 16, struct pm_scan_arg)
#endif

#endif
