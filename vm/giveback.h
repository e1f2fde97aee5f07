/* SPDX-License-Identifier: MIT */
/*
 * vm/giveback.h: give pages back to the kernel, one call or many at a time.
 *
 * After a give-back the range is still reserved and reads as zero (dontneed);
 * "free" lets the kernel take the pages later, and until then they count as
 * resident (LazyFree) and keep their contents.
 *
 * Taking pages away while another thread of the process runs interrupts its
 * CPU, about ten times the cost of the call itself; a batch pays that once.
 *
 * Context: fl_giveback is async-signal-safe for the loop method (bare system
 * calls); MT-safe.
 */
#ifndef FL_VM_GIVEBACK_H
#define FL_VM_GIVEBACK_H

#include <stddef.h>
#include <sys/uio.h>

enum fl_giveback_advice { FL_GIVE_DONTNEED, FL_GIVE_FREE };

enum fl_giveback_method {
	FL_GIVE_LOOP,		/* one madvise per range */
	FL_GIVE_BATCH,		/* process_madvise, Linux 6.13 for one's own */
	FL_GIVE_RING,		/* io_uring IORING_OP_MADVISE, with liburing */
};

/*
 * fl_giveback: Give back @nr ranges of whole pages.
 * Returns 0, -ENOTSUP (built without liburing), -ENOSYS or -EPERM (the kernel
 * refuses the method), or -errno of the first range that failed.
 */
int fl_giveback(const struct iovec *ranges, size_t nr,
		enum fl_giveback_advice advice, enum fl_giveback_method method);

/* fl_giveback_one: The same for one range, by madvise. */
int fl_giveback_one(char *base, size_t bytes, enum fl_giveback_advice advice);

#endif
