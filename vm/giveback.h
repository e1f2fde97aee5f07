/* SPDX-License-Identifier: MIT */
/*
 * vm/giveback.h: give pages back to the kernel, one call or many at a time.
 *
 * After a give-back the range is still reserved and reads as zero (dontneed);
 * "free" lets the kernel take the pages later, and until then they count as
 * resident (LazyFree) and keep their contents; "guard" leaves guard pages in
 * their place (vm/guard.h, Linux 6.13), and "unguard" takes those away again.
 *
 * Taking pages away while another thread of the process runs interrupts its
 * CPU, about ten times the cost of the call itself; a batch pays that once.
 *
 * A "giver" is what a method keeps between calls: a descriptor of the process, or
 * a ring, which costs more to make than hundreds of pages to give back.
 *
 * Context: opening and closing a giver is cold.  Giving is async-signal-safe for
 * the loop and batch methods (bare system calls; batch takes 16 KiB of stack).
 * One giver serves one thread at a time.
 */
#ifndef FL_VM_GIVEBACK_H
#define FL_VM_GIVEBACK_H

#include <stddef.h>
#include <sys/uio.h>

enum fl_giveback_advice {
	FL_GIVE_DONTNEED,
	FL_GIVE_FREE,
	FL_GIVE_GUARD,
	FL_GIVE_UNGUARD,
};

enum fl_giveback_method {
	FL_GIVE_LOOP,		/* one madvise per range */
	FL_GIVE_BATCH,		/* process_madvise, Linux 6.13 for one's own */
	FL_GIVE_RING,		/* io_uring IORING_OP_MADVISE, with liburing */
};

struct fl_giver_ring;

struct fl_giver {
	enum fl_giveback_method method;
	int pidfd;			/* batch; else -1 */
	struct fl_giver_ring *ring;	/* ring; else NULL */
};

/*
 * fl_giver_open: Does not try the method: the first fl_giver_give may find that
 * the kernel refuses it.  A child of fork opens its own.
 * Returns 0, -EINVAL (no such method), -ENOTSUP (ring: built without liburing),
 * -ENOMEM, or -errno (-ENOSYS or -EPERM: the kernel refuses).
 */
int fl_giver_open(enum fl_giveback_method method, struct fl_giver *giver);

/* fl_giver_close: A giver that was never opened must be zero with pidfd -1. */
void fl_giver_close(struct fl_giver *giver);

/*
 * fl_giver_give: Give back @nr ranges of whole pages.  When it returns, nothing is
 * under way any more, even if it failed.
 * Returns 0, -ENOSYS or -EPERM (the kernel refuses the method), -EIO (a ring that
 * could not be submitted to is of no more use), or -errno of the first range that
 * failed.
 */
int fl_giver_give(struct fl_giver *giver, const struct iovec *ranges, size_t nr,
		  enum fl_giveback_advice advice);

/* fl_giveback_calls: System calls that giving back @nr ranges takes, at least. */
size_t fl_giveback_calls(enum fl_giveback_method method, size_t nr);

/* fl_giveback: The same with a giver for this one call; returns what either says. */
int fl_giveback(const struct iovec *ranges, size_t nr,
		enum fl_giveback_advice advice, enum fl_giveback_method method);

/* fl_giveback_one: The same for one range, by madvise.  Async-signal-safe, MT-safe. */
int fl_giveback_one(char *base, size_t bytes, enum fl_giveback_advice advice);

#endif
