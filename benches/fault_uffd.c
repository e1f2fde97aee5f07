/* SPDX-License-Identifier: MIT */
/*
 * Faults by userfaultfd, delivered as SIGBUS to the faulting thread, or as an
 * event to a service thread while the faulting one sleeps.
 *
 *  redirect_uffd    the page stays missing, and the store goes elsewhere.  A
 *                   service thread declines: it closes the page, so that the store
 *                   becomes a SIGSEGV, whose handler opens it again and redirects
 *  redirect_signal  the same by a service thread that leaves the page open and sends
 *                   the faulting thread a signal
 *  redirect_poison  the page is marked (UFFDIO_POISON, Linux 6.6), which is SIGBUS
 *                   without an event; the store goes elsewhere
 *  extend_copy      UFFDIO_COPY of a page of zeros
 *  extend_zeropage  UFFDIO_ZEROPAGE: the shared zero page, so that the repeated
 *                   store takes a fault of the kernel's as well
 *  extend_move      UFFDIO_MOVE of a page from a pool (Linux 6.8)
 *  extend_continue  minor fault of shared memory: the page is in the page cache,
 *                   UFFDIO_CONTINUE maps it
 *  extend_unprotect the page is there, write-protected; UFFDIO_WRITEPROTECT
 *
 * As in vm/uffd.h, no operation wakes who waits: the service does, afterwards.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "benches/fault_rig.h"
#include "faultline/compat.h"
#include "vm/giveback.h"

static int give_back(struct rig *rig, size_t nr)
{
	(void)nr;
	return fl_giveback_one(rig->base, rig->bytes, FL_GIVE_DONTNEED);
}

/* A range whose missing pages fault, and a pool of as many pages. */
static int missing_open(struct rig *rig)
{
	int err = rig_range(rig, ROUND_FAULTS, FL_OPEN);

	if (!err)
		err = fl_reserve(rig->bytes, FL_OPEN, &rig->pool);
	if (err)
		return err;
	rig->pool_bytes = rig->bytes;
	rig_fill(rig->pool, rig->pool_bytes);
	err = rig_uffd(rig);
	return err ? err : fl_uffd_register(&rig->uffd, rig->base, rig->bytes);
}

static int redirect_uffd_open(struct rig *rig)
{
	int err = rig_range(rig, FL_GUARD_BYTES / fl_page_bytes() + 1, FL_OPEN);

	if (!err)
		err = rig_uffd(rig);
	if (err)
		return err;
	rig->top = rig->base + FL_GUARD_BYTES;
	rig->stride = 0;
	return fl_uffd_register(&rig->uffd, rig->base, FL_GUARD_BYTES);
}

const struct mechanism fault_redirect_uffd = {
	.answer = ANSWER_REDIRECT,
	.uffd = true,
	.open = redirect_uffd_open,
};

const struct mechanism fault_redirect_signal = {
	.answer = ANSWER_REDIRECT,
	.uffd = true,
	.sends = true,
	.open = redirect_uffd_open,
};

/*
 * Registered for write protection, of which there is none, because a marked page
 * faults by its mark and not by being missing.
 */
static int redirect_poison_open(struct rig *rig)
{
	struct uffdio_poison poison;
	int err = rig_range(rig, FL_GUARD_BYTES / fl_page_bytes() + 1, FL_OPEN);

	if (!err)
		err = rig_uffd(rig);
	if (!err)
		err = fl_uffd_register_wp(&rig->uffd, rig->base, FL_GUARD_BYTES);
	if (err)
		return err;
	rig->top = rig->base + FL_GUARD_BYTES;
	rig->stride = 0;
	poison = (struct uffdio_poison){
		.range = { .start = (uintptr_t)rig->base, .len = FL_GUARD_BYTES },
	};
	return ioctl(rig->uffd.fd, UFFDIO_POISON, &poison) ? -errno : 0;
}

const struct mechanism fault_redirect_poison = {
	.answer = ANSWER_REDIRECT,
	.features = UFFD_FEATURE_POISON | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	.open = redirect_poison_open,
};

static int copy_page(struct rig *rig, char *page)
{
	return fl_uffd_copy(&rig->uffd, page, rig->pool, fl_page_bytes());
}

const struct mechanism fault_extend_copy = {
	.answer = ANSWER_EXTEND,
	.uffd = true,
	.open = missing_open,
	.arm = give_back,
	.resolve = copy_page,
};

static int map_zeros(struct rig *rig, char *page)
{
	return fl_uffd_zero(&rig->uffd, page, fl_page_bytes());
}

const struct mechanism fault_extend_zeropage = {
	.answer = ANSWER_EXTEND,
	.uffd = true,
	.open = missing_open,
	.arm = give_back,
	.resolve = map_zeros,
};

/* Both ends of a move belong to one userfaultfd, or it is refused. */
static int move_open(struct rig *rig)
{
	int err = missing_open(rig);

	return err ? err : fl_uffd_register(&rig->uffd, rig->pool,
					    rig->pool_bytes);
}

/* The last round left them in so many pages from the top down. */
static int refill_pool(struct rig *rig, size_t nr)
{
	const size_t bytes = rig->nr_armed * rig->stride;
	size_t moved;
	int err = bytes ? fl_uffd_move(&rig->uffd,
				       rig->pool + rig->pool_bytes - bytes,
				       rig->top - bytes, bytes, &moved) : 0;

	rig->nr_armed = nr;
	return err;
}

static int move_page(struct rig *rig, char *page)
{
	size_t moved;

	return fl_uffd_move(&rig->uffd, page, rig->pool + (page - rig->base),
			    fl_page_bytes(), &moved);
}

const struct mechanism fault_extend_move = {
	.answer = ANSWER_EXTEND,
	.uffd = true,
	.features = UFFD_FEATURE_MOVE,
	.open = move_open,
	.arm = refill_pool,
	.resolve = move_page,
};

/* Two mappings of one file in memory: one is filled, the other faults. */
static int continue_open(struct rig *rig)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR };
	int err = rig_range(rig, ROUND_FAULTS, FL_CLOSED);
	int fd;

	if (err)
		return err;
	fd = memfd_create("faultline-bench", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)rig->bytes) ||
	    mmap(rig->base, rig->bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		err = -errno;
	if (!err) {
		rig->pool = mmap(NULL, rig->bytes, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);
		if (rig->pool == MAP_FAILED) {
			rig->pool = NULL;
			err = -errno;
		}
	}
	close(fd);
	if (err)
		return err;
	rig->pool_bytes = rig->bytes;
	rig_fill(rig->pool, rig->pool_bytes);
	err = rig_uffd(rig);
	reg.range.start = (uintptr_t)rig->base;
	reg.range.len = rig->bytes;
	if (!err && ioctl(rig->uffd.fd, UFFDIO_REGISTER, &reg))
		err = -errno;
	return err;
}

static int map_cached(struct rig *rig, char *page)
{
	struct uffdio_continue cont = {
		.range = { .start = (uintptr_t)page, .len = fl_page_bytes() },
		.mode = UFFDIO_CONTINUE_MODE_DONTWAKE,
	};

	return ioctl(rig->uffd.fd, UFFDIO_CONTINUE, &cont) ? -errno : 0;
}

const struct mechanism fault_extend_continue = {
	.answer = ANSWER_EXTEND,
	.uffd = true,
	.features = UFFD_FEATURE_MINOR_SHMEM,
	.open = continue_open,
	.arm = give_back,
	.resolve = map_cached,
};

static int protect(struct rig *rig, char *base, size_t bytes, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)base, .len = bytes },
		.mode = mode,
	};

	return ioctl(rig->uffd.fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

static int protected_open(struct rig *rig)
{
	int err = rig_range(rig, ROUND_FAULTS, FL_OPEN);

	if (err)
		return err;
	rig_fill(rig->base, rig->bytes);
	err = rig_uffd(rig);
	return err ? err : fl_uffd_register_wp(&rig->uffd, rig->base, rig->bytes);
}

static int protect_all(struct rig *rig, size_t nr)
{
	(void)nr;
	return protect(rig, rig->base, rig->bytes, UFFDIO_WRITEPROTECT_MODE_WP);
}

static int unprotect_page(struct rig *rig, char *page)
{
	return protect(rig, page, fl_page_bytes(),
		       UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}

const struct mechanism fault_extend_unprotect = {
	.answer = ANSWER_EXTEND,
	.uffd = true,
	.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	.open = protected_open,
	.arm = protect_all,
	.resolve = unprotect_page,
};

/* Here, because it shares all but who resolves with extend_unprotect. */
const struct mechanism fault_wp_async = {
	.answer = ANSWER_KERNEL,
	.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC,
	.open = protected_open,
	.arm = protect_all,
};
