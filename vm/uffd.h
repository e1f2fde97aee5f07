/* SPDX-License-Identifier: MIT */
/*
 * vm/uffd.h: userfaultfd, as strategies use it.
 *
 * Descriptors are opened with UFFD_USER_MODE_ONLY, which any user may do
 * whatever vm.unprivileged_userfaultfd says.  The price: a system call that
 * touches a missing page gets EFAULT instead of being served.
 *
 * Two ways to be told of a fault:
 *  sigbus  UFFD_FEATURE_SIGBUS: the faulting thread gets SIGBUS (vm/fault.h)
 *  thread  the faulting thread sleeps while another reads the event and resolves
 *          it (vm/uffd_service.h)
 *
 * A registration is lost in a fork child, which then silently zero-fills, and a
 * descriptor that a child inherits still acts on its parent's memory: a heap that
 * has one needs a hook (vm/fork.h).
 * Context: open, register and probe are cold; the page operations are bare
 * ioctls, async-signal-safe and MT-safe.
 */
#ifndef FL_VM_UFFD_H
#define FL_VM_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fl_uffd {
	int fd;
	uint64_t features;	/* what the kernel offers */
	bool tracks;		/* see fl_uffd_track */
};

/*
 * fl_uffd_open: @features: UFFD_FEATURE_* that must be had.
 * Returns 0, -ENOSYS (no userfaultfd), -EPERM (forbidden, by seccomp or
 * otherwise), -ENOTSUP (a feature is missing), or another -errno.
 * Both are async-signal-safe.
 */
int fl_uffd_open(uint64_t features, struct fl_uffd *uffd);
void fl_uffd_close(struct fl_uffd *uffd);

/*
 * fl_uffd_track: From now on, descriptors that are not for protected pages
 * themselves are opened, and their ranges registered, so that the kernel can be
 * asked which pages were written (vm/written.h), where it can do that (Linux 6.7).
 * For the whole process, and for good; costs a fault at the first store to a
 * page after each time it is asked.
 */
void fl_uffd_track(void);

/*
 * fl_uffd_probe: Open one with @features and close it.
 * @reason: if not, one line that says why.  Returns what fl_uffd_open does.
 */
int fl_uffd_probe(uint64_t features, char *reason, size_t reason_bytes);

/*
 * fl_uffd_register: Watch missing pages of [base, base + bytes), whole pages of
 * an open reservation.  A range has at most one userfaultfd (-EBUSY).
 * Registering PROT_NONE memory succeeds and is useless: accesses get SIGSEGV.
 * fl_uffd_register_wp: Watch write-protected pages instead (Linux 5.7); missing
 * pages are filled by the kernel as ever.
 *
 * What is registered and what is not are different VMAs, even side by side: a
 * range in the middle of a VMA makes two more (-ENOMEM: vm.max_map_count).
 */
int fl_uffd_register(const struct fl_uffd *uffd, char *base, size_t bytes);
int fl_uffd_register_wp(const struct fl_uffd *uffd, char *base, size_t bytes);

/*
 * fl_uffd_protect: Stores to whole pages, never used and registered with
 * fl_uffd_register_wp, are faults from now on.  The shared zero page is mapped
 * there first: where nothing is, a store would allocate a page before it is
 * found to be forbidden, and leave it.  So loads read zero.
 * Returns 0 or -errno (-EINVAL: before Linux 5.14).  Costs no VMA, but page
 * tables.  MADV_DONTNEED undoes it.
 */
int fl_uffd_protect(const struct fl_uffd *uffd, char *base, size_t bytes);

/*
 * fl_uffd_copy: Fill missing pages at @to with a copy of @from.  Pages that are
 * there already are left alone.
 * fl_uffd_zero: Map the shared zero page instead; the first write to each then
 * takes an ordinary fault more.
 *
 * Neither wakes who waits for the pages: the program must not go on before
 * whoever resolves the fault has also written down that it did.  The service
 * wakes the faulting thread when its function returns; in sigbus mode nobody
 * sleeps.
 * Return 0 or -errno (-ENOENT: not registered; -ENOMEM).
 */
int fl_uffd_copy(const struct fl_uffd *uffd, char *to, const char *from,
		 size_t bytes);
int fl_uffd_zero(const struct fl_uffd *uffd, char *to, size_t bytes);

/*
 * fl_uffd_move: Take the pages at @from away and put them, with what is in them,
 * at @to, where pages are missing (Linux 6.8: UFFD_FEATURE_MOVE).  Wakes nobody.
 * @from: whole pages of private anonymous memory, resident and open.
 * @moved: bytes done before the page that failed; all of them on success.
 * Returns 0 or -errno (-EEXIST: @to has a page there; -ENOENT: @from has none, or
 * @to is not registered; -EBUSY: the page is pinned, or shared with a fork
 * child until this process writes to it).
 */
int fl_uffd_move(const struct fl_uffd *uffd, char *to, char *from,
		 size_t bytes, size_t *moved);

#endif
