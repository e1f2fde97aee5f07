/* SPDX-License-Identifier: MIT */
/*
 * vm/written.h: which pages were written, by the kernel.
 *
 * Pages are write-protected in a way that the kernel itself resolves at the first
 * store (userfaultfd in asynchronous mode, Linux 6.7), and PAGEMAP_SCAN says
 * which are no longer protected.  Nobody is told, and nothing waits; a first store
 * to a page costs a fault of under a microsecond.
 *
 * A range has at most one userfaultfd.  Memory that a strategy watches with its own
 * can be watched through that one: after fl_uffd_track, descriptors are opened
 * and ranges registered so that it works (vm/uffd.h).
 *
 * What is asked for is pages that are present, and of these, whether they were
 * written.  Asked for written pages alone, the kernel builds page tables for the
 * whole range.
 *
 * Context: cold.  One thread.
 */
#ifndef FL_VM_WRITTEN_H
#define FL_VM_WRITTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm/uffd.h"

struct fl_written {
	struct fl_uffd uffd;
	int pagemap;
};

/*
 * fl_written_open: Returns 0, or -errno with one line of @reason: -ENOTSUP (before
 * Linux 6.7), -EPERM, -ENOSYS (no userfaultfd).
 */
int fl_written_open(struct fl_written *written, char *reason,
		    size_t reason_bytes);
void fl_written_close(struct fl_written *written);

/*
 * fl_written_watch: From now on, tell of stores to [base, base + bytes), whole
 * pages of one private anonymous mapping.  Watching twice is nothing.
 * Returns 0 or -errno: -EBUSY where another userfaultfd is; if that one tells of
 * stores, too, all is well, and fl_written_take finds out.
 */
int fl_written_watch(const struct fl_written *written, char *base, size_t bytes);

/*
 * fl_written_take: Call @each for every run of resident pages of
 * [base, base + bytes), ascending, and say which were written since they were last
 * taken, or since they were watched: of pages new to it, all.  The shared zero
 * page is not resident.  Protects them again.
 * Returns 0, -EPERM (part of it is not watched; of one mapping, nothing was
 * called), or -errno.
 */
typedef void (*fl_written_run_fn)(void *arg, char *base, uint64_t pages,
				  bool written);
int fl_written_take(const struct fl_written *written, char *base, size_t bytes,
		    fl_written_run_fn each, void *arg);

#endif
