/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>

#include "faultline/compat.h"
#include "vm/guard.h"
#include "vm/reserve.h"

int fl_guard_install(char *base, size_t bytes, enum fl_guard_kind kind)
{
	switch (kind) {
	case FL_GUARD_PROT_NONE:
		return fl_protect(base, bytes, FL_CLOSED);
	case FL_GUARD_MADVISE:
		return madvise(base, bytes, MADV_GUARD_INSTALL) ? -errno : 0;
	default:
		return 0;
	}
}

int fl_guard_remove(char *base, size_t bytes, enum fl_guard_kind kind)
{
	switch (kind) {
	case FL_GUARD_PROT_NONE:
		return fl_protect(base, bytes, FL_OPEN);
	case FL_GUARD_MADVISE:
		return madvise(base, bytes, MADV_GUARD_REMOVE) ? -errno : 0;
	default:
		return 0;
	}
}

int fl_guard_probe(enum fl_guard_kind kind)
{
	size_t bytes = fl_page_bytes();
	char *page;
	int err = fl_reserve(bytes, FL_OPEN, &page);

	if (err)
		return err;
	err = fl_guard_install(page, bytes, kind);
	fl_release(page, bytes);
	return err;
}
