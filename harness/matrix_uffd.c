/* SPDX-License-Identifier: MIT */
/*
 * The mechanisms of userfaultfd.  They differ in what kind of fault is asked for
 * (missing, minor, write-protect, poison), in who is told (a service thread, the
 * faulting thread by SIGBUS, nobody), and in what lets the store go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "harness/matrix_trap.h"

/*
 * vm/uffd.h opens for user-mode faults only, by decision.  This one serves the
 * kernel's accesses too, and needs CAP_SYS_PTRACE or the sysctl
 * vm.unprivileged_userfaultfd.
 */
static int open_for_kernel(uint64_t features, struct fl_uffd *uffd)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api)) {
		err = -errno;
		close(fd);
		return err;
	}
	*uffd = (struct fl_uffd){ .fd = fd, .features = features };
	return 0;
}

static int open_uffd(const struct fl_mechanism *m, struct fl_uffd *uffd)
{
	return m->kernel_faults ? open_for_kernel(m->features, uffd) :
				  fl_uffd_open(m->features, uffd);
}

static int probe(const struct fl_mechanism *m, char *reason, size_t bytes)
{
	struct fl_uffd uffd;
	int err;

	if (!m->kernel_faults)
		return fl_uffd_probe(m->features, reason, bytes);
	err = open_uffd(m, &uffd);
	if (err)
		snprintf(reason, bytes,
			 "userfaultfd without UFFD_USER_MODE_ONLY: %s",
			 strerror(-err));
	else
		fl_uffd_close(&uffd);
	return err;
}

static int attach(struct fl_trap *t)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)t->base, .len = t->bytes },
		.mode = t->m->mode,
	};
	int err = open_uffd(t->m, &t->uffd);

	if (err)
		return err;
	return ioctl(t->uffd.fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static struct uffdio_range page_range(const char *page)
{
	return (struct uffdio_range){
		.start = (uintptr_t)page, .len = fl_page_bytes(),
	};
}

/* ---- missing pages ------------------------------------------------------ */

/* A page faults while it is missing; one that is there must go. */
static int take_away(struct fl_trap *t, char *page)
{
	(void)t;
	return madvise(page, fl_page_bytes(), MADV_DONTNEED) ? -errno : 0;
}

static int copy_in(struct fl_trap *t, char *page)
{
	return fl_uffd_copy(&t->uffd, page, t->pool, fl_page_bytes());
}

static int move_in(struct fl_trap *t, char *page)
{
	size_t moved;

	return fl_uffd_move(&t->uffd, page, t->pool, fl_page_bytes(), &moved);
}

static int poison(struct fl_trap *t, char *page)
{
	struct uffdio_poison ask = { .range = page_range(page) };
	int err = take_away(t, page);

	if (err)
		return err;
	return ioctl(t->uffd.fd, UFFDIO_POISON, &ask) ? -errno : 0;
}

#define MISSING							\
	.mode = UFFDIO_REGISTER_MODE_MISSING, .probe = probe,	\
	.map = fl_trap_map, .attach = attach

const struct fl_mechanism fl_mech_uffd_event = {
	.name = "uffd-event", .since = "Linux 5.11",
	.what = "missing pages: a thread reads events and supplies pages",
	.told = FL_TOLD_EVENT, .features = UFFD_FEATURE_THREAD_ID, MISSING,
	.arm = take_away, .resolve = copy_in,
};

const struct fl_mechanism fl_mech_uffd_kernel = {
	.name = "uffd-kernel", .since = "Linux 4.14",
	.what = "the same, also for the kernel's accesses (privileged)",
	.told = FL_TOLD_EVENT, .features = UFFD_FEATURE_THREAD_ID, MISSING,
	.kernel_faults = true, .arm = take_away, .resolve = copy_in,
};

const struct fl_mechanism fl_mech_uffd_signal = {
	.name = "uffd-signal", .since = "Linux 5.11",
	.what = "missing pages: that thread signals the faulting one",
	.told = FL_TOLD_BOTH, .features = UFFD_FEATURE_THREAD_ID, MISSING,
	.arm = take_away,
};

const struct fl_mechanism fl_mech_uffd_sigbus = {
	.name = "uffd-sigbus", .since = "Linux 5.11",
	.what = "missing pages: SIGBUS for the faulting thread",
	.told = FL_TOLD_SIGNAL, .signal = SIGBUS, .codes = { BUS_ADRERR },
	.features = UFFD_FEATURE_SIGBUS, MISSING,
	.arm = take_away, .resolve = copy_in,
};

const struct fl_mechanism fl_mech_uffd_move = {
	.name = "uffd-move", .since = "Linux 6.8",
	.what = "missing pages: events; pages are moved in from elsewhere",
	.told = FL_TOLD_EVENT,
	.features = UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MOVE, MISSING,
	.arm = take_away, .resolve = move_in,
};

/*
 * A kernel with CONFIG_MEMORY_FAILURE says BUS_MCEERR_AR.  Registered for write
 * protection, of which there is none, so that pages which are merely missing do
 * not fault.
 */
const struct fl_mechanism fl_mech_uffd_poison = {
	.name = "uffd-poison", .since = "Linux 6.6",
	.what = "pages marked as poisoned (UFFDIO_POISON): SIGBUS",
	.told = FL_TOLD_SIGNAL, .signal = SIGBUS,
	.codes = { BUS_MCEERR_AR, BUS_ADRERR },
	.features = UFFD_FEATURE_POISON | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	.mode = UFFDIO_REGISTER_MODE_WP, .probe = probe,
	.map = fl_trap_map, .attach = attach, .arm = poison,
};

/* ---- pages that the page cache has and the page tables have not --------- */

/* Huge pages want addresses and places in the file to agree modulo this. */
#define HUGE_BYTES	((size_t)2 << 20)

/*
 * Of private memory there is no other name under which it could be filled, so a
 * file is mapped.
 */
static int map_shared(struct fl_trap *t, enum fl_access access)
{
	const int prot = access == FL_OPEN ? PROT_READ | PROT_WRITE : PROT_NONE;
	const size_t room = t->bytes + HUGE_BYTES;
	char *base, *aligned;

	t->preparing = true;
	t->memfd = memfd_create("matrix", MFD_CLOEXEC);
	if (t->memfd < 0 || ftruncate(t->memfd, (off_t)t->bytes))
		return -errno;
	t->preparing = false;
	base = mmap(NULL, room, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	aligned = (char *)(((uintptr_t)base + HUGE_BYTES - 1) &
			   ~(HUGE_BYTES - 1));
	if (mmap(aligned, t->bytes, prot,
		 MAP_SHARED | MAP_NORESERVE | MAP_FIXED, t->memfd, 0) ==
	    MAP_FAILED)
		return -errno;
	/* Refused only by kernels built without huge pages. */
	(void)madvise(aligned, t->bytes, MADV_NOHUGEPAGE);
	t->base = aligned;
	fl_release(base, (size_t)(aligned - base));
	fl_release(aligned + t->bytes,
		   (size_t)(base + room - (aligned + t->bytes)));
	return 0;
}

static int put_in_cache(struct fl_trap *t, char *page)
{
	const size_t bytes = fl_page_bytes();
	ssize_t n;

	/* Out of the page tables, if it is there. */
	if (madvise(page, bytes, MADV_DONTNEED))
		return -errno;
	n = pwrite(t->memfd, t->pool, bytes, page - t->base);
	return n == (ssize_t)bytes ? 0 : n < 0 ? -errno : -EIO;
}

static int let_continue(struct fl_trap *t, char *page)
{
	struct uffdio_continue ask = {
		.range = page_range(page),
		.mode = UFFDIO_CONTINUE_MODE_DONTWAKE,
	};

	return ioctl(t->uffd.fd, UFFDIO_CONTINUE, &ask) ? -errno : 0;
}

#define MINOR								\
	.mode = UFFDIO_REGISTER_MODE_MINOR, .probe = probe,	\
	.map = map_shared, .attach = attach, .arm = put_in_cache,	\
	.resolve = let_continue

const struct fl_mechanism fl_mech_uffd_minor = {
	.name = "uffd-minor", .since = "Linux 5.14",
	.what = "shared pages that are not mapped yet: events",
	.told = FL_TOLD_EVENT, MINOR,
	.features = UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MINOR_SHMEM,
};

const struct fl_mechanism fl_mech_uffd_minor_bus = {
	.name = "uffd-minor-bus", .since = "Linux 5.14",
	.what = "shared pages that are not mapped yet: SIGBUS",
	.told = FL_TOLD_SIGNAL, .signal = SIGBUS, .codes = { BUS_ADRERR }, MINOR,
	.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MINOR_SHMEM,
};

/* ---- write protection --------------------------------------------------- */

static int write_protect(struct fl_trap *t, char *page, uint64_t mode)
{
	struct uffdio_writeprotect ask = {
		.range = page_range(page), .mode = mode,
	};

	return ioctl(t->uffd.fd, UFFDIO_WRITEPROTECT, &ask) ? -errno : 0;
}

/* fl_uffd_protect has a page mapped beneath, which a closed range cannot have. */
static int protect_page(struct fl_trap *t, char *page)
{
	return t->closed ?
	       write_protect(t, page, UFFDIO_WRITEPROTECT_MODE_WP) :
	       fl_uffd_protect(&t->uffd, page, fl_page_bytes());
}

static int unprotect_page(struct fl_trap *t, char *page)
{
	return write_protect(t, page, UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}

/* Does the kernel say that somebody wrote to @page since it was protected? */
static bool was_written(const char *page)
{
	struct page_region run;
	struct pm_scan_arg ask = {
		.size = sizeof(ask), .start = (uintptr_t)page,
		.end = (uintptr_t)page + fl_page_bytes(),
		.vec = (uintptr_t)&run, .vec_len = 1,
		.flags = PM_SCAN_CHECK_WPASYNC,
		.category_mask = PAGE_IS_WRITTEN | PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), n;

	if (fd < 0)
		return false;
	n = ioctl(fd, PAGEMAP_SCAN, &ask);
	close(fd);
	return n == 1;
}

#define WP								\
	.mode = UFFDIO_REGISTER_MODE_WP, .probe = probe,		\
	.map = fl_trap_map, .attach = attach, .arm = protect_page,	\
	.resolve = unprotect_page

const struct fl_mechanism fl_mech_uffd_wp = {
	.name = "uffd-wp", .since = "Linux 5.14",
	.what = "write-protected pages: events",
	.told = FL_TOLD_EVENT, WP,
	.features = UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
};

const struct fl_mechanism fl_mech_uffd_wp_bus = {
	.name = "uffd-wp-bus", .since = "Linux 5.14",
	.what = "write-protected pages: SIGBUS",
	.told = FL_TOLD_SIGNAL, .signal = SIGBUS, .codes = { BUS_ADRERR }, WP,
	.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
};

const struct fl_mechanism fl_mech_uffd_wp_async = {
	.name = "uffd-wp-async", .since = "Linux 6.7",
	.what = "write-protected pages that the kernel opens, and notes",
	.told = FL_TOLD_NOBODY, WP, .happened = was_written,
	.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
};
