/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "vm/reserve.h"
#include "vm/written.h"

int fl_written_open(struct fl_written *written, char *reason,
		    size_t reason_bytes)
{
	int err;

	written->uffd.fd = written->pagemap = -1;
	err = fl_uffd_open(UFFD_FEATURE_WP_ASYNC, &written->uffd);
	if (err) {
		snprintf(reason, reason_bytes, "userfaultfd: %s%s",
			 strerror(-err), err == -ENOTSUP ?
			 " (asynchronous write protection: Linux 6.7)" : "");
		return err;
	}
	written->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (written->pagemap < 0) {
		err = -errno;
		snprintf(reason, reason_bytes, "/proc/self/pagemap: %s",
			 strerror(-err));
		fl_uffd_close(&written->uffd);
	}
	return err;
}

void fl_written_close(struct fl_written *written)
{
	fl_uffd_close(&written->uffd);
	if (written->pagemap >= 0)
		close(written->pagemap);
	written->pagemap = -1;
}

int fl_written_watch(const struct fl_written *written, char *base, size_t bytes)
{
	return fl_uffd_register_wp(&written->uffd, base, bytes);
}

int fl_written_take(const struct fl_written *written, char *base, size_t bytes,
		    fl_written_run_fn each, void *arg)
{
	struct page_region runs[256];
	struct pm_scan_arg ask = {
		.size = sizeof(ask),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = (uintptr_t)base,
		.end = (uintptr_t)base + bytes,
		.vec = (uintptr_t)runs,
		.vec_len = sizeof(runs) / sizeof(runs[0]),
		.category_inverted = PAGE_IS_PFNZERO,
		.category_mask = PAGE_IS_PRESENT | PAGE_IS_PFNZERO,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_WRITTEN,
	};

	while (ask.start < ask.end) {
		int n = ioctl(written->pagemap, PAGEMAP_SCAN, &ask);

		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++)
			each(arg, (char *)(uintptr_t)runs[i].start,
			     (runs[i].end - runs[i].start) / fl_page_bytes(),
			     runs[i].categories & PAGE_IS_WRITTEN);
		if (ask.walk_end <= ask.start)
			break;
		ask.start = ask.walk_end;
	}
	return 0;
}
